"""A picture: pixels, and everything that must survive with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import exif as exifs
from wdsr import metadata
from wdsr.errors import UsageError

Array = NDArray[Any]

TEXTS = {b"tEXt", b"zTXt", b"iTXt"}  # chunks of PNG
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1.0}


class UndecodableError(Exception):
    """A decoder's word that a file is damaged, cut short or unusual."""


@dataclass(frozen=True)
class Timing:
    """How an animation runs."""

    delays: tuple[int, ...]  # of each frame, in milliseconds
    plays: int = 0  # how many times; 0 is for ever


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded file: upright pixels and everything that must survive.

    Raises UsageError for arrays of another shape or type.
    """

    pixels: Array  # (H, W, C), C = 1 grey or 3 RGB; uint8, uint16, float32 (0..1, not clipped)
    alpha: Array | None = None  # (H, W) of the same type, not premultiplied; None if opaque
    icc: bytes | None = None  # colour profile
    exif: bytes | None = None  # begins with b"Exif\0\0"; an orientation in it is 1
    dpi: tuple[float, float] | None = None  # across, down
    format: str | None = None  # key of FORMATS, as read; None if made from an array
    lossy: bool = False  # came from a lossy file
    xmp: bytes | None = None
    iptc: bytes | None = None  # records of IIM: 0x1C, record, data set, ...
    comment: str | None = None  # of JPEG and GIF
    chunks: tuple[tuple[bytes, bytes], ...] = ()  # PNG's texts and colour facts: (name, body)
    quality: int | None = None  # of the JPEG file it came from, 1 to 100, as its tables say
    fine_quality: int | None = None  # the lowest that is nowhere coarser than these
    full_colour: bool = False  # a JPEG of which that is known (4:4:4)
    others: tuple[Picture, ...] = ()  # further pages, or further frames of an animation
    timing: Timing | None = None  # of an animation, over all its frames
    notes: tuple[str, ...] = ()  # what reading left out, set right or took for granted

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, str(self.pixels.dtype)  # ">u2" is none of them
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape or kind not in WHITE:
            wanted = f"(height, width, 1 or 3) of {either(WHITE)}"
            raise UsageError(f"pixels must be {wanted}, not {shape} of {kind}")
        if self.alpha is not None and (self.alpha.shape != shape[:2] or self.alpha.dtype != kind):
            raise UsageError(f"alpha must be {shape[:2]} of {kind}, as the pixels are")

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return int(self.pixels.shape[1])

    @property
    def white(self) -> float:
        """The value of white and of full opacity: 255, 65535 or 1.0."""
        return WHITE[self.pixels.dtype.name]

    @property
    def pages(self) -> tuple[Picture, ...]:
        """This one and the others, each on its own."""
        return (replace(self, others=(), timing=None), *self.others)

    @property
    def is_opaque(self) -> bool:
        """Whether no pixel of this page is transparent."""
        return self.alpha is None or bool((self.alpha >= self.white).all())

    def enlarged(self, pixels: Array, alpha: Array | None) -> Picture:
        """This page with other pixels: what it says of its size is said of the new one.

        Dots an inch grow with the pixels, so that the size in print stays.
        """
        height, width = pixels.shape[:2]
        dpi = self.dpi and (self.dpi[0] * width / self.width, self.dpi[1] * height / self.height)
        size = height, width
        return replace(
            self,
            pixels=pixels,
            alpha=alpha,
            dpi=dpi,
            exif=self.exif and exifs.updated(self.exif, size=size, dpi=dpi),
            xmp=self.xmp and metadata.xmp_updated(self.xmp, size=size, dpi=dpi),
        )

    def without_private(self) -> Picture:
        """This and the other pages without GPS position, serial numbers and makers' notes."""
        return replace(
            self,
            exif=self.exif and exifs.stripped(self.exif),
            xmp=self.xmp and (metadata.xmp_stripped(self.xmp) or None),
            chunks=tuple(
                (name, body)
                for name, body in self.chunks
                if name not in TEXTS or not metadata.is_private_text(body)
            ),
            others=tuple(page.without_private() for page in self.others),
        )


def upright(array: Array, orientation: int) -> Array:
    """Pixels (H, W, ...) turned and flipped as EXIF's orientation, 1 to 8, asks."""
    if orientation == 1:
        return array
    if orientation > 4:  # rows and columns change places
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def split(array: Array) -> Picture:
    """(H, W) or (H, W, bands), where an even number of bands ends with alpha."""
    array = np.atleast_3d(array)
    if array.shape[2] % 2:
        return Picture(array)
    return Picture(np.ascontiguousarray(array[..., :-1]), np.ascontiguousarray(array[..., -1]))


def joined(picture: Picture) -> Array:
    """(H, W, C), or with alpha (H, W, C + 1)."""
    return picture.pixels if picture.alpha is None else np.dstack((picture.pixels, picture.alpha))


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def described(picture: Picture) -> Picture:
    """A freshly decoded page with its EXIF, XMP and profile checked, and its pixels upright.

    What cannot be trusted is left out, and `notes` says so.
    """
    notes, orientation, exif = list(picture.notes), 1, picture.exif
    height, width = picture.pixels.shape[:2]
    dpi = picture.dpi
    if exif is not None:
        try:
            told = exifs.facts(exif)
            exif = exifs.updated(exif)
        except exifs.DamagedError as error:
            notes.append(f"its EXIF is damaged ({error}) and left out")
            exif, told = None, exifs.Facts()
        if told.damaged:
            numbers = ", ".join(map(str, told.damaged))
            notes.append(f"EXIF's tags {numbers} are damaged, and nothing can be read from them")
        if 1 <= told.orientation <= 8:
            orientation = told.orientation
        else:
            notes.append(f"EXIF's orientation {told.orientation} is none: taken for upright")
        if told.width and told.height and {told.width, told.height} != {width, height}:
            fault = f"EXIF says {told.width} x {told.height} pixels of {width} x {height}"
            notes.append(f"{fault}: set right")
        if told.dpi and (dpi is None or told.dpi[0] != 72):  # 72 is what says who does not know
            dpi = told.dpi
    size = (width, height) if orientation > 4 else (height, width)
    exif = exif and exifs.updated(exif, size=size)
    if dpi is not None and not all(1e-3 < dots < 1e6 for dots in dpi):  # NaN is not either
        notes.append(f"a resolution of {dpi[0]:g} x {dpi[1]:g} dpi cannot be: left out")
        dpi = None
    icc = picture.icc
    space = "GRAY" if picture.pixels.shape[2] == 1 else "RGB "
    if icc is not None and (fault := metadata.profile_fault(icc, space) or ""):
        notes.append(f"its colour profile {fault}: left out, colours are taken for sRGB")
        icc = None
    alpha = picture.alpha
    if orientation > 4 and dpi:
        dpi = dpi[::-1]
    return replace(
        picture,
        pixels=upright(picture.pixels, orientation),
        alpha=None if alpha is None or picture.is_opaque else upright(alpha, orientation),
        exif=exif,
        xmp=picture.xmp and metadata.xmp_updated(picture.xmp, size=size),
        icc=icc,
        dpi=dpi,
        notes=tuple(notes),
    )
