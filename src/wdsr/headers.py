"""What a picture file declares about itself, read without any decoder.

A few bytes can declare ten gigapixels or a million frames. What is read here, in
plain Python, decides whether a decoder gets to see the file at all; whatever a
damaged or cunning header hides from these lines meets the limits of the process
that decodes (see `isolation`).
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wdsr.errors import LimitError, UsageError

# Blocks of a file: so many, and one for so many bytes. GIF, which has the smallest, has 256 to one.
MOST_BLOCKS, LEAST_LENGTH = 50_000, 250
# Tags of a TIFF: so many, and so many more for each page.
MOST_TAGS, TAGS_OF_A_PAGE = 20_000, 100


@dataclass(frozen=True)
class Limits:
    """What a file may declare and its decoding may take; beyond, it is refused."""

    bytes: int = 2**31  # of the file
    pixels: int = 500_000_000  # of one frame: 1.5 GB of 8-bit RGB
    frames: int = 10_000  # or pages
    bands: int = 64  # channels of a pixel
    metadata: int = 64 * 2**20  # bytes of profile, EXIF, comments and the like
    seconds: float = 1.0  # of processor time for decoding, and as much for each megapixel
    memory: int = 256 * 2**20  # bytes for decoding, and 64 for each pixel

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 < value < 2**63:
                raise UsageError(f"limit {name} must be above 0, not {value:g}")


@dataclass
class Header:
    """What a file says it holds. 0: it does not say, or not where this looks."""

    width: int = 0  # pixels
    height: int = 0
    bands: int = 0
    frames: int = 1
    metadata: int = 0  # bytes; no block of it counts more than the whole file
    blocks: int = 0  # segments, chunks, tags walked through
    most_blocks: int = MOST_BLOCKS
    fault: str = ""  # why it was not walked to its end: no honest program writes such a file

    def step(self, count: int = 1) -> None:
        """Count blocks; raises IndexError, as at the end of the data, when there are too many."""
        self.blocks += count
        if self.blocks > self.most_blocks:
            self.fault = f"is cut into more than {self.most_blocks} blocks"
            raise IndexError

    @property
    def pixels(self) -> int:
        """Of one frame."""
        return self.width * self.height


def check_header(data: bytes, name: str, limits: Limits) -> Header:
    """Read a file's header and hold it against the limits.

    Raises LimitError, which names the file, what it declares and the limit.
    """
    header = read_header(data, limits.frames)
    if header.fault:
        raise LimitError(f"{name}: {header.fault}; save it anew")
    for what, declared, most, shown in (
        ("pixels", header.pixels, limits.pixels, f"{header.width} x {header.height} pixels"),
        ("frames", header.frames, limits.frames, f"more than {limits.frames} frames or pages"),
        ("bands", header.bands, limits.bands, f"{header.bands} bands"),
        ("metadata", header.metadata, limits.metadata, f"{header.metadata} bytes of metadata"),
    ):
        if declared > most:
            raise LimitError(
                f"{name}: declares {shown}, at most {most} are read; "
                f"if you trust it, raise that with --limit {what}=N"
            )
    return header


def read_header(data: bytes, most_frames: int = 10_000) -> Header:
    """The header of a picture file's bytes; frames are counted up to one above `most_frames`.

    Never raises: of a file that is cut short, or of an unknown kind, it tells what is there.
    """
    header = Header(most_blocks=MOST_BLOCKS + len(data) // LEAST_LENGTH)
    for magic, walk in _WALKS.items():
        if re.match(magic, data, re.DOTALL):
            try:
                walk(data, header, most_frames)
            except (struct.error, IndexError, OverflowError):
                break  # cut short, or pointing far beyond
    return header


def _frame(header: Header, width: int, height: int) -> None:
    """Note a frame's size: the largest counts."""
    if width * height > header.pixels:
        header.width, header.height = width, height


