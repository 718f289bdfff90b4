"""JPEG XL of 8 bits by pylibjxl, which the extra `jxl` brings.

Of the packages that know the format it is the one that writes colour profiles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wdsr import exif as exifs
from wdsr.errors import PictureError
from wdsr.formats.avif import turned_already
from wdsr.formats.base import Picture, UndecodableError, described, joined, split
from wdsr.formats.vips import check_size


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package. A file does not tell whether it is lossy: it is taken for lossless."""
    import pylibjxl

    try:
        facts = pylibjxl.probe(data)
        check_size(facts["width"], facts["height"], most)
        if facts["have_animation"]:
            raise PictureError("is an animated JPEG XL, which is not read; convert it to WebP")
        if facts["bits_per_sample"] > 8:
            fault = f"is a JPEG XL of {facts['bits_per_sample']} bits, and 8 are read"
            raise PictureError(f"{fault}; convert it to PNG or TIFF")
        array, info = pylibjxl.decode(data, metadata=True)
    except (ValueError, RuntimeError, OSError) as error:
        raise UndecodableError(error) from error
    exif, xmp, icc = (info.get(name) for name in ("exif", "xmp", "icc"))
    exif = exif and turned_already(exifs.PREFIX + bytes(exif).removeprefix(exifs.PREFIX))
    return described(replace(split(array), icc=icc or None, exif=exif or None, xmp=xmp or None))


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package. Lossless if the picture never was lossy and no quality is asked for."""
    import pylibjxl

    array = joined(picture)
    if array.shape[2] == 2:  # which the package does not take
        array = np.dstack((picture.pixels.repeat(3, 2), array[..., 1]))
    options: dict[str, Any] = {"effort": 3, "icc": picture.icc, "xmp": picture.xmp}
    options["exif"] = picture.exif and picture.exif.removeprefix(exifs.PREFIX)
    if quality is None and not picture.lossy:
        options |= {"lossless": True}
    else:
        options |= {"distance": distance(quality or 95)}
    try:
        return bytes(pylibjxl.encode(np.ascontiguousarray(array), **options))
    except (ValueError, RuntimeError) as error:
        raise PictureError(f"cannot be encoded as jxl ({error})") from error


def distance(quality: int) -> float:
    """libjxl's measure of loss for a quality from 1 to 100, as its own command converts it."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25
