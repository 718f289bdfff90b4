"""EXIF: directories of tags, changed where they lie, so that nothing else moves.

A maker's note holds offsets that nobody else understands; a directory that is
written anew somewhere else breaks them. So values are overwritten in place, and
what must grow is appended at the end.

Source: Exif 2.32, 4.6 (CIPA DC-008); TIFF 6.0, section 2; the BigTIFF proposal.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PREFIX = b"Exif\0\0"

IMAGE_WIDTH, IMAGE_HEIGHT, ORIENTATION = 0x0100, 0x0101, 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
EXIF_DIRECTORY, GPS_DIRECTORY = 0x8769, 0x8825
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
MAKER_NOTE = 0x927C  # in a maker's own layout, which nearly always holds serial numbers
_SERIALS = {0xA431, 0xA435, 0xC62F}  # of body, of lens, of camera (DNG)
_THUMBNAIL, _THUMBNAIL_LENGTH = 0x0201, 0x0202

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BIG_SIZES = _SIZES | {16: 8, 17: 8, 18: 8}
SHORT, LONG, RATIONAL = 3, 4, 5


class DamagedError(Exception):
    """Bytes that are no directory, or lie outside the file."""


@dataclass(frozen=True)
class Tag:
    """One entry of a directory, and where it lies."""

    number: int
    type: int
    count: int
    at: int  # of the entry itself
    where: int  # of its value
    value: bytes  # in the byte order of the file


@dataclass(frozen=True)
class Directory:
    """Tags by their number; where their count and the link to the next directory lie."""

    tags: Mapping[int, Tag]
    damaged: tuple[int, ...]  # numbers of tags of no known type, or that lie outside the file
    start: int
    link: int
    next: int  # offset of the next directory; 0 if this is the last


class Tiff:
    """The bytes of a TIFF structure: a TIFF or BigTIFF file, or EXIF after its prefix."""

    def __init__(self, data: bytes | bytearray) -> None:
        """Raises DamagedError if this is no TIFF structure."""
        self.data = data
        self.order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]), "")
        if not self.order:
            raise DamagedError("no byte order")
        (version,) = self.unpack("H", 2)
        if version not in (42, 43):
            raise DamagedError("no TIFF header")
        self.big = version == 43
        (self.first,) = self.unpack("Q", 8) if self.big else self.unpack("I", 4)

    def unpack(self, layout: str, at: int) -> tuple[int, ...]:
        """Numbers at an offset. Raises DamagedError beyond the end."""
        try:
            return struct.unpack_from(self.order + layout, self.data, at)
        except struct.error as error:
            raise DamagedError("cut short") from error

    def directory(self, start: int) -> Directory:
        """The directory at an offset. Raises DamagedError if it is cut short."""
        (count,) = self.unpack("Q" if self.big else "H", start)
        width, inline = (20, 8) if self.big else (12, 4)
        begin = start + (8 if self.big else 2)
        if begin + width * count > len(self.data):
            raise DamagedError("a directory is cut short")
        tags, damaged = {}, []
        for at in range(begin, begin + width * count, width):
            number, kind, amount = self.unpack("HHQ" if self.big else "HHI", at)
            size = (_BIG_SIZES if self.big else _SIZES).get(kind, 0) * amount
            where = at + width - inline
            if size > inline:
                (where,) = self.unpack("Q" if self.big else "I", where)
            if not size or where + size > len(self.data):
                damaged.append(number)
                continue
            value = bytes(self.data[where : where + size])
            tags[number] = Tag(number, kind, amount, at, where, value)
        link = begin + width * count
        # The link is sometimes cut off by careless programs: then there is no next one.
        rest = link + inline <= len(self.data)
        (following,) = self.unpack("Q" if self.big else "I", link) if rest else (0,)
        return Directory(tags, tuple(damaged), start, link, following)

    def directories(self) -> list[Directory]:
        """The chain of directories: a TIFF's pages. Raises DamagedError, for a ring too."""
        found, seen, start = [], set(), self.first
        while start:
            if start in seen:
                raise DamagedError("directories go in a ring")
            seen.add(start)
            found.append(self.directory(start))
            start = found[-1].next
        return found

    def numbers(self, tag: Tag | None) -> tuple[float, ...]:
        """The values of a tag of integers or rationals; none for another or no tag."""
        if tag is None or tag.type not in (1, SHORT, LONG, RATIONAL, 13, 16, 18):
            return ()
        letter = {1: "B", SHORT: "H", 16: "Q", 18: "Q"}.get(tag.type, "I")
        amount = tag.count * 2 if tag.type == RATIONAL else tag.count
        values = struct.unpack(f"{self.order}{amount}{letter}", tag.value)
        if tag.type != RATIONAL:
            return values
        pairs = zip(values[::2], values[1::2], strict=True)
        return tuple(up / down if down else math.nan for up, down in pairs)

    def number(self, directory: Directory, number: int) -> float | None:
        """The first value of a tag, or None."""
        values = self.numbers(directory.tags.get(number))
        return values[0] if values else None

    def dpi(self, directory: Directory) -> tuple[float, float] | None:
        """Resolution in dots an inch, whatever it is worth; None if the file does not say."""
        across, down = (self.number(directory, n) for n in (X_RESOLUTION, Y_RESOLUTION))
        unit = {2: 1.0, 3: 2.54}.get(int(self.number(directory, RESOLUTION_UNIT) or 2))
        if across is None or unit is None:
            return None
        return across * unit, (across if down is None else down) * unit


