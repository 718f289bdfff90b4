"""JPEG: pixels by libvips, segments here, so that what they hold stays byte for byte.

Source: ITU-T T.81, annex B; JFIF 1.02; Exif 2.32; ICC.1:2022, annex B.4; Adobe's
XMP specification, part 3, and "Photoshop image resource blocks" for IPTC.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np

from wdsr.exif import PREFIX
from wdsr.formats.base import Picture, UndecodableError, described
from wdsr.formats.vips import decoded, opened, saved
from wdsr.quality import jpeg_quality

MOST = 65_500  # bytes that one segment is given
# libjpeg's warning of what some cameras put into good files; of damage further on only the end
# of the file is then seen.
QUIRK = "Invalid SOS parameters"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ICC = b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC = 0x0404
_STALE = {0x03ED, 0x0409, 0x040C, 0x0425}  # resolution, thumbnails, a digest: all outdated
_PART = MOST - len(_ICC) - 2

# The quantisation tables that T.81 suggests (annex K), in the zigzag order of a file: for
# luma and for colour. Every encoder that speaks of a quality from 1 to 100 scales these.
# fmt: off
_STANDARD = np.array([
    [16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
     26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
     56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
     95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99],
    [17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66] + 50 * [99],
])
# fmt: on
_KNOWN = {0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE, 0xFE, *range(0xC0, 0xD0)}  # 0xEE: Adobe's colours


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. Segments that no field of `Picture` has room for are noted."""
    return annotated(data, _pixels(data, most, best_effort))


def annotated(data: bytes, picture: Picture) -> Picture:
    """The pixels of a file with all else that the file holds."""
    found = list(segments(data))
    notes = list(picture.notes)
    exif, xmp, iptc, dpi = None, None, None, None
    profile: dict[int, bytes] = {}  # its parts by their number
    comments = []
    for marker, body in found:
        if marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            unit, across, down = struct.unpack_from(">BHH", body, 7)
            dpi = {1: (across, down), 2: (across * 2.54, down * 2.54)}.get(unit)
            if unit == 0 and across != down:
                notes.append("its pixels are not square: enlarged as if they were")
        elif marker == 0xE1 and body.startswith(PREFIX[:5]) and exif is None:
            exif = PREFIX + body[6:]
        elif marker == 0xE1 and body.startswith(_XMP) and xmp is None:
            xmp = body[len(_XMP) :]
        elif marker == 0xE2 and body.startswith(_ICC):
            profile.setdefault(body[len(_ICC)] if len(body) > 13 else 0, body[len(_ICC) + 2 :])
        elif marker == 0xED and body.startswith(_PHOTOSHOP) and iptc is None:
            resources = dict(_resources(body[len(_PHOTOSHOP) :]))
            iptc = resources.get(_IPTC) or None
            if not resources.keys() <= _STALE | {_IPTC}:
                notes.append("its Photoshop resources but IPTC are left out")
        elif marker == 0xFE:
            comments.append(_text(body))
        elif marker not in _KNOWN:
            name = bytes(body[:40]).partition(b"\0")[0].decode("latin-1")
            notes.append(f"its segment APP{marker - 0xE0} ({_printable(name)}) is left out")
    pixels = sum(4 + len(body) for _, body in found)  # begin here: a thumbnail has ends of its own
    if 0 <= data.rfind(b"\xff\xd9", pixels) < len(data) - 64:
        notes.append("what follows the picture in the file is left out")
    return described(
        replace(
            picture,
            icc=picture.icc or b"".join(profile[n] for n in sorted(profile)) or None,
            exif=exif,
            xmp=xmp,
            iptc=iptc,
            comment="\n".join(comments) or None,
            dpi=dpi,
            lossy=True,
            quality=jpeg_quality(data),
            fine_quality=fine_quality(found),
            full_colour=_has_full_colour(found),
            notes=tuple(notes),
        )
    )


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package. Quality and colour are at least those of the JPEG it came from."""
    quality = quality or max(95, picture.fine_quality or 0)
    whole = quality >= 90 or picture.full_colour
    mode = "off" if whole else "on"  # of libvips' "chroma subsampling"
    plain = saved(picture, "jpeg", Q=quality, subsample_mode=mode)
    return plain[:2] + head(picture) + plain[2:]  # libvips has written no segment of its own


def head(picture: Picture) -> bytes:
    """The segments between the file's first two bytes and its tables: all but the pixels."""
    across, down = (min(round(dots), 65535) for dots in picture.dpi or (1, 1))
    density = struct.pack(">BHH", 1 if picture.dpi else 0, max(across, 1), max(down, 1))
    written = [(0xE0, b"JFIF\0\x01\x02" + density + b"\0\0")]
    if picture.exif:
        written.append((0xE1, picture.exif))
    if picture.xmp:
        written.append((0xE1, _XMP + picture.xmp))
    if picture.icc:
        parts = [picture.icc[at : at + _PART] for at in range(0, len(picture.icc), _PART)]
        for number, part in enumerate(parts, 1):
            written.append((0xE2, _ICC + bytes((number, len(parts))) + part))
    if picture.iptc:
        block = b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(picture.iptc)) + picture.iptc
        written.append((0xED, _PHOTOSHOP + block + bytes(len(block) % 2)))
    if picture.comment:
        written.append((0xFE, picture.comment.encode()))
    return b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in written
    )


