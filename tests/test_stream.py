"""Rows in, rows out: the same pixels as in memory, in bounded memory, whole files or none."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from wdsr import picture as pictures
from wdsr import stream
from wdsr.backends import Batch, Precision, by_floats
from wdsr.card import ModelCard
from wdsr.errors import PictureError
from wdsr.files import write_atomically
from wdsr.formats import rows
from wdsr.inference import run_tiles
from wdsr.picture import Picture
from wdsr.tiling import Box

Pixels = NDArray[Any]


class Fake:
    """Enlarges by 2; each pixel is mixed with those around it, as far as the halo reaches."""

    precision: Precision = "float32"
    card = ModelCard("fake", 2, 3, {})

    def run(self, batch: Batch) -> Batch:
        if batch.dtype == np.uint8:
            return by_floats(batch, self.card, self.run)
        mixed = sum(np.roll(batch, by, axis) for by in (-3, 1, 3) for axis in (2, 3)) / 6
        return np.asarray(mixed, np.float32).repeat(2, 2).repeat(2, 3)


def photograph(height: int, width: int, channels: int, dtype: type) -> Pixels:
    rng = np.random.default_rng(height)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (5 + c)) + np.cos(y / (4 + c)) for c in range(channels)]
    image = np.stack(waves, 2) / 4 + 0.5 + rng.normal(0, 0.05, (height, width, channels))
    return (image.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)


def saved(folder: Path, pixels: Pixels, kind: str = "png", **facts: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"in.{kind}"
    pictures.write(Picture(pixels, **facts), path)
    return path


def opened(path: Path, kind: str = "png") -> rows.Opened:
    return rows.opened(path, rows.look(path, kind))


def write(
    picture: rows.Opened, target: Path, kind: stream.Kind, *saving: stream.Saving, **options: Any
) -> tuple[int, int]:
    """As the command does it."""
    sizes = []

    def make(part: Path) -> None:
        sizes.append(stream.enlarge_into(picture, part, Fake(), kind, *saving, **options))

    write_atomically(target, make)
    return sizes[0]


def in_memory(pixels: Pixels, tile: int | None = None) -> Pixels:
    white = np.iinfo(pixels.dtype).max
    return run_tiles(pixels, Fake(), white=white, dtype=pixels.dtype, tile=tile)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("size", [(1, 1), (5, 90), (97, 61)])
def test_the_same_pixels_as_in_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    kind: stream.Kind,
    channels: int,
    dtype: type,
) -> None:
    monkeypatch.setattr(stream, "MOST", 6000)  # many rows of low tiles
    pixels = photograph(*size, channels, dtype)
    target, ticks = tmp_path / f"out.{kind}", []
    picture = opened(saved(tmp_path, pixels))
    made = write(picture, target, kind, tile=20, on_progress=lambda *tick: ticks.append(tick))
    assert made == (2 * size[0], 2 * size[1])
    np.testing.assert_array_equal(pictures.read(target).pixels, in_memory(pixels, 20))
    total = ticks[-1][1]
    assert ticks == [(n + 1, total) for n in range(total)]
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", target.name}


def test_jpeg_and_from_jpeg(tmp_path: Path) -> None:
    source = saved(tmp_path, photograph(60, 80, 3, np.uint8), "jpeg")
    target = tmp_path / "out.jpg"
    saving = stream.Saving(quality=98)
    write(opened(source, "jpeg"), target, "jpeg", saving)
    difference = pictures.read(target).pixels.astype(int) - in_memory(pictures.read(source).pixels)
    assert np.abs(difference).mean() < 1.5


def test_profile_and_resolution_are_carried(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = tmp_path / "in.png"
    image = Image.fromarray(photograph(20, 30, 3, np.uint8))
    image.save(source, icc_profile=icc, dpi=(150, 150))
    for kind in stream.KINDS:
        target = tmp_path / f"out.{kind}"
        write(opened(source), target, kind)
        result = pictures.read(target)
        assert result.icc == icc
        assert result.dpi == pytest.approx((300, 300), abs=0.5)  # the same size in print


def test_tiff_is_tiled_with_a_pyramid_on_request(tmp_path: Path) -> None:
    source = saved(tmp_path, photograph(300, 280, 3, np.uint8))
    for pyramid, levels in ((False, 1), (True, 3)):
        target = tmp_path / f"{pyramid}.tif"
        write(opened(source), target, "tiff", stream.Saving(pyramid=pyramid))
        with tifffile.TiffFile(target) as file:
            assert [page.is_tiled for page in file.pages] == [True] * levels
            sizes = [page.shape[:2] for page in file.pages]
        assert sizes[0] == (600, 560)
        assert all(a[0] // 2 == b[0] for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize("level", [0, 9])
def test_the_level_of_png_changes_bytes_not_pixels(tmp_path: Path, level: int) -> None:
    pixels = photograph(50, 50, 3, np.uint8)
    source, target = saved(tmp_path, pixels), tmp_path / "out.png"
    write(opened(source), target, "png", stream.Saving(compression=level))
    np.testing.assert_array_equal(pictures.read(target).pixels, in_memory(pixels))
    assert (target.stat().st_size > 100 * 100 * 3) == (level == 0)


def test_only_plain_pictures_are_taken(tmp_path: Path) -> None:
    pixels = photograph(8, 9, 3, np.uint8)
    veiled = tmp_path / "veiled.png"
    pictures.write(Picture(pixels, np.arange(72, dtype=np.uint8).reshape(8, 9)), veiled)
    assert rows.look(veiled, "png").plain is None
    floats = tmp_path / "floats.tif"
    pictures.write(Picture(pixels.astype(np.float32) / 255), floats)
    assert rows.look(floats, "tiff").plain is None
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=turned)
    assert rows.look(tmp_path / "turned.jpg", "jpeg").plain is None
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "inks.jpg")
    assert rows.look(tmp_path / "inks.jpg", "jpeg").plain is None
    page = Image.fromarray(pixels)
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page])
    assert rows.look(tmp_path / "pages.tif", "tiff").plain is None
    pictures.write(Picture(pixels), tmp_path / "small.webp")
    assert rows.look(tmp_path / "small.webp", "webp").plain is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_neutral_is_enlarged_as_grey(tmp_path: Path, dtype: type) -> None:
    grey = photograph(40, 50, 1, dtype)
    for pixels, neutral in ((grey, False), (grey.repeat(3, 2), True)):
        path = saved(tmp_path / f"{neutral}", pixels)
        seen = rows.look(path, "png")
        walked = rows.walk(path, seen)
        assert walked.neutral == neutral
        write(rows.opened(path, seen, walked), tmp_path / "out.png", "png", tile=16)
        expected = in_memory(grey, 16).repeat(pixels.shape[2], 2)
        np.testing.assert_array_equal(pictures.read(tmp_path / "out.png").pixels, expected)
    pixels = grey.repeat(3, 2)
    pixels[-1, -1, 1] ^= 1
    assert not rows.walk(saved(tmp_path / "odd", pixels), seen).neutral


def test_a_file_that_has_changed_since_the_look_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, photograph(8, 9, 3, np.uint8))
    seen = rows.look(path, "png")
    for other in (photograph(8, 10, 3, np.uint8), photograph(8, 9, 3, np.uint16)):
        path.write_bytes(pictures.encode(Picture(other), "png"))
        with pytest.raises(PictureError, match="not the picture it was a moment ago"):
            rows.opened(path, seen)


def test_a_camera_quirk_is_forgiven_but_a_cut_file_is_not(tmp_path: Path) -> None:
    path = saved(tmp_path, photograph(80, 90, 3, np.uint8), "jpeg")
    expected = pictures.read(path).pixels
    data = bytearray(path.read_bytes())
    scan = data.index(b"\xff\xda")
    data[scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big") - 2] = 62
    path.write_bytes(data)
    seen = rows.look(path, "jpeg")
    walked = rows.walk(path, seen)
    assert walked == rows.Walk("error")
    found = rows.opened(path, seen, walked).read(Box(0, 0, 80, 90), 0)
    np.testing.assert_array_equal(found, expected)
    path.write_bytes(data[:-300])
    with pytest.raises(PictureError, match="cannot be decoded"):
        rows.walk(path, seen)


def test_damage_is_one_line_and_the_old_file_stays(tmp_path: Path) -> None:
    source = saved(tmp_path, photograph(400, 300, 3, np.uint8))
    source.write_bytes(source.read_bytes()[:-60_000])
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    with pytest.raises(PictureError, match=r"in\.png: cannot be decoded") as caught:
        write(opened(source), target, "png", tile=64)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", "out.png"}
    assert not [t for t in threading.enumerate() if t.name == "encoder"]
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(PictureError, match="cannot be decoded"):
        rows.look(tmp_path / "text.png", "png")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, PictureError])
def test_whatever_ends_the_work_leaves_nothing_half_written(
    tmp_path: Path, error: type[BaseException]
) -> None:
    source = saved(tmp_path, photograph(200, 100, 3, np.uint8))

    def stop(done: int, total: int) -> None:
        if done == total // 2:
            raise error("stop")

    with pytest.raises(error):
        write(opened(source), tmp_path / "out.tif", "tiff", tile=16, on_progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
    assert not [t for t in threading.enumerate() if t.name == "encoder"]


def test_a_target_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    picture = opened(saved(tmp_path, photograph(60, 60, 3, np.uint8)))
    with pytest.raises(PictureError, match="cannot be written"):
        stream.enlarge_into(picture, tmp_path / "no" / "out.png", Fake(), "png")


def test_rows_are_held_no_longer_than_needed(tmp_path: Path) -> None:
    picture = opened(saved(tmp_path, photograph(500, 40, 3, np.uint8)))
    most = 0
    for top in range(0, 500, 20):
        picture.read(Box(top - 3, -3, top + 23, 43), hold=26)
        most = max(most, len(picture._rows))
    assert most <= 26 + 26


def test_a_wide_picture_has_low_tiles() -> None:
    class Wide:
        height, width, channels, dtype = 1000, 400_000, 3, np.dtype(np.uint8)

    plan = stream.row_plan(Wide(), Fake())  # type: ignore[arg-type]
    row = plan.core[0] * plan.width * 3 * plan.scale**2
    assert row <= stream.MOST or plan.core[0] == 16
    assert plan.core[1] > 16


@pytest.mark.parametrize("kind", stream.KINDS)
def test_all_that_a_file_holds_is_carried_or_told(kind: stream.Kind, tmp_path: Path) -> None:
    """As when the picture is held in memory, but that a tiled TIFF has neither EXIF nor IPTC."""
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    given: dict[str, Any] = {
        "exif": exif.tobytes(),
        "xmp": b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
        "iptc": b"\x1c\x02\x05\x00\x05Title",
        "comment": "by hand",
    }
    picture = pictures.Picture(photograph(20, 30, 3, np.uint8), dpi=(300, 300), **given)
    source, target = tmp_path / "in.jpg", tmp_path / f"out.{kind}"
    pictures.write(picture, source)
    found = opened(source, "jpeg")
    write(found, target, kind)
    result = pictures.read(target)
    told = " ".join(stream.carried(found.facts, kind))
    assert result.dpi == pytest.approx((600, 600), abs=0.1)
    assert result.notes == ()
    for name, value in given.items():
        kept = getattr(result, name)
        if name == "exif":
            kept = kept and b"a camera" in kept
        elif name == "comment" and kind == "png":
            kept = b"by hand" in dict(result.chunks)[b"iTXt"]
        else:
            kept = kept == value
        assert bool(kept) != (name.lower() in told.lower())
