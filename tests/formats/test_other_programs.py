"""Other programs read what we write, and we read what they write."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wdsr.picture import (
    Picture,
    encode,
    read,
)

Array = NDArray[Any]

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"  # what the wheel holds; nothing is fetched


def noise(*shape: int, dtype: str = "uint8", seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.uniform(-0.5, 1.5, shape).astype(np.float32)  # float is not clipped
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def scene(height: int = 64, width: int = 48) -> Array:
    """A part of a photograph, for the lossy formats."""
    return read(PHOTOGRAPHS / "astronaut.png").pixels[:height, 200 : 200 + width]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(array: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tifffile_reads_our_tiff(dtype: str, bands: int) -> None:
    array = noise(9, 11, bands, dtype=dtype)
    alpha = array[..., -1] if bands % 2 == 0 else None
    picture = Picture(array[..., : bands - (alpha is not None)], alpha)
    seen = tifffile.imread(io.BytesIO(encode(picture, "tiff")))
    np.testing.assert_array_equal(seen.reshape(array.shape), array)


@pytest.mark.parametrize("kind", ["png", "webp", "bmp", "ppm", "tiff"])
def test_pillow_reads_our_files(kind: str) -> None:
    pixels = noise(9, 11, 3)
    image = Image.open(io.BytesIO(encode(Picture(pixels), kind)))
    np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(
    ("options", "dtype", "shape"),
    [
        ({"byteorder": ">"}, "uint16", (9, 11)),
        ({"bigtiff": True}, "uint8", (9, 11)),
        ({"photometric": "rgb", "tile": (16, 16)}, "uint16", (40, 35, 3)),
        ({"photometric": "rgb", "extrasamples": ["unassalpha"]}, "float32", (9, 11, 4)),
        ({"photometric": "minisblack", "compression": "zlib"}, "float32", (9, 11)),
        ({"photometric": "minisblack", "extratags": [(65000, 2, 3, "odd", True)]}, "uint8", (9, 7)),
    ],
)
def test_tiff_of_others(options: dict[str, Any], dtype: str, shape: tuple[int, ...]) -> None:
    array = noise(*shape, dtype=dtype)
    back = read(tiff(array, **options))
    alpha = [] if back.alpha is None else [back.alpha]
    np.testing.assert_array_equal(np.dstack([back.pixels, *alpha]), np.atleast_3d(array))


def test_tiff_with_planes_apart_and_with_white_as_zero() -> None:
    array = noise(3, 9, 11)
    back = read(tiff(array, photometric="rgb", planarconfig="separate"))
    np.testing.assert_array_equal(back.pixels, np.moveaxis(array, 0, 2))
    back = read(tiff(array[0], photometric="miniswhite"))
    np.testing.assert_array_equal(back.pixels[..., 0], 255 - array[0])


@pytest.mark.parametrize(
    "name", ["astronaut.png", "camera.png", "logo.png", "text.png", "color.png"]
)
def test_photographs_decode_as_pillow_decodes_them(name: str) -> None:
    picture = read(PHOTOGRAPHS / name)
    with Image.open(PHOTOGRAPHS / name) as image:
        expected = np.atleast_3d(np.asarray(image))
    np.testing.assert_array_equal(picture.pixels, expected[..., :3])
    assert picture.alpha is None  # the logo has one, of 255 everywhere


@pytest.mark.parametrize("name", ["rocket.jpg", "retina.jpg", "hubble_deep_field.jpg"])
def test_jpeg_photographs_decode_as_pillow_decodes_them(name: str) -> None:
    picture = read(PHOTOGRAPHS / name)
    with Image.open(PHOTOGRAPHS / name) as image:
        assert np.abs(picture.pixels.astype(int) - np.asarray(image)).max() <= 4  # other IDCT
        assert picture.icc == image.info.get("icc_profile")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_mode(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(noise(9, 11, dtype="uint16"))
    else:
        image = Image.fromarray(noise(9, 11, 4)).convert("RGB" if mode == "P" else "RGBA")
        image = image.convert(mode)
    picture = read(saved(image, "PNG"))
    alpha = [] if picture.alpha is None else [picture.alpha]
    array = np.asarray(image.convert({"P": "RGB", "1": "L"}.get(mode, mode)))
    np.testing.assert_array_equal(np.dstack([picture.pixels, *alpha]), np.atleast_3d(array))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_transparency(kind: str) -> None:
    image = Image.fromarray(noise(9, 11, 3)).quantize(16)
    picture = read(saved(image, kind, transparency=3))
    indices = np.asarray(image)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, np.where(indices == 3, 0, 255))
    seen = indices != 3
    np.testing.assert_array_equal(picture.pixels[seen], np.asarray(image.convert("RGB"))[seen])


def test_the_shape_that_tifffile_notes_is_left_out_and_a_description_is_kept() -> None:
    for told, kept in ({}, False), ({"description": "a leaf", "metadata": None}, True):
        file = io.BytesIO()
        tifffile.imwrite(file, noise(9, 11, 3), photometric="rgb", **told)
        large = read(encode(read(file.getvalue()).enlarged(noise(18, 22, 3), None), "tiff"))
        assert (b"a leaf" in (large.exif or b"")) == kept
        assert b"shape" not in (large.exif or b"")


def test_opaque_alpha_of_a_file_is_left_out() -> None:
    image = Image.fromarray(noise(9, 11, 3))
    assert read(saved(image.convert("RGBA"), "PNG")).alpha is None


@pytest.mark.parametrize("top", [1, 100, 255, 1000, 65535])
@pytest.mark.parametrize("magic", [2, 3, 5, 6])
def test_ppm_and_pgm_of_any_maximum(magic: int, top: int) -> None:
    colours = 3 if magic in (3, 6) else 1
    values = np.random.default_rng(0).integers(0, top + 1, (4, 5, colours))
    values.flat[:2] = 0, top
    body = " ".join(map(str, values.ravel())).encode()
    if magic > 3:
        body = values.astype(">u2" if top > 255 else "u1").tobytes()
    picture = read(b"P%d # a comment\n5\n4 %d\n" % (magic, top) + body)
    white = 65535 if top > 255 else 255
    assert picture.white == white
    np.testing.assert_array_equal(picture.pixels, (values * 2 * white + top) // (2 * top))


INKS = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 0], [0, 255, 255, 0]]], np.uint8)


def profile_of_equal_inks() -> bytes:
    """A profile for CMYK in which all inks print the same."""
    import pyvips

    data = bytearray(pyvips.Image.profile_load("cmyk"))
    for entry in range(132, 132 + 12 * struct.unpack_from(">I", data, 128)[0], 12):
        tag, start, _length = struct.unpack_from(">4sII", data, entry)
        if tag.startswith(b"A2B"):  # inks to Lab: a table of 9^4 points, after the input curves
            table = start + 52 + 2 * 4 * struct.unpack_from(">H", data, start + 48)[0]
            data[table : table + 2 * 3 * 9**4] = b"\x80" * (2 * 3 * 9**4)
    return bytes(data)


def test_ppm_above_its_own_maximum_is_white() -> None:
    assert read(b"P5 2 1 100 " + bytes([200, 50])).pixels.ravel().tolist() == [255, 128]


def test_cmyk_becomes_srgb() -> None:
    picture = read(tiff(INKS, photometric="separated"))
    paper, black, cyan, red = picture.pixels[0].astype(int)
    assert paper.tolist() == [255, 255, 255]
    assert black.max() < 25  # and not the dark grey that black ink is
    assert cyan[0] < 50 < 100 < cyan[1] < cyan[2]
    assert red[0] > 200 > 80 > red[1:].max()


def test_cmyk_goes_through_its_own_profile() -> None:
    data = tiff(INKS, photometric="separated", iccprofile=profile_of_equal_inks())
    picture = read(data)
    assert len(np.unique(picture.pixels[0], axis=0)) == 1
    assert picture.icc is not None
    assert picture.icc[16:20] == b"RGB "  # no longer that of inks


def test_a_cmyk_jpeg_is_not_inverted() -> None:
    image = Image.fromarray(scene()).convert("CMYK")
    pixels = read(saved(image, "JPEG", quality=95)).pixels
    assert np.corrcoef(pixels.ravel(), scene().ravel())[0, 1] > 0.95


def test_cmyk_of_sixteen_bits_stays_deep() -> None:
    inks = np.zeros((4, 300, 4), np.uint16)
    inks[..., 0] = np.linspace(0, 20000, 300)
    pixels = read(tiff(inks, photometric="separated")).pixels
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels[0, :, 0])) > 256
