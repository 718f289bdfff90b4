"""PNG's lines of pixels, filtered and compressed as they come.

Source: PNG specification, third edition (W3C, 2025), 5 (chunks), 7.2 (lines of samples),
9 (filters) and 10 (compression).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

try:  # of ISA-L: as small as zlib's level 2, in a quarter of the time
    from isal import isal_zlib
except ImportError:  # not made for this processor
    isal_zlib = None  # type: ignore[assignment]

Lines = NDArray[Any]  # (rows, W, bands), alpha is the last of an even number of bands

MAGIC = b"\x89PNG\r\n\x1a\n"
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # bands -> colour type
_STRIP = 2**18  # bytes that are worked on at a time: they stay in the processor's cache


def can_write(level: int) -> bool:
    """Whether `compressed` knows a compression; libvips knows all from 0 to 9."""
    return level == 0 or (level == 1 and isal_zlib is not None)


def compressed(lots: Iterable[Lines], level: int) -> Iterator[bytes]:
    """What goes into IDAT, in parts, for lines of uint8 or uint16 from the top to the bottom.

    level: 0 stores them as they are, 1 has them compressed quickly.
    """
    packer: Any = isal_zlib.compressobj(1) if level else zlib.compressobj(0)
    above: Any = 0  # bytes of the line before
    for lot in lots:
        height, samples = len(lot), lot.shape[1] * lot.shape[2]
        step = max(_STRIP // (samples * lot.itemsize), 1)
        wire = lot.dtype.newbyteorder(">")
        for top in range(0, height, step):
            strip = lot[top : top + step].astype(wire, copy=False)
            strip = np.ascontiguousarray(strip).reshape(-1, samples).view(np.uint8)
            lines = np.empty((len(strip), 1 + strip.shape[1]), np.uint8)
            if level:
                lines[:, 0] = 2  # what is above is taken off: quicker than the others, and small
                np.subtract(strip[0], above, out=lines[0, 1:])
                np.subtract(strip[1:], strip[:-1], out=lines[1:, 1:])
                above = strip[-1].copy()
            else:
                lines[:, 0] = 0
                lines[:, 1:] = strip
            if part := packer.compress(lines.data):
                yield part
    yield packer.flush()


def file(
    lots: Iterable[Lines], shape: tuple[int, int, int], dtype: DTypeLike, level: int, head: bytes
) -> Iterator[bytes]:
    """A whole file, in parts.

    shape: (H, W, bands) of all lots together. head: chunks to stand before the pixels.
    """
    yield MAGIC + chunk(b"IHDR", header(shape, dtype)) + head
    for part in compressed(lots, level):
        yield chunk(b"IDAT", part)
    yield chunk(b"IEND", b"")


def header(shape: tuple[int, ...], dtype: DTypeLike) -> bytes:
    """The body of IHDR for (H, W, bands)."""
    height, width, bands = shape
    depth = 8 * np.dtype(dtype).itemsize
    return struct.pack(">IIBBBBB", width, height, depth, _COLOURS[bands], 0, 0, 0)


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
