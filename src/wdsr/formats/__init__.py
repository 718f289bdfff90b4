"""File formats: how to know one, what it can hold, and the codec that reads and writes it.

A codec is a module with `decode(data, kind, most) -> Picture`, where `most` is the
number of pixels that a header may declare, and `encode(picture, kind, quality) ->
bytes` for a picture that fits. Codecs raise PictureError without the file's name,
and UndecodableError with the decoder's words.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from typing import Any

from wdsr.errors import PictureError, UsageError
from wdsr.formats.base import either


@dataclass(frozen=True)
class Format:
    """How to know a file format, and what it can hold."""

    magic: bytes  # pattern of the first bytes; a name may lie, these do not
    suffixes: tuple[str, ...]
    types: tuple[str, ...]  # of the samples, the finest last
    alpha: bool
    max_side: int  # pixels
    codec: str  # module of this package
    carries: frozenset[str]  # of the kinds of metadata in `loss.KINDS`
    grey: bool = True  # knows a picture of one channel
    others: str = ""  # "pages" or "frames" if it holds more than one picture
    loader: str = ""  # libvips' name for the format, if it reads it
    needs: tuple[str, str] | None = None  # module that does not come along, and our extra with it


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


_U8, _U16, _F32 = ("uint8",), ("uint8", "uint16"), ("uint8", "uint16", "float32")
_ANY = 2**31 - 1
_ISO = _kinds("icc", "exif", "maker note", "xmp", "dpi")
_JPEG = _ISO | _kinds("iptc", "comment")
_PNG = _JPEG | _kinds("text", "gamma")
_TIFF = _kinds("icc", "exif", "xmp", "iptc", "dpi")
# fmt: off
FORMATS = {
    "jpeg": Format(rb"\xff\xd8\xff", (".jpg", ".jpeg", ".jpe", ".jfif"), _U8, False, 65500,
                   "jpeg", _JPEG, loader="jpeg"),
    "png":  Format(rb"\x89PNG\r\n\x1a\n", (".png", ".apng"), _U16, True, _ANY,
                   "png", _PNG, others="frames", loader="png"),
    "webp": Format(rb"RIFF.{4}WEBP", (".webp",), _U8, True, 16383,
                   "webp", _ISO, grey=False, others="frames", loader="webp"),
    "tiff": Format(rb"II[*+]\0|MM\0[*+]", (".tif", ".tiff"), _F32, True, _ANY,
                   "tiff", _TIFF, others="pages", loader="tiff"),
    "gif":  Format(rb"GIF8[79]a", (".gif",), _U8, True, 65535,
                   "gif", _kinds("comment"), grey=False, others="frames", loader="gif"),
    "avif": Format(rb".{4}ftyp(.{4}){0,9}?avi[fs]", (".avif",), _U16, True, 16384,
                   "avif", _ISO, grey=False, loader="heif"),
    "bmp":  Format(rb"BM.{12}[\x0c(48@l|]\0\0\0", (".bmp",), _U8, False, _ANY,
                   "bmp", _kinds("dpi")),
    "ppm":  Format(rb"P[2356][\s#]", (".ppm", ".pgm", ".pnm"), _U16, False, _ANY,
                   "ppm", _kinds()),
    "heic": Format(rb".{4}ftyp(.{4}){0,9}?(hei[cxms]|hev[cx])", (".heic", ".heif"), _U16, True,
                   16384, "heic", _ISO, grey=False, needs=("pillow_heif", "heif")),
    "jxl":  Format(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", (".jxl",), _U8, True, _ANY,
                   "jxl", _ISO, needs=("pylibjxl", "jxl")),
}
# fmt: on
READABLE_SUFFIXES = frozenset(suffix for form in FORMATS.values() for suffix in form.suffixes)


def codec(kind: str) -> Any:
    """The module that reads and writes a format. Raises PictureError if an extra is missing."""
    check_needs(kind)
    return importlib.import_module(f"wdsr.formats.{FORMATS[kind].codec}")


def check_needs(kind: str) -> None:
    """Raises PictureError, and UsageError if there is no such format."""
    if kind not in FORMATS:
        raise UsageError(f"there is no picture format {kind!r}; use {either(FORMATS)}")
    needs = FORMATS[kind].needs
    if needs and importlib.util.find_spec(needs[0]) is None:
        raise PictureError(f"{kind} needs one package more: pip install 'wdsr[{needs[1]}]'")


def sniff(data: bytes) -> str:
    """The format that the first bytes tell. Raises PictureError if they are of none."""
    for kind, form in FORMATS.items():
        if re.match(form.magic, data, re.DOTALL):
            return kind
    fault = "is none of" if data else "is empty, and so none of"
    raise PictureError(f"{fault} {either(FORMATS)}, whatever its name; convert it first")