def _pixels(data: bytes, most: int, best_effort: bool) -> Picture:
    try:
        return decoded(opened(data, "jpeg", most, best_effort=best_effort))
    except UndecodableError as error:
        if QUIRK not in str(error):
            raise
        return decoded(opened(data, "jpeg", most, fail_on="error"))


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """Markers with bodies up to the pixels. What is odd ends the list: libvips judges files."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        found.append((marker, data[at + 4 : at + 2 + length]))
        if marker == 0xDA:
            break
        at += 2 + length
    return found


def fine_quality(found: list[tuple[int, bytes]]) -> int | None:
    """The lowest quality, 1 to 100, whose tables are nowhere coarser than those of the file.

    For files of libjpeg and its kin that is the very number they were made with.
    """
    tables: dict[int, np.ndarray] = {}
    for marker, body in found:
        while marker == 0xDB and body:
            wide, number = divmod(body[0], 16)
            size = 128 if wide else 64
            if len(body) < 1 + size:
                return None
            tables[number] = np.frombuffer(body, ">u2" if wide else "u1", 64, 1).astype(int)
            body = body[1 + size :]
    pairs = [(tables[n], _STANDARD[min(n, 1)]) for n in sorted(tables)]
    for quality in range(1, 101):
        factor = 5000 // quality if quality < 50 else 200 - 2 * quality
        if pairs and all(
            (np.clip((standard * factor + 50) // 100, 1, 255) <= table).all()
            for table, standard in pairs
        ):
            return quality
    return 100 if pairs else None


def _has_full_colour(found: list[tuple[int, bytes]]) -> bool:
    for marker, body in found:
        if marker in (0xC0, 0xC1, 0xC2) and len(body) >= 15 and body[5] == 3:
            return body[7] == body[10] == body[13]
    return False


def _resources(block: bytes) -> list[tuple[int, bytes]]:
    """Photoshop's resources by their number, up to the first that is damaged."""
    found, at = [], 0
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, at + 4)
        name = block[at + 6] + 1
        begin = at + 6 + name + name % 2
        if begin + 4 > len(block):
            break
        (length,) = struct.unpack_from(">I", block, begin)
        found.append((number, block[begin + 4 : begin + 4 + length]))
        at = begin + 4 + length + length % 2
    return found


def _text(body: bytes) -> str:
    try:
        return body.decode().rstrip("\0")
    except UnicodeDecodeError:
        return body.decode("latin-1").rstrip("\0")


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable()) or "unnamed"
