"""WebP, animated too: pixels by libvips, the chunks around them here.

Source: RFC 9649, section 2 (the RIFF container).
"""

from __future__ import annotations

import struct
from dataclasses import replace

from wdsr.exif import PREFIX
from wdsr.formats.base import Picture, described
from wdsr.formats.frames import frames, tall_image
from wdsr.formats.vips import call_saver

_ICC, _ALPHA, _EXIF, _XMP = 0x20, 0x10, 0x08, 0x04  # flags of the extended header
_OURS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. Chunks that no field of `Picture` has room for are noted."""
    picture = frames(data, "webp", most, best_effort=best_effort)
    found = dict(reversed(_chunks(data)))
    exif = found.get(b"EXIF")
    notes = [f"its chunk {name.decode('latin-1')} is left out" for name in _odd(found)]
    first, *others = [
        described(
            replace(
                page,
                icc=found.get(b"ICCP"),
                exif=exif and PREFIX + exif.removeprefix(PREFIX),
                xmp=found.get(b"XMP "),
                lossy=b"VP8L" not in data,
                notes=tuple(notes) if not at else (),
            )
        )
        for at, page in enumerate(picture.pages)
    ]
    return replace(first, others=tuple(others), timing=picture.timing)


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package. Lossless if the picture never was lossy and no quality is asked for."""
    options: dict[str, object] = {"Q": quality or 95}
    if quality is None and not picture.lossy:
        options = {"lossless": True, "exact": True, "effort": 0}  # exact: under alpha too
    found = _chunks(call_saver(tall_image(picture), "webp", **options))
    extra = [(b"ICCP", picture.icc), (b"EXIF", _bare(picture.exif)), (b"XMP ", picture.xmp)]
    if not any(body for _, body in extra):
        return _riff(found)
    if found[0][0] != b"VP8X":
        veiled = picture.alpha is not None
        sides = b"".join(struct.pack("<I", n - 1)[:3] for n in (picture.width, picture.height))
        found.insert(0, (b"VP8X", bytes((_ALPHA if veiled else 0, 0, 0, 0)) + sides))
    header = bytearray(found[0][1])
    header[0] |= sum(
        flag for flag, (_, body) in zip((_ICC, _EXIF, _XMP), extra, strict=True) if body
    )
    (_, icc), *rest = extra
    head = [(b"VP8X", bytes(header))] + ([(b"ICCP", icc)] if icc else [])
    return _riff(head + found[1:] + [(name, body) for name, body in rest if body])


def _odd(found: dict[bytes, bytes]) -> list[bytes]:
    return [name for name in found if name not in _OURS | {b"ICCP", b"EXIF", b"XMP "}]


def _bare(exif: bytes | None) -> bytes | None:
    return exif and exif.removeprefix(PREFIX)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        found.append((name, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def _riff(found: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(
        struct.pack("<4sI", name, len(part)) + part + bytes(len(part) % 2) for name, part in found
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
