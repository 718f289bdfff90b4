"""Rows as they come become the file that a picture in memory becomes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wdsr import picture as pictures
from wdsr.formats import lines, png, writing
from wdsr.picture import Picture


def noise(shape: tuple[int, ...], dtype: type = np.uint8) -> NDArray[Any]:
    rng = np.random.default_rng(len(shape))
    smooth = rng.integers(0, 40, shape).cumsum(axis=0)
    return (smooth % (np.iinfo(dtype).max + 1)).astype(dtype)


def lots(pixels: NDArray[Any], step: int) -> Iterator[NDArray[Any]]:
    return (pixels[top : top + step] for top in range(0, len(pixels), step))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("level", [0, 1])
def test_lines_are_png(
    bands: int, dtype: type, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lots and strips of any height are one picture, also to a reader that is not libvips."""
    pixels = noise((50, 30, bands), dtype)
    monkeypatch.setattr(lines, "_STRIP", 7 * 30 * bands * pixels.itemsize)
    parts = lines.file(lots(pixels, 11), pixels.shape, dtype, level, b"")
    data = b"".join(parts)
    found = pictures.read(data)
    whole = [found.pixels] if found.alpha is None else [found.pixels, found.alpha[..., None]]
    np.testing.assert_array_equal(np.concatenate(whole, axis=2), pixels)
    if dtype == np.uint8:
        theirs = np.asarray(Image.open(io.BytesIO(data))).reshape(pixels.shape)
        np.testing.assert_array_equal(theirs, pixels)


def test_the_quick_level_is_small() -> None:
    pixels = noise((200, 300, 3))
    sizes = {
        level: len(pictures.encode(Picture(pixels), "png", compression=level)) for level in (0, 1)
    }
    assert sizes[1] < 0.9 * sizes[0]


def test_tiff_is_compressed_as_asked() -> None:
    pixels = np.random.default_rng(0).normal(120, 2, (200, 300, 3)).astype(np.uint8)
    quick, small = (pictures.encode(Picture(pixels), "tiff", compression=level) for level in (1, 9))
    assert len(small) < len(quick) < 0.7 * pixels.nbytes
    for data in (quick, small):
        np.testing.assert_array_equal(pictures.read(data).pixels, pixels)


def test_without_isal_libvips_compresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lines, "isal_zlib", None)
    picture = Picture(noise((40, 50, 3)))
    np.testing.assert_array_equal(
        pictures.read(pictures.encode(picture, "png", compression=1)).pixels, picture.pixels
    )
    writing.write(
        [picture.pixels], picture, tmp_path / "a.png", "png", writing.Saving(compression=1)
    )
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.png").pixels, picture.pixels)


@pytest.mark.parametrize("level", [0, 1, 6])
def test_png_rows_have_the_head_of_a_picture(level: int, tmp_path: Path) -> None:
    picture = Picture(noise((33, 20, 3)), dpi=(300, 300), comment="by hand", icc=None)
    writing.write(
        lots(picture.pixels, 10), picture, tmp_path / "a.png", "png", writing.Saving(95, level)
    )
    data = (tmp_path / "a.png").read_bytes()
    assert data[33:].startswith(png.head(picture))
    assert data.count(b"pHYs") == 1
    found = pictures.read(data)
    assert found.dpi == pytest.approx((300, 300), abs=0.1)
    np.testing.assert_array_equal(found.pixels, picture.pixels)


@pytest.mark.parametrize("quality", [80, 95])
def test_jpeg_rows_are_the_same_file_as_in_memory(quality: int, tmp_path: Path) -> None:
    picture = Picture(noise((64, 48, 3)), dpi=(72.5, 72.5), comment="by hand")
    facts = pictures.carryable(picture, "jpeg")
    writing.write(
        lots(picture.pixels, 9), facts, tmp_path / "a.jpg", "jpeg", writing.Saving(quality)
    )
    in_memory = pictures.encode(picture, "jpeg", quality=quality)
    assert (tmp_path / "a.jpg").read_bytes() == in_memory


def test_deep_rows_are_rounded_for_jpeg(tmp_path: Path) -> None:
    picture = Picture(np.full((16, 16, 1), 257 * 99 + 200, np.uint16))
    writing.write(lots(picture.pixels, 5), picture, tmp_path / "a.jpg", "jpeg", writing.Saving(100))
    assert set(pictures.read(tmp_path / "a.jpg").pixels.flat) == {100}


@pytest.mark.parametrize(("kind", "level"), [("png", 6), ("jpeg", 1)])
def test_a_disk_that_is_full_is_told(
    kind: writing.Kind, level: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libvips knows nothing of exceptions: the right one is raised all the same."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing._Splice, "_begin", full)
    picture = Picture(noise((64, 48, 3)))
    with pytest.raises(OSError, match="No space left"):
        writing.write([picture.pixels], picture, tmp_path / "a", kind, writing.Saving(95, level))