def _jpeg(data: bytes, header: Header, most_frames: int) -> None:
    at = 2
    while data[at] == 0xFF:  # marker segments, up to the first scan
        header.step()
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, header.bands = struct.unpack_from(">HHB", data, at + 5)
            _frame(header, width, height)
        elif marker >= 0xE0:
            header.metadata += min(length, len(data))
        elif marker == 0xDA:
            return
        at += 2 + length


def _png(data: bytes, header: Header, most_frames: int) -> None:
    at = 8
    while at < len(data) and header.frames <= most_frames:
        header.step()
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack_from(">IIBB", data, at + 8)
            header.bands = {0: 1, 4: 2, 6: 4}.get(colour, 3)
            _frame(header, width, height)
        elif kind == b"acTL":
            (header.frames,) = struct.unpack_from(">I", data, at + 8)
        elif kind not in (b"IDAT", b"fdAT", b"fcTL", b"PLTE", b"IEND"):
            header.metadata += min(length, len(data))
        at += 12 + length


def _webp(data: bytes, header: Header, most_frames: int) -> None:
    header.frames = 0
    for at, kind, length in _chunks(data, 12):
        header.step()
        if kind == b"VP8X":
            header.bands = 4 if data[at] & 0x10 else 3
            _frame(header, 1 + _u24(data, at + 4), 1 + _u24(data, at + 7))
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, at + 6)
            _frame(header, width & 0x3FFF, height & 0x3FFF)
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, at + 1)
            _frame(header, 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        elif kind == b"ANMF":
            header.frames += 1
            _frame(header, 1 + _u24(data, at + 6), 1 + _u24(data, at + 9))
            if header.frames > most_frames:
                return
        elif kind not in (b"ALPH", b"ANIM"):
            header.metadata += min(length, len(data))
    header.frames = max(header.frames, 1)


def _chunks(data: bytes, at: int) -> Iterator[tuple[int, bytes, int]]:
    """Where each chunk's content begins, its kind and its length."""
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield at + 8, kind, length
        at += 8 + length + length % 2


def _u24(data: bytes, at: int) -> int:
    return int(data[at] | data[at + 1] << 8 | data[at + 2] << 16)


_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_BYTES |= {16: 8, 17: 8, 18: 8}
_TIFF_SIZE = {3: "H", 4: "I", 16: "Q"}  # types that a width may have
_WIDTH, _HEIGHT, _BANDS = 256, 257, 277


def _tiff(data: bytes, header: Header, most_frames: int) -> None:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    offset, counter, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    tag_length = struct.calcsize(order + entry)
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    header.frames, seen = 0, set[int]()
    while at and at not in seen and header.frames <= most_frames:
        seen.add(at)
        header.frames += 1
        (count,) = struct.unpack_from(order + counter, data, at)
        start = at + struct.calcsize(order + counter)
        if not 0 < count < 4096:
            return
        header.blocks += count
        # Pages that share their bytes make much work of a small file.
        if header.blocks * tag_length > len(data):
            header.fault = "has pages that lie on each other"
        elif header.blocks > MOST_TAGS + TAGS_OF_A_PAGE * header.frames:
            header.fault = f"has more than {header.blocks} tags"
        if header.fault:
            return
        end = start + count * tag_length
        sides = {_WIDTH: 0, _HEIGHT: 0, _BANDS: 0}
        for tag, kind, values, value in struct.iter_unpack(order + entry, data[start:end]):
            header.metadata += min(values * _TIFF_BYTES.get(kind, 1), len(data))
            if tag in sides and kind in _TIFF_SIZE:
                form = order + _TIFF_SIZE[kind]
                if struct.calcsize(form) <= len(value):
                    (sides[tag],) = struct.unpack_from(form, value)
        header.bands = max(header.bands, sides[_BANDS])
        _frame(header, sides[_WIDTH], sides[_HEIGHT])
        (at,) = struct.unpack_from(order + offset, data, end)


def _gif(data: bytes, header: Header, most_frames: int) -> None:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    header.bands, header.frames = 3, 0
    _frame(header, width, height)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[at] in (0x21, 0x2C) and header.frames <= most_frames:
        header.step()
        image = data[at] == 0x2C
        if image:
            header.frames += 1
            width, height, flags = struct.unpack_from("<HHB", data, at + 5)
            _frame(header, width, height)
            at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            at += 2
        while length := data[at]:  # blocks, up to an empty one
            header.step()
            at += 1 + length
            header.metadata += 0 if image else length
        at += 1


def _boxes(data: bytes, header: Header, at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of a file: their kind, and where their content begins and ends.

    Source: ISO/IEC 14496-12, 4.2.
    """
    while at + 8 <= len(data):
        header.step()
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = len(data) if length == 0 else min(at + length, len(data))
        if end < start:
            return
        yield kind, start, end
        at = end


_MOST_META = 2**20  # bytes of the meta box that are looked at


def _heif(data: bytes, header: Header, most_frames: int) -> None:
    """AVIF and its kin: sizes of all images, found in the properties of the meta box."""
    header.frames = 2 if data[8:12] in (b"avis", b"msf1", b"hevc") else 1  # a sequence, or not
    for kind, start, end in _boxes(data, header):
        if kind != b"meta":
            continue
        header.metadata += end - start
        content = data[start : min(end, start + _MOST_META)]
        sizes = re.findall(rb"ispe\0\0\0\0(.{4})(.{4})", content, re.DOTALL)
        header.step(len(sizes))
        for width, height in set(sizes):  # a grid's tiles are alike
            _frame(header, int.from_bytes(width, "big"), int.from_bytes(height, "big"))


def _jxl(data: bytes, header: Header, most_frames: int) -> None:
    """JPEG XL: the size that its codestream begins with.

    Source: ISO/IEC 18181-1, SizeHeader; 18181-2 for the boxes, of which jxlc holds the
    codestream, and several jxlp, each after a number, its parts.
    """
    stream = bytes(data[:32])
    if stream[:2] != b"\xff\x0a":
        stream = b""
        for kind, start, end in _boxes(data, header):
            if kind in (b"jxlc", b"jxlp"):
                begin = start + 4 * (kind == b"jxlp")
                stream += data[begin : min(end, begin + 32)]
            elif kind not in (b"JXL ", b"ftyp", b"jxll"):
                header.metadata += end - start
    if stream[:2] != b"\xff\x0a":
        return
    bits = int.from_bytes(stream[2:32], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & (1 << count) - 1, bits >> count
        return value

    def side() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side()
    ratio = (0, 1, 1.2, 4 / 3, 1.5, 16 / 9, 1.25, 2)[take(3)]
    _frame(header, int(height * ratio) if ratio else side(), height)


def _bmp(data: bytes, header: Header, most_frames: int) -> None:
    (length,) = struct.unpack_from("<I", data, 14)
    if length == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    header.bands = 3
    _frame(header, abs(width), abs(height))


def _pnm(data: bytes, header: Header, most_frames: int) -> None:
    plain = re.sub(rb"#[^\n]*\n", b" ", data[:65536])
    if match := re.match(rb"P[1-7]\s+(\d{1,19})\s+(\d{1,19})\s", plain):
        header.bands = 3 if plain[1:2] in b"36" else 1
        _frame(header, int(match[1]), int(match[2]))


_Walk = Callable[[bytes, Header, int], None]
_WALKS: dict[bytes, _Walk] = {
    rb"\xff\xd8\xff": _jpeg,
    rb"\x89PNG\r\n\x1a\n": _png,
    rb"RIFF.{4}WEBP": _webp,
    rb"II[*+]\0|MM\0[*+]": _tiff,
    rb"GIF8[79]a": _gif,
    rb".{4}ftyp": _heif,
    rb"\xff\x0a|.{4}JXL ": _jxl,
    rb"BM": _bmp,
    rb"P[1-7][\s#]": _pnm,
}
