"""Pictures of any size in constant memory: rows are read, enlarged and written as they come.

Three things run at once: libvips decodes the rows ahead, the engine enlarges a row
of tiles, and the rows before are encoded. What waits between them is bounded, so
memory grows with the picture's width but not with its height. A picture that is in
memory already can be enlarged so too: then its result need not be held.

This is for plain pictures (see `formats.rows`), enlarged by a whole factor the model
has. What the file holds beside its pixels is carried as `formats` does it, but that
a TIFF made so has neither EXIF nor IPTC.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wdsr import picture as pictures
from wdsr.backends import Backend
from wdsr.color import is_neutral
from wdsr.errors import PictureError
from wdsr.formats.rows import Rows, of_no_room
from wdsr.formats.writing import KINDS, Handover, Kind, Saving, Writer
from wdsr.inference import plan_tiles, read_box, run_plan, tile_runner
from wdsr.picture import Picture
from wdsr.tiling import Box, TilePlan

__all__ = ["KINDS", "Held", "Kind", "Saving", "Source", "enlarge_into"]

OnProgress = Callable[[int, int], None]  # (tiles done, tiles in all)

LARGE = 100_000_000  # pixels of a result that is not to be held in memory
MOST = 40 * 2**20  # bytes of a row of tiles of the result; two of them are held


class Source(Protocol):
    """A plain picture that is read from top to bottom."""

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    white: float
    neutral: bool  # three channels that are the same everywhere
    facts: Picture  # all that the file holds; the pixels may take no room

    def read(self, box: Box, hold: int) -> Rows:
        """The pixels of a box, continued beyond the edge by reflection.

        hold: rows above the box that may be asked for again.
        """
        ...


class Held:
    """A plain picture in memory."""

    def __init__(self, picture: Picture) -> None:
        self.height, self.width, self.channels = picture.pixels.shape
        self.dtype, self.white, self.facts = picture.pixels.dtype, picture.white, picture
        self.neutral = is_neutral(picture.pixels)

    def read(self, box: Box, hold: int) -> Rows:
        """See `Source.read`."""
        return read_box(self.facts.pixels, box)


def carried(facts: Picture, kind: Kind) -> list[str]:
    """What the result will not hold of a picture, a line each; see `picture.lost`."""
    told = [*pictures.lost(facts, kind)]
    # libvips writes tiled TIFF, but no EXIF into it, and of IPTC a quarter.
    for name, block in (("EXIF", facts.exif), ("IPTC", facts.iptc)):
        if kind == "tiff" and block:
            told.append(f"tiff, when it is written row by row, cannot carry the {name}")
    return told


def enlarge_into(
    picture: Source,
    file: Path,
    backend: Backend,
    kind: Kind,
    saving: Saving | None = None,
    *,
    tile: int | None = None,
    self_ensemble: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> tuple[int, int]:
    """Enlarge by the scale of a model, into a file; returns (height, width).

    file: is written over. TIFF is tiled, and BigTIFF where it must be.

    Raises PictureError for damaged input and for output that cannot be written.
    """
    plan = row_plan(picture, backend, tile)
    size = plan.height * plan.scale, plan.width * plan.scale
    pixels = of_no_room((*size, picture.channels), picture.dtype)
    facts = pictures.carryable(picture.facts.enlarged(pixels, None), kind)
    rows = Handover()
    writer = Writer(rows, facts, file, kind, saving or Saving())
    writer.start()
    try:
        for band in bands(picture, plan, backend, on_progress, self_ensemble=self_ensemble):
            if not rows.give(band):
                break  # the writer has failed
        else:
            rows.finish()
        writer.join()
        if writer.fault:
            reason = " ".join(str(getattr(writer.fault, "detail", writer.fault)).split())
            raise PictureError(f"cannot be written ({reason})") from writer.fault
    finally:
        rows.stop()
        writer.join()
    return size


def row_plan(picture: Source, backend: Backend, tile: int | None = None) -> TilePlan:
    """Tiles as for a picture in memory, but so low that a row of them stays below MOST."""
    plan = plan_tiles(picture.height, picture.width, backend, tile)
    row = picture.width * picture.channels * picture.dtype.itemsize * plan.scale**2
    height = min(plan.core[0], max(MOST // row, 16))
    return dataclasses.replace(plan, core=(height, plan.core[1]))


def bands(
    picture: Source,
    plan: TilePlan,
    backend: Backend,
    on_progress: OnProgress,
    *,
    self_ensemble: bool = False,
) -> Iterator[Rows]:
    """The enlarged picture from top to bottom, a row of tiles at a time."""
    channels = 1 if picture.neutral else picture.channels  # the one stands for three, see below
    like = np.empty((0, 0, channels), picture.dtype)
    enlarge = tile_runner(backend, like, picture.white, picture.dtype, self_ensemble)
    hold = plan.shape[0]  # how far the last row of tiles looks back by reflection
    band = np.empty((0, plan.width * plan.scale, picture.channels), picture.dtype)
    tiles = run_plan(plan, lambda box: picture.read(box, hold)[..., :channels], enlarge)
    for number, (t, sr) in enumerate(tiles, 1):
        if t.write.left == 0:
            band = np.empty((t.write.height, *band.shape[1:]), picture.dtype)
        band[:, t.write.left : t.write.right] = sr  # one channel becomes as many as there are
        on_progress(number, len(plan))
        if t.write.right == band.shape[1]:
            yield band
