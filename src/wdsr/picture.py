"""Pictures as people keep them: pixels, and everything that must survive with them.

libvips decodes and encodes. It is called by the name of one loader, chosen by the
file's first bytes, so that nothing reaches a loader outside `FORMATS`: no SVG, no
PDF, nothing that opens a network. Pillow does BMP. PPM and PGM are done right
here, because Pillow cuts 16-bit colour to 8 bits.
"""

from __future__ import annotations

import functools
import io
import logging
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wdsr.errors import DamageError, PictureError, UsageError
from wdsr.files import write_atomically
from wdsr.quality import jpeg_quality

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[Any]

MAX_PIXELS = 500_000_000  # that a header may declare: 1.5 GB of 8-bit RGB


@dataclass(frozen=True)
class Format:
    """How to know a file format, and what it can hold."""

    magic: bytes  # pattern of the first bytes; a name may lie, these do not
    suffixes: tuple[str, ...]
    types: tuple[str, ...]  # of the samples, the finest last
    alpha: bool
    max_side: int  # pixels
    loader: str  # libvips' name for the format; "" if libvips does not do it


_U8, _U16, _F32 = ("uint8",), ("uint8", "uint16"), ("uint8", "uint16", "float32")
_ANY = 2**31 - 1
# fmt: off
FORMATS = {
    "jpeg": Format(rb"\xff\xd8\xff", (".jpg", ".jpeg", ".jpe", ".jfif"), _U8, False, 65500, "jpeg"),
    "png":  Format(rb"\x89PNG\r\n\x1a\n", (".png",), _U16, True, _ANY, "png"),
    "webp": Format(rb"RIFF.{4}WEBP", (".webp",), _U8, True, 16383, "webp"),
    "tiff": Format(rb"II[*+]\0|MM\0[*+]", (".tif", ".tiff"), _F32, True, _ANY, "tiff"),
    "gif":  Format(rb"GIF8[79]a", (".gif",), _U8, True, 65535, "gif"),
    "avif": Format(rb".{4}ftyp(.{4}){0,9}?avi[fs]", (".avif",), _U16, True, 16384, "heif"),
    "bmp":  Format(rb"BM.{12}[\x0c(48@l|]\0\0\0", (".bmp",), _U8, False, _ANY, ""),
    "ppm":  Format(rb"P[2356][\s#]", (".ppm", ".pgm", ".pnm"), _U16, False, _ANY, ""),
}
# fmt: on
READABLE_SUFFIXES = frozenset(suffix for form in FORMATS.values() for suffix in form.suffixes)

_WHITE = {"uint8": 255, "uint16": 65535, "float32": 1.0}
_SPACES = {1: ("b-w", "grey16", "b-w"), 3: ("srgb", "rgb16", "scrgb")}  # libvips' names, by _WHITE
_PPM_HEADER = re.compile(rb"P([2356])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")


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
    quality: int | None = None  # of the JPEG file it came from, 1 to 100, as its tables say

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, str(self.pixels.dtype)  # ">u2" is none of them
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
        return _WHITE[self.pixels.dtype.name]


def format_of(path: Path) -> str:
    """The format that a file name asks for: `format_of(Path("a.JPG")) == "jpeg"`.

    Raises UsageError for a suffix that belongs to none.
    """
    for kind, form in FORMATS.items():
        if path.suffix.lower() in form.suffixes:
            return kind
    raise UsageError(f"{path}: no known picture suffix; use {_either(sorted(READABLE_SUFFIXES))}")


