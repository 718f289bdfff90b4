"""Pictures of any size in constant memory: rows are read, enlarged and written as they come.

Three things run at once: libvips decodes the rows ahead, the engine enlarges a row
of tiles, and libvips encodes the rows before. What waits between them is bounded,
so memory grows with the picture's width but not with its height.

This is for plain pictures (see `formats.rows`), enlarged by a whole factor the model
has. What the file holds beside its pixels is carried as `formats` does it, but that
a TIFF made so has neither EXIF nor IPTC.
"""

from __future__ import annotations

import dataclasses
import shutil
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wdsr import picture as pictures
from wdsr.backends import Backend
from wdsr.errors import PictureError
from wdsr.formats import jpeg, png
from wdsr.formats.rows import Opened, Rows, of_no_room
from wdsr.formats.vips import vips
from wdsr.inference import plan_tiles, run_plan, tile_runner
from wdsr.picture import Picture
from wdsr.tiling import TilePlan

Kind = Literal["png", "jpeg", "tiff"]
KINDS: tuple[Kind, ...] = ("png", "jpeg", "tiff")
OnProgress = Callable[[int, int], None]  # (tiles done, tiles in all)

LARGE = 100_000_000  # pixels of a result that is not to be held in memory
MOST = 40 * 2**20  # bytes of a row of tiles of the result; two of them are held


@dataclass(frozen=True)
class Saving:
    """How the result is encoded."""

    quality: int = 95  # of JPEG; from 90 up colour is not subsampled
    compression: int = 3  # of PNG, 0 to 9: 1 is quickest, 9 smallest
    pyramid: bool = False  # of TIFF: with copies at a half, a quarter, ... for viewers


def carried(facts: Picture, kind: Kind) -> list[str]:
    """What the result will not hold of a picture, a line each; see `picture.lost`."""
    told = [*pictures.lost(facts, kind)]
    # libvips writes tiled TIFF, but no EXIF into it, and of IPTC a quarter.
    for name, block in (("EXIF", facts.exif), ("IPTC", facts.iptc)):
        if kind == "tiff" and block:
            told.append(f"tiff, when it is written row by row, cannot carry the {name}")
    return told


