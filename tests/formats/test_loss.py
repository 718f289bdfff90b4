"""The grid of formats and kinds of metadata: each cell is kept, or it is warned of."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from wdsr import exif as exifs
from wdsr.errors import PictureError
from wdsr.picture import FORMATS, KINDS, Picture, Timing, check_output, encode, lost, read

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="by hand"/>'
IPTC = b"\x1c\x02\x05\x00\x05Title\x1c\x02\x50\x00\x02Me"
TEXT = (b"tEXt", b"Author\0Nobody")
GAMMA = (b"gAMA", struct.pack(">I", 100000))  # linear light


def exif_with(*, maker_note: bool = False) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    inner = exif.get_ifd(exifs.EXIF_DIRECTORY)
    inner[0x9003] = "2001:02:03 04:05:06"
    if maker_note:
        inner[exifs.MAKER_NOTE] = b"secret of the house"
    return exif.tobytes()


# How each kind comes into a picture, and how it is recognised after a file.
MADE: dict[str, tuple[dict[str, Any], Callable[[Picture], bool]]] = {
    "icc": ({"icc": ICC}, lambda p: p.icc == ICC),
    "exif": (
        {"exif": exif_with()},
        lambda p: p.exif is not None and b"a camera" in p.exif and b"2001:02:03" in p.exif,
    ),
    "maker note": (
        {"exif": exif_with(maker_note=True)},
        lambda p: p.exif is not None and b"secret of the house" in p.exif,
    ),
    "xmp": ({"xmp": XMP}, lambda p: p.xmp == XMP),
    "iptc": ({"iptc": IPTC}, lambda p: p.iptc == IPTC),
    "dpi": ({"dpi": (300.0, 150.0)}, lambda p: p.dpi == pytest.approx((300, 150), abs=0.02)),
    "comment": (
        {"comment": "Grüße, 日本"},
        lambda p: "Grüße, 日本" in (p.comment or "") + dict(p.chunks).get(b"iTXt", b"").decode(),
    ),
    "text": ({"chunks": (TEXT,)}, lambda p: TEXT in p.chunks),
    "gamma": ({"chunks": (GAMMA,)}, lambda p: GAMMA in p.chunks),
}


def test_every_kind_is_in_the_grid() -> None:
    assert MADE.keys() == KINDS.keys()
    for kind, (fields, _) in MADE.items():
        assert KINDS[kind][1](Picture(PIXELS, **fields))
        assert not KINDS[kind][1](Picture(PIXELS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_each_cell_is_kept_or_warned_of(form: str, kind: str) -> None:
    fields, is_there = MADE[kind]
    picture = Picture(PIXELS, lossy=True, **fields)
    back = read(encode(picture, form))
    told = [line for line in lost(picture, form) if "256 colours" not in line]
    assert back.notes == ()
    if kind in FORMATS[form].carries:
        assert is_there(back)
        assert told == []
    else:
        assert not is_there(back)
        name = "EXIF" if kind == "maker note" else KINDS[kind][0]
        assert any(name in line and form in line for line in told)


@pytest.mark.parametrize("form", FORMATS)
def test_all_at_once_and_nothing_at_all(form: str) -> None:
    fields: dict[str, Any] = {}
    for kind in MADE:
        fields |= MADE[kind][0]
    fields["chunks"] = (GAMMA, TEXT)
    fields["icc"] = None  # which would tell more than the gamma does
    picture = Picture(PIXELS, lossy=True, **fields)
    back = read(encode(picture, form))
    told = " ".join(lost(picture, form))
    for kind, (_, is_there) in MADE.items():
        kept = is_there(back)
        assert kept == (kind in FORMATS[form].carries and kind != "icc")
        if not kept and kind not in ("icc", "maker note"):
            assert KINDS[kind][0] in told
    assert [line for line in lost(Picture(PIXELS), form) if form != "gif"] == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_fewer_bits_are_told(form: str, dtype: str) -> None:
    deep = (np.arange(24 * 32 * 3).reshape(24, 32, 3) * 28).astype(dtype)
    if dtype == "float32":
        deep = deep / 60000 - np.float32(0.1)
    picture = Picture(deep, lossy=False)
    told = " ".join(lost(picture, form))
    kept = np.array_equal(read(encode(picture, form)).pixels, deep)
    assert kept == ("rounded" not in told and "rounds" not in told)


@pytest.mark.parametrize(("form", "able"), [("jpeg", False), ("bmp", False), ("tiff", True)])
def test_frames_are_refused_or_told(form: str, able: bool) -> None:
    picture = Picture(PIXELS, others=(Picture(PIXELS),), timing=Timing((40, 40)))
    if able:
        assert any("timing" in line for line in check_output(picture, form))
        assert len(read(encode(picture, form)).pages) == 2
        return
    with pytest.raises(PictureError, match="several frames; use png, webp, tiff or gif"):
        check_output(picture, form)
    with pytest.raises(PictureError, match="several pages; use tiff"):
        check_output(replace(picture, timing=None), "webp")


def test_delays_that_gif_rounds_are_told() -> None:
    frames = Picture(PIXELS, others=(Picture(PIXELS),), timing=Timing((40, 45)))
    assert any("10 ms" in line for line in lost(frames, "gif"))
    assert not any("10 ms" in line for line in lost(frames, "webp"))
    even = replace(frames, timing=Timing((40, 50)))
    assert not any("10 ms" in line for line in lost(even, "gif"))


def test_what_is_true_of_one_page_only_is_told() -> None:
    frames = Picture(PIXELS, others=(Picture(PIXELS, icc=ICC),), timing=Timing((40, 40)))
    assert any("first frame only" in line for line in lost(frames, "webp"))
    assert any("colour profile" in line for line in lost(frames, "gif"))


def test_blocks_too_large_for_jpeg_are_told_and_left_out() -> None:
    large = XMP + b" " * 70_000
    picture = Picture(PIXELS, xmp=large)
    assert any("XMP of 70" in line for line in lost(picture, "jpeg"))
    assert read(encode(picture, "jpeg")).xmp is None
    assert read(encode(picture, "png")).xmp == large
    profile = bytearray(ICC + bytes(150_000))  # which JPEG has in parts
    profile[:4] = struct.pack(">I", len(profile))
    assert read(encode(Picture(PIXELS, icc=bytes(profile)), "jpeg")).icc == bytes(profile)


def test_a_profile_for_grey_goes_where_grey_goes() -> None:
    grey = bytearray(ICC)
    grey[16:20] = b"GRAY"
    picture = Picture(PIXELS[..., :1], icc=bytes(grey), lossy=True)
    for form in ("jpeg", "png", "tiff", "jxl"):
        assert read(encode(picture, form)).icc == bytes(grey)
        assert lost(picture, form) == []
    for form in ("webp", "avif", "heic"):
        assert read(encode(picture, form)).icc is None
        assert any("grey" in line for line in lost(picture, form))


def test_gamma_that_says_srgb_is_no_loss() -> None:
    srgb = (b"gAMA", struct.pack(">I", 45455))
    primaries = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    for chunks in ((srgb,), (srgb, (b"cHRM", primaries)), ((b"sRGB", b"\0"), srgb)):
        assert lost(Picture(PIXELS, chunks=chunks), "jpeg") == []
    for chunks in ((GAMMA,), ((b"cICP", bytes((9, 16, 0, 1))),), ((b"cHRM", bytes(32)),)):
        assert len(lost(Picture(PIXELS, chunks=chunks), "jpeg")) == 1


def test_chunks_that_png_alone_knows_are_kept_or_noted() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + code

    data = encode(Picture(PIXELS), "png")
    extra = chunk(b"bKGD", bytes(6)) + chunk(b"tIME", bytes(7)) + chunk(*GAMMA) + chunk(*TEXT)
    picture = read(data[:33] + extra + data[33:])
    assert picture.notes == ("its chunk bKGD is left out",)
    assert picture.chunks == (GAMMA, TEXT)


@pytest.mark.parametrize("form", FORMATS)
def test_any_damage_ends_in_a_picture_or_in_one_line(form: str) -> None:
    fields: dict[str, Any] = {}
    for kind in MADE:
        fields |= MADE[kind][0]
    data = encode(Picture(PIXELS[:12, :10], lossy=True, **fields), form)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data[: rng.integers(1, len(data)) if rng.random() < 0.2 else None])
        # Most of it at the head, where the metadata is.
        reach = len(damaged) if rng.random() < 0.3 else min(len(damaged), 2000)
        damaged[rng.integers(reach)] = rng.choice((0, 255, int(rng.integers(256))))
        try:
            picture = read(bytes(damaged), max_pixels=10**6)
            encode(picture, "tiff")
            picture.without_private()
        except PictureError as error:
            assert "\n" not in str(error)  # noqa: PT017
