"""TIFF and BigTIFF, with several pages: pixels in by libvips, files out by tifffile.

TIFF has no EXIF block: what EXIF says of the picture are tags of its own page, and
the rest are directories that these tags point to.

Source: TIFF 6.0; the BigTIFF proposal; Exif 2.32, 4.6; OGC GeoTIFF 1.1.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np

from wdsr.errors import PictureError
from wdsr.exif import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    LONG,
    MAKER_NOTE,
    PREFIX,
    DamagedError,
    Directory,
    Tiff,
    inner,
    packed,
)
from wdsr.formats.base import Picture, UndecodableError, described, joined
from wdsr.formats.vips import check_size, decoded, opened

Tags = list[tuple[int, int, int, bytes]]  # number, type, count, value

_SUBFILE, _COMPRESSION, _PHOTOMETRIC = 254, 259, 262
LEAST_LEVEL = 3  # of deflate: 2 and 1 are hardly quicker; 6 takes 2 to 4 times as long
_LAB = (8, 9, 10)  # of CIE, ICC and ITU
_XMP, _IPTC, _ICC, _SUBDIRECTORIES = 700, 33723, 34675, 330
_INTEROPERABILITY = 0xA005  # a directory within EXIF's, of no use beside another file
_POINTERS = (EXIF_DIRECTORY, GPS_DIRECTORY)
# Description, make, model, name, page, software, date, author, host, copyright ...
_TEXTS = {269, 270, 271, 272, 274, 285, 297, 305, 306, 315, 316, 33432}
# How the pixels are coded and lie on paper: libvips' and tifffile's business.
_CODING = {*range(254, 270), *range(273, 285), 290, 291, 292, 293, 296, *range(317, 330)}
_CODING |= {*range(332, 348), 512, 513, 514, 515, 519, 520, 521, *range(529, 533), 34016}
_OURS = _TEXTS | _CODING | {_XMP, _IPTC, _ICC, *_POINTERS}
_GEO = {33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113}


def check_tags(data: bytes) -> None:
    """Refuse what would be wrong of an enlarged picture: GeoTIFF and OME.

    Raises PictureError.
    """
    for page in _pages(data):
        text = page.tags.get(270)  # the description
        kind = "GeoTIFF" if _GEO & page.tags.keys() else ""
        kind = "OME" if text and _is_ome(text.value) else kind
        if kind:
            fault = f"has {kind} tags, which would be wrong of an enlarged picture"
            raise PictureError(f"{fault}; drop them with --drop-tags (in Python: drop_tags=True)")


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. Pages may differ in size and type; reduced copies are left out."""
    directories = _pages(data)
    tiff, pages = Tiff(data), []
    kinds = [int(tiff.number(page, _SUBFILE) or 0) for page in directories]
    left_out = [bool(k & 1) and not all(k & 1 for k in kinds) for k in kinds]
    pixels = 0
    for number, page in enumerate(directories):
        where = f"page {number + 1} " if len(directories) > 1 else ""
        if kinds[number] & 4:
            raise PictureError(f"{where}is a mask, which is not read; convert it first")
        if tiff.number(page, _PHOTOMETRIC) in _LAB:
            raise PictureError(f"{where}is Lab, which is not read; convert it to RGB first")
        if left_out[number]:
            continue
        try:
            image = opened(data, "tiff", most, best_effort=best_effort, page=number)
            pixels += image.width * image.height
            check_size(1, 1, most, pixels)
            found = decoded(image)
        except (PictureError, UndecodableError) as error:
            raise type(error)(f"{where}{error}") from error
        pages.append(_page(tiff, page, found))
    first, *others = pages
    reduced = sum(left_out)
    notes = (f"{reduced} reduced copies are left out",) if reduced else ()
    return replace(first, others=tuple(others), notes=first.notes + notes)


def annotated(data: bytes, picture: Picture) -> Picture:
    """The pixels of a file of one page with all else that the file holds."""
    (page,) = _pages(data)
    return _page(Tiff(data), page, picture)


def encode(picture: Picture, kind: str, quality: int | None, *, compression: int = 1) -> bytes:
    """See the package. Deflated, with a predictor for whole numbers; every reader can read it."""
    import tifffile

    exifs = [_taken_apart(page.exif) for page in picture.pages]
    order = next((order for order, *_ in exifs if order), "<")
    big = sum(page.pixels.nbytes for page in picture.pages) > 2**31
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=big) as writer:
        for page, (own, tags, inside) in zip(picture.pages, exifs, strict=True):
            # Values are in the byte order of their own EXIF; a second order is a rare thing.
            extra = [] if own not in ("", order) else tags
            extra = extra + [(p - 1, LONG, 1, bytes(4)) for p in inside if own == order]
            extra += [(_XMP, 1, len(page.xmp), page.xmp)] if page.xmp else []
            extra += [(_IPTC, 7, len(page.iptc), page.iptc)] if page.iptc else []
            array = joined(page)
            grey = page.pixels.shape[2] == 1
            writer.write(
                array if array.shape[2] > 1 else array[..., 0],
                photometric="minisblack" if grey else "rgb",
                planarconfig="contig" if array.shape[2] > 1 else None,
                extrasamples=None if page.alpha is None else ["unassalpha"],
                compression="zlib",
                compressionargs={"level": max(compression, LEAST_LEVEL)},
                predictor=array.dtype != np.float32,
                resolution=page.dpi or (1, 1),
                resolutionunit=2 if page.dpi else 1,
                iccprofile=page.icc,
                extratags=[(*tag, True) for tag in extra],
                software=False,
                metadata=None,
            )
    data = bytearray(buffer.getvalue())
    for directory, (_, _, inside) in zip(Tiff(data).directories(), exifs, strict=True):
        for pointer, content in inside.items():
            # tifffile writes no such tags, so they went in under the numbers just below.
            tag = directory.tags.get(pointer - 1)
            if tag:
                data.extend(bytes(len(data) % 2))
                struct.pack_into(order + "H", data, tag.at, pointer)
                struct.pack_into(order + "I", data, tag.where, len(data))
                data.extend(packed(content, order, len(data), big=big))
    return bytes(data)


