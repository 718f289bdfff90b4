"""Pictures as people keep them: pixels, and everything that must survive with them.

libvips decodes and encodes. It is called by the name of one loader per format,
found by the file's first bytes, so that nothing reaches a loader outside
`FORMATS`: no SVG, no PDF, nothing that opens a network. Pillow does BMP. PPM and
PGM are read right here, because Pillow cuts 16-bit colour to 8 bits.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import re
import secrets
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wdsr.errors import PictureError, UsageError

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[Any]

MAX_PIXELS = 500_000_000  # that a header may declare: 1.5 GB of 8-bit RGB
MM_PER_INCH = 25.4  # libvips counts pixels per millimetre, people dots per inch


@dataclass(frozen=True)
class Format:
    """How to know a file format, and what it can hold."""

    magic: bytes  # pattern of the first bytes; a name may lie, these do not
    suffixes: tuple[str, ...]
    types: tuple[str, ...] = ("uint8",)  # of the samples, the finest last
    alpha: bool = False
    max_side: int = 2**31 - 1  # pixels
    loader: str = ""  # libvips' name for it, if libvips does it


FORMATS = {
    "jpeg": Format(
        rb"\xff\xd8\xff", (".jpg", ".jpeg", ".jpe", ".jfif"), max_side=65500, loader="jpeg"
    ),
    "png": Format(
        rb"\x89PNG\r\n\x1a\n", (".png",), ("uint8", "uint16"), alpha=True, loader="png"
    ),
    "webp": Format(rb"RIFF.{4}WEBP", (".webp",), alpha=True, max_side=16383, loader="webp"),
    "tiff": Format(
        rb"II[*+]\0|MM\0[*+]",
        (".tif", ".tiff"),
        ("uint8", "uint16", "float32"),
        alpha=True,
        loader="tiff",
    ),
    "gif": Format(rb"GIF8[79]a", (".gif",), alpha=True, max_side=65535, loader="gif"),
    "avif": Format(
        rb".{4}ftyp(.{4}){0,9}?avi[fs]",
        (".avif",),
        ("uint8", "uint16"),
        alpha=True,
        max_side=16384,
        loader="heif",
    ),
    "bmp": Format(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", (".bmp",)),
    "ppm": Format(rb"P[2356][\s#]", (".ppm", ".pgm", ".pnm"), ("uint8", "uint16")),
}
READABLE_SUFFIXES = frozenset(suffix for form in FORMATS.values() for suffix in form.suffixes)

_WHITE = {"uint8": 255, "uint16": 65535, "float32": 1.0}
_COLOURS = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb16": 3, "scrgb": 3}  # by libvips' name
_PPM_HEADER = re.compile(rb"P([2356])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded file: upright pixels and everything that must survive.

    Raises UsageError for arrays of another shape or type.
    """

    pixels: Array  # (H, W, C), C = 1 grey or 3 RGB; uint8, uint16, float32 (0..1, not clipped)
    alpha: Array | None = None  # (H, W) of the same type, not premultiplied; None if opaque
    icc: bytes | None = None  # colour profile
    exif: bytes | None = None  # begins with b"Exif\0\0"; says orientation 1 if any
    dpi: tuple[float, float] | None = None  # across, down
    format: str | None = None  # key of FORMATS, as read; None if made from an array
    lossy: bool = False  # came from a lossy file

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, str(self.pixels.dtype)
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape or kind not in _WHITE:
            wanted = f"(height, width, 1 or 3) of {_either(_WHITE)}"
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
        return _WHITE[str(self.pixels.dtype)]


def format_of(path: Path) -> str:
    """The format that a file name asks for: `format_of(Path("a.JPG")) == "jpeg"`.

    Raises UsageError for a suffix that belongs to none.
    """
    for name, form in FORMATS.items():
        if path.suffix.lower() in form.suffixes:
            return name
    raise UsageError(f"{path}: no picture has this suffix; use {_either(READABLE_SUFFIXES)}")


def check_format(format: str, height: int, width: int, *, alpha: bool = False) -> None:  # noqa: A002
    """Refuse a picture that a format cannot hold, before the long work is done.

    Raises PictureError then, and UsageError if there is no such format.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no picture format {format!r}; use {_either(FORMATS)}")
    form, side = FORMATS[format], max(height, width)
    if side > form.max_side:
        larger = [name for name, other in FORMATS.items() if other.max_side >= side]
        fault = f"holds at most {form.max_side} pixels a side, not {width} x {height}"
        raise PictureError(f"{format} {fault}; use {_either(larger)}")
    if alpha and not form.alpha:
        clear = [name for name, other in FORMATS.items() if other.alpha]
        raise PictureError(f"{format} cannot hold transparency; use {_either(clear)}")


def read(source: Path | bytes, *, name: str = "", max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a file, or the bytes of one.

    Example: `picture = read(Path("photo.jpg"))`

    Pixels are turned upright as EXIF says; palettes become RGB, and CMYK becomes
    sRGB through its profile; alpha that is opaque everywhere is left out. Grey in
    WebP, AVIF and GIF comes back as RGB, for these formats know no grey.

    name: what messages call the picture; its path unless given.
    max_pixels: a header that declares more is refused before decoding.

    Raises PictureError for a file that is missing, no picture, damaged, cut
    short, too large, of several pages or frames, or of samples not in `Picture`.
    """
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else _contents(source, name)
    kind = _sniff(data, name)
    if FORMATS[kind].loader:
        picture = _read_vips(data, kind, name, max_pixels)
    else:
        picture = (_read_bmp if kind == "bmp" else _read_ppm)(data, name, max_pixels)
    return replace(picture, alpha=None) if _is_opaque(picture) else picture