def check_format(format: str, height: int, width: int, *, alpha: bool = False) -> None:  # noqa: A002
    """Refuse a picture that a format cannot hold, before the long work is done.

    Raises PictureError then, and UsageError if there is no such format.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no picture format {format!r}; use {_either(FORMATS)}")
    side, most = max(height, width), FORMATS[format].max_side
    if side > most:
        others = _either(kind for kind, form in FORMATS.items() if form.max_side >= side)
        fault = f"{format} holds at most {most} pixels a side, not {width} x {height}"
        raise PictureError(f"{fault}; use {others}")
    if alpha and not FORMATS[format].alpha:
        others = _either(kind for kind, form in FORMATS.items() if form.alpha)
        raise PictureError(f"{format} cannot hold transparency; use {others}")


def read(
    source: Path | bytes,
    *,
    name: str = "",
    max_pixels: int = MAX_PIXELS,
    best_effort: bool = False,
) -> Picture:
    """Decode a file, or the bytes of one.

    Example: `picture = read(Path("photo.jpg"))`

    Pixels are turned upright as EXIF says; palettes become RGB, and CMYK becomes
    sRGB through its profile; alpha that is opaque everywhere is left out. Grey in
    WebP, AVIF and GIF comes back as RGB: these formats know no grey.

    name: what messages call the picture; its path unless given.
    max_pixels: a header that declares more is refused before decoding.
    best_effort: a damaged file gives what can be decoded of it, the rest grey or black.

    Raises PictureError for a file that is missing, no picture, damaged, cut
    short, too large, of several pages or frames, or of samples not in `Picture`.
    """
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else _contents(source, name)
    kind = _sniff(data, name)
    readers = {"bmp": _read_bmp, "ppm": _read_ppm}
    if best_effort and kind not in readers:
        picture = _read_vips(data, kind, name, max_pixels, "none")
    else:
        picture = readers.get(kind, _read_vips)(data, kind, name, max_pixels)
    quality = jpeg_quality(data) if kind == "jpeg" else None
    alpha = None if _is_opaque(picture) else picture.alpha
    return replace(picture, format=kind, alpha=alpha, quality=quality)


def write(
    picture: Picture,
    target: Path,
    *,
    format: str | None = None,  # noqa: A002
    quality: int | None = None,
    compression: int = 3,
    overwrite: bool = False,
) -> None:
    """Encode into a file that is there whole or not at all.

    Example: `write(picture, Path("photo_x4.png"))`

    Whatever fails, a file that had the target's name is unharmed.

    format: a key of FORMATS; by the target's suffix unless given.
    quality, compression: see `encode`.

    Raises PictureError as `encode` does, if the target exists and may not be
    overwritten, and if the folder cannot be written.
    """
    try:
        if not overwrite and target.exists():
            raise PictureError(f"{target}: exists already; allow overwriting or rename the result")
        kind = format or format_of(target)
        write_atomically(target, encode(picture, kind, quality=quality, compression=compression))
    except OSError as error:
        fault = f"cannot be written ({error.strerror or error})"
        raise PictureError(f"{target}: {fault}; choose another place") from error


def encode(
    picture: Picture,
    format: str,  # noqa: A002
    *,
    quality: int | None = None,
    compression: int = 3,
) -> bytes:
    """The bytes of a file: `encode(picture, "png")`.

    Samples of a type that the format lacks become its finest, rounded: 16 bits
    become 8 in JPEG, WebP, GIF and BMP; floats are clipped to 0..1 and become 16
    bits in PNG, PPM and AVIF, else 8. AVIF keeps 12 of 16 bits. GIF reduces
    colours to 256 and alpha to on or off.

    quality: 1..100 for JPEG, WebP and AVIF, which else take 95, but WebP is
        lossless for a picture that never was lossy. From 90 up colour is not
        subsampled in JPEG and AVIF. Other formats are lossless and ignore it.
    compression: of PNG, 0 (none) to 9 (smallest, slowest).

    Raises PictureError if the format cannot hold the picture, and UsageError
    for an unknown format or a quality out of range.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 to 100, not {quality}")
    check_format(format, picture.height, picture.width, alpha=not _is_opaque(picture))
    form = FORMATS[format]
    if not form.alpha:
        picture = replace(picture, alpha=None)
    if picture.pixels.dtype.name not in form.types:
        picture = _convert(picture, form.types[-1])
    if form.loader:
        return _encode_vips(picture, format, quality, compression)
    if format == "ppm":
        magic = "P5" if picture.pixels.shape[2] == 1 else "P6"
        header = f"{magic}\n{picture.width} {picture.height}\n{picture.white}\n".encode()
        return header + picture.pixels.astype(picture.pixels.dtype.newbyteorder(">")).tobytes()
    buffer = io.BytesIO()
    to_pil(picture).save(buffer, "BMP")
    return buffer.getvalue()


