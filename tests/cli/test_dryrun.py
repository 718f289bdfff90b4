"""`wdsr upscale --dry-run`, and large pictures through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from wdsr import stream


@pytest.fixture(autouse=True)
def _rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WDSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("wdsr.processor.busy_seconds", lambda: None)  # others may be busy
    monkeypatch.setattr("wdsr.inference.AUTO_SIDE", 32)  # measured in no time
    monkeypatch.setattr("wdsr.estimate._measured", {})
    monkeypatch.setattr("wdsr.estimate._disturbance", 0.0)


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def test_it_says_what_would_be_made_and_makes_nothing(wdsr: Any, tmp_path: Path) -> None:
    noise(30, 50).save("a.png")
    noise(20, 20).save("b.jpg")
    ran = wdsr("upscale", "a.png", "b.jpg", "-s", 2, "--dry-run", "-o", "out")
    assert (ran.code, ran.err) == (0, "")
    first, second, all_of_it = ran.out.decode().splitlines()
    assert first.startswith(f"a.png -> {Path('out/a_x2.png')}: 50 x 30 -> 100 x 60, about ")
    assert "20 x 20 -> 40 x 40, about " in second
    assert all_of_it.startswith("2 pictures: about ")
    assert sorted(p.name for p in Path().iterdir()) == ["a.png", "b.jpg", "cache"]


def test_what_would_be_refused_is_told_at_once(wdsr: Any) -> None:
    noise(30, 50).save("a.png")
    Path("b.png").write_text("no picture")
    noise(9000, 8).save("c.png")
    noise(10, 10).convert("RGBA").save("d.png")
    ran = wdsr("upscale", "a.png", "b.png", "c.png", "d.png", "-f", "jpeg", "-s", 8, "--dry-run")
    assert ran.code == 1
    assert "b.png" in ran.lines[0]
    assert "c.png: jpeg holds at most 65500 pixels a side" in ran.lines[1]
    assert "d.png: jpeg cannot hold transparency" in ran.lines[2]
    assert ran.lines[3] == "wdsr: 3 of 4 pictures would be refused"


def test_places_that_cannot_be_written_are_told(wdsr: Any) -> None:
    noise(30, 50).save("a.png")
    Path("empty.png").touch()
    Path("b.png").touch()
    for arguments, fault in (
        (["a.png", "-o", "b.png"], "b.png: exists already; use -y to replace it"),
        (["a.png", "-o", "b.png/x.png"], "b.png: cannot be written into; check the folder"),
        (["empty.png", "-o", "x.png"], "empty.png: is empty"),
    ):
        ran = wdsr("upscale", *arguments, "--dry-run")
        assert ran.code == 1
        assert fault in ran.lines[0]
        assert ran.out == b""
    assert wdsr("upscale", "a.png", "-o", "b.png", "-y", "--dry-run").code == 0
    assert not Path("b.png").read_bytes()


def test_programs_get_an_object_a_line(wdsr: Any) -> None:
    noise(30, 50).save("a.png")
    noise(20, 20).save("b.jpg")
    Path("c.png").write_text("no picture")
    ran = wdsr("upscale", "a.png", "b.jpg", "c.png", "-s", 2, "--dry-run", "-o", "out", "--json")
    assert ran.code == 1
    first, _, third, total = map(json.loads, ran.out.decode().splitlines())
    assert (first["event"], first["from"], first["to"]) == ("estimate", [50, 30], [100, 60])
    assert (third["event"], third["input"]) == ("failed", "c.png")
    assert (total["event"], total["pictures"]) == ("total", 2)
    assert total["memory"] >= first["memory"] > 0
    assert total["seconds"] > first["seconds"] > 0


def test_a_busy_machine_is_told(wdsr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wdsr.estimate.Others.share", lambda self: 0.5)
    noise(30, 50).save("a.png")
    ran = wdsr("upscale", "a.png", "-s", 2, "--dry-run")
    assert ran.code == 0
    assert "Other programs took 50% of the processor" in ran.err
    monkeypatch.setattr("wdsr.estimate._seconds", None)  # measured once in a process
    assert wdsr("upscale", "a.png", "-s", 2, "--dry-run").code == 0


def test_it_wants_files(wdsr: Any) -> None:
    ran = wdsr("upscale", "-", "--dry-run", "-o", "x.png")
    assert ran.code == 2
    assert "headers of files" in ran.err


def test_a_large_picture_is_enlarged_row_by_row_to_the_same_pixels(
    wdsr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise(40, 60).save("a.png", compress_level=0)
    assert wdsr("upscale", "a.png", "-s", 2, "-o", "whole.png", "-v").code == 0
    monkeypatch.setattr(stream, "LARGE", 1000)
    monkeypatch.setattr("wdsr.batch.large._LEAST_BYTES", 100)
    ran = wdsr("upscale", "a.png", "-s", 2, "-o", "rows.png", "-v", "--compression", 0)
    assert ran.code == 0
    assert "row by row" in ran.lines[0]
    whole, rows = (np.asarray(Image.open(name)) for name in ("whole.png", "rows.png"))
    np.testing.assert_array_equal(whole, rows)
    assert Path("rows.png").stat().st_size > whole.nbytes
    ran = wdsr("upscale", "a.png", "-s", 2, "-o", "rows.png", "-v")
    assert ran.code == 1
    assert "rows.png: exists already" in ran.err
    # With alpha it is none of the plain kind, and goes the usual way.
    noise(40, 60).convert("RGBA").save("b.png", compress_level=0)
    veil = Image.open("b.png")
    veil.putalpha(Image.fromarray(np.arange(2400, dtype=np.uint8).reshape(40, 60)))
    veil.save("b.png", compress_level=0)
    ran = wdsr("upscale", "b.png", "-s", 2, "-o", "b2.png", "-v")
    assert (ran.code, "row by row" in ran.err) == (0, False)


def test_a_pyramid(wdsr: Any) -> None:
    noise(300, 200).save("a.png")
    assert wdsr("upscale", "a.png", "-s", 2, "-o", "a.tif", "--pyramid").code == 0
    with tifffile.TiffFile("a.tif") as file:
        assert [page.shape[:2] for page in file.pages] == [(600, 400), (300, 200), (150, 100)]
    ran = wdsr("upscale", "a.png", "-s", 2, "-o", "b.png", "--pyramid")
    assert ran.code == 2
    assert "only TIFF holds a pyramid" in ran.err
    ran = wdsr("upscale", "a.png", "-s", 2.5, "-o", "b.tif", "--pyramid")
    assert ran.code == 1
    assert "a.png: a pyramid is made only of plain pictures" in ran.err
    assert not Path("b.tif").exists()


def test_a_large_picture_is_looked_at_too(wdsr: Any) -> None:
    grey = np.add.outer(np.arange(96) // 8 * 5 % 37, np.arange(144) // 8 * 7 % 41) + 60
    Image.fromarray(np.dstack([grey] * 3).astype(np.uint8)).save("a.jpg", quality=30)
    for scale, model in ((2, "wdsr-photo: JPEG quality 30"), (3, "by rows there is no wdsr-photo")):
        ran = wdsr("upscale", "a.jpg", "-s", scale, "-o", f"{scale}.tif", "--pyramid")
        assert ran.code == 0
        assert model in ran.err + "".join(ran.lines)
    ran = wdsr("upscale", "a.jpg", "-s", 2, "-n", "wdsr-b-8", "-o", "c.tif", "--pyramid", "-v")
    assert "wdsr-b-8-x2" in ran.err + "".join(ran.lines)


@pytest.mark.parametrize("level", [-1, 10])
def test_the_level_of_png_has_bounds(wdsr: Any, level: int) -> None:
    ran = wdsr("upscale", "a.png", "--compression", level)
    assert ran.code == 2
    assert f"compression must be from 0 to 9, not {level}" in ran.err


def test_deterministic_is_float32_for_any_tile_and_number_of_threads(wdsr: Any) -> None:
    noise(50, 70).save("a.png")
    results = set()
    for threads, tile in ((1, "auto"), (2, "auto"), (2, 17), (1, 40)):
        ran = wdsr(
            "upscale", "a.png", "-s", 3, "-o", "out.png", "-y", "-v",
            "--deterministic", "--threads", threads, "--tile", tile,
        )  # fmt: skip
        assert "float32" in ran.err
        results.add(Path("out.png").read_bytes())
    assert len(results) == 1
