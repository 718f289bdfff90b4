"""Pictures go through files and back unharmed, and bad files fail in one clear line."""

from __future__ import annotations

import errno
import io
import logging
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from wdsr import picture as module
from wdsr.errors import PictureError, UsageError
from wdsr.picture import (
    FORMATS,
    READABLE_SUFFIXES,
    Picture,
    check_format,
    encode,
    format_of,
    from_pil,
    read,
    to_pil,
    write,
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


def tiff(array: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def only_line(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    return message


# Through files and back


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize(
    ("kind", "dtype", "alpha"),
    [
        (kind, dtype, alpha)
        for kind in ("png", "webp", "tiff", "bmp", "ppm")
        for dtype in FORMATS[kind].types
        for alpha in {False, FORMATS[kind].alpha}
    ],
)
@pytest.mark.parametrize("size", [(13, 17), (1, 1)])
def test_lossless_round_trip(
    kind: str, dtype: str, colours: int, alpha: bool, size: tuple[int, int]
) -> None:
    pixels = noise(*size, colours, dtype=dtype)
    veil = noise(*size, dtype=dtype, seed=1) if alpha else None
    if veil is not None:
        veil[0, 0] = 0  # colour under full transparency survives too
    back = read(encode(Picture(pixels, veil), kind))
    expected = np.repeat(pixels, 3, axis=2) if (kind, colours) == ("webp", 1) else pixels
    np.testing.assert_array_equal(back.pixels, expected)
    assert back.pixels.dtype == dtype
    assert back.format == kind
    assert not back.lossy
    if veil is None:
        assert back.alpha is None
    else:
        np.testing.assert_array_equal(back.alpha, veil)


@pytest.mark.parametrize("alpha", [False, True])
def test_gif_keeps_256_colours_and_alpha_on_or_off(alpha: bool) -> None:
    pixels = noise(2, 8, 3)[np.arange(96) % 2, np.arange(96) % 7].reshape(8, 12, 3)
    veil = np.where(noise(8, 12, seed=1) > 99, 255, 0).astype(np.uint8) if alpha else None
    back = read(encode(Picture(pixels, veil), "gif"))
    seen = slice(None) if veil is None else veil > 0
    np.testing.assert_array_equal(back.pixels[seen], pixels[seen])
    assert (back.alpha is None) == (veil is None)
    if veil is not None:
        np.testing.assert_array_equal(back.alpha, veil)


@pytest.mark.parametrize("kind", ["jpeg", "webp", "avif"])
def test_lossy_formats_stay_near_and_say_that_they_are_lossy(kind: str) -> None:
    pixels = scene()
    back = read(encode(Picture(pixels, lossy=True), kind))
    assert back.lossy
    assert np.abs(back.pixels.astype(int) - pixels).mean() < 2
    assert len(encode(back, kind, quality=30)) < len(encode(back, kind)) / 2


def test_grey_stays_grey_in_jpeg() -> None:
    back = read(encode(Picture(scene()[..., :1]), "jpeg"))
    assert back.pixels.shape == (64, 48, 1)


def test_webp_is_lossless_unless_the_picture_was_lossy_or_a_quality_is_given() -> None:
    picture = Picture(scene())
    assert b"VP8L" in encode(picture, "webp")
    assert b"VP8L" not in encode(picture, "webp", quality=95)
    lossy = read(encode(picture, "webp", quality=95))
    assert lossy.lossy
    assert b"VP8L" not in encode(lossy, "webp")


@pytest.mark.parametrize(("quality", "sampling"), [(89, 2), (90, 0), (None, 0)])
def test_jpeg_keeps_colour_whole_from_quality_90_up(quality: int | None, sampling: int) -> None:
    image = Image.open(io.BytesIO(encode(Picture(scene()), "jpeg", quality=quality)))
    assert JpegImagePlugin.get_sampling(image) == sampling  # 0 is 4:4:4, 2 is 4:2:0


def test_avif_keeps_twelve_bits() -> None:
    ramp = np.linspace(0, 65535, 4096).astype(np.uint16)
    pixels = np.repeat(np.tile(ramp, (8, 1))[..., None], 3, axis=2)
    back = read(encode(Picture(pixels), "avif", quality=100))
    assert back.pixels.dtype == np.uint16
    assert np.abs(back.pixels.astype(int) - pixels).max() < 257  # nearer than 8 bits could be


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("value", [0, 255])
def test_white_stays_white_and_black_black(kind: str, value: int) -> None:
    back = read(encode(Picture(np.full((20, 30, 3), value, np.uint8), lossy=True), kind))
    assert set(back.pixels.flat) == {value}


@pytest.mark.parametrize("bits", [10, 12])
def test_white_and_black_of_a_deep_avif_are_white_and_black(bits: int) -> None:
    import pyvips

    ends = np.repeat(np.array([0, 65535], np.uint16), 8).reshape(1, 16, 1).repeat(3, 2).repeat(8, 0)
    image = pyvips.Image.new_from_array(ends).copy(interpretation="rgb16")
    data = image.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True)
    np.testing.assert_array_equal(read(data).pixels, ends)


def test_sixteen_bits_become_eight_by_rounding() -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    back = read(encode(Picture(pixels), "bmp")).pixels
    np.testing.assert_array_equal(back, (pixels.astype(int) * 255 * 2 + 65535) // (2 * 65535))


def test_floats_become_sixteen_bits_rounded_and_clipped() -> None:
    values = np.array([-1, 0, 0.5 / 65535 + 1e-6, 0.25, 1, 7], np.float32).reshape(2, 3, 1)
    picture = Picture(values, np.full((2, 3), 0.5, np.float32))
    back = read(encode(picture, "png"))
    assert back.pixels.ravel().tolist() == [0, 0, 1, 16384, 65535, 65535]
    assert back.alpha is not None
    assert set(back.alpha.ravel()) == {32768}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_fits_into_tiff_only(bad: float) -> None:
    pixels = noise(3, 4, 3, dtype="float32")
    pixels[1, 2, 0] = bad
    with pytest.raises(PictureError, match="tiff") as error:
        encode(Picture(pixels), "png")
    only_line(error)
    np.testing.assert_array_equal(read(encode(Picture(pixels), "tiff")).pixels, pixels)


# Other programs read what we write, and we read what they write


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
    image = image.convert("L").convert("I") if mode == "I" else image.convert(mode)
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


@pytest.mark.parametrize("image", [Image.new("LAB", (3, 2)), Image.new("I", (3, 2), -1)])
def test_pillow_images_that_are_refused(image: Image.Image) -> None:
    with pytest.raises(PictureError) as error:
        from_pil(image)
    only_line(error)


def test_deep_colour_is_rounded_for_pillow() -> None:
    pixels = noise(9, 11, 3, dtype="uint16")
    image = to_pil(Picture(pixels))
    np.testing.assert_array_equal(np.asarray(image), np.rint(pixels / 257))


# Bad input: one clear line, and silence


def frames(kind: str) -> bytes:
    first, *others = (Image.fromarray(noise(8, 9, 3, seed=seed)) for seed in range(3))
    return saved(first, kind, save_all=True, append_images=others)


def damaged_jpeg() -> bytes:
    """Lost codes in the middle of a progressive file, of which libjpeg only warns."""
    data = bytearray(saved(Image.fromarray(scene()), "JPEG", progressive=True))
    middle = len(data) // 2
    data[middle : middle + 20] = bytes(20)
    return bytes(data)


def png_declaring(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def bmp_declaring(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.fromarray(scene()), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


CUT = {kind: encode(Picture(noise(64, 48, 3)), kind) for kind in FORMATS}
BAD = {
    "empty": (b"", "empty"),
    "text": (b"Dear reader,\nthis is no picture.\n", "none of"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "none of"),
    "pdf": (b"%PDF-1.7\n", "none of"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "none of"),
    **{f"cut {kind}": (data[: len(data) // 2], f"as {kind} ") for kind, data in CUT.items()},
    "damaged jpeg": (damaged_jpeg(), "as jpeg "),
    "damaged png": (CUT["png"][:200] + b"?" + CUT["png"][201:], "as png "),
    "ppm without size": (b"P6\n5 \n", "as ppm "),
    "ppm maximum 0": (b"P5\n1 1\n0\n1", "as ppm "),
    "ppm of letters": (b"P2\n1 1\n255\nx", "as ppm "),
    "animated gif": (frames("GIF"), "several"),
    "animated webp": (frames("WEBP"), "several"),
    "animated png": (frames("PNG"), "several"),
    "animated avif": (frames("AVIF"), "several"),
    "pages": (tiff(noise(3, 8, 9), photometric="minisblack"), "several"),
    "signed": (tiff(noise(8, 9).astype(np.int16)), "short"),
    "32 bits": (tiff(noise(8, 9).astype(np.uint32)), "uint"),
    "double": (tiff(noise(8, 9).astype(np.float64)), "as tiff "),
    "bands": (tiff(noise(8, 9, 5), photometric="minisblack", planarconfig="contig"), "5 bands"),
    "png bomb": (png_declaring(100_000, 100_000), "100000 x 100000"),
    "bmp bomb": (bmp_declaring(100_000, 100_000), "100000 x 100000"),
    "ppm bomb": (b"P6\n100000 100000\n255\n" + bytes(9), "100000 x 100000"),
    "no pixels": (b"P6\n0 5\n255\n", "0 x 5"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_fail_in_one_line_and_silence(
    case: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, told = BAD[case]
    path = tmp_path / "holiday.png"
    path.write_bytes(data)
    with caplog.at_level(logging.INFO), pytest.raises(PictureError) as error:
        read(path)
    message = only_line(error)
    assert message.startswith(f"{path}: ")
    assert told in message
    assert "; " in message  # and what to do
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    with pytest.raises(PictureError, match="the upload: "):
        read(data, name="the upload")


def test_the_cut_files_were_whole() -> None:
    for data in CUT.values():
        assert read(data).height == 64


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path, told in (
        (tmp_path / "none.png", "does not exist"),
        (tmp_path, "not a file"),
        (tmp_path / "pipe.png", "not a file"),
    ):
        with pytest.raises(PictureError, match=told) as error:
            read(path)
        assert str(path) in only_line(error)


def test_a_long_file_that_is_no_picture_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.png"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: reading it whole would fail for memory
    with pytest.raises(PictureError, match="none of"):
        read(path)


def test_odd_names_are_read_and_written(tmp_path: Path) -> None:
    for name in ("[n=-1].png", "a b'\"$.png", "日本.png", "\udcff.png"):
        write(Picture(noise(3, 4, 3)), tmp_path / name)
        assert read(tmp_path / name).width == 4


def test_the_size_limit_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Picture(noise(10, 10, 3)), "png")
    assert read(data, max_pixels=100).width == 10
    with pytest.raises(PictureError, match="10 x 10"):
        read(data, max_pixels=99)


def jpeg_with_a_quirk() -> bytes:
    data = bytearray(saved(Image.fromarray(scene()), "JPEG"))
    scan = data.index(b"\xff\xda")
    data[scan + 2 + struct.unpack_from(">H", data, scan + 2)[0] - 2] = 62  # not the spectrum's end
    return bytes(data)


def test_a_camera_quirk_is_forgiven() -> None:
    expected = read(saved(Image.fromarray(scene()), "JPEG"))
    np.testing.assert_array_equal(read(jpeg_with_a_quirk()).pixels, expected.pixels)


def test_a_fault_is_told_once() -> None:
    read(jpeg_with_a_quirk())  # leaves a warning behind in libvips
    with pytest.raises(PictureError, match="Corrupt") as error:
        read(damaged_jpeg())
    assert "SOS" not in only_line(error)


def test_a_profile_that_png_warns_of_is_forgiven() -> None:
    data = encode(Picture(noise(5, 6, 3)), "png")
    rubbish = chunk(b"iCCP", b"x\0\0" + zlib.compress(b"rubbish" * 30))
    np.testing.assert_array_equal(read(data[:33] + rubbish + data[33:]).pixels, noise(5, 6, 3))


# Writing


def test_write_and_read_by_suffix(tmp_path: Path) -> None:
    for suffix in READABLE_SUFFIXES:
        path = tmp_path / f"out{suffix.upper()}"
        write(Picture(scene()), path)
        assert read(path).format == format_of(path)
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask()
    write(Picture(scene()), tmp_path / "named.xyz", format="webp")
    assert read(tmp_path / "named.xyz").format == "webp"


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_file_is_overwritten_only_when_allowed(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"precious")
    with pytest.raises(PictureError, match="exists already") as error:
        write(Picture(scene()), path)
    only_line(error)
    assert path.read_bytes() == b"precious"
    write(Picture(scene()), path, overwrite=True)
    np.testing.assert_array_equal(read(path).pixels, scene())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["encode", "fsync", "replace", "interrupt"])
def test_a_failed_write_harms_nothing(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_options: Any) -> Any:
        if step == "interrupt":
            raise KeyboardInterrupt
        raise OSError(errno.ENOSPC, "No space left on device")

    picture = Picture(noise(5, 6, 3))
    if step == "encode":
        picture = replace(picture, alpha=noise(5, 6))  # which JPEG cannot hold
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "out.jpg"
    path.write_bytes(b"precious")
    expected = KeyboardInterrupt if step == "interrupt" else PictureError
    with pytest.raises(expected):
        write(picture, path, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for path in (
        tmp_path / "nowhere" / "out.png",
        tmp_path / "file" / "out.png",
        tmp_path / "folder.png",
        tmp_path / f"{'long' * 80}.png",
    ):
        with pytest.raises(PictureError) as error:
            write(Picture(scene()), path, overwrite=True)
        assert str(path) in only_line(error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.parametrize("kind", FORMATS)
def test_alpha_is_refused_where_it_would_be_lost(kind: str) -> None:
    picture = Picture(noise(5, 6, 3), noise(5, 6))
    if FORMATS[kind].alpha:
        assert read(encode(picture, kind)).alpha is not None
        return
    with pytest.raises(PictureError, match="transparency; use png, webp, tiff, gif or avif"):
        encode(picture, kind)
    opaque = replace(picture, alpha=np.full((5, 6), 255, np.uint8))  # loses nothing
    assert read(encode(opaque, kind)).alpha is None


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if FORMATS[kind].max_side < 2**31 - 1])
def test_the_largest_side_of_each_format_is_true(kind: str) -> None:
    side = FORMATS[kind].max_side
    assert read(encode(Picture(np.zeros((1, side, 1), np.uint8)), kind)).width == side
    too_large = np.zeros((1, side + 1, 1), np.uint8)
    with pytest.raises(PictureError, match=str(side)) as error:
        check_format(kind, *too_large.shape[:2])
    only_line(error)
    with pytest.raises(PictureError, match="cannot be encoded"):  # the library agrees
        module._encode_vips(Picture(too_large), kind, None)


def test_formats_and_qualities_that_do_not_exist() -> None:
    assert format_of(Path("a/b.TIFF")) == "tiff"
    for name in ("a.xyz", "png", ".png"):
        with pytest.raises(UsageError, match=r"\.avif, ") as error:
            format_of(Path(name))
        only_line(error)
    with pytest.raises(UsageError, match="'exr'"):
        check_format("exr", 1, 1)
    for quality in (0, 101):
        with pytest.raises(UsageError, match="quality"):
            encode(Picture(noise(5, 6, 3)), "jpeg", quality=quality)


@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "bmp", "ppm"])
def test_views_and_locked_arrays_are_encoded(kind: str) -> None:
    pixels = noise(10, 12, 4)[::2, ::-3, :3]
    pixels.flags.writeable = False
    np.testing.assert_array_equal(read(encode(Picture(pixels), kind)).pixels, pixels)


def test_encoding_does_not_touch_the_pixels() -> None:
    pixels = noise(5, 6, 3, dtype="float32")
    before = pixels.copy()
    for kind in FORMATS:
        encode(Picture(pixels), kind)
    np.testing.assert_array_equal(pixels, before)


# The class


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (noise(5, 6), None),
        (noise(5, 6, 2), None),
        (noise(5, 6, 4), None),
        (np.zeros((0, 6, 3), np.uint8), None),
        (noise(5, 6, 3).astype(float), None),
        (noise(5, 6, 3).astype(">u2"), None),
        (noise(5, 6, 3), noise(6, 5)),
        (noise(5, 6, 3), noise(5, 6, dtype="uint16")),
    ],
)
def test_arrays_that_are_no_picture(pixels: Array, alpha: Array | None) -> None:
    with pytest.raises(UsageError) as error:
        Picture(pixels, alpha)
    only_line(error)


def test_white_is_the_top_of_the_type() -> None:
    for dtype, white in (("uint8", 255), ("uint16", 65535), ("float32", 1.0)):
        picture = Picture(noise(5, 6, 3, dtype=dtype))
        assert (picture.height, picture.width, picture.white) == (5, 6, white)


def test_libvips_keeps_nothing() -> None:
    import pyvips

    read(encode(Picture(noise(5, 6, 3)), "png"))
    assert pyvips.cache_get_max() == 0


def test_importing_loads_no_picture_library() -> None:
    code = "import sys, wdsr.picture; sys.exit(any(m in sys.modules for m in ('pyvips', 'PIL')))"
    subprocess.run([sys.executable, "-c", code], check=True)