def _is_ome(text: bytes) -> bool:
    return b"<OME" in text


def _is_stale(text: bytes) -> bool:
    """OME's description, or the size of the pixels that tifffile notes for itself."""
    return _is_ome(text) or text.startswith(b'{"shape":')


def _pages(data: bytes) -> list[Directory]:
    try:
        pages = Tiff(data).directories()
    except DamagedError as error:
        raise UndecodableError(error) from error
    if not pages:
        raise UndecodableError("no directory")
    return pages


def _page(tiff: Tiff, page: Directory, found: Picture) -> Picture:
    notes = list(found.notes)
    odd = sorted(page.tags.keys() - _OURS - _GEO)
    if odd:
        notes.append(f"its TIFF tags {', '.join(map(str, odd))} are left out")
    dpi = tiff.dpi(page)
    values = {n: page.tags[n].value for n in (_XMP, _IPTC, _ICC) if n in page.tags}
    iptc = values.get(_IPTC)
    if iptc and page.tags[_IPTC].type == LONG:  # filled up to whole numbers
        iptc = iptc.rstrip(b"\0")
    try:
        exif, has_maker_note = _put_together(tiff, page)
    except DamagedError as error:
        exif, has_maker_note = None, False
        notes.append(f"its EXIF is damaged ({error}) and left out")
    if has_maker_note:
        notes.append("its maker's note is left out: it cannot be moved out of a TIFF")
    return described(
        replace(
            found,
            exif=exif,
            xmp=values.get(_XMP) or None,
            iptc=iptc or None,
            icc=found.icc or values.get(_ICC) or None,
            dpi=dpi,
            lossy=tiff.number(page, _COMPRESSION) in (6, 7),
            notes=tuple(notes),
        )
    )


def _put_together(tiff: Tiff, page: Directory) -> tuple[bytes | None, bool]:
    """EXIF from the tags of a page, and whether there was a maker's note."""

    def taken(directory: Directory) -> Tags:
        tags = directory.tags.values()
        return [(t.number, t.type, t.count, t.value) for t in tags if t.type <= 13]

    tags = [tag for tag in taken(page) if tag[0] in _TEXTS and not _is_stale(tag[3])]
    if [tag[0] for tag in tags] in ([], [274]) and not page.tags.keys() & {*_POINTERS}:
        orientation = tiff.number(page, 274)
        if orientation in (None, 1):
            return None, False
    found = {pointer: inner(tiff, page, pointer) for pointer in _POINTERS}
    content = {pointer: taken(directory) for pointer, directory in found.items() if directory}
    has_maker_note = any(tag[0] == MAKER_NOTE for tags in content.values() for tag in tags)
    moved = {p: [t for t in tags if t[0] not in _UNMOVABLE] for p, tags in content.items()}
    header = (b"II*\0" if tiff.order == "<" else b"MM\0*") + struct.pack(tiff.order + "I", 8)
    # The length of the first directory does not depend on where the others lie.
    length = len(packed([*tags, *((p, LONG, 1, bytes(4)) for p in moved)], tiff.order, 8))
    at, rest, pointers = 8 + length, b"", []
    for pointer, inside in moved.items():
        pointers.append((pointer, LONG, 1, struct.pack(tiff.order + "I", at + len(rest))))
        rest += packed(inside, tiff.order, at + len(rest))
    return PREFIX + header + packed([*tags, *pointers], tiff.order, 8) + rest, has_maker_note


_UNMOVABLE = {MAKER_NOTE, _INTEROPERABILITY}  # they hold offsets


def _taken_apart(exif: bytes | None) -> tuple[str, Tags, dict[int, Tags]]:
    """The byte order of EXIF, the tags for a TIFF's page, and the directories it points to."""
    if not exif:
        return "", [], {}
    tiff = Tiff(exif.removeprefix(PREFIX))
    image = tiff.directory(tiff.first)
    wanted = _TEXTS - {274}

    def taken(directory: Directory) -> Tags:
        return [(t.number, t.type, t.count, t.value) for t in directory.tags.values()]

    inside = {
        pointer: [tag for tag in taken(directory) if tag[0] not in _UNMOVABLE]
        for pointer in _POINTERS
        if (directory := inner(tiff, image, pointer))
    }
    return tiff.order, [tag for tag in taken(image) if tag[0] in wanted], inside