def write(
    picture: Picture,
    target: Path,
    *,
    format: str | None = None,  # noqa: A002
    quality: int | None = None,
    overwrite: bool = False,
) -> None:
    """Encode into a file that is there whole or not at all.

    Example: `write(picture, Path("photo_x4.png"))`

    The bytes go to a temporary file in the same folder, are synced, and take the
    target's name last; whatever fails, a file that had that name is unharmed.

    format: a key of FORMATS; by the target's suffix unless given.
    quality, and how samples are converted: see `encode`.

    Raises PictureError as `encode` does, if the target exists and is not to be
    overwritten, and if the folder cannot be written.
    """
    if target.exists() and not overwrite:
        raise PictureError(f"{target}: exists already; allow overwriting or choose another name")
    data = encode(picture, format or format_of(target), quality=quality)
    part = target.with_name(f".wdsr-{secrets.token_hex(6)}.part")
    try:
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        fault = error.strerror or str(error)
        raise PictureError(f"{target}: cannot be written ({fault}); choose another place") from error


def encode(picture: Picture, format: str, *, quality: int | None = None) -> bytes:  # noqa: A002
    """The bytes of a file: `encode(picture, "png")`.

    Samples that the format has no type for become its finest, rounded: 16 bits
    become 8 in JPEG, WebP, GIF and BMP, and 12 in AVIF; floats are clipped to
    0..1 and become 16 bits in PNG, PPM and AVIF, else 8. GIF reduces colours to
    256 and alpha to on or off.

    quality: 1..100 for JPEG, WebP and AVIF, which else take 95, but WebP is
        lossless for a picture that never was lossy. From 90 up colour is not
        subsampled in JPEG and AVIF. Other formats are lossless and ignore it.

    Raises PictureError if the format cannot hold the picture, and UsageError
    for an unknown format or a quality out of range.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 to 100, not {quality}")
    if _is_opaque(picture) and format in FORMATS and not FORMATS[format].alpha:
        picture = replace(picture, alpha=None)
    check_format(format, picture.height, picture.width, alpha=picture.alpha is not None)
    if str(picture.pixels.dtype) not in FORMATS[format].types:
        picture = _convert(picture, FORMATS[format].types[-1])
    if FORMATS[format].loader:
        return _encode_vips(picture, format, quality)
    if format == "ppm":
        magic = 5 if picture.pixels.shape[2] == 1 else 6
        header = f"P{magic}\n{picture.width} {picture.height}\n{picture.white}\n"
        return header.encode() + picture.pixels.astype(picture.pixels.dtype.newbyteorder(">")).tobytes()
    buffer = io.BytesIO()
    to_pil(picture).save(buffer, "BMP")
    return buffer.getvalue()


def from_pil(image: Image.Image) -> Picture:
    """A Pillow image as a picture, upright, with its alpha even if that is opaque.

    16-bit and float grey stay so; palettes and other colours become RGB. Raises
    PictureError for a mode that Pillow cannot turn into RGB.
    """
    from PIL import ImageOps

    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    icc, exif = image.info.get("icc_profile"), image.info.get("exif")
    if image.mode == "CMYK":
        cmyk = _vips().Image.new_from_array(np.asarray(image)).copy(interpretation="cmyk")
        return _from_vips(_attach(cmyk, icc, exif))
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        array = np.asarray(image)
        if image.mode == "I" and not 0 <= array.min() <= array.max() <= 65535:
            raise PictureError("an image of mode I has values outside 0..65535; scale them first")
        array = array.astype(np.float32 if image.mode == "F" else np.uint16)
    else:
        grey = image.mode in ("1", "L", "La", "LA")
        try:
            array = np.asarray(image.convert(_MODES[grey, image.has_transparency_data]))
        except ValueError as error:
            raise PictureError(f"Pillow's mode {image.mode} is not read; use RGB") from error
    return replace(_split(array), icc=icc or None, exif=_upright(exif) if exif else None)


def to_pil(picture: Picture) -> Image.Image:
    """A picture as a Pillow image, with profile and EXIF in its `info`.

    Pillow holds 16 bits and floats for grey without alpha only ("I;16", "F");
    any other picture is rounded to 8 bits, floats clipped to 0..1.
    """
    from PIL import Image

    if picture.pixels.shape[2] == 3 or picture.alpha is not None:
        picture = _convert(picture, "uint8")
    image = Image.fromarray(np.squeeze(_joined(picture), 2) if grey else _joined(picture))
    for key, value in (("icc_profile", picture.icc), ("exif", picture.exif)):
        if value:
            image.info[key] = value
    return image
