"""Pictures of any size in constant memory: rows are read, enlarged and written as they come.

Three things run at once: libvips decodes the rows ahead, the engine enlarges a row
of tiles, and the rows before are encoded. What waits between them is bounded, so
memory grows with the picture's width but not with its height. A picture that is in
memory already can be enlarged so too: then its result need not be held.

This is for plain pictures, which large ones are: one page, upright, of 8 or 16 bits,
grey or RGB, enlarged by a whole factor the model has. `opened` says no to anything
else. What the file holds beside its pixels is carried as `formats` does it, but
that a TIFF made so has neither EXIF nor IPTC.
"""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wdsr import formats
from wdsr import picture as pictures
from wdsr.backends import Backend
from wdsr.errors import PictureError
from wdsr.formats.base import UndecodableError
from wdsr.formats.rows import KINDS, Handover, Kind, Saving, Writer
from wdsr.formats.vips import of_file, vips
from wdsr.inference import plan_tiles, read_box, run_plan, tile_runner
from wdsr.picture import Picture
from wdsr.resize import reflect
from wdsr.tiling import Box, TilePlan

__all__ = ["KINDS", "Held", "Kind", "Opened", "Saving", "enlarge_into", "header", "opened"]

Rows = NDArray[Any]  # (rows, W, C)
OnProgress = Callable[[int, int], None]  # (tiles done, tiles in all)

LARGE = 100_000_000  # pixels of a result that is not to be held in memory
MOST = 40 * 2**20  # bytes of a row of tiles of the result; two of them are held
_SPACES = {
    "srgb": (3, "uchar"),
    "rgb16": (3, "ushort"),
    "b-w": (1, "uchar"),
    "grey16": (1, "ushort"),
}


@dataclass(frozen=True)
class Header:
    """What a file says of its pixels."""

    kind: str  # format
    height: int
    width: int
    bands: int  # alpha is one
    white: float


def header(source: Path) -> Header:
    """A picture's size and type, without decoding it where the format allows that.

    Raises PictureError if it is no picture.
    """
    try:
        with source.open("rb") as file:
            kind = formats.sniff(file.read(64))
    except PictureError as error:
        raise PictureError(f"{source}: {error}") from error
    except OSError as error:
        raise PictureError(f"{source}: cannot be read ({error.strerror})") from error
    loader = pictures.FORMATS[kind].loader
    if not loader:
        read = pictures.read(source)
        bands = read.pixels.shape[2] + (read.alpha is not None)
        return Header(kind, read.height, read.width, bands, read.white)
    try:
        image = of_file(source, loader)
    except vips().Error as error:
        raise _unreadable(str(source), error) from error
    turned = image.get_typeof("orientation") and image.get("orientation") > 4
    size = (image.width, image.height) if turned else (image.height, image.width)
    bands = 3 if image.interpretation == "cmyk" else image.bands
    return Header(kind, *size, bands, {"uchar": 255, "ushort": 65535}.get(image.format, 1.0))


class Source(Protocol):
    """A plain picture that is read from top to bottom."""

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    white: float
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

    def read(self, box: Box, hold: int) -> Rows:
        """See `Source.read`."""
        return read_box(self.facts.pixels, box)


