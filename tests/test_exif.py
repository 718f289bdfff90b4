"""EXIF is changed where it lies: what is not meant to change does not, to the last byte."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wdsr import exif as exifs
from wdsr import metadata
from wdsr.picture import Picture

NOTE = b"offsets of the maker's own: \x01\x02\x03"


def made(order: str = "<", *, gps: bool = True) -> bytes:
    """EXIF as a camera writes it, with a thumbnail in a second directory at the end."""
    exif = Image.Exif()
    exif.endian = order
    exif[exifs.ORIENTATION], exif[0x010F] = 6, "a camera"
    exif[exifs.X_RESOLUTION] = exif[exifs.Y_RESOLUTION] = 300.0
    exif[exifs.RESOLUTION_UNIT] = 2
    inner = exif.get_ifd(exifs.EXIF_DIRECTORY)
    inner[exifs.PIXEL_WIDTH], inner[exifs.PIXEL_HEIGHT] = 40, 30
    inner[0xA431], inner[exifs.MAKER_NOTE], inner[0x9003] = "SER-1", NOTE, "2001:02:03 04:05:06"
    if gps:
        place = exif.get_ifd(exifs.GPS_DIRECTORY)
        place[1], place[2] = "N", (52.0, 30.0, 11.0)
    data = bytearray(exif.tobytes().removeprefix(exifs.PREFIX))
    tiff = exifs.Tiff(data)
    image = tiff.directory(tiff.first)
    data += bytes(len(data) % 2)
    start, thumbnail = len(data), b"\xff\xd8 a small picture \xff\xd9"
    struct.pack_into(order + "I", data, image.link, start)
    long = [
        (number, 4, 1, struct.pack(order + "I", value))
        for number, value in ((0x0201, start + 2 + 24 + 4), (0x0202, len(thumbnail)))
    ]
    return exifs.PREFIX + bytes(data) + exifs.packed(long, order, start) + thumbnail


def seen(exif: bytes) -> Image.Exif:
    """What Pillow reads."""
    found = Image.Exif()
    found.load(exif)
    return found


@pytest.mark.parametrize("order", ["<", ">"])
def test_facts(order: str) -> None:
    assert exifs.facts(made(order)) == exifs.Facts(6, 40, 30, (300, 300), True, ())


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_what_is_meant_changes(order: str) -> None:
    exif = made(order)
    new = exifs.updated(exif, size=(60, 70_000), dpi=(600, 599.5))
    found = seen(new)
    assert found[exifs.ORIENTATION] == 1
    assert found[0x010F] == "a camera"
    assert (found[exifs.X_RESOLUTION], found[exifs.Y_RESOLUTION]) == (600, 599.5)
    inner = found.get_ifd(exifs.EXIF_DIRECTORY)
    assert (inner[exifs.PIXEL_WIDTH], inner[exifs.PIXEL_HEIGHT]) == (70_000, 60)
    assert inner[exifs.MAKER_NOTE] == NOTE
    assert new.index(NOTE) == exif.index(NOTE)  # its offsets still hold
    assert b"small picture" not in new
    assert len(new) < len(exif)
    assert found.get_ifd(1) == {}  # where a thumbnail would be
    assert found.get_ifd(exifs.GPS_DIRECTORY)[1] == "N"
    changed = sum(a != b for a, b in zip(exif, new, strict=False))
    assert changed < 40
    assert exifs.updated(new) == new


def test_a_thumbnail_between_other_things_is_blanked() -> None:
    exif = made() + b"something behind"
    new = exifs.updated(exif)
    assert b"small picture" not in new
    assert new.endswith(b"something behind")


@pytest.mark.parametrize("order", ["<", ">"])
def test_private_things_go(order: str) -> None:
    new = exifs.stripped(made(order))
    found = seen(new)
    assert found[0x010F] == "a camera"
    assert exifs.GPS_DIRECTORY not in found
    inner = found.get_ifd(exifs.EXIF_DIRECTORY)
    assert set(inner) == {exifs.PIXEL_WIDTH, exifs.PIXEL_HEIGHT, 0x9003}
    assert b"SER-1" not in new
    assert NOTE not in new
    assert struct.pack(order + "II", 52, 1) not in new
    assert exifs.facts(new).orientation == 6  # not this function's business
    assert exifs.stripped(exifs.stripped(made(order))) == new


def test_resolution_is_added_where_there_is_none() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    for start in (exif.tobytes(), exifs.created((72, 72))):
        new = exifs.updated(start, dpi=(123.456, 300))
        assert exifs.facts(new).dpi == pytest.approx((123.456, 300))
        assert seen(new).get(0x010F) == exif[0x010F] if start == exif.tobytes() else True


@given(st.floats(0.01, 4e9))
def test_fractions_are_near(value: float) -> None:
    up, down = struct.unpack("<II", exifs.rational(value, "<"))
    assert abs(up / down - value) <= max(0.0005, 0.05 * (value > 4e6), 0.5 * (value > 4e8))


@pytest.mark.parametrize("exif", [b"", b"MM", b"rubbish rubbish", b"II*\0\xff\xff\xff\x7f"])
def test_what_is_no_exif(exif: bytes) -> None:
    for function in (exifs.facts, exifs.updated, exifs.stripped):
        with pytest.raises(exifs.DamagedError):
            function(exifs.PREFIX + exif)


@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 300))
def test_damage_is_met_calmly(at: int, value: int, cut: int) -> None:
    exif = bytearray(made()[: -cut or None])
    exif[at % len(exif)] = value
    for function in (exifs.facts, exifs.updated, exifs.stripped):
        with contextlib.suppress(exifs.DamagedError):  # and no other
            function(bytes(exif))


def test_a_tag_that_lies_outside_is_told() -> None:
    exif = bytearray(made())
    tiff = exifs.Tiff(bytes(exif[6:]))
    tag = tiff.directory(tiff.first).tags[0x010F]
    struct.pack_into("<I", exif, 6 + tag.at + 8, 10**9)
    assert exifs.facts(bytes(exif)).damaged == (0x010F,)


# XMP

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"
 exif:PixelXDimension='40' exif:GPSLatitude="52,30N" aux:SerialNumber="SER-1" dc:title="Kept">
 <tiff:Orientation>8</tiff:Orientation><exif:PixelYDimension>30</exif:PixelYDimension>
 <exif:GPSAltitude>35/1</exif:GPSAltitude><aux:LensSerialNumber>L-2</aux:LensSerialNumber>
 <exifEX:BodySerialNumber/><dc:creator>Kept too</dc:creator>
 <xmp:Thumbnails><rdf:Alt><rdf:li>/9j/4AAQ</rdf:li></rdf:Alt></xmp:Thumbnails>
</rdf:Description></x:xmpmeta>"""


