"""Pictures go through files and back unharmed."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from wdsr.errors import PictureError, UsageError
from wdsr.formats import codec
from wdsr.picture import (
    FORMATS,
    READABLE_SUFFIXES,
    Picture,
    check_format,
    encode,
    format_of,
    read,
    write,
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
    with pytest.raises(PictureError, match="transparency; use png, webp, tiff, gif, avif"):
        encode(picture, kind)
    opaque = replace(picture, alpha=np.full((5, 6), 255, np.uint8))  # loses nothing
    assert read(encode(opaque, kind)).alpha is None


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if FORMATS[kind].max_side < 2**31 - 1])
def test_the_largest_side_of_each_format_is_true(kind: str) -> None:
    side, height = FORMATS[kind].max_side, 64 if kind == "heic" else 1  # x265 refuses strips
    assert read(encode(Picture(np.zeros((height, side, 1), np.uint8)), kind)).width == side
    too_large = np.zeros((height, side + 1, 1), np.uint8)
    with pytest.raises(PictureError, match=str(side)) as error:
        check_format(kind, *too_large.shape[:2])
    only_line(error)
    if kind != "heic":  # whose library would go on; no other program has to
        with pytest.raises(PictureError, match="cannot be encoded"):  # the library agrees
            codec(kind).encode(Picture(too_large), kind, None)


def test_bmp_holds_no_more_than_its_length_can_say() -> None:
    check_format("bmp", 10_000, 143_000)
    with pytest.raises(PictureError, match=r"bmp holds at most 4 GB, .*; use png"):
        check_format("bmp", 10_000, 144_000)


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
