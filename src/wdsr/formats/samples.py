"""Samples of one type as samples of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wdsr.errors import PictureError
from wdsr.formats.base import WHITE, Array, Picture


def converted(picture: Picture, kind: str) -> Picture:
    """The page with samples of an integer type, rounded; floats are clipped to 0..1.

    Raises PictureError for NaN and infinity.
    """

    def convert(array: Array) -> Array:
        values = array if array.dtype == np.float32 else array / np.float32(picture.white)
        if not np.isfinite(values).all():
            raise PictureError(f"NaN and infinity cannot become {kind}; replace them or use tiff")
        return np.rint(np.clip(values, 0, 1) * WHITE[kind]).astype(kind)

    if picture.pixels.dtype == kind:
        return picture
    alpha = None if picture.alpha is None else convert(picture.alpha)
    return replace(picture, pixels=convert(picture.pixels), alpha=alpha)
