"""Whatever goes in comes out: a model that repeats pixels, every lossless format and type."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

import wdsr
from wdsr import exif as exifs
from wdsr.formats.jpeg import fine_quality, segments
from wdsr.picture import FORMATS, Picture, encode, read, write

Array = NDArray[Any]
LOSSLESS = [
    (kind, dtype)
    for kind in ("png", "webp", "tiff", "bmp", "ppm", "jxl", "avif", "heic")
    for dtype in FORMATS[kind].types
    if (kind, dtype) not in (("avif", "uint16"), ("heic", "uint16"))  # which keep 12 bits of 16
]
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(
    form=st.sampled_from(LOSSLESS),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    channels=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_bit_equal_through_every_lossless_format(
    nearest: None, form: tuple[str, str], height: int, width: int, channels: int, seed: int
) -> None:
    kind, dtype = form
    rng = np.random.default_rng(seed)
    if not FORMATS[kind].alpha and channels % 2 == 0:
        channels -= 1
    # Alpha is above zero, or the colour under it would be replaced.
    if dtype == "float32":
        array = rng.uniform(-0.5, 1.5, (height, width, channels)).astype(dtype)
        if channels % 2 == 0:
            array[..., -1] = np.abs(array[..., -1]) + 0.01
    else:
        array = rng.integers(1, np.iinfo(dtype).max + 1, (height, width, channels), dtype)
    alpha = array[..., -1] if channels % 2 == 0 else None
    picture = Picture(array[..., : channels - (alpha is not None)], alpha)
    back = read(wdsr.load(scale=2).upscale(encode(picture, kind)))
    twice = array.repeat(2, 0).repeat(2, 1)
    colours = twice[..., : channels - (alpha is not None)]
    if back.pixels.shape[2] > colours.shape[2]:  # WebP and, with alpha, JPEG XL know no grey
        assert kind in ("webp", "jxl", "avif", "heic")
        colours = colours.repeat(3, 2)
    # Floats go through a multiplication by the network's range and back.
    tolerance = 1e-6 if dtype == "float32" else 0
    np.testing.assert_allclose(back.pixels, colours, rtol=tolerance, atol=tolerance)
    assert back.pixels.dtype == dtype
    if alpha is not None and not (alpha >= picture.white).all():
        assert back.alpha is not None
        expected = np.clip(twice[..., -1], 0, picture.white)
        np.testing.assert_allclose(back.alpha, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["webp", "avif", "heic"])
@pytest.mark.parametrize("lossy", [False, True])
def test_lossless_stays_lossless_and_lossy_lossy(nearest: None, kind: str, lossy: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    file = encode(Picture(pixels, lossy=lossy), kind)
    assert read(file).lossy == lossy
    large = wdsr.load(scale=2).upscale(file)
    assert read(large).lossy == lossy
    same = np.array_equal(read(large).pixels, pixels.repeat(2, 0).repeat(2, 1))
    assert same != lossy
    assert read(encode(Picture(pixels), kind, quality=80)).lossy


@pytest.mark.parametrize("kind", [k for k, f in FORMATS.items() if "icc" in f.carries])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_keeps_what_it_came_with(nearest: None, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[exifs.ORIENTATION], exif[0x010F] = orientation, "a camera"
    corner = np.zeros((24, 32, 3), np.uint8)
    corner[:12, :16] = 255
    buffer = io.BytesIO()
    options = {"exif": exif.tobytes(), "icc_profile": ICC, "dpi": (240, 240), "quality": 95}
    Image.fromarray(corner).save(buffer, "JPEG", **options)
    small = read(buffer.getvalue())
    back = read(encode(wdsr.load(scale=2).upscale_picture(small), kind))
    turned = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))
    assert back.pixels.shape == (*(2 * n for n in turned.shape[:2]), 3)
    np.testing.assert_array_equal(back.pixels > 127, turned.repeat(2, 0).repeat(2, 1) > 127)
    assert back.icc == ICC
    assert back.dpi == pytest.approx((480, 480), abs=0.01)
    assert back.exif is not None
    assert exifs.facts(back.exif).orientation == 1
    assert b"a camera" in back.exif


# JPEG's quality


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 83, 95, 100])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_quality_of_a_jpeg_is_found(quality: int, mode: str) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(buffer, "JPEG", quality=quality, subsampling=2)
    picture = read(buffer.getvalue())
    assert picture.fine_quality == quality
    assert picture.quality is not None
    # From the sum of the table, which coarse tables clip at 255.
    assert abs(picture.quality - quality) <= 1 or quality <= 10
    assert not picture.full_colour


@pytest.mark.parametrize(("kept", "asked", "sampling"), [(0, 80, 0), (2, 80, 2), (2, None, 0)])
def test_colour_is_at_least_that_of_the_input(kept: int, asked: int | None, sampling: int) -> None:
    from PIL import JpegImagePlugin

    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=98, subsampling=kept)
    data = encode(read(buffer.getvalue()), "jpeg", quality=asked)
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(data))) == sampling
    assert fine_quality(segments(data)) == (asked or 98)


# Other programs


def full(path: Path) -> Picture:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(exifs.EXIF_DIRECTORY)[0x9003] = "2001:02:03 04:05:06"
    exif.get_ifd(exifs.GPS_DIRECTORY)[1] = "N"
    iptc = b"\x1c\x02\x05\x00\x05Title"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-'
    xmp += b'rdf-syntax-ns#"><rdf:Description xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    xmp += b' photoshop:City="Delft"/></rdf:RDF></x:xmpmeta>'
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    return Picture(
        pixels, icc=ICC, exif=exif.tobytes(), dpi=(240, 240), xmp=xmp, iptc=iptc, lossy=True
    )


def test_pillow_and_tifffile_read_the_tags_of_our_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    picture = full(path)
    write(picture, path)
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        assert tags["Make"].value == "a camera"
        assert tags["ExifTag"].value["DateTimeOriginal"] == "2001:02:03 04:05:06"
        assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert tags["InterColorProfile"].value == ICC
        assert tags["XResolution"].value == (240, 1)
    with Image.open(path) as image:
        assert image.getexif().get_ifd(exifs.EXIF_DIRECTORY)[0x9003] == "2001:02:03 04:05:06"
        np.testing.assert_array_equal(np.asarray(image), picture.pixels)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
def test_exiftool_reads_all_that_we_write(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    write(full(path), path, format=kind)
    names = ["-Make", "-DateTimeOriginal", "-GPSLatitudeRef", "-City", "-XResolution"]
    names += ["-ProfileDescription", "-ObjectName", "-Warning", "-Error"]
    ran = subprocess.run(
        ["exiftool", "-s3", "-f", *names, str(path)], capture_output=True, text=True, check=True
    )
    title = "Title" if "iptc" in FORMATS[kind].carries else "-"
    wanted = ["a camera", "2001:02:03 04:05:06", "North", "Delft", "240", "sRGB built-in", title]
    assert ran.stdout.splitlines() == [*wanted, "-", "-"]
