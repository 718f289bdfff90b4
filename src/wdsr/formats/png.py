"""PNG and animated PNG: pixels by libvips, chunks here, so that they stay byte for byte.

Source: PNG specification, third edition (W3C, 2025), 5.3, 11.3 (ancillary chunks)
and 11.3.6 (animation).
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import replace

import numpy as np

from wdsr.errors import PictureError
from wdsr.exif import PREFIX
from wdsr.formats import lines
from wdsr.formats.base import TEXTS, Array, Picture, Timing, UndecodableError, described, split
from wdsr.formats.vips import call_saver, check_size, decoded, new_image, opened

_XMP = b"XML:com.adobe.xmp\0"
_METRE = 0.0254  # of an inch

COLOURS = {b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}
# Chunks that describe how the file was coded, or would be wrong of an enlarged picture:
# significant bits, a histogram, the time of the last change, where on a page it lies.
_OURS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"}
_PIXELS = {b"IDAT", b"fdAT"}
_STALE = {b"sBIT", b"hIST", b"tIME"}
_HEX = re.compile(rb"\s*(?:\w+\s+)?\d+\s+([0-9a-fA-F\s]*)$")  # of ImageMagick's raw profiles


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. Chunks that no field of `Picture` has room for are noted."""
    if any(name == b"acTL" for name, _ in _chunks(data)):
        return annotated(data, *_frames(data, most))
    return annotated(data, decoded(opened(data, "png", most, best_effort=best_effort)))


def annotated(data: bytes, *pages: Picture) -> Picture:
    """The pixels of a file, of one frame or more, with all else that the file holds."""
    found = _chunks(data)
    picture, notes, kept = pages[0], list(pages[0].notes), []
    icc, exif, xmp, iptc, dpi = None, None, None, None, None
    for name, body in found:
        raw = _raw_profile(name, body)
        if name == b"iCCP":
            icc = _inflated(body.partition(b"\0")[2][1:])
        elif name == b"eXIf":
            exif = PREFIX + body
        elif name == b"pHYs" and len(body) == 9:
            across, down, unit = struct.unpack(">IIB", body)
            dpi = (across * _METRE, down * _METRE) if unit == 1 else None
            if unit == 0 and across != down:
                notes.append("its pixels are not square: enlarged as if they were")
        elif name == b"iTXt" and body.startswith(_XMP):
            # Whether it is packed, and how; its language and its key in that; then the text.
            text = body[len(_XMP) + 2 :].partition(b"\0")[2].partition(b"\0")[2]
            xmp = _inflated(text) if body[len(_XMP) : len(_XMP) + 1] == b"\1" else text
        elif raw and raw[0] in (b"exif", b"APP1") and raw[1].startswith(PREFIX):
            exif = exif or raw[1]
        elif raw and raw[0] in (b"iptc", b"8bim"):
            iptc = raw[1].partition(b"8BIM\x04\x04\0\0")[2][4:] or raw[1]
        elif name in TEXTS | COLOURS:
            kept.append((name, body))
        elif name not in _OURS | _STALE:
            notes.append(f"its chunk {name.decode('latin-1')} is left out")
    timing = picture.timing
    if timing and not _starts_with_first_frame(found):
        notes.append("the still picture for readers without animation is left out")
    first, *others = [
        described(
            replace(
                page,
                icc=icc,
                exif=exif,
                xmp=xmp,
                iptc=iptc,
                dpi=dpi,
                chunks=tuple(kept),
                timing=None,
                notes=tuple(notes) if page is picture else (),
            )
        )
        for page in pages
    ]
    return replace(first, others=tuple(others), timing=timing)


def encode(picture: Picture, kind: str, quality: int | None, *, compression: int = 3) -> bytes:
    """See the package. All frames of an animation have one size, type and number of channels."""
    pages = [*picture.pages]
    veiled = any(page.alpha is not None for page in pages)
    colours = max(page.pixels.shape[2] for page in pages)
    arrays = [_samples(page, colours, veiled) for page in pages]
    body = [_packed(array, compression) for array in arrays]
    header = lines.header(arrays[0].shape, arrays[0].dtype)
    result = [(b"IHDR", header), *_described(picture)]
    if picture.timing is None:
        result.append((b"IDAT", body[0]))
    else:
        result.append((b"acTL", struct.pack(">II", len(pages), picture.timing.plays)))
        number = 0  # of the chunks of the animation, in order
        for at, (page, delay) in enumerate(zip(pages, picture.timing.delays, strict=True)):
            # Each frame whole, and in place of the one before.
            parts = number, page.width, page.height, 0, 0, min(delay, 65535), 1000, 0, 0
            result.append((b"fcTL", struct.pack(">5I2H2B", *parts)))
            number += 1
            if at:
                result.append((b"fdAT", struct.pack(">I", number) + body[at]))
                number += 1
            else:
                result.append((b"IDAT", body[0]))
    result.append((b"IEND", b""))
    return lines.MAGIC + _file_of(result)


