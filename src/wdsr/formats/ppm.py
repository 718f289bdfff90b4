"""PPM and PGM, done right here: Pillow cuts 16-bit colour to 8 bits.

Source: the netpbm manual pages "ppm" and "pgm".
"""

from __future__ import annotations

import re

import numpy as np

from wdsr.formats.base import Array, Picture, UndecodableError
from wdsr.formats.vips import check_size

_HEADER = re.compile(rb"P([2356])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package."""
    try:
        header = _HEADER.match(data)
        if not header or not 0 < int(header[4]) < 65536:
            raise ValueError("no width, height and maximum")
        magic, width, height, top = map(int, header.groups())
        check_size(width, height, most)
        colours, body = 3 if magic in (3, 6) else 1, header.end()
        count = width * height * colours
        stored = np.dtype(np.uint8 if top < 256 else np.uint16)
        if magic > 3:
            values = np.frombuffer(data, stored.newbyteorder(">"), count, body).astype(stored)
        else:  # decimal numbers
            values = np.array(data[body:].split(maxsplit=count)[:count], stored)
        array = stretched(values.reshape(height, width, colours), top)
    except (ValueError, OverflowError) as error:
        raise UndecodableError(error) from error
    notes = ("a comment is left out",) if b"#" in header[0] else ()
    return Picture(array, notes=notes)


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package."""
    magic = "P5" if picture.pixels.shape[2] == 1 else "P6"
    header = f"{magic}\n{picture.width} {picture.height}\n{picture.white}\n".encode()
    return header + picture.pixels.astype(picture.pixels.dtype.newbyteorder(">")).tobytes()


def stretched(array: Array, top: int) -> Array:
    """Integers 0..top to the full range of their type, rounded."""
    white = np.iinfo(array.dtype).max
    if top == white:
        return array
    wide = np.minimum(array, top).astype(np.uint32)
    return ((wide * white + top // 2) // top).astype(array.dtype)
