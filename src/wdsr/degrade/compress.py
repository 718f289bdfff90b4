"""Lossy compression, there and back in memory."""

from __future__ import annotations

import io

import numpy as np
from numpy.random import Generator
from PIL import Image as Pillow
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from wdsr.degrade.step import Image, Range, Step, to_pixels


def jpeg(quality: Range, colour_halved: float = 0.5) -> Step:
    """JPEG there and back; the blocks begin at a random place, as in a picture cut out.

    colour_halved: probability of 4:2:0, else 4:4:4.
    """

    def step(image: Image, rng: Generator) -> Image:
        subsampling = 2 if rng.random() < colour_halved else 0
        level = round(rng.uniform(*quality))
        top, left = (int(n) for n in rng.integers(16 if subsampling else 8, size=2))
        wide = np.pad(to_pixels(image), ((top, 0), (left, 0), (0, 0)), mode="edge")
        buffer = io.BytesIO()
        Pillow.fromarray(wide).save(buffer, "JPEG", quality=level, subsampling=subsampling)
        buffer.seek(0)
        return np.asarray(JpegImageFile(buffer), np.float32)[top:, left:]

    return step


def webp(quality: Range) -> Step:
    """Lossy WebP there and back."""

    def step(image: Image, rng: Generator) -> Image:
        buffer = io.BytesIO()
        level = round(rng.uniform(*quality))
        Pillow.fromarray(to_pixels(image)).save(buffer, "WEBP", quality=level, method=0)
        buffer.seek(0)
        return np.asarray(WebPImageFile(buffer).convert("RGB"), np.float32)

    return step
