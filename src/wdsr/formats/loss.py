"""What an output format cannot carry of a picture: found in the table, never silent."""

from __future__ import annotations

import struct
from collections.abc import Callable

from wdsr import exif as exifs
from wdsr.formats import FORMATS
from wdsr.formats.base import TEXTS, Picture
from wdsr.formats.jpeg import MOST

# Of a profile-less PNG these say "sRGB", which other formats take for granted.
_SRGB_GAMMA = struct.pack(">I", 45455)
_SRGB_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_CODES = bytes((1, 13, 0, 1))


def _has_own_colours(picture: Picture) -> bool:
    """Whether chunks of a PNG describe colours that are not sRGB, nor told by its profile."""
    chunks = dict(picture.chunks)
    if chunks.get(b"cICP", _SRGB_CODES) != _SRGB_CODES or {b"mDCV", b"cLLI"} & chunks.keys():
        return True
    if picture.icc or b"sRGB" in chunks:
        return False
    same = chunks.get(b"gAMA", _SRGB_GAMMA) == _SRGB_GAMMA
    return not (same and chunks.get(b"cHRM", _SRGB_PRIMARIES) == _SRGB_PRIMARIES)


def _has_maker_note(picture: Picture) -> bool:
    return picture.exif is not None and exifs.facts(picture.exif).maker_note


# Every kind of metadata: how a message calls it, and whether a picture has it.
KINDS: dict[str, tuple[str, Callable[[Picture], bool]]] = {
    "icc": ("colour profile", lambda p: p.icc is not None),
    "exif": ("EXIF", lambda p: p.exif is not None),
    "maker note": ("maker's note of EXIF", _has_maker_note),
    "xmp": ("XMP", lambda p: p.xmp is not None),
    "iptc": ("IPTC", lambda p: p.iptc is not None),
    "dpi": ("resolution (dpi)", lambda p: p.dpi is not None),
    "comment": ("comment", lambda p: p.comment is not None),
    "text": ("PNG text", lambda p: any(name in TEXTS for name, _ in p.chunks)),
    "gamma": ("PNG gamma and primaries", _has_own_colours),
}


def lost(picture: Picture, format: str) -> list[str]:  # noqa: A002
    """What a file of this format will not hold of a picture, a line each; none if all is kept.

    Example: `lost(picture, "bmp") == ["bmp cannot carry the EXIF"]`

    Of pages and transparency nothing can be lost: `check_format` refuses these.
    """
    form, lines = FORMATS[format], []
    for kind, (name, has) in KINDS.items():
        if kind not in form.carries and any(has(page) for page in picture.pages):
            if kind == "maker note" and "exif" not in form.carries:
                continue  # told with the EXIF
            lines.append(f"{format} cannot carry the {name}")
    for page in picture.pages:
        lines += [line for line in _of_page(page, format) if line not in lines]
    if picture.timing:
        if form.others == "pages":
            lines.append(f"{format} cannot carry the timing of the frames")
        elif format == "gif" and any(delay % 10 for delay in picture.timing.delays):
            lines.append("gif rounds the delays of frames to 10 ms")
    if form.others == "frames" and any(_facts(page) != _facts(picture) for page in picture.others):
        lines.append(f"{format} carries the metadata of the first frame only")
    return lines


def has_useless_profile(page: Picture, format: str) -> bool:  # noqa: A002
    """Whether a profile is for grey, of which the format makes RGB."""
    if not page.icc or page.icc[16:20] != b"GRAY":
        return False
    return not FORMATS[format].grey or (format == "jxl" and page.alpha is not None)


def oversized(page: Picture) -> dict[str, int]:
    """Blocks of metadata larger than a segment of JPEG, by their names in `Picture`."""
    blocks = {"exif": page.exif, "xmp": page.xmp, "iptc": page.iptc}
    return {name: len(block) for name, block in blocks.items() if block and len(block) > MOST}


def _facts(page: Picture) -> tuple[object, ...]:
    return page.icc, page.exif, page.xmp, page.iptc, page.dpi, page.comment, page.chunks


def _of_page(page: Picture, format: str) -> list[str]:  # noqa: A002
    form, lines = FORMATS[format], []
    dtype = page.pixels.dtype.name
    if dtype == "float32" and dtype not in form.types:
        lines.append(f"{format} cuts floats off below 0 and above 1 and rounds them")
    elif dtype == "uint16" and dtype not in form.types:
        lines.append(f"{format} holds 8 bits a sample: 16 bits are rounded")
    elif dtype == "uint16" and format in ("avif", "heic"):
        lines.append(f"{format} holds 12 bits a sample: 16 bits are rounded")
    if has_useless_profile(page, format) and "icc" in form.carries:
        lines.append(f"{format} knows no such grey, and cannot carry a colour profile for it")
    if format == "gif":
        lines.append("gif holds 256 colours, and alpha that is on or off")
    if format == "jpeg":
        for name, length in oversized(page).items():
            lines.append(f"jpeg cannot carry {KINDS[name][0]} of {length} bytes")
    return lines