def head(picture: Picture) -> bytes:
    """The chunks between the header, IHDR, and the pixels."""
    return _file_of(_described(picture))


def _file_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(lines.chunk(name, body) for name, body in chunks)


def _samples(page: Picture, colours: int, veiled: bool) -> Array:
    """(H, W, bands), the last of which is alpha if anything is veiled."""
    array = page.pixels.repeat(colours // page.pixels.shape[2], 2)
    if not veiled:
        return array
    solid = np.full(array.shape[:2], page.white, array.dtype)
    return np.dstack((array, solid if page.alpha is None else page.alpha))


def _packed(array: Array, compression: int) -> bytes:
    """What goes into IDAT."""
    if lines.can_write(compression):
        return b"".join(lines.compressed([array], compression))
    # On photographs this filter is faster than libvips' default, and a third smaller.
    like = Picture(array[..., : array.shape[2] - 1 + array.shape[2] % 2])
    file = call_saver(new_image(array, like), "png", compression=compression, filter="up")
    return b"".join(body for name, body in _chunks(file, pixels=True) if name == b"IDAT")


def _described(picture: Picture) -> list[tuple[bytes, bytes]]:
    """The chunks that stand before the pixels."""
    found = [(name, body) for name, body in picture.chunks if name in COLOURS]
    if picture.icc:
        found.append((b"iCCP", b"icc\0\0" + zlib.compress(picture.icc)))
    if picture.dpi:
        across, down = (min(max(round(dots / _METRE), 1), 2**31 - 1) for dots in picture.dpi)
        found.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if picture.exif:
        found.append((b"eXIf", picture.exif.removeprefix(PREFIX)))
    if picture.xmp:
        found.append((b"iTXt", _XMP + bytes(4) + picture.xmp))
    if picture.iptc:
        block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(picture.iptc)) + picture.iptc
        text = b"\niptc\n%8d\n%s\n" % (len(block), block.hex().encode())
        found.append((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text)))
    if picture.comment:
        found.append((b"iTXt", b"Comment\0" + bytes(4) + picture.comment.encode()))
    return found + [(name, body) for name, body in picture.chunks if name in TEXTS]


def _chunks(data: bytes, *, pixels: bool = False) -> list[tuple[bytes, bytes]]:
    """Names and bodies in the order of the file, up to the first that is cut short.

    pixels: with the bodies that hold these, which else are left empty.
    """
    found, at = [], len(lines.MAGIC)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        name = data[at + 4 : at + 8]
        body = b"" if name in _PIXELS and not pixels else data[at + 8 : at + 8 + length]
        found.append((name, body))
        at += 12 + length
    return found


def _inflated(packed: bytes, most: int = 2**26) -> bytes | None:
    """The whole of a small zlib stream, or None if it is damaged or larger than 64 MB."""
    try:
        stream = zlib.decompressobj()
        plain = stream.decompress(packed, most)
    except zlib.error:
        return b""
    return plain if stream.eof else b""


def _raw_profile(name: bytes, body: bytes) -> tuple[bytes, bytes] | None:
    """What ImageMagick and exiftool write as hexadecimal text: ("iptc", bytes)."""
    key, _, rest = body.partition(b"\0")
    if name not in (b"tEXt", b"zTXt") or not key.startswith(b"Raw profile type "):
        return None
    text = rest if name == b"tEXt" else _inflated(rest[1:]) or b""
    match = _HEX.match(text)
    digits = b"".join(match[1].split()).decode() if match else ""
    return (key.split()[-1], bytes.fromhex(digits)) if digits and not len(digits) % 2 else None


def _starts_with_first_frame(found: list[tuple[bytes, bytes]]) -> bool:
    names = [name for name, _ in found]
    return b"fcTL" in names[: names.index(b"IDAT")] if b"IDAT" in names else True


def _frames(data: bytes, most: int) -> list[Picture]:
    """All frames as shown, by Pillow; the timing of all is that of the first."""
    from PIL.PngImagePlugin import PngImageFile

    if data[24] > 8:
        raise PictureError("is an animation of 16 bits, which is not read; convert it to 8 bits")
    try:
        image = PngImageFile(io.BytesIO(data))  # not Image.open: this reader and no other
        count = image.n_frames
        check_size(image.width, image.height, most, count)
        hidden = bool(image.info.get("default_image"))
        pages, delays = [], []
        for frame in range(hidden, count):
            image.seek(frame)
            pages.append(split(np.asarray(image.convert("RGBA"))))
            delays.append(round(image.info.get("duration", 0)))
        plays = int(image.info.get("loop", 0))
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, struct.error) as error:
        raise UndecodableError(error) from error
    return [replace(page, timing=Timing(tuple(delays), plays)) for page in pages]
