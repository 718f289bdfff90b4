"""`wdsr upscale` says what it cannot keep; `wdsr info` says what is there and how two agree."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from wdsr import exif as exifs
from wdsr import picture as pictures
from wdsr.picture import Picture, Timing
from wdsr.resize import resize

Wdsr = Callable[..., Any]  # see conftest.py

pytestmark = pytest.mark.usefixtures("nearest")


def photo(path: str = "a.jpg") -> Path:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(exifs.EXIF_DIRECTORY)[0xA431] = "SER-1"
    exif.get_ifd(exifs.GPS_DIRECTORY)[1] = "N"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    image.save(path, exif=exif, icc_profile=icc, dpi=(300, 300), quality=83)
    return Path(path)


def test_nothing_is_lost_and_nothing_is_said(wdsr: Wdsr) -> None:
    photo()
    ran = wdsr("upscale", "a.jpg", "--strict", "-s", "2")
    assert (ran.code, len(ran.lines)) == (0, 1)
    small, large = (pictures.read(Path(name)) for name in ("a.jpg", "a_x2.jpg"))
    assert large.icc == small.icc
    assert large.dpi == (600, 600)
    assert large.quality == 95
    assert large.exif is not None
    assert b"SER-1" in large.exif


def test_what_is_lost_is_named_a_line_each(wdsr: Wdsr) -> None:
    photo()
    ran = wdsr("upscale", "a.jpg", "-s", "2", "-f", "ppm")
    assert ran.code == 0
    lost = [line for line in ran.lines if line.startswith("wdsr: warning: a.jpg: ppm cannot carry")]
    assert len(lost) == len(ran.lines) - 1 == 3  # profile, EXIF, resolution
    assert pictures.read(Path("a_x2.ppm")).width == 60


def test_strict_refuses_before_the_work(wdsr: Wdsr, nearest: Any) -> None:
    photo()
    ran = wdsr("upscale", "a.jpg", "-s", "2", "-f", "ppm", "--strict")
    assert (ran.code, len(ran.lines)) == (1, 1)
    for word in ("a.jpg", "colour profile", "EXIF", "--strict"):
        assert word in ran.err
    assert nearest.runs == 0
    assert not Path("a_x2.ppm").exists()
    data = Path("a.jpg").read_bytes()
    Path("b.jpg").write_bytes(data + bytes(500))
    assert "wdsr: warning: b.jpg: what follows" in wdsr("upscale", "b.jpg", "-s", "2").err
    assert wdsr("upscale", "b.jpg", "-s", "2", "-y", "--strict").code == 1


def test_private_things_are_left_out_on_request(wdsr: Wdsr) -> None:
    photo()
    assert wdsr("upscale", "a.jpg", "-s", "2", "--strip-private", "--strict").code == 0
    data = Path("a_x2.jpg").read_bytes()
    assert b"SER-1" not in data
    assert b"a camera" in data
    with Image.open("a_x2.jpg") as image:
        assert exifs.GPS_DIRECTORY not in image.getexif()


def test_tags_of_geography_are_dropped_only_on_request(wdsr: Wdsr) -> None:
    tags = [(33550, 12, 3, (0.5, 0.5, 0.0), True)]
    tifffile.imwrite("map.tif", np.zeros((9, 8), np.uint8), extratags=tags, metadata=None)
    ran = wdsr("upscale", "map.tif", "-s", "2")
    assert (ran.code, len(ran.lines)) == (1, 1)
    assert "map.tif" in ran.err
    assert "--drop-tags" in ran.err
    assert wdsr("upscale", "map.tif", "-s", "2", "--drop-tags").code == 0
    assert pictures.read(Path("map_x2.tif")).width == 16


def test_frames_stay_frames_and_are_refused_where_they_cannot(wdsr: Wdsr, nearest: Any) -> None:
    frames = [Picture(np.full((8, 9, 3), level, np.uint8)) for level in (9, 99, 199)]
    first = Picture(frames[0].pixels, others=tuple(frames[1:]), timing=Timing((40, 60, 80), 3))
    pictures.write(first, Path("a.webp"))
    assert wdsr("upscale", "a.webp", "-s", "2").code == 0
    result = pictures.read(Path("a_x2.webp"))
    assert result.timing == first.timing
    assert [page.pixels[0, 0, 0] for page in result.pages] == [9, 99, 199]
    runs = nearest.runs
    ran = wdsr("upscale", "a.webp", "-s", "2", "-f", "jpeg")
    assert (ran.code, len(ran.lines)) == (1, 1)
    assert "several frames" in ran.err
    assert nearest.runs == runs
    assert "frames   3 in 0.18 s, 3 times" in wdsr("info", "a.webp").out.decode()


def test_consistent_and_verbose_report_the_residual(wdsr: Wdsr) -> None:
    hr = pictures.read(photo("hr.png")).pixels
    pictures.write(Picture(resize(hr, scale=0.5)), Path("a.png"))
    plain = wdsr("upscale", "a.png", "-s", "2", "-v").err
    agreed = wdsr("upscale", "a.png", "-s", "2", "-y", "--consistent").err
    first, second = (float(text.split("residual ")[1].split()[0]) for text in (plain, agreed))
    assert second < 0.5 < first
    told = wdsr("info", "a.png", "a_x2.png")
    assert (told.code, told.err) == (0, "")
    sizes, _, comparison = told.out.decode().strip().partition(": ")
    assert sizes == "30 x 20 of 15 x 10"
    assert agreed.strip().endswith(comparison)
    assert told.out == wdsr("info", "a_x2.png", "a.png").out


def test_pictures_that_are_no_pair(wdsr: Wdsr) -> None:
    Image.new("RGB", (9, 8)).save("a.png")
    Image.new("L", (18, 16)).save("grey.png")
    Image.new("RGB", (18, 4)).save("flat.png")
    for other in ("grey.png", "flat.png", "missing.png"):
        ran = wdsr("info", "a.png", other)
        assert (ran.out, len(ran.lines)) == (b"", 1)
        assert ran.code == (1 if other == "missing.png" else 2)


def test_info_tells_what_came_along(wdsr: Wdsr) -> None:
    photo()
    out = wdsr("info", "a.jpg").out.decode()
    for words in ("about 83 of 100, colour at a lower", "EXIF", "300 x 300 dpi"):
        assert words in out
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((2, 9, 8), np.uint8), photometric="minisblack")
    Path("two.tif").write_bytes(buffer.getvalue())
    assert "pages    2" in wdsr("info", "two.tif").out.decode()