@dataclass(frozen=True)
class Facts:
    """What EXIF says of its picture."""

    orientation: int = 1
    width: int | None = None
    height: int | None = None
    dpi: tuple[float, float] | None = None
    maker_note: bool = False
    damaged: tuple[int, ...] = ()  # tags that lie outside


def facts(exif: bytes) -> Facts:
    """Read EXIF. Raises DamagedError if its directories cannot be read."""
    tiff = Tiff(exif.removeprefix(PREFIX))
    image = tiff.directory(tiff.first)
    detail = inner(tiff, image, EXIF_DIRECTORY)
    sides = [tiff.number(detail, n) if detail else None for n in (PIXEL_WIDTH, PIXEL_HEIGHT)]
    width, height = (None if side is None else int(side) for side in sides)
    orientation = tiff.number(image, ORIENTATION)
    lost = tuple(
        pointer
        for pointer in (EXIF_DIRECTORY, GPS_DIRECTORY)
        if pointer in image.tags and inner(tiff, image, pointer) is None
    )
    return Facts(
        1 if orientation is None else int(orientation),
        width,
        height,
        tiff.dpi(image),
        detail is not None and MAKER_NOTE in detail.tags,
        image.damaged + (detail.damaged if detail else ()) + lost,
    )


def updated(
    exif: bytes, *, size: tuple[int, int] | None = None, dpi: tuple[float, float] | None = None
) -> bytes:
    """EXIF for pixels that stand upright, without thumbnail; all else as it was.

    size: (height, width) to state, where EXIF states one.
    dpi: across and down; added if EXIF states none.

    Raises DamagedError as `facts` does.
    """
    data = bytearray(exif.removeprefix(PREFIX))
    tiff = Tiff(data)
    image = tiff.directory(tiff.first)
    detail = inner(tiff, image, EXIF_DIRECTORY)
    _set(tiff, image, ORIENTATION, 1)
    if size is not None:
        height, width = size
        for directory, across, down in (
            (image, IMAGE_WIDTH, IMAGE_HEIGHT),
            (detail, PIXEL_WIDTH, PIXEL_HEIGHT),
        ):
            if directory is not None:
                _set(tiff, directory, across, width)
                _set(tiff, directory, down, height)
    _drop_thumbnail(tiff, image)
    if dpi is not None:
        _set_dpi(tiff, dpi)
    return PREFIX + bytes(data)


def stripped(exif: bytes) -> bytes:
    """EXIF without position (GPS), serial numbers and the maker's note, where these hide too."""
    data = bytearray(exif.removeprefix(PREFIX))
    tiff = Tiff(data)
    image = tiff.directory(tiff.first)
    gps = inner(tiff, image, GPS_DIRECTORY)
    for tag in gps.tags.values() if gps else ():
        data[tag.where : tag.where + len(tag.value)] = bytes(len(tag.value))
    detail = inner(tiff, image, EXIF_DIRECTORY)
    if detail:
        _remove(tiff, detail, _SERIALS | {MAKER_NOTE})
    _remove(tiff, image, _SERIALS | {GPS_DIRECTORY})
    return PREFIX + bytes(data)


def created(dpi: tuple[float, float]) -> bytes:
    """EXIF that says nothing but the resolution, for formats that have no other place for it."""
    tiff = Tiff(bytearray(b"MM\0*\0\0\0\x08" + bytes(6)))
    _set_dpi(tiff, dpi)
    return PREFIX + bytes(tiff.data)


