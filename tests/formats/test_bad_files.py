"""Bad files fail in one clear line, and in silence."""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from wdsr import exif as exifs
from wdsr.errors import PictureError
from wdsr.picture import (
    FORMATS,
    Picture,
    check_format,
    encode,
    read,
    write,
)

Array = NDArray[Any]

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
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


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def only_line(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    return message


def frames(kind: str) -> bytes:
    first, *others = (Image.fromarray(noise(8, 9, 3, seed=seed)) for seed in range(3))
    return saved(first, kind, save_all=True, append_images=others)


def damaged_jpeg() -> bytes:
    """Lost codes in the middle of a progressive file, of which libjpeg only warns."""
    data = bytearray(saved(Image.fromarray(scene()), "JPEG", progressive=True))
    middle = len(data) // 2
    data[middle : middle + 20] = bytes(20)
    return bytes(data)


def png_declaring(width: int, height: int, bits: int = 8, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)) + extra
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
    "empty heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "as heic "),
    **{f"cut {kind}": (data[: len(data) // 2], f"as {kind} ") for kind, data in CUT.items()},
    "damaged jpeg": (damaged_jpeg(), "as jpeg "),
    "damaged png": (CUT["png"][:200] + b"?" + CUT["png"][201:], "as png "),
    "ppm without size": (b"P6\n5 \n", "as ppm "),
    "ppm maximum 0": (b"P5\n1 1\n0\n1", "as ppm "),
    "ppm of letters": (b"P2\n1 1\n255\nx", "as ppm "),
    "animated avif": (frames("AVIF"), "animated AVIF"),
    "cut gif frames": (frames("GIF")[:-200], "as gif "),
    "cut webp frames": (frames("WEBP")[:-100], "as webp "),
    "cut png frames": (frames("PNG")[:-100], "as png "),
    "deep png frames": (png_declaring(8, 8, 16, chunk(b"acTL", bytes(8))), "16 bits"),
    "lab": (tiff(noise(8, 9, 3), photometric="cielab"), "is Lab"),
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


# Bad facts beside good pixels: the picture is made, and a note says what was wrong


def noted(data: bytes, *words: str) -> Picture:
    """Read with the pixels unharmed and exactly one note, which says these words."""
    picture = read(data, name="holiday")
    assert len(picture.notes) == 1
    for word in words:
        assert word in picture.notes[0]
    return picture


def test_a_damaged_profile_is_left_out() -> None:
    image = Image.fromarray(scene())
    for profile, words in (
        (b"rubbish" * 50, "is no profile"),
        (SRGB[:-50], "is cut short"),
        (SRGB[:16] + b"CMYK" + SRGB[20:], "is for CMYK, not for RGB"),
    ):
        for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
            picture = noted(saved(image, kind, icc_profile=profile), "profile", words)
            assert picture.icc is None


def test_cmyk_with_a_damaged_profile_is_refused() -> None:
    inks = tiff(np.zeros((4, 5, 4), np.uint8), photometric="separated", iccprofile=SRGB)
    with pytest.raises(PictureError, match="holiday: is CMYK and its colour profile is for RGB"):
        read(inks, name="holiday")
    noted(tiff(np.zeros((4, 5, 4), np.uint8), photometric="separated"), "CMYK", "common profile")


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_is_none_is_taken_for_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = noted(saved(Image.fromarray(scene()), "PNG", exif=exif), f"orientation {orientation}")
    np.testing.assert_array_equal(picture.pixels, scene())


def test_exif_that_contradicts_the_pixels_is_set_right() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA002: 4000, 0xA003: 3000})
    picture = noted(saved(Image.fromarray(scene()), "JPEG", exif=exif), "4000 x 3000", "48 x 64")
    assert picture.exif is not None
    told = exifs.facts(picture.exif)
    assert (told.width, told.height) == (48, 64)


@pytest.mark.parametrize("dpi", [(0.0, 300.0), (5e8, 5e8)])
def test_an_impossible_resolution_is_left_out(dpi: tuple[float, float]) -> None:
    picture = noted(tiff(scene(), resolution=dpi, resolutionunit="INCH"), "dpi cannot be")
    assert picture.dpi is None


def test_pixels_that_are_not_square_are_noted() -> None:
    data = CUT["png"]
    noted(data[:33] + chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)) + data[33:], "not square")


def test_what_belongs_to_other_programs_is_noted() -> None:
    noted(tiff(scene(), extratags=[(65000, 2, 4, "odd", True)]), "TIFF tags 65000")
    data = saved(Image.fromarray(scene()), "JPEG")
    odd = b"\xff\xe2\0\x0aMPF\0abcd" + b"\xff\xe1\0\x0bhttp://xy"
    picture = read(data[:2] + odd + data[2:])
    assert ["APP2 (MPF)" in picture.notes[0], "APP1 (http" in picture.notes[1]] == [True, True]
    noted(data + bytes(1000), "follows the picture")
    noted(b"P5 # shot by me\n1 1 255 x", "comment")


@pytest.mark.parametrize("kind", ["GeoTIFF", "OME"])
def test_tags_that_would_be_wrong_are_refused_unless_dropped(kind: str) -> None:
    if kind == "OME":
        data = tiff(scene(), description="<OME/>", metadata=None)
    else:
        data = tiff(scene(), extratags=[(33550, 12, 3, (0.5, 0.5, 0.0), True)], metadata=None)
    with pytest.raises(PictureError, match=rf"holiday: has {kind} tags.*--drop-tags"):
        read(data, name="holiday")
    picture = read(data, drop_tags=True)
    np.testing.assert_array_equal(picture.pixels, scene())
    again = encode(picture, "tiff")
    assert b"<OME" not in again
    assert read(again).pixels.shape == picture.pixels.shape


@pytest.mark.parametrize(("kind", "extra"), [("heic", "heif"), ("jxl", "jxl")])
def test_a_missing_extra_is_named(kind: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for call in (lambda: read(CUT[kind]), lambda: check_format(kind, 8, 8)):
        with pytest.raises(PictureError, match=rf"pip install 'wdsr\[{extra}\]'"):
            call()


def test_a_profile_that_png_warns_of_is_forgiven() -> None:
    data = encode(Picture(noise(5, 6, 3)), "png")
    rubbish = chunk(b"iCCP", b"x\0\0" + zlib.compress(b"rubbish" * 30))
    np.testing.assert_array_equal(read(data[:33] + rubbish + data[33:]).pixels, noise(5, 6, 3))
