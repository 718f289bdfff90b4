"""Pictures as people keep them: pixels, and everything that must survive with them.

The formats and their codecs are in `wdsr.formats`; this is the door to them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from wdsr import exif as exifs
from wdsr import formats
from wdsr.errors import DamageError, PictureError, UsageError
from wdsr.files import write_atomically
from wdsr.formats import FORMATS, READABLE_SUFFIXES, Format
from wdsr.formats.base import Picture, Timing, UndecodableError, either
from wdsr.formats.loss import KINDS, has_useless_profile, lost, oversized
from wdsr.formats.pil import from_pil, to_pil
from wdsr.formats.samples import converted

__all__ = [
    "FORMATS",
    "KINDS",
    "MAX_PIXELS",
    "READABLE_SUFFIXES",
    "Format",
    "Picture",
    "Timing",
    "carryable",
    "check_format",
    "check_output",
    "encode",
    "format_of",
    "from_pil",
    "lost",
    "noted",
    "read",
    "to_pil",
    "write",
]

MAX_PIXELS = 500_000_000  # that a header may declare: 1.5 GB of 8-bit RGB
_BMP_BYTES = 2**32 - 1 - 54  # of pixels: the file's length is a number of 32 bits


def format_of(path: Path) -> str:
    """The format that a file name asks for: `format_of(Path("a.JPG")) == "jpeg"`.

    Raises UsageError for a suffix that belongs to none.
    """
    for kind, form in FORMATS.items():
        if path.suffix.lower() in form.suffixes:
            return kind
    raise UsageError(f"{path}: no known picture suffix; use {either(sorted(READABLE_SUFFIXES))}")


def check_format(
    format: str,  # noqa: A002
    height: int,
    width: int,
    *,
    alpha: bool = False,
    others: str = "",
) -> None:
    """Refuse a picture that a format cannot hold, before the long work is done.

    others: "pages" or "frames" if there are more than one.

    Raises PictureError then, or if an extra is missing, and UsageError if there is
    no such format.
    """
    formats.check_needs(format)
    side, most = max(height, width), FORMATS[format].max_side
    if side > most:
        able = either(kind for kind, form in FORMATS.items() if form.max_side >= side)
        fault = f"{format} holds at most {most} pixels a side, not {width} x {height}"
        raise PictureError(f"{fault}; use {able}")
    if format == "bmp" and (3 * width + 3) * height > _BMP_BYTES:
        fault = f"bmp holds at most 4 GB, too little for {width} x {height}"
        raise PictureError(f"{fault}; use png, tiff or ppm")
    if alpha and not FORMATS[format].alpha:
        able = either(kind for kind, form in FORMATS.items() if form.alpha)
        raise PictureError(f"{format} cannot hold transparency; use {able}")
    # Frames may become pages, but pages, which may differ in size, not frames.
    if others and FORMATS[format].others not in (others, "pages"):
        held = {"frames": ("frames", "pages"), "pages": ("pages",)}[others]
        able = either(kind for kind, form in FORMATS.items() if form.others in held)
        raise PictureError(f"{format} cannot hold several {others}; use {able}")


def check_output(
    picture: Picture,
    format: str,  # noqa: A002
    sizes: list[tuple[int, int]] | None = None,
) -> list[str]:
    """Refuse a picture that a format cannot hold, and tell what it cannot carry.

    sizes: (height, width) that the pages are to have; as they are if None.

    Returns the lines of `lost`. Raises as `check_format` does.
    """
    others = "" if not picture.others else "frames" if picture.timing else "pages"
    wanted = sizes or [(page.height, page.width) for page in picture.pages]
    for page, (height, width) in zip(picture.pages, wanted, strict=True):
        check_format(format, height, width, alpha=not page.is_opaque, others=others)
    return lost(picture, format)


def noted(picture: Picture) -> list[str]:
    """The notes of all pages, each with the number of its page if there are several."""
    pages, kind = picture.pages, "frame" if picture.timing else "page"
    return [
        f"{kind} {number}: {note}" if len(pages) > 1 else note
        for number, page in enumerate(pages, 1)
        for note in page.notes
    ]


def read(
    source: Path | bytes,
    *,
    name: str = "",
    max_pixels: int = MAX_PIXELS,
    best_effort: bool = False,
    single: bool = False,
    drop_tags: bool = False,
) -> Picture:
    """Decode a file, or the bytes of one.

    Example: `picture = read(Path("photo.jpg"))`

    Pixels are turned upright as EXIF says; palettes become RGB, and CMYK becomes
    sRGB through its profile; alpha that is opaque everywhere is left out. Grey in
    WebP, AVIF, HEIC and GIF comes back as RGB: these formats know no grey. Further
    pages or frames are in `others`. What the file holds and the picture cannot is
    told in `notes`.

    name: what messages call the picture; its path unless given.
    max_pixels: of a frame; a header that declares more is refused before decoding.
    best_effort: a damaged file gives what can be decoded of it, the rest grey or black.
    single: refuse a file of several pages or frames.
    drop_tags: read a GeoTIFF or OME-TIFF too, without the tags that make it one.

    Raises PictureError for a file that is missing, no picture, damaged, cut
    short, too large, or of samples not in `Picture`.
    """
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else _contents(source, name)
    try:
        kind = formats.sniff(data)
        module = formats.codec(kind)
        if kind == "tiff" and not drop_tags:
            module.check_tags(data)
        picture: Picture = module.decode(data, kind, max_pixels, best_effort=best_effort)
        if single and picture.others:
            raise PictureError("has several pages or frames; split it into single ones")
    except PictureError as error:
        raise type(error)(f"{name}: {error}") from error
    except UndecodableError as error:
        fault = f"cannot be decoded as {kind} to the end ({' '.join(str(error).split())})"
        raise DamageError(f"{name}: {fault}; it is damaged, cut short or unusual") from error
    pages = (replace(page, format=kind) for page in picture.others)
    return replace(picture, format=kind, others=tuple(pages))


def write(
    picture: Picture,
    target: Path,
    *,
    format: str | None = None,  # noqa: A002
    quality: int | None = None,
    compression: int = 1,
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
    compression: int = 1,
) -> bytes:
    """The bytes of a file: `encode(picture, "png")`.

    Samples of a type that the format lacks become its finest, rounded: 16 bits
    become 8 in JPEG, WebP, GIF, BMP and JPEG XL; floats are clipped to 0..1 and
    become 16 bits in PNG, PPM, AVIF and HEIC, else 8. AVIF and HEIC keep 12 of 16
    bits. GIF reduces colours to 256 and alpha to on or off. `lost` tells all that
    a format does not carry.

    quality: 1..100 for JPEG, WebP, AVIF, HEIC and JPEG XL, which else take 95. But a
        JPEG is not made worse than the one it came from, and the others are lossless
        for a picture that never was lossy. From 90 up, JPEG, AVIF and HEIC
        do not subsample colour. Other formats are lossless and ignore it.
    compression: of PNG, 0 (none), 1 (quick) to 9 (smallest, slowest); of TIFF from 3 on,
        as less is hardly quicker.

    Raises PictureError if the format cannot hold the picture, and UsageError
    for an unknown format or a quality out of range.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 to 100, not {quality}")
    check_output(picture, format)
    module = formats.codec(format)
    first, *others = (_fitted(page, format) for page in picture.pages)
    # Frames share one type; pages of a TIFF need not.
    fitted = replace(first, others=tuple(others), timing=picture.timing)
    options: dict[str, Any] = {"compression": compression} if format in ("png", "tiff") else {}
    data: bytes = module.encode(fitted, format, quality, **options)
    return data


