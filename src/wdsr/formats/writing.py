"""Files written row by row: one thread gives the rows, another encodes them as they come.

What waits between them is bounded, so memory grows with the picture's width but not
with its height.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from wdsr.formats import FORMATS, jpeg, lines, png, tiff
from wdsr.formats.base import Picture
from wdsr.formats.lines import Lines
from wdsr.formats.samples import converted
from wdsr.formats.vips import vips

Kind = Literal["png", "jpeg", "tiff"]
KINDS: tuple[Kind, ...] = ("png", "jpeg", "tiff")


@dataclass(frozen=True)
class Saving:
    """How the result is encoded."""

    quality: int = 95  # of JPEG; from 90 up colour is not subsampled
    compression: int = 1  # of PNG, 0 (none), 1 (quick) to 9 (smallest); TIFF takes 3 at least
    pyramid: bool = False  # of TIFF: with copies at a half, a quarter, ... for viewers


class Handover:
    """One thread gives rows, another takes them; at most one lot waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lot: Lines | None = None
        self._finished = self._stopped = False

    def give(self, lot: Lines) -> bool:
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

    def __iter__(self) -> Iterator[Lines]:
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


class Writer(threading.Thread):
    """Encodes rows as they come, in a thread of its own, into a file that it writes over."""

    def __init__(
        self, rows: Handover, facts: Picture, file: Path, kind: Kind, saving: Saving
    ) -> None:
        """facts: the picture that the rows make up, of pixels that need not be the right ones."""
        super().__init__(name="encoder")
        self._rows, self._facts, self._file = rows, facts, file
        self._kind, self._saving = kind, saving
        self.fault: BaseException | None = None

    def run(self) -> None:
        """Until the last row, or the first fault."""
        try:
            write(self._rows, self._facts, self._file, self._kind, self._saving)
        except BaseException as error:  # told by the main thread
            self.fault = error
        finally:
            self._rows.stop()


def write(lots: Iterable[Lines], facts: Picture, file: Path, kind: Kind, saving: Saving) -> None:
    """Write rows and what else there is. TIFF is tiled, and BigTIFF where it must be.

    Raises OSError, and what libvips raises.
    """
    shape, dtype = facts.pixels.shape, facts.pixels.dtype.name
    if dtype not in FORMATS[kind].types:
        dtype = FORMATS[kind].types[-1]
        lots = (converted(Picture(lot), dtype).pixels for lot in lots)
    if kind == "png" and lines.can_write(saving.compression):
        with file.open("wb") as out:
            for part in lines.file(lots, shape, dtype, saving.compression, png.head(facts)):
                out.write(part)
        return
    # libvips takes no plain rows from a pipe, but a PNG that is not compressed.
    image = _as_image(lines.file(lots, shape, dtype, 0, b""))
    if kind == "tiff":
        _write_tiff(image, facts, file, saving)
        return
    with file.open("wb") as out:
        if kind == "png":
            # After the header chunk, in place of a resolution that libvips makes up.
            splice = _Splice(out, 33, png.head(facts), b"\0\0\0\x09pHYs", 21)
            level = max(saving.compression, 2)  # 1 would be two thirds larger, and hardly quicker
            _save(image, "png", splice, compression=level, filter="up")
        else:
            whole = saving.quality >= 90 or facts.full_colour
            mode = "off" if whole else "on"  # of libvips' "chroma subsampling"
            splice = _Splice(out, 2, jpeg.head(facts))
            _save(image, "jpeg", splice, Q=saving.quality, subsample_mode=mode)


class _Splice:
    """Where libvips writes to: a file, but with bytes put in, in place of others perhaps."""

    def __init__(
        self, out: IO[bytes], at: int, head: bytes, instead_of: bytes = b"", length: int = 0
    ) -> None:
        """Put `head` in at a place; in place of so many bytes there that begin like these."""
        self._out, self._at, self._head = out, at, head
        self._instead_of, self._length = instead_of, length
        self._start: bytearray | None = bytearray()  # until it is long enough
        self.fault: Exception | None = None

    def write(self, data: bytes) -> int:
        """Called by libvips, which knows nothing of exceptions."""
        try:
            if self._start is None:
                self._out.write(data)
            else:
                self._start += data
                if len(self._start) >= self._at + self._length:
                    self._begin(bytes(self._start))
        except Exception as error:
            self.fault = error
            return -1
        return len(data)

    def _begin(self, start: bytes) -> None:
        rest = start[self._at :]
        if self._instead_of and rest.startswith(self._instead_of):
            rest = rest[self._length :]
        self._out.write(start[: self._at] + self._head + rest)
        self._start = None


def _save(image: Any, saver: str, splice: _Splice, **options: Any) -> None:
    target = vips().TargetCustom()
    target.on_write(splice.write)
    try:
        vips().Operation.call(
            f"{saver}save_target", image, target, keep=vips().ForeignKeep.NONE, **options
        )
    except vips().Error as error:
        raise splice.fault or error from error
    if splice.fault:
        raise splice.fault


def _write_tiff(image: Any, facts: Picture, file: Path, saving: Saving) -> None:
    across, down = facts.dpi or (25.4, 25.4)
    image = image.copy(xres=across / 25.4, yres=down / 25.4)
    for field, blob in (("icc-profile-data", facts.icc), ("xmp-data", facts.xmp)):
        if blob:
            image.set_type(vips().GValue.blob_type, field, blob)
    keep = vips().ForeignKeep
    with _target(file) as target:
        image.tiffsave_target(
            target,
            compression="deflate",
            level=max(saving.compression, tiff.LEAST_LEVEL),
            predictor="horizontal",
            tile=True,
            tile_width=256,
            tile_height=256,
            pyramid=saving.pyramid,
            bigtiff=facts.pixels.nbytes > 2**31,
            resunit="inch",
            keep=keep.ICC | keep.XMP,
        )


@contextmanager
def _target(file: Path) -> Iterator[Any]:
    """Where libvips writes to, and reads again: a file, by its name if that is text.

    To one whose name it knows it first keeps a pyramid's smaller copies in the system's
    folder for temporary files (TMPDIR); else in memory.
    """
    try:
        str(file).encode()
    except UnicodeEncodeError:
        with file.open("w+b") as out:
            yield vips().Target.new_to_descriptor(out.fileno())
    else:
        yield vips().Target.new_to_file(str(file))


def _as_image(parts: Iterator[bytes]) -> Any:
    """A libvips image of a file that comes in parts."""
    left = memoryview(b"")

    def read(size: int) -> bytes:
        nonlocal left
        if not left:
            left = memoryview(next(parts, b""))
        some, left = left[:size], left[size:]
        return bytes(some)

    source = vips().SourceCustom()
    source.on_read(read)
    image = vips().Image.new_from_source(source, "", access="sequential", fail_on="truncated")
    image = image.copy()
    # One thread of libvips' own: each holds rows, and the engine wants the processors.
    image.set_type(vips().GValue.gint_type, "concurrency", 1)
    return image
