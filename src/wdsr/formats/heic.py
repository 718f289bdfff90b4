"""HEIC by pillow-heif, which the extra `heif` brings."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np

from wdsr import exif as exifs
from wdsr.errors import PictureError
from wdsr.formats.avif import codes_rgb, turned_already
from wdsr.formats.base import Picture, UndecodableError, described, joined, split
from wdsr.formats.ppm import stretched
from wdsr.formats.vips import check_size


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. Pixels come upright; depth and gain maps are left out and noted."""
    import pillow_heif

    try:
        file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        if len(file) > 1:
            raise PictureError("has several pictures; split it into single ones")
        width, height = file.size
        check_size(width, height, most)
        array = np.asarray(file)
    except (OSError, ValueError, RuntimeError, EOFError, SyntaxError) as error:
        raise UndecodableError(error) from error
    info = file.info
    bits = info.get("bit_depth", 8)
    if array.dtype == np.uint16:
        array = stretched(array >> (16 - bits), (1 << bits) - 1)
    extra = {"depth_images": "depth map", "aux": "auxiliary picture"}
    notes = [f"its {name} is left out" for key, name in extra.items() if info.get(key)]
    exif, xmp, icc = (info.get(name) for name in ("exif", "xmp", "icc_profile"))
    exif = exif and turned_already(exifs.PREFIX + bytes(exif).removeprefix(exifs.PREFIX))
    return described(
        replace(
            split(array),
            icc=bytes(icc) if icc else None,
            exif=exif or None,
            xmp=bytes(xmp) if xmp else None,
            lossy=not codes_rgb(data),
            notes=tuple(notes),
        )
    )


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package. Lossless as AVIF is; else colour is not subsampled from quality 90 up."""
    import pillow_heif

    array = joined(picture)
    mode = "RGBA" if picture.alpha is not None else "RGB"
    if picture.pixels.shape[2] == 1:
        array = np.dstack((picture.pixels.repeat(3, 2), *array[..., 1:].transpose(2, 0, 1)))
    if picture.white == 65535:
        mode += ";16"
    if quality is None and not picture.lossy:
        options: dict[str, Any] = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
    else:
        quality = quality or 95
        options = {"quality": quality, "chroma": 444 if quality >= 90 else 420}
    if picture.exif:
        options["exif"] = picture.exif
    if picture.xmp:
        options["xmp"] = picture.xmp
    if picture.icc:
        options |= {"icc_profile": picture.icc, "icc_profile_type": "prof"}
    pillow_heif.options.SAVE_HDR_TO_12_BIT = True
    buffer = io.BytesIO()
    size = picture.width, picture.height
    try:
        pillow_heif.encode(mode, size, np.ascontiguousarray(array).tobytes(), buffer, **options)
    except (ValueError, RuntimeError, OSError) as error:
        raise PictureError(f"cannot be encoded as heic ({error})") from error
    return buffer.getvalue()
