"""Animations keep all frames as shown, their delays and count; TIFF keeps its pages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageSequence

import wdsr
from wdsr.errors import PictureError
from wdsr.formats import vips
from wdsr.picture import Picture, Timing, encode, read

Array = NDArray[Any]


def drawn(count: int = 4, size: tuple[int, int] = (20, 12)) -> list[Image.Image]:
    """Frames of few colours, partly transparent, in which something moves."""
    frames = []
    for number in range(count):
        image = Image.new("RGBA", size, (0, 0, 0, 0))
        image.paste((250, 40 * number, 10, 255), (2 * number, 3, 2 * number + 6, 9))
        image.paste((10, 90, 250, 255), (0, 0, 5, 2))
        frames.append(image)
    return frames


def animated(kind: str, **options: Any) -> bytes:
    first, *others = drawn()
    buffer = io.BytesIO()
    options = {"duration": [40, 80, 120, 200], "loop": 0, "disposal": 2, **options}
    if kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    elif kind == "PNG":
        options["disposal"] = 1
    first.save(buffer, kind, save_all=True, append_images=others, **options)
    return buffer.getvalue()


def shown(data: bytes) -> tuple[list[Array], list[float]]:
    """Frames and delays as Pillow sees them."""
    frames, delays = [], []
    with Image.open(io.BytesIO(data)) as image:
        for frame in ImageSequence.Iterator(image):
            frames.append(np.asarray(frame.convert("RGBA")))
            frame.load()
            delays.append(float(frame.info["duration"]))
    return frames, delays


def visible(array: Array) -> Array:
    """What is fully transparent has no colour."""
    return np.where(array[..., 3:] > 0, array, 0)


KINDS = ["GIF", "WEBP", "PNG"]


@pytest.mark.parametrize("kind", KINDS)
def test_all_frames_come_as_shown(kind: str) -> None:
    data = animated(kind)
    picture = read(data)
    expected, delays = shown(data)
    assert picture.format == kind.lower()
    assert picture.timing == Timing((40, 80, 120, 200), 0)
    assert delays == [40, 80, 120, 200]
    assert len(picture.pages) == len(expected) == 4
    for page, frame in zip(picture.pages, expected, strict=True):
        assert page.alpha is not None
        ours = np.dstack((page.pixels, page.alpha))
        np.testing.assert_array_equal(visible(ours), visible(frame))


@pytest.mark.parametrize("into", ["gif", "webp", "png"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_animation_becomes_every_other(nearest: None, kind: str, into: str) -> None:
    picture = read(animated(kind))
    large = wdsr.load(scale=2).upscale_picture(picture)
    data = encode(large, into)
    frames, delays = shown(data)
    expected, _ = shown(animated(kind))
    assert delays == [40, 80, 120, 200]
    for frame, small in zip(frames, expected, strict=True):
        twice = small.repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(visible(frame), visible(twice))
    assert read(data).timing == picture.timing


@pytest.mark.parametrize("plays", [0, 1, 5])
@pytest.mark.parametrize("into", ["gif", "webp", "png"])
def test_the_number_of_plays_is_kept(into: str, plays: int) -> None:
    first, *others = (Picture(np.full((8, 9, 3), level, np.uint8)) for level in (10, 90, 200))
    picture = Picture(first.pixels, others=tuple(others), timing=Timing((50, 60, 70), plays))
    assert read(encode(picture, into)).timing == picture.timing


def test_frames_of_sixteen_bits_are_written_whole_and_refused_when_read() -> None:
    deep = Picture(np.full((8, 9, 3), 12345, np.uint16))
    data = encode(Picture(deep.pixels, others=(deep,), timing=Timing((50, 60))), "png")
    with pytest.raises(PictureError, match="16 bits"):
        read(data)


def test_grey_frames_beside_coloured_ones() -> None:
    grey = Picture(np.full((8, 9, 1), 99, np.uint8))
    colour = Picture(np.full((8, 9, 3), 50, np.uint8), np.full((8, 9), 128, np.uint8))
    picture = Picture(grey.pixels, others=(colour,), timing=Timing((50, 60)))
    for into in ("png", "webp"):
        first, second = read(encode(picture, into)).pages
        assert set(first.pixels.flat) == {99}
        assert first.alpha is None
        assert second.alpha is not None
        assert set(second.alpha.flat) == {128}


def test_a_still_for_other_readers_is_noted() -> None:
    first, *others = (frame.convert("RGB") for frame in drawn())
    buffer = io.BytesIO()
    first.save(buffer, "PNG", save_all=True, append_images=others, default_image=True)
    picture = read(buffer.getvalue())
    assert len(picture.pages) == 3
    assert "still picture" in picture.notes[0]


def test_pages_may_differ_in_size_and_type(nearest: None) -> None:
    pages: list[Array] = [
        np.arange(60, dtype=np.uint8).reshape(5, 12),
        np.arange(4 * 6 * 3, dtype=np.uint16).reshape(4, 6, 3) * 800,
        np.linspace(-1, 2, 42, dtype=np.float32).reshape(7, 6),
    ]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in pages:
            colour = "rgb" if page.ndim == 3 else "minisblack"
            writer.write(page, photometric=colour, metadata=None, software=False)
    picture = read(buffer.getvalue())
    assert picture.timing is None
    for found, array in zip(picture.pages, pages, strict=True):
        np.testing.assert_array_equal(found.pixels, np.atleast_3d(array))
    data = wdsr.load(scale=2).upscale(buffer.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for written, array in zip(file.pages, pages, strict=True):
            twice = array.repeat(2, 0).repeat(2, 1)
            np.testing.assert_allclose(written.asarray(), twice, rtol=1e-6)
            assert written.asarray().dtype == array.dtype


def test_reduced_copies_are_left_out_and_noted() -> None:
    page = np.zeros((16, 16), np.uint8)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(page, metadata=None, software=False)
        writer.write(page[::2, ::2], subfiletype=1, metadata=None, software=False)
    picture = read(buffer.getvalue())
    assert len(picture.pages) == 1
    assert picture.notes == ("1 reduced copies are left out",)


def test_a_page_that_fails_is_named() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(np.zeros((16, 16), np.uint8), metadata=None, software=False)
        writer.write(np.zeros((16, 16), np.int16), metadata=None, software=False)
    with pytest.raises(PictureError, match="scan: page 2 1 bands of short"):
        read(buffer.getvalue(), name="scan")
    values = np.full((4, 4, 1), np.nan, np.float32)
    bad = Picture(np.zeros((4, 4, 1), np.float32), others=(Picture(values),))
    with pytest.raises(PictureError, match=r"page 2: .*NaN"):
        wdsr.load(scale=2).upscale_picture(bad)


def test_several_are_refused_where_one_is_needed(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="several pages or frames"):
        read(animated("GIF"), single=True)


@pytest.mark.parametrize("kind", KINDS)
def test_limits_hold_for_a_frame_and_for_all_together(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = 20 * 12
    assert len(read(animated(kind), max_pixels=frame).pages) == 4
    with pytest.raises(PictureError, match="declares 20 x 12"):
        read(animated(kind), max_pixels=frame - 1)
    monkeypatch.setattr(vips, "MOST_IN_ALL", 4 * frame - 1)
    with pytest.raises(PictureError, match="4 frames of 20 x 12"):
        read(animated(kind), max_pixels=frame)
