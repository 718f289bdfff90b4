"""Orientation, profile and resolution survive; Pillow's images are pictures too."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from wdsr.errors import PictureError
from wdsr.picture import (
    Picture,
    encode,
    from_pil,
    read,
    to_pil,
)

Array = NDArray[Any]

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"  # what the wheel holds; nothing is fetched
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, MAKE = 0x0112, 0x010F


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


def only_line(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    return message


# What must survive with the pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_orientation_is_applied_and_not_written_again(kind: str, orientation: int) -> None:
    image = Image.fromarray(noise(2, 3, 3).repeat(16, 0).repeat(16, 1))
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "a camera"
    data = saved(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    picture = read(data)
    near = 4 if kind == "JPEG" else 0
    assert picture.pixels.shape == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).max() <= near
    again = Image.open(io.BytesIO(encode(picture, kind.lower())))
    assert again.size == expected.shape[1::-1]
    assert again.getexif().get(ORIENTATION, 1) == 1
    if kind != "TIFF":  # whose tags libvips does not hand over
        assert again.getexif()[MAKE] == "a camera"


@pytest.mark.parametrize("exif", [b"MM\0*\0\0", b"II*\0\xff\xff\xff\x7f", b"rubbish", b""])
def test_damaged_exif_harms_nothing(exif: bytes) -> None:
    data = saved(Image.fromarray(scene()), "JPEG")
    body = b"Exif\0\0" + exif
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    picture = read(data)
    np.testing.assert_array_equal(read(encode(picture, "png")).pixels, picture.pixels)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("profile", [SRGB, None])
def test_profile_is_carried_byte_by_byte(kind: str, profile: bytes | None) -> None:
    data = encode(Picture(scene(), icc=profile), kind)
    assert read(data).icc == profile
    if kind != "avif":
        assert Image.open(io.BytesIO(data)).info.get("icc_profile") == profile


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_dpi_is_carried(kind: str) -> None:
    data = saved(Image.fromarray(scene()), kind, dpi=(300, 150))
    assert read(data).dpi == pytest.approx((300, 150), abs=0.1)
    again = encode(read(data), kind)
    assert read(again).dpi == pytest.approx((300, 150), abs=0.1)
    assert Image.open(io.BytesIO(again)).info["dpi"][0] == pytest.approx(300, abs=0.1)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
def test_nothing_is_made_up(kind: str) -> None:
    back = read(encode(Picture(scene()), kind))
    assert (back.exif, back.dpi, back.icc) == (None, None, None)


# Pillow


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "F"])
def test_pillow_images_come_back_in_their_mode(mode: str) -> None:
    deep = {"I;16": noise(9, 11, dtype="uint16"), "F": noise(9, 11, dtype="float32")}
    image = (
        Image.fromarray(deep[mode])
        if mode in deep
        else Image.fromarray(noise(9, 11, 4)).convert(mode)
    )
    image.info["icc_profile"] = SRGB
    back = to_pil(from_pil(image))
    assert back.mode == mode
    assert back.info["icc_profile"] == SRGB
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


@pytest.mark.parametrize(
    ("mode", "wanted"), [("1", "L"), ("P", "RGB"), ("PA", "RGBA"), ("I", "I;16")]
)
def test_other_pillow_modes(mode: str, wanted: str) -> None:
    image = Image.fromarray(noise(9, 11, 4)).convert("RGB" if mode in ("1", "P") else "RGBA")
    if mode == "I":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.int32) * 257)
    else:
        image = image.convert(mode)
    assert image.mode == mode
    back = to_pil(from_pil(image))
    assert back.mode == wanted
    np.testing.assert_array_equal(
        np.asarray(back), np.asarray(image if mode == "I" else image.convert(wanted))
    )


def test_pillow_palette_with_transparency() -> None:
    image = Image.fromarray(noise(9, 11, 3)).quantize(16)
    image.info["transparency"] = 3
    picture = from_pil(image)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha == 0, np.asarray(image) == 3)


def test_pillow_images_keep_an_opaque_alpha_and_are_turned_upright() -> None:
    image = Image.fromarray(noise(9, 11, 3)).convert("RGBA")
    assert to_pil(from_pil(image)).mode == "RGBA"
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "a camera"
    turned = from_pil(Image.open(io.BytesIO(saved(image, "PNG", exif=exif))))
    np.testing.assert_array_equal(turned.pixels, np.rot90(np.asarray(image)[..., :3], -1))
    assert to_pil(turned).getexif().get(ORIENTATION, 1) == 1
    assert to_pil(turned).getexif()[MAKE] == "a camera"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.new("LAB", (3, 2)), "convert the image to RGB"),
        (Image.new("CMYK", (3, 2)), "by its path or its bytes"),
        (Image.new("I", (3, 2), -1), "outside 0..65535"),
        (Image.new("I", (3, 2), 255), "end at 255 may have 8 or 16 bits"),
    ],
)
def test_pillow_images_that_are_refused(image: Image.Image, words: str) -> None:
    with pytest.raises(PictureError, match=words) as error:
        from_pil(image)
    only_line(error)


def test_what_is_advised_for_pillows_mode_i_works() -> None:
    image = Image.new("I", (3, 2), 255)
    assert from_pil(image.convert("L")).pixels.dtype == np.uint8
    assert from_pil(image.convert("I;16")).pixels.max() == 255
    assert from_pil(image.convert("I;16")).pixels.dtype == np.uint16


def test_deep_colour_is_rounded_for_pillow() -> None:
    pixels = noise(9, 11, 3, dtype="uint16")
    image = to_pil(Picture(pixels))
    np.testing.assert_array_equal(np.asarray(image), np.rint(pixels / 257))
