"""AVIF stills by libvips, which hands profile, EXIF and XMP over as they are."""

from __future__ import annotations

from dataclasses import replace

from wdsr import exif as exifs
from wdsr.errors import PictureError
from wdsr.formats.base import Picture, described, joined
from wdsr.formats.ppm import stretched
from wdsr.formats.vips import call_saver, decoded, field, new_image, opened, vips


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. Animations are refused: their timing would be lost."""
    if data[8:12] == b"avis":
        raise PictureError("is an animated AVIF, which is not read; convert it to WebP or GIF")
    image = opened(data, "heif", most, best_effort=best_effort)
    if (field(image, "n-pages") or 1) > 1:
        raise PictureError("has several pictures; split it into single ones")
    picture = decoded(image)
    bits = field(image, "bits-per-sample")
    if picture.white == 65535 and bits in (10, 12):  # whose white is short of 65535
        arrays = [
            None if array is None else stretched(array >> (16 - bits), (1 << bits) - 1)
            for array in (picture.pixels, picture.alpha)
        ]
        assert arrays[0] is not None
        picture = replace(picture, pixels=arrays[0], alpha=arrays[1])
    icc, exif, xmp = (field(image, f"{name}-data") for name in ("icc-profile", "exif", "xmp"))
    exif = exif and exifs.PREFIX + bytes(exif).removeprefix(exifs.PREFIX)
    return described(
        replace(
            picture,
            icc=bytes(icc) if icc else None,
            exif=exif and turned_already(exif),
            xmp=bytes(xmp) if xmp else None,
            lossy=not codes_rgb(data),
        )
    )


_CODING = b"colrnclx"  # a box of HEIF: primaries, transfer, matrix; two bytes each
_HEAD = 2**16  # bytes in which it lies


def codes_rgb(data: bytes) -> bool:
    """Whether a file of AVIF or HEIC holds red, green and blue themselves, matrix 0.

    Lossless files must, since the way to luma and chroma rounds; lossy ones would be
    larger for it. Source: ISO/IEC 23091-2, 8.3, and libheif's and libavif's practice.
    """
    _, found, rest = data[:_HEAD].partition(_CODING)
    return bool(found) and rest[4:6] == b"\0\0"


def turned_already(exif: bytes) -> bytes:
    """EXIF of a file whose decoder has turned the pixels, so that nothing turns them again."""
    try:
        return exifs.updated(exif)
    except exifs.DamagedError:
        return exif


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package. Lossless as WebP is, but that 16 bits become 12."""
    image = new_image(joined(picture), picture)
    keep = vips().ForeignKeep.NONE
    for name, blob, flag in (
        ("icc-profile", picture.icc, vips().ForeignKeep.ICC),
        ("exif", picture.exif, vips().ForeignKeep.EXIF),
        ("xmp", picture.xmp, vips().ForeignKeep.XMP),
    ):
        if blob:
            image.set_type(vips().GValue.blob_type, f"{name}-data", blob)
            keep |= flag
    x, y = picture.dpi or (25.4, 25.4)  # which leaves EXIF's own resolution alone
    # Effort 0 takes a 50th of the default's time for 15 percent more bytes. Colour is whole
    # from quality 90 up by libvips' rule.
    options = {"compression": "av1", "effort": 0, "bitdepth": 8 if picture.white == 255 else 12}
    options |= {"Q": quality or 95} if quality or picture.lossy else {"lossless": True}
    image = image.copy(xres=x / 25.4, yres=y / 25.4)
    return call_saver(image, "heif", keep=keep, **options)
