"""What tests of several rooms need: an engine whose result is known, and pictures."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from numpy.typing import NDArray

from wdsr import picture as pictures
from wdsr.backends import Batch
from wdsr.card import ModelCard

Array = NDArray[Any]

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


class Nearest:
    """An engine that repeats pixels: at whole scales the right result is `np.repeat`."""

    precision = "float32"
    runs = 0  # over all engines

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def run(self, batch: Batch) -> Batch:
        type(self).runs += 1
        for axis in (1, 2) if batch.dtype == np.uint8 else (2, 3):
            batch = batch.repeat(self.card.scale, axis)
        return batch


def photograph(height: int = 48, width: int = 64) -> Array:
    """A cat's face, uint8 RGB."""
    return pictures.read(PHOTOGRAPHS / "chelsea.png").pixels[90 : 90 + height, 120 : 120 + width]


def noise(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if "float" in dtype:
        return rng.random(shape).astype(dtype)
    # Alpha is above zero, or the colour under it would be replaced.
    return rng.integers(1, np.iinfo(dtype).max + 1, shape, dtype)


def repeated(array: Array, times: int) -> Array:
    return array.repeat(times, 0).repeat(times, 1)


def unpacked(data: bytes) -> bytes:
    """A whole PNG with its lines as they were before compression; anything else as it is.

    ISA-L has been seen, once, to compress the same lines in two ways, both right.
    """
    if not data.startswith(b"\x89PNG") or b"IEND" not in data[-12:]:
        return data
    rest, lines, at = [data[:8]], zlib.decompressobj(), 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IDAT":
            rest.append(lines.decompress(data[at + 8 : at + 8 + length]))
        else:
            rest.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(rest)
