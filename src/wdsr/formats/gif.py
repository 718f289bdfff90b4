"""GIF, animated too, by libvips; comments here, which libvips does not write.

Source: GIF89a specification (CompuServe, 1990), 15, 18 to 27.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wdsr.formats.base import Picture, UndecodableError, described
from wdsr.formats.frames import frames, tall_image
from wdsr.formats.vips import call_saver

_COMMENT, _APPLICATION = 0xFE, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")  # how often an animation plays: libvips' business


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. Applications' own blocks are noted."""
    extensions: list[tuple[int, bytes]] = []
    try:
        extensions.extend(_extensions(data))
    except IndexError as error:
        if not best_effort:
            raise UndecodableError("it ends within a block") from error
    comments = [body.decode("utf-8", "replace") for kind, body in extensions if kind == _COMMENT]
    names = [body[:11] for kind, body in extensions if kind == _APPLICATION]
    odd = [name.decode("latin-1") for name in names if name not in _LOOPS]
    picture = frames(data, "gif", most, best_effort=best_effort)
    first, *others = map(described, picture.pages)
    return replace(
        first,
        comment="\n".join(comments) or None,
        others=tuple(others),
        timing=picture.timing,
        notes=tuple(f"its block {name} is left out" for name in dict.fromkeys(odd)),
    )


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package. Every frame has the 256 colours that suit it best, dithered."""
    data = call_saver(tall_image(picture), "gif", interpalette_maxerror=0)
    if not picture.comment:
        return data
    text = picture.comment.encode()
    parts = [text[at : at + 255] for at in range(0, len(text), 255)]
    blocks = b"".join(bytes((len(part),)) + part for part in parts)
    return data.removesuffix(b";") + b"!\xfe" + blocks + b"\0;"


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Labels and contents of all extensions. Raises IndexError where the file is cut short."""
    at = 13 + _table(data[10])
    while data[at] != 0x3B:
        if data[at] == 0x21:  # an extension
            label = data[at + 1]
            body, at = _blocks(data, at + 2)
            yield label, body
        elif data[at] == 0x2C:  # a frame: place, size, perhaps colours, then its codes
            _, at = _blocks(data, at + 10 + _table(data[at + 9]) + 1)
        else:  # a stray byte, which readers pass over
            at += 1


def _table(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> tuple[bytes, int]:
    body = bytearray()  # which grows without being copied
    while length := data[at]:
        body += data[at + 1 : at + 1 + length]
        at += 1 + length
    return bytes(body), at + 1
