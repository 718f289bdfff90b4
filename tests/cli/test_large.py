"""Large pictures, which are enlarged in the command's own process: a worker tries them first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wdsr import formats, isolation, stream
from wdsr import picture as pictures
from wdsr.batch import large
from wdsr.formats import rows

Wdsr = Callable[..., Any]  # see conftest.py
pytestmark = pytest.mark.usefixtures("nearest")


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """Pixels that count as large; half as many do not."""
    monkeypatch.setattr(stream, "LARGE", 4 * 60 * 4 * 50)
    monkeypatch.setattr(large, "_LEAST_BYTES", 0)
    return np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What workers were asked, and what decoders of this process have opened, in order."""
    steps: list[str] = []

    def watch(owner: object, name: str, word: str) -> None:
        honest = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            steps.append(word or str(arguments[1]))
            return honest(*arguments, **options)

        monkeypatch.setattr(owner, name, step)

    watch(isolation.Worker, "ask", "")
    watch(formats, "codec", "HERE")
    for name in ("look", "walk", "opened"):
        watch(rows, name, "HERE")
    return steps


def save(name: str, pixels: np.ndarray[Any, Any]) -> Path:
    path = Path(name)
    path.write_bytes(pictures.encode(pictures.Picture(pixels), "png"))
    return path


def test_a_large_picture_is_tried_then_enlarged(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], seen: list[str]
) -> None:
    save("a.png", noise)
    seen.clear()
    assert wdsr("upscale", "a.png").code == 0
    # A worker has read all of it before a decoder of this process sees it: to choose the model,
    # and to enlarge. The last "look" is the result's.
    assert seen == ["header", "look", "walk", "HERE", "HERE", "look"]
    seen.clear()
    assert wdsr("upscale", "a.png", "-y", "-n", "wdsr-b-8").code == 0
    assert seen == ["header", "look", "walk", "HERE", "look"]
    expected = noise.repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(pictures.read(Path("a_x4.png")).pixels, expected)


def test_an_ordinary_picture_meets_no_decoder_of_ours(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], seen: list[str]
) -> None:
    save("a.png", noise[:30])
    seen.clear()
    assert wdsr("upscale", "a.png").code == 0
    assert seen == ["header", "read", "HERE", "size"]  # the one here encodes


@pytest.mark.parametrize("kind", ["webp", "avif", "heic", "jxl", "bmp", "ppm", "gif"])
def test_a_large_picture_that_cannot_be_read_by_rows_is_read_in_a_worker(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], seen: list[str], kind: str
) -> None:
    Path(f"a.{kind}").write_bytes(pictures.encode(pictures.Picture(noise), kind))
    seen.clear()
    assert wdsr("upscale", f"a.{kind}", "-f", "png").code == 0
    assert seen == ["header", "look", "read", "HERE", "size"]
    assert pictures.read(Path("a_x4.png")).width == 200


def test_private_things_of_a_large_picture_are_left_out(
    wdsr: Wdsr, noise: np.ndarray[Any, Any]
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769)[0xA431] = "SER-1"
    Image.fromarray(noise).save("a.jpg", exif=exif)
    for options, kept in ((["--strip-private"], False), ([], True)):
        assert wdsr("upscale", "a.jpg", "-y", *options).code == 0
        data = Path("a_x4.jpg").read_bytes()
        assert (b"a camera" in data, b"SER-1" in data) == (True, kept)


@pytest.mark.parametrize("where", [0.3, 0.95])
def test_a_damaged_large_picture_is_refused_before_the_work(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], nearest: Any, where: float
) -> None:
    data = save("a.png", noise).read_bytes()
    Path("a.png").write_bytes(data[: int(len(data) * where)])
    ran = wdsr("upscale", "a.png")
    assert (ran.code, len(ran.lines), nearest.runs) == (1, 1, 0)
    assert "a.png: cannot be decoded" in ran.err
    assert not Path("a_x4.png").exists()
    assert wdsr("upscale", "a.png", "--best-effort").code == 0


@pytest.mark.parametrize("target", ["out.png", "out.jpg"])
def test_one_ordinary_picture_is_written_as_it_is_enlarged(
    wdsr: Wdsr,
    noise: np.ndarray[Any, Any],
    target: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Decoded by a worker, verified as a whole, and never held as a whole."""
    monkeypatch.setattr(stream, "LARGE", 10**8)
    pixels = noise.repeat(8, 0)  # several rows of tiles
    save("a.png", pixels)
    checks: list[dict[str, Any]] = []
    verify = isolation.verify

    def see(part: Path, **facts: Any) -> None:
        checks.append(facts)
        verify(part, **facts)

    monkeypatch.setattr(isolation, "verify", see)
    monkeypatch.setattr(pictures, "encode", None)  # which would need it whole
    assert wdsr("upscale", "a.png", "-o", target).code == 0
    assert [(check["height"], check["width"], check.get("whole", True)) for check in checks] == [
        (4 * len(pixels), 4 * pixels.shape[1], True)
    ]
    if target == "out.png":
        expected = pixels.repeat(4, 0).repeat(4, 1)
        np.testing.assert_array_equal(pictures.read(Path(target)).pixels, expected)
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", target]


def test_a_picture_that_is_not_plain_is_held(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With alpha, at other scales, into TIFF: as before, to the right size."""
    monkeypatch.setattr(stream, "LARGE", 10**8)
    tall = noise.repeat(8, 0)
    veil = np.arange(tall.shape[0] * tall.shape[1]).reshape(tall.shape[:2]).astype(np.uint8)
    Path("veil.png").write_bytes(pictures.encode(pictures.Picture(tall, veil), "png"))
    save("a.png", tall)
    for call, scale in (("veil.png", 4), ("a.png", 2.5), ("a.png", 4)):
        target = f"{scale}.tif" if (call, scale) == ("a.png", 4) else f"{scale}-{call}"
        assert wdsr("upscale", call, "-s", scale, "-o", target).code == 0
        found = pictures.read(Path(target))
        assert (found.height, found.width) == tuple(round(side * scale) for side in tall.shape[:2])