def test_xmp_says_what_the_new_pixels_are() -> None:
    new = metadata.xmp_updated(XMP, size=(60, 80))
    assert b'tiff:Orientation="1"' in new
    assert b"<tiff:Orientation>1<" in new
    assert b"exif:PixelXDimension='80'" in new
    assert b"<exif:PixelYDimension>60<" in new
    assert b"Thumbnails" not in new
    assert b"52,30N" in new
    assert new.count(b"Kept") == 2
    assert metadata.xmp_updated(b"<x/>", size=(6, 8), dpi=(1, 1)) == b"<x/>"


def test_private_things_go_from_xmp() -> None:
    new = metadata.xmp_stripped(XMP)
    for word in (b"GPS", b"Serial", b"52,30", b"SER-1", b"L-2"):
        assert word not in new
    assert new.count(b"Kept") == 2
    assert b"Thumbnails" in new


@pytest.mark.parametrize(
    "private",
    [
        b'drone-dji:GpsLatitude="+52.3"',
        b'drone-dji:GpsLongtitude="+52.3"',
        b"drone-dji:DroneSerialNumber='52.3'",
        b'geo:Latitude="52.3"',
    ],
)
def test_spellings_of_private_things(private: bytes) -> None:
    new = metadata.xmp_stripped(b"<rdf:Description " + private + b' dc:title="Kept"/>')
    assert new == b'<rdf:Description dc:title="Kept"/>'
    name = private.partition(b"=")[0]
    assert metadata.xmp_stripped(b"<a><%s q='1'>52.3<b/></%s></a>" % (name, name)) == b"<a></a>"
    assert metadata.is_private_text(name + b"\x0052.3")


def test_xmp_that_cannot_be_searched_goes_whole() -> None:
    assert metadata.xmp_stripped(XMP.decode().encode("utf-16")) == b""


def test_texts_of_png_that_are_private() -> None:
    for name in (b"exif:GPSInfo", b"SerialNumber", b"Raw profile type APP1"):
        assert metadata.is_private_text(name + b"\0 1 2 3")
    for name in (b"Author", b"Comment", b"Software"):
        assert not metadata.is_private_text(name + b"\0 GPS, SerialNumber")
    texts = ((b"tEXt", b"exif:GPSInfo\x0052"), (b"tEXt", b"Author\0Me"), (b"gAMA", b"GPS1"))
    picture = Picture(np.zeros((2, 3, 3), np.uint8), chunks=texts)
    assert picture.without_private().chunks == texts[1:]


def test_profiles_are_looked_at() -> None:
    from PIL import ImageCms

    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert metadata.profile_fault(good, "RGB ") is None
    assert metadata.profile_fault(good, "GRAY") is None
    assert metadata.profile_fault(good, "CMYK") == "is for RGB, not for CMYK"
    assert metadata.profile_fault(good[:-40], "RGB ") == "is cut short"
    assert metadata.profile_fault(b"rubbish" * 30, "RGB ") == "is no profile"
