"""Files read row by row: a look at what they are, and pixels in constant memory.

A look needs the header only; it is what the worker that decodes tells of a file
too large to be handed over (see `isolation`). Pixels come row by row for plain
pictures, which large ones are: JPEG, PNG or TIFF, one page, upright, opaque, of 8
or 16 bits.
"""

from __future__ import annotations

import dataclasses
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wdsr import formats
from wdsr.errors import DamageError, PictureError
from wdsr.formats import jpeg
from wdsr.formats.base import Picture, UndecodableError
from wdsr.formats.vips import of_file, vips
from wdsr.resize import reflect
from wdsr.tiling import Box

Rows = NDArray[Any]  # (rows, W, C)
KINDS = ("png", "jpeg", "tiff")  # that can be read so
_SPACES = {
    "srgb": (3, "uchar"),
    "rgb16": (3, "ushort"),
    "b-w": (1, "uchar"),
    "grey16": (1, "ushort"),
}


@dataclass(frozen=True)
class Look:
    """What a file says of its pixels, and, of a plain picture, all else that it holds."""

    kind: str  # format
    height: int  # upright
    width: int
    bands: int  # alpha is one
    white: float
    facts: Picture | None = None  # of one black pixel; None: it can only be read whole

    @property
    def plain(self) -> Picture | None:
        """The facts, of black pixels as many as the file has, which take no room."""
        if self.facts is None:
            return None
        shape = self.height, self.width, self.bands
        return dataclasses.replace(self.facts, pixels=of_no_room(shape, self.facts.pixels.dtype))


def look(source: Path, kind: str, name: str = "") -> Look:
    """Open a file with libvips' loader of its format, and read its header.

    kind: the format, as the first bytes tell. name: what messages call the file; its path
        unless given.

    Raises PictureError.
    """
    try:
        image = of_file(source, formats.FORMATS[kind].loader)
    except vips().Error as error:
        raise unreadable(name or str(source), error) from error
    turned = _field(image, "orientation", 1)
    size = (image.width, image.height) if turned > 4 else (image.height, image.width)
    bands = 3 if image.interpretation == "cmyk" else image.bands
    white = {"uchar": 255, "ushort": 65535}.get(image.format, 1.0)
    several = _field(image, "n-pages", 1) != 1
    simple = _SPACES.get(image.interpretation) == (image.bands, image.format)
    facts = None
    if kind in KINDS and simple and not several and turned < 2:
        dtype = np.uint8 if white == 255 else np.uint16
        facts = _facts(source, kind, Picture(of_no_room((*size, bands), dtype)))
    return Look(kind, *size, bands, white, facts)


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
        except (PictureError, UndecodableError):
            return None
    return dataclasses.replace(facts, format=kind, pixels=picture.pixels[:1, :1].copy())


def of_no_room(shape: tuple[int, int, int], dtype: DTypeLike) -> Rows:
    """Black pixels that are all the same one."""
    return np.broadcast_to(np.zeros((1, 1, 1), dtype), shape)


class Opened:
    """A plain picture that can be read row by row, once, from the top."""

    def __init__(self, image: Any, name: str, facts: Picture, *, neutral: bool = False) -> None:
        """facts: all that the file holds, of pixels that take no room. neutral: see `Walk`."""
        self.height, self.width = int(image.height), int(image.width)
        self.channels = int(image.bands)
        deep = image.format == "ushort"
        self.dtype: np.dtype[Any] = np.dtype(np.uint16 if deep else np.uint8)
        self.white = 65535.0 if deep else 255.0
        self.name, self.facts, self.neutral = name, facts, neutral
        self._region = vips().Region.new(image)
        self._rows = np.empty((0, self.width, self.channels), self.dtype)
        self._top = 0  # of the rows that are held

    def read(self, box: Box, hold: int) -> Rows:
        """The pixels of a box, continued beyond the edge by reflection.

        hold: rows above the box that may be asked for again.
        """
        try:
            self._load(min(box.bottom, self.height), max(box.top - hold, 0))
        except vips().Error as error:
            raise unreadable(self.name, error) from error
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


@dataclass(frozen=True)
class Walk:
    """What was seen on the way through all rows of a file."""

    fail_on: str = "warning"  # how much of libvips' doubts are faults
    neutral: bool = False  # three channels that are the same everywhere, see `color.is_neutral`


def opened(source: Path, seen: Look, walked: Walk | None = None) -> Opened:
    """A picture to be read row by row.

    seen: what `look` has told of it, which must be a plain picture. walked: what `walk` has.

    Raises PictureError if the file cannot be read, or is not what it was then.
    """
    facts, walked = seen.plain, walked or Walk()
    assert facts is not None
    image = _image(source, seen, walked.fail_on)
    return Opened(image, str(source), facts, neutral=walked.neutral)


def walk(source: Path, seen: Look, name: str = "") -> Walk:
    """Decode all rows, and keep none. Raises PictureError for any damage."""
    levels = ["warning", "error"]
    while True:
        try:
            image = _image(source, seen, levels[0], name)
            if seen.bands == 1:
                image.avg()
                return Walk(levels[0])
            # One pass over the rows for both: all are decoded, and compared.
            differences = [(image[0] - image[band]).abs() for band in (1, 2)]
            return Walk(levels[0], neutral=differences[0].bandjoin(differences[1]).max() == 0)
        except vips().Error as error:
            if levels.pop(0) == "error" or jpeg.QUIRK not in error.detail:
                raise unreadable(name or str(source), error) from error


def _image(source: Path, seen: Look, fail_on: str, name: str = "") -> Any:
    vips().vips_lib.vips_error_clear()  # or an older fault would be told
    try:
        image = of_file(source, seen.kind, access="sequential", fail_on=fail_on)
    except vips().Error as error:
        raise unreadable(name or str(source), error) from error
    found = image.height, image.width, _SPACES.get(image.interpretation)
    samples = "uchar" if seen.white == 255 else "ushort"
    if found != (seen.height, seen.width, (seen.bands, samples)):
        raise DamageError(f"{name or source}: is not the picture it was a moment ago; try again")
    return image


def _field(image: Any, name: str, default: int) -> int:
    return int(image.get(name)) if image.get_typeof(name) else default


def unreadable(name: str, error: Any) -> DamageError:
    """libvips' fault as ours."""
    reason = " ".join(error.detail.split()) or "no reason given"
    fault = f"{name}: cannot be decoded to the end ({reason})"
    return DamageError(f"{fault}; it is damaged, cut short or unusual")