def packed(
    tags: Iterable[tuple[int, int, int, bytes]], order: str, start: int, *, big: bool = False
) -> bytes:
    """A directory and its values, to lie at offset `start`.

    tags: (number, type, count, value); values are in byte order `order`.
    big: as BigTIFF has it.
    """
    entries = sorted(tags)
    count, entry, offset, inline = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    heap = start + struct.calcsize(order + count) + inline
    heap += (struct.calcsize(order + entry) + inline) * len(entries)
    head, body = struct.pack(order + count, len(entries)), b""
    for number, kind, amount, value in entries:
        if len(value) > inline:
            where = struct.pack(order + offset, heap + len(body))
            body += value + bytes(len(value) % 2)
        else:
            where = value.ljust(inline, b"\0")
        head += struct.pack(order + entry, number, kind, amount) + where
    return head + bytes(inline) + body


def inner(tiff: Tiff, directory: Directory, pointer: int) -> Directory | None:
    """The directory that a tag points to; None without such a tag, or if it points to nothing."""
    start = tiff.number(directory, pointer)
    try:
        return None if not start else tiff.directory(int(start))
    except DamagedError:
        return None


def _set(tiff: Tiff, directory: Directory, number: int, value: int) -> None:
    """Overwrite a whole number, if the directory has it; a SHORT that is too small becomes LONG."""
    tag = directory.tags.get(number)
    if tag is None or tag.type not in (SHORT, LONG) or tag.count < 1 or tiff.big:
        return
    assert isinstance(tiff.data, bytearray)
    if tag.type == SHORT and value <= 0xFFFF:
        struct.pack_into(tiff.order + "H", tiff.data, tag.where, value)
    elif tag.count == 1:
        struct.pack_into(tiff.order + "HII", tiff.data, tag.at + 2, LONG, 1, value)


def _set_dpi(tiff: Tiff, dpi: tuple[float, float]) -> None:
    assert isinstance(tiff.data, bytearray)
    image = tiff.directory(tiff.first)
    wanted = [
        (X_RESOLUTION, RATIONAL, 1, rational(dpi[0], tiff.order)),
        (Y_RESOLUTION, RATIONAL, 1, rational(dpi[1], tiff.order)),
        (RESOLUTION_UNIT, SHORT, 1, struct.pack(tiff.order + "H", 2)),
    ]
    found = [image.tags.get(number) for number, *_ in wanted]
    if all(tag and tag.type == kind for tag, (_, kind, *_) in zip(found, wanted, strict=True)):
        for tag, (*_, value) in zip(found, wanted, strict=True):
            assert tag is not None
            tiff.data[tag.where : tag.where + len(value)] = value
        return
    kept = [
        (tag.number, tag.type, tag.count, tag.value)
        for tag in image.tags.values()
        if tag.number not in {number for number, *_ in wanted}
    ]
    tiff.data.extend(bytes(len(tiff.data) % 2))
    tiff.first = len(tiff.data)
    struct.pack_into(tiff.order + "I", tiff.data, 4, tiff.first)
    tiff.data.extend(packed(kept + wanted, tiff.order, tiff.first))


def rational(value: float, order: str) -> bytes:
    """A number as TIFF's fraction: exact for whole ones, else to a thousandth or as fits."""
    down = 1 if value == round(value) else next(d for d in (1000, 10, 1) if value * d < 2**32)
    return struct.pack(order + "II", round(value * down), down)


def _drop_thumbnail(tiff: Tiff, image: Directory) -> None:
    """Unlink the second directory, blank the picture it shows, and cut it off if it is last."""
    if not image.next:
        return
    data = tiff.data
    assert isinstance(data, bytearray)
    struct.pack_into(tiff.order + "I", data, image.link, 0)
    try:
        second = tiff.directory(image.next)
        start, length = (tiff.number(second, n) for n in (_THUMBNAIL, _THUMBNAIL_LENGTH))
    except DamagedError:
        return  # nothing leads there any more
    if start and length:
        begin, end = int(start), min(int(start + length), len(data))
        data[begin:end] = bytes(max(end - begin, 0))
        if end == len(data) > begin >= image.link + 4:
            del data[begin:]


def _remove(tiff: Tiff, directory: Directory, numbers: set[int]) -> None:
    """Take tags out of a directory, blanking their values."""
    data = tiff.data
    assert isinstance(data, bytearray)
    gone = [tag for tag in directory.tags.values() if tag.number in numbers]
    if not gone:
        return
    for tag in gone:
        if tag.number not in (EXIF_DIRECTORY, GPS_DIRECTORY):
            data[tag.where : tag.where + len(tag.value)] = bytes(len(tag.value))
    kept = [bytes(data[t.at : t.at + 12]) for t in directory.tags.values() if t not in gone]
    body = struct.pack(tiff.order + "H", len(kept)) + b"".join(kept)
    body += bytes(data[directory.link : directory.link + 4])
    end = directory.link + 4
    data[directory.start : end] = body.ljust(end - directory.start, b"\0")