def from_pil(image: Image.Image) -> Picture:
    """A Pillow image as a picture, upright, with its alpha even if that is opaque.

    16-bit and float grey stay so, palettes become RGB. Raises PictureError for
    other modes than "1", L, LA, P, PA, RGB, RGBA, I (0..65535), "I;16" and F.
    """
    from PIL import ImageOps

    if image.getexif().get(0x0112, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode in ("1", "L", "La", "LA"):
        array = np.asarray(image.convert("LA" if image.has_transparency_data else "L"))
    elif image.mode in ("P", "PA", "RGB", "RGBX", "RGBa", "RGBA"):
        array = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    elif image.mode == "F":
        array = np.asarray(image)
    elif image.mode.startswith("I"):
        array = np.asarray(image)
        if array.min() < 0 or array.max() > 65535:
            raise PictureError("an image of mode I has values outside 0..65535; scale them first")
        array = array.astype(np.uint16)
    else:
        raise PictureError(f"Pillow's mode {image.mode} is not read; convert the image to RGB")
    icc, exif = image.info.get("icc_profile"), image.info.get("exif")
    return replace(_split(array), icc=icc or None, exif=_upright(exif) if exif else None)


def to_pil(picture: Picture) -> Image.Image:
    """A picture as a Pillow image, with profile and EXIF in its `info`.

    Pillow holds 16 bits ("I;16") and floats ("F") only for grey without alpha;
    any other picture is rounded to 8 bits, as by `encode`.
    """
    from PIL import Image

    if picture.pixels.shape[2] == 3 or picture.alpha is not None:
        picture = _convert(picture, "uint8")
    array = _joined(picture)
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    info = {"icc_profile": picture.icc, "exif": picture.exif}
    image.info |= {key: value for key, value in info.items() if value}
    return image


def _contents(path: Path, name: str) -> bytes:
    try:
        if not path.is_file():  # a device or a pipe may never end
            fault = "is not a file" if path.exists() else "does not exist"
            raise PictureError(f"{name}: {fault}; name a picture file")
        with path.open("rb") as file:
            _sniff(file.read(64), name)  # before a film of 40 GB is read
            file.seek(0)
            return file.read()
    except OSError as error:
        raise PictureError(f"{name}: cannot be read ({error.strerror}); check the file") from error


def _sniff(data: bytes, name: str) -> str:
    for kind, form in FORMATS.items():
        if re.match(form.magic, data, re.DOTALL):
            return kind
    fault = "is none of" if data else "is empty, and so none of"
    raise PictureError(f"{name}: {fault} {_either(FORMATS)}, whatever its name; convert it first")


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if not 0 < width * height <= max_pixels:
        limit = f"from 1 to {max_pixels} are read"
        raise PictureError(f"{name}: declares {width} x {height} pixels, {limit}; cut it up first")


def _undecodable(name: str, kind: str, reason: object) -> DamageError:
    fault = f"cannot be decoded as {kind} ({reason})"
    return DamageError(f"{name}: {fault}; it is damaged, cut short or unusual")


@functools.cache
def _vips() -> Any:
    logging.getLogger("pyvips").setLevel(logging.CRITICAL + 1)  # faults come as exceptions
    import pyvips  # 50 to 170 ms, so only when a file is touched

    pyvips.cache_set_max(0)  # nothing is decoded twice, so keep nothing
    return pyvips


def _read_vips(
    data: bytes, kind: str, name: str, max_pixels: int, fail_on: str = "warning"
) -> Picture:
    # libjpeg merely warns of wrong codes and lost data, so "warning" it must be. The harmless
    # warnings of libpng and libtiff (odd profiles, unknown tags) do not count as such.
    vips = _vips()
    vips.vips_lib.vips_error_clear()  # or an older fault would be told
    try:
        loader = f"{FORMATS[kind].loader}load_buffer"
        image = vips.Operation.call(loader, data, fail_on=fail_on, access="sequential")
        _check_size(name, image.width, image.height, max_pixels)
        # libvips takes the first frame of an animated PNG or AVIF for all there is.
        animated = data.find(b"acTL", 0, data.find(b"IDAT")) > 0 if kind == "png" else False
        if animated or data[8:12] == b"avis" or (_field(image, "n-pages") or 1) > 1:
            raise PictureError(f"{name}: has several pages or frames; split it into single ones")
        picture = _from_vips(image, name)
    except vips.Error as error:
        # Some cameras put this into good JPEG files; damage further on then goes unseen.
        if fail_on == "warning" and "Invalid SOS parameters" in error.detail:
            return _read_vips(data, kind, name, max_pixels, "error")
        lines = [line.partition(": ")[2] for line in error.detail.splitlines()]
        told = [line for line in lines if line and "bad seek" not in line]
        raise _undecodable(name, kind, told[0] if told else "load error") from error
    lossy = kind in ("jpeg", "avif") or (kind == "webp" and b"VP8L" not in data)
    return replace(picture, lossy=lossy)


def _from_vips(image: Any, name: str) -> Picture:
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        image = image.icc_transform(
            "srgb", embedded=True, input_profile="cmyk", depth=depth, black_point_compensation=True
        )
    colours = {space: count for count, spaces in _SPACES.items() for space in spaces}
    extra = image.bands - colours.get(image.interpretation, -1)  # alpha is one
    if extra not in (0, 1) or image.format not in ("uchar", "ushort", "float"):
        fault = f"{image.bands} bands of {image.format} ({image.interpretation}) are not read"
        raise PictureError(f"{name}: {fault}; convert it to RGB of 8 or 16 bits or float32")
    if (_field(image, "orientation") or 1) != 1:
        image = image.copy_memory().autorot()  # turning needs more than sequential access
    array = image.numpy().reshape(image.height, image.width, image.bands)
    bits = _field(image, "bits-per-sample")
    if image.format == "ushort" and bits in (10, 12):  # AVIF, whose white is short of 65535
        array = _stretch(array >> (16 - bits), (1 << bits) - 1)
    icc, exif = _field(image, "icc-profile-data"), _field(image, "exif-data")
    dpi = (image.xres * 25.4, image.yres * 25.4)  # from pixels per millimetre
    unsaid = (25.4,) if exif else (25.4, 72)  # what libvips says if the file says nothing
    return replace(
        _split(array),
        icc=bytes(icc) if icc else None,
        exif=_upright(bytes(exif)) if exif else None,
        dpi=None if round(dpi[0], 1) in unsaid else dpi,
    )


def _field(image: Any, name: str) -> Any:
    return image.get(name) if image.get_typeof(name) else None


def _encode_vips(picture: Picture, kind: str, quality: int | None, compression: int = 3) -> bytes:
    vips, dtype = _vips(), picture.pixels.dtype.name
    options: dict[str, Any] = {"Q": quality or 95}  # colour is whole from 90 up by libvips' rule
    match kind:
        case "webp" if quality is None and not picture.lossy:
            options = {"lossless": True, "exact": True, "effort": 0}  # exact: under alpha too
        case "avif":  # effort 0 takes a 50th of the default's time for 15 percent more bytes
            bits = 12 if dtype == "uint16" else 8
            options |= {"compression": "av1", "effort": 0, "bitdepth": bits}
        case "png":  # on photographs faster than libvips' default, and a third smaller
            options = {"compression": compression, "filter": "up"}
        case "tiff":  # such as every reader can read
            predictor = "none" if dtype == "float32" else "horizontal"
            big = picture.pixels.nbytes > 2**31
            options = {"compression": "deflate", "predictor": predictor, "bigtiff": big}
        case "gif":
            options = {}
    # 25.4 dpi leaves EXIF's own resolution alone; 72 is what files say that do not know.
    x, y = picture.dpi or ((25.4, 25.4) if picture.exif else (72, 72))
    space = _SPACES[picture.pixels.shape[2]][list(_WHITE).index(dtype)]
    image = vips.Image.new_from_array(_joined(picture))
    image = image.copy(interpretation=space, xres=x / 25.4, yres=y / 25.4)
    for field, blob in (("icc-profile-data", picture.icc), ("exif-data", picture.exif)):
        if blob:
            image.set_type(vips.GValue.blob_type, field, blob)
    keep = vips.ForeignKeep.ICC
    if picture.exif or picture.dpi:  # JPEG has its dpi in EXIF
        keep |= vips.ForeignKeep.EXIF
    try:
        saver = f"{FORMATS[kind].loader}save_buffer"
        return bytes(vips.Operation.call(saver, image, keep=keep, **options))
    except vips.Error as error:
        reason = " ".join(error.detail.split())
        raise PictureError(f"cannot be encoded as {kind} ({reason})") from error


def _read_bmp(data: bytes, kind: str, name: str, max_pixels: int) -> Picture:
    from PIL.BmpImagePlugin import BmpImageFile

    try:
        image = BmpImageFile(io.BytesIO(data))  # not Image.open: this reader and no other
        _check_size(name, image.width, image.height, max_pixels)
        return from_pil(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise _undecodable(name, kind, error) from error


def _read_ppm(data: bytes, kind: str, name: str, max_pixels: int) -> Picture:
    try:
        header = _PPM_HEADER.match(data)
        if not header or not 0 < int(header[4]) < 65536:
            raise ValueError("no width, height and maximum")
        magic, width, height, top = map(int, header.groups())
        _check_size(name, width, height, max_pixels)
        colours, body = 3 if magic in (3, 6) else 1, header.end()
        count = width * height * colours
        stored = np.dtype(np.uint8 if top < 256 else np.uint16)
        if magic > 3:
            values = np.frombuffer(data, stored.newbyteorder(">"), count, body).astype(stored)
        else:  # decimal numbers
            values = np.array(data[body:].split(maxsplit=count)[:count], stored)
        array = _stretch(values.reshape(height, width, colours), top)
    except (ValueError, OverflowError) as error:
        raise _undecodable(name, kind, error) from error
    return Picture(array)


def _stretch(array: Array, top: int) -> Array:
    """Integers 0..top to the full range of their type, rounded."""
    white = np.iinfo(array.dtype).max
    if top == white:
        return array
    wide = np.minimum(array, top).astype(np.uint32)
    return ((wide * white + top // 2) // top).astype(array.dtype)


def _convert(picture: Picture, kind: str) -> Picture:
    """The picture with samples of an integer type, rounded; floats are clipped to 0..1."""

    def convert(array: Array) -> Array:
        values = array if array.dtype == np.float32 else array / np.float32(picture.white)
        if not np.isfinite(values).all():
            raise PictureError(f"NaN and infinity cannot become {kind}; replace them or use tiff")
        return np.rint(np.clip(values, 0, 1) * _WHITE[kind]).astype(kind)

    if picture.pixels.dtype == kind:
        return picture
    alpha = None if picture.alpha is None else convert(picture.alpha)
    return replace(picture, pixels=convert(picture.pixels), alpha=alpha)


def _split(array: Array) -> Picture:
    """(H, W) or (H, W, bands), where an even number of bands ends with alpha."""
    array = np.atleast_3d(array)
    if array.shape[2] % 2:
        return Picture(array)
    return Picture(np.ascontiguousarray(array[..., :-1]), np.ascontiguousarray(array[..., -1]))


def _joined(picture: Picture) -> Array:
    """(H, W, C), or with alpha (H, W, C + 1)."""
    return picture.pixels if picture.alpha is None else np.dstack((picture.pixels, picture.alpha))


def _is_opaque(picture: Picture) -> bool:
    return picture.alpha is None or bool((picture.alpha >= picture.white).all())


def _upright(exif: bytes) -> bytes:
    """EXIF that says orientation 1, for pixels that have been turned; all else as it was.

    Source: Exif 2.3, 4.6: "Exif", 0, 0, then a TIFF header and its first directory.
    """
    tiff = bytearray(exif.removeprefix(b"Exif\0\0"))
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", tiff, entry) == (0x0112,):
                struct.pack_into(order + "H", tiff, entry + 8, 1)
    except struct.error:
        pass  # cut short: as it came
    return b"Exif\0\0" + bytes(tiff)


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