class Opened:
    """A plain picture that can be read row by row, once, from the top."""

    def __init__(self, image: Any, name: str, facts: Picture) -> None:
        """facts: all that the file holds, of pixels that take no room."""
        self.height, self.width = int(image.height), int(image.width)
        self.channels = int(image.bands)
        deep = image.format == "ushort"
        self.dtype: np.dtype[Any] = np.dtype(np.uint16 if deep else np.uint8)
        self.white = 65535.0 if deep else 255.0
        self.image, self.name, self.facts = image, name, facts
        self._region = vips().Region.new(image)
        self._rows = np.empty((0, self.width, self.channels), self.dtype)
        self._top = 0  # of the rows that are held

    def read(self, box: Box, hold: int) -> Rows:
        """See `Source.read`."""
        try:
            self._load(min(box.bottom, self.height), max(box.top - hold, 0))
        except vips().Error as error:
            raise _unreadable(self.name, error) from error
        rows = reflect(np.arange(box.top, box.bottom), self.height) - self._top
        columns = reflect(np.arange(box.left, box.right), self.width)
        if rows[-1] - rows[0] == len(rows) - 1 and columns[-1] - columns[0] == len(columns) - 1:
            return self._rows[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return self._rows[rows[:, None], columns]

    def _load(self, bottom: int, top: int) -> None:
        """Hold all rows from `top` to `bottom`."""
        have = self._top + len(self._rows)
        if bottom <= have:
            return
        data = self._region.fetch(0, have, self.width, bottom - have)
        fresh = np.frombuffer(data, self.dtype).reshape(-1, self.width, self.channels)
        self._rows = np.concatenate((self._rows[max(top - self._top, 0) :], fresh))
        self._top = max(self._top, top)


def opened(source: Path, kind: str) -> Opened | None:
    """A picture to be read row by row, or None if it is not of the plain kind.

    kind: the file's format, as its first bytes tell; no other loader touches it.

    Raises PictureError if the file cannot be read.
    """
    if kind not in KINDS:
        return None
    try:
        image = of_file(source, kind, access="sequential", fail_on="warning")
        several = image.get("n-pages") if image.get_typeof("n-pages") else 1
        turned = image.get("orientation") if image.get_typeof("orientation") else 1
        plain = _SPACES.get(image.interpretation) == (image.bands, image.format)
        if not plain or several != 1 or turned >= 2:
            return None
        dtype = np.uint8 if image.format == "uchar" else np.uint16
        pixels = _of_no_room((image.height, image.width, image.bands), dtype)
        facts = _facts(source, kind, Picture(pixels))
        return Opened(image, str(source), facts) if facts else None
    except vips().Error as error:
        raise _unreadable(str(source), error) from error


def _facts(source: Path, kind: str, picture: Picture) -> Picture | None:
    """What the file holds beside its pixels; None where the whole file must be looked at."""
    codec = formats.codec(kind)
    with (
        source.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        try:
            if kind == "tiff":
                codec.check_tags(data)
            facts: Picture = codec.annotated(data, picture)
            return dataclasses.replace(facts, format=kind)
        except (PictureError, UndecodableError):
            return None


def _of_no_room(shape: tuple[int, int, int], dtype: DTypeLike) -> Rows:
    """Black pixels that are all the same one."""
    return np.broadcast_to(np.zeros((1, 1, 1), dtype), shape)


def carried(picture: Opened, kind: Kind) -> list[str]:
    """What the result will not hold of a picture, a line each; see `picture.lost`."""
    told = [*pictures.lost(picture.facts, kind)]
    # libvips writes tiled TIFF, but no EXIF into it, and of IPTC a quarter.
    for name, block in (("EXIF", picture.facts.exif), ("IPTC", picture.facts.iptc)):
        if kind == "tiff" and block:
            told.append(f"tiff, when it is written row by row, cannot carry the {name}")
    return told


def _unreadable(name: str, error: Any) -> PictureError:
    reason = " ".join(error.detail.split()) or "no reason given"
    return PictureError(f"{name}: cannot be decoded ({reason}); it is damaged or cut short")


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
    pixels = _of_no_room((*size, picture.channels), picture.dtype)
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
    like = np.empty((0, 0, picture.channels), picture.dtype)
    enlarge = tile_runner(backend, like, picture.white, picture.dtype, self_ensemble)
    hold = plan.shape[0]  # how far the last row of tiles looks back by reflection
    band = np.empty((0, plan.width * plan.scale, picture.channels), picture.dtype)
    tiles = run_plan(plan, lambda box: picture.read(box, hold), enlarge)
    for number, (t, sr) in enumerate(tiles, 1):
        if t.write.left == 0:
            band = np.empty((t.write.height, *band.shape[1:]), picture.dtype)
        band[:, t.write.left : t.write.right] = sr
        on_progress(number, len(plan))
        if t.write.right == band.shape[1]:
            yield band