def _fitted(page: Picture, format: str) -> Picture:  # noqa: A002
    """The page as the codec of a format can take it."""
    page = carryable(page, format)
    types = FORMATS[format].types
    return page if page.pixels.dtype.name in types else converted(page, types[-1])


def carryable(page: Picture, format: str) -> Picture:  # noqa: A002
    """The page without what a format cannot carry of it; its samples are what they were."""
    if page.is_opaque and not FORMATS[format].alpha:
        page = replace(page, alpha=None)
    if has_useless_profile(page, format):
        page = replace(page, icc=None)
    if format == "jpeg":
        without: dict[str, Any] = dict.fromkeys(oversized(page))
        page = replace(page, **without)
    return replace(page, exif=_exif_for(page, format))


def _exif_for(page: Picture, format: str) -> bytes | None:  # noqa: A002
    """EXIF that says the resolution: some formats have no other place for it."""
    try:
        if page.exif:
            return exifs.updated(page.exif, dpi=page.dpi)
    except exifs.DamagedError as error:
        raise PictureError(f"its EXIF is damaged ({error}); leave it out") from error
    whole = page.dpi is None or all(abs(dots - round(dots)) < 0.05 for dots in page.dpi)
    needed = format in ("webp", "avif", "heic", "jxl") or (format == "jpeg" and not whole)
    return exifs.created(page.dpi) if page.dpi and needed else None


def _contents(path: Path, name: str) -> bytes:
    try:
        if not path.is_file():  # a device or a pipe may never end
            fault = "is not a file" if path.exists() else "does not exist"
            raise PictureError(f"{name}: {fault}; name a picture file")
        with path.open("rb") as file:
            try:
                formats.sniff(file.read(64))  # before a film of 40 GB is read
            except PictureError as error:
                raise PictureError(f"{name}: {error}") from error
            file.seek(0)
            return file.read()
    except OSError as error:
        raise PictureError(f"{name}: cannot be read ({error.strerror}); check the file") from error
