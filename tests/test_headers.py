"""What headers declare is found without decoding, and bombs are refused in no time."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wdsr import picture as pictures
from wdsr.errors import LimitError, UsageError
from wdsr.headers import Limits, check_header, read_header

FORMATS = list(pictures.FORMATS)


def colours(height: int = 30, width: int = 41) -> pictures.Picture:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return pictures.Picture(noise, icc=None)


@pytest.mark.parametrize("kind", FORMATS)
def test_sizes_of_every_format(kind: str) -> None:
    header = read_header(pictures.encode(colours(), kind))
    # HEIC states the size that is coded, in whole blocks, and cuts it later.
    size = (64, 64) if kind == "heic" else (41, 30)
    assert (header.width, header.height, header.frames) == (*size, 1)
    silent = kind in ("avif", "webp", "heic", "jxl")
    assert header.bands in ((0, 3) if silent else (3,))  # 0: it does not say


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize("lossless", [False, True])
def test_frames_are_counted(kind: str, lossless: bool) -> None:
    buffer, frames = io.BytesIO(), [Image.new("RGB", (9, 7), (40 * i, 0, 0)) for i in range(5)]
    options = {"lossless": lossless} if kind == "WEBP" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    header = read_header(buffer.getvalue())
    assert (header.width, header.height, header.frames) == (9, 7, 5)
    assert read_header(buffer.getvalue(), most_frames=3).frames >= 4
    with pytest.raises(LimitError, match="more than 4 frames or pages"):
        check_header(buffer.getvalue(), "film", Limits(frames=4))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_is_measured(kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7)).save(buffer, kind, icc_profile=np.random.default_rng(0).bytes(50_000))
    assert 50_000 <= read_header(buffer.getvalue()).metadata < 51_500
    with pytest.raises(LimitError, match="bytes of metadata, at most 40000"):
        check_header(buffer.getvalue(), "fat", Limits(metadata=40_000))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb() -> bytes:
    """100,000 x 100,000 pixels."""
    start = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", 10**5, 10**5, 8, 2, 0, 0, 0)
    )
    return start + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    data = bytearray(pictures.encode(colours(), "jpeg"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65500, 65500)
    return bytes(data)


def gif_bomb() -> bytes:
    data = bytearray(pictures.encode(colours(), "gif"))
    data[6:10] = struct.pack("<HH", 65535, 65535)
    return bytes(data)


def tiff_bomb(tag: int = 256, value: int = 2**31 - 1) -> bytes:
    data = bytearray(pictures.encode(colours(), "tiff"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HII", data, entry + 2, 4, 1, value)
    return bytes(data)


def bmp_bomb() -> bytes:
    data = bytearray(pictures.encode(colours(), "bmp"))
    data[18:26] = struct.pack("<ii", 2**31 - 1, -(2**31) + 1)
    return bytes(data)


def avif_bomb() -> bytes:
    data = pictures.encode(colours(), "avif")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + data[at + 8 :]


def webp_bomb() -> bytes:
    """As large as a WebP can be in the frame, larger in what an extended header declares."""
    inside = pictures.encode(colours(), "webp")[12:]
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff" * 6
    return (
        b"RIFF" + struct.pack("<I", 4 + len(extended) + len(inside)) + b"WEBP" + extended + inside
    )


def tiff_loop() -> bytes:
    """A directory of pages that comes back to itself."""
    data = bytearray(pictures.encode(colours(), "tiff"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    return bytes(data)


def tiff_pages(pages: int = 60_000) -> bytes:
    directory = struct.pack("<H", 2) + struct.pack("<HHIIHHII", 256, 4, 1, 9, 257, 4, 1, 7)
    step = len(directory) + 4
    parts = [directory + struct.pack("<I", 8 + step * (i + 1)) for i in range(pages)]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(parts) + bytes(4)


def tiff_overlap(pages: int = 10_000, tags: int = 4095) -> bytes:
    """Pages of thousands of tags each, all in 90 kB, since they share their bytes."""
    data = bytearray(struct.pack("<H", tags) * (2 * pages + 6 * tags + 20))
    data[:8] = b"II*\0" + struct.pack("<I", 8)
    for at in range(8, 8 + 4 * pages, 4):
        struct.pack_into("<I", data, at + 2 + 12 * tags, at + 4)
    return bytes(data)


def tiff_tags(pages: int = 10_000, tags: int = 150) -> bytes:
    """Pages beside each other, each of so many empty tags."""
    step = 2 + 12 * tags + 4
    offsets = [8 + step * (number + 1) for number in range(pages)]
    page = struct.pack("<H", tags) + bytes(12 * tags)
    return b"II*\0" + struct.pack("<I", 8) + b"".join(page + struct.pack("<I", o) for o in offsets)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def jxl_size(width: int, height: int) -> bytes:
    """The begin of a codestream: no ratio, and 30 bits for each side."""
    bits, at = 0, 0
    for value, count in ((0, 1), (3, 2), (height - 1, 30), (0, 3), (3, 2), (width - 1, 30)):
        bits |= value << at
        at += count
    return b"\xff\x0a" + bits.to_bytes(9, "little") + bytes(20)


JXL = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
DECOY = box(
    b"Exif", bytes(4) + b"jxlc" + b"\xff\x0a" + bytes(90)
)  # 8 x 8 pixels, to a careless eye


def jxl_in_parts() -> bytes:
    code = jxl_size(10**9, 10**9)
    parts = [code[:3], code[3:8], code[8:]]
    numbered = [struct.pack(">I", n) + part for n, part in enumerate(parts)]
    return JXL + DECOY + b"".join(box(b"jxlp", part) for part in numbered)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "png": (png_bomb, "100000 x 100000 pixels"),
    "jpeg": (jpeg_bomb, "65500 x 65500 pixels"),
    "gif": (gif_bomb, "65535 x 65535 pixels"),
    "tiff": (tiff_bomb, "2147483647 x 30 pixels"),
    "tiff bands": (lambda: tiff_bomb(277, 65535), "65535 bands"),
    "tiff pages": (tiff_pages, "more than 10000 frames or pages"),
    "bmp": (bmp_bomb, "2147483647 x 2147483647 pixels"),
    "avif": (avif_bomb, "2147483647 x 2147483647 pixels"),
    "webp": (webp_bomb, "16777216 x 16777216 pixels"),
    "tiff pages on each other": (tiff_overlap, "pages that lie on each other"),
    "tiff tags": (tiff_tags, "has more than [0-9]+ tags"),
    "jxl": (lambda: jxl_size(2**30, 2**30), "1073741824 x 1073741824 pixels"),
    "jxl in a box": (
        lambda: JXL + DECOY + box(b"jxlc", jxl_size(70_000, 60_000)),
        "70000 x 60000 pixels",
    ),
    "jxl in parts": (jxl_in_parts, "1000000000 x 1000000000 pixels"),
    "jxl metadata": (lambda: JXL + box(b"brob", bytes(70_000_000)), "70000000 bytes of metadata"),
    "heic of many sizes": (
        lambda: box(b"ftyp", b"heic") + box(b"meta", (b"ispe" + bytes(12)) * 70_000),
        "blocks",
    ),
    "ppm": (lambda: b"P6 999999 999999 255\n" + bytes(100), "999999 x 999999 pixels"),
    "png metadata": (
        lambda: pictures.encode(colours(), "png")[:33] + chunk(b"zTXt", bytes(70_000_000)),
        "70000000 bytes of metadata",
    ),
    "png chunks": (
        lambda: pictures.encode(colours(), "png")[:33] + chunk(b"IDAT", b"") * 2_000_000,
        "more than [0-9]+ blocks",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_decoding(name: str) -> None:
    make, words = BOMBS[name]
    data = make()
    before, spent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(3):  # the quickest counts: a busy neighbour slows a processor, too
        began = time.process_time()
        with pytest.raises(LimitError, match=f"^bomb: .*{words}") as caught:
            check_header(data, "bomb", Limits())
        spent.append(time.process_time() - began)
    assert min(spent) < 0.1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB
    assert "\n" not in str(caught.value)
    assert ("--limit " in str(caught.value)) != ("save it anew" in str(caught.value))


def test_sizes_are_found_behind_a_megabyte_of_other_things() -> None:
    code = pictures.encode(colours(), "jxl")
    assert code[:2] == b"\xff\x0a"
    later = JXL + box(b"Exif", bytes(2_000_000)) + box(b"jxlc", code)
    assert (read_header(later).width, read_header(later).height) == (41, 30)
    assert 2_000_000 <= read_header(later).metadata < 2_000_100
    data = pictures.encode(colours(), "avif")
    first = int.from_bytes(data[:4], "big")
    later = data[:first] + box(b"free", bytes(2_000_000)) + data[first:]
    assert (read_header(later).width, read_header(later).height) == (41, 30)


@pytest.mark.parametrize("width", [1, 8, 9, 256, 300, 512, 4000, 16000, 2**18 + 9])
@pytest.mark.parametrize("height", [1, 24, 300])
def test_every_way_of_stating_a_size_in_jpeg_xl(width: int, height: int) -> None:
    if width * height > 10**6:
        height = 1
    data = pictures.encode(pictures.Picture(np.zeros((height, width, 3), np.uint8)), "jxl")
    assert (read_header(data).width, read_header(data).height) == (width, height)


def test_a_loop_of_pages_ends() -> None:
    assert read_header(tiff_loop()).frames == 1


def test_an_offset_beyond_any_memory_ends() -> None:
    for offset in (2**62, 2**63, 2**64 - 1):
        assert read_header(b"II+\0\x08\0\0\0" + struct.pack("<Q", offset)).pixels == 0


def test_a_limit_can_be_raised_and_must_make_sense() -> None:
    bomb = jpeg_bomb()
    assert check_header(bomb, "x", Limits(pixels=65500**2)).pixels == 65500**2
    with pytest.raises(LimitError):
        check_header(bomb, "x", Limits(pixels=65500**2 - 1))
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="limit seconds"):
            Limits(seconds=wrong)


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_headers_never_raise(kind: str) -> None:
    data = pictures.encode(colours(), kind)
    for end in range(len(data)):
        read_header(data[:end])
    rng = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(data)
        for where in rng.integers(0, min(len(data), 200), 4):
            damaged[where] = rng.integers(256)
        read_header(bytes(damaged))


@given(st.sampled_from(FORMATS), st.binary(max_size=300))
def test_any_bytes_after_the_first_never_raise(kind: str, content: bytes) -> None:
    read_header(pictures.encode(colours(2, 2), kind)[:16] + content)
    read_header(content)