def enlarge_into(
    picture: Opened,
    file: Path,
    backend: Backend,
    kind: Kind,
    saving: Saving | None = None,
    *,
    tile: int | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> tuple[int, int]:
    """Enlarge by the scale of a model, from file to file; returns (height, width).

    file: is written over. TIFF is tiled, and BigTIFF where it must be.

    Raises PictureError for damaged input and for output that cannot be written.
    """
    plan = row_plan(picture, backend, tile)
    size = plan.height * plan.scale, plan.width * plan.scale
    rows = _Handover()
    writer = _Writer(rows, picture, size, file, kind, saving or Saving())
    writer.start()
    try:
        for band in bands(picture, plan, backend, on_progress):
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


def row_plan(picture: Opened, backend: Backend, tile: int | None = None) -> TilePlan:
    """Tiles as for a picture in memory, but so low that a row of them stays below MOST."""
    plan = plan_tiles(picture.height, picture.width, backend, tile)
    row = picture.width * picture.channels * picture.dtype.itemsize * plan.scale**2
    height = min(plan.core[0], max(MOST // row, 16))
    return dataclasses.replace(plan, core=(height, plan.core[1]))


def bands(
    picture: Opened, plan: TilePlan, backend: Backend, on_progress: OnProgress
) -> Iterator[Rows]:
    """The enlarged picture from top to bottom, a row of tiles at a time."""
    channels = 1 if picture.neutral else picture.channels  # the one stands for three, see below
    like = np.empty((0, 0, channels), picture.dtype)
    enlarge = tile_runner(backend, like, picture.white, picture.dtype)
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


class _Handover:
    """One thread gives rows, another takes them; at most one lot waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lot: Rows | None = None
        self._finished = self._stopped = False

    def give(self, lot: Rows) -> bool:
        """Wait until the lot before has been used up. False if nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._lot is None or self._stopped)
            self._lot = lot
            self._changed.notify_all()
            return not self._stopped

    def finish(self) -> None:
        """No more lots."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Give up: nobody waits any longer."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Rows]:
        """Each lot, which counts as used up when the next is asked for."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._lot is not None or self._finished or self._stopped
                )
                if self._lot is None or self._stopped:
                    return
                lot = self._lot
            yield lot
            with self._changed:
                self._lot = None
                self._changed.notify_all()


class _Writer(threading.Thread):
    """Encodes rows as they come."""

    def __init__(
        self,
        rows: _Handover,
        picture: Opened,
        size: tuple[int, int],
        file: Path,
        kind: Kind,
        saving: Saving,
    ) -> None:
        super().__init__(name="encoder")
        self._rows, self._picture, self._size = rows, picture, size
        self._file, self._kind, self._saving = file, kind, saving
        self.fault: BaseException | None = None

    def run(self) -> None:
        """Until the last row, or the first fault."""
        try:
            self._save(_as_image(_png(self._rows, *self._size, self._picture)))
        except BaseException as error:  # told by the main thread
            self.fault = error
        finally:
            self._rows.stop()

    def _save(self, image: Any) -> None:
        image = image.copy()
        # One thread of libvips' own: each holds rows, and the engine wants the processors.
        image.set_type(vips().GValue.gint_type, "concurrency", 1)
        facts, saving, file = self._picture.facts, self._saving, str(self._file)
        shape = (*self._size, self._picture.channels)
        facts = facts.enlarged(of_no_room(shape, self._picture.dtype), None)
        nothing = vips().ForeignKeep.NONE
        if self._kind == "png":
            image.pngsave(file, compression=saving.compression, filter="up", keep=nothing)
            # After the header chunk, in place of a resolution that libvips makes up.
            _insert(self._file, 33, png.head(facts), instead_of=b"\0\0\0\x09pHYs", length=21)
        elif self._kind == "jpeg":
            whole = saving.quality >= 90 or facts.full_colour
            subsampling = "off" if whole else "on"
            image.jpegsave(file, Q=saving.quality, subsample_mode=subsampling, keep=nothing)
            _insert(self._file, 2, jpeg.head(facts))
        else:
            across, down = facts.dpi or (25.4, 25.4)
            image = image.copy(xres=across / 25.4, yres=down / 25.4)
            for field, blob in (
                ("icc-profile-data", facts.icc),
                ("xmp-data", facts.xmp),
            ):
                if blob:
                    image.set_type(vips().GValue.blob_type, field, blob)
            keep = vips().ForeignKeep
            image.tiffsave(
                file,
                compression="deflate",
                predictor="horizontal",
                tile=True,
                tile_width=256,
                tile_height=256,
                pyramid=saving.pyramid,
                bigtiff=self._picture.dtype.itemsize * image.bands * image.width * image.height
                > 2**31,
                resunit="inch",
                keep=keep.ICC | keep.XMP,
            )


def _insert(file: Path, at: int, head: bytes, *, instead_of: bytes = b"", length: int = 0) -> None:
    """Put bytes into a file, in constant memory; in place of so many that begin like these."""
    other = file.with_name(f"{file.name}.head")
    try:
        with file.open("rb") as source, other.open("wb") as target:
            target.write(source.read(at) + head)
            if instead_of and source.read(len(instead_of)) == instead_of:
                at += length
            source.seek(at)
            shutil.copyfileobj(source, target, 1 << 20)
        other.replace(file)
    finally:
        other.unlink(missing_ok=True)


def _as_image(chunks: Iterator[bytes]) -> Any:
    """A libvips image of a file that comes in chunks."""
    left = memoryview(b"")

    def read(size: int) -> bytes:
        nonlocal left
        if not left:
            left = memoryview(next(chunks, b""))
        some, left = left[:size], left[size:]
        return bytes(some)

    source = vips().SourceCustom()
    source.on_read(read)
    return vips().Image.new_from_source(source, "", access="sequential", fail_on="truncated")


def _png(lots: Iterable[Rows], height: int, width: int, picture: Opened) -> Iterator[bytes]:
    """Rows as a PNG that is not compressed: libvips takes no plain rows from a pipe.

    Source: PNG specification, third edition (W3C, 2025), 11.2.
    """
    bits, colour = picture.dtype.itemsize * 8, 2 if picture.channels == 3 else 0
    yield b"\x89PNG\r\n\x1a\n"
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    store = zlib.compressobj(0)
    wire = picture.dtype.newbyteorder(">")
    for lot in lots:
        for top in range(0, len(lot), 32):
            rows = (
                lot[top : top + 32].astype(wire, copy=False).reshape(-1, width * picture.channels)
            )
            lines = np.zeros(
                (len(rows), 1 + rows.shape[1] * wire.itemsize), np.uint8
            )  # filter: none
            lines[:, 1:] = rows.view(np.uint8)
            if data := store.compress(lines.tobytes()):
                yield _chunk(b"IDAT", data)
    yield _chunk(b"IDAT", store.flush()) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
