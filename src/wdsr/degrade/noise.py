"""Noise of sensors, in levels of 255.

Source: Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
single-image raw-data", 2008.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from wdsr.degrade.step import Image, Range, Step


def gaussian(sigma: Range, grey: float = 0.0) -> Step:
    """Gaussian noise of `sigma` levels; with probability `grey` the same in all three channels."""

    def step(image: Image, rng: Generator) -> Image:
        level, alike = rng.uniform(*sigma), rng.random() < grey
        shape = (*image.shape[:2], 1 if alike else 3)
        noisy: Image = image + np.float32(level) * rng.standard_normal(shape, np.float32)
        return noisy

    return step


def poisson(photons: Range) -> Step:
    """Shot noise of a sensor that counts `photons` at white: the fewer, the noisier."""

    def step(image: Image, rng: Generator) -> Image:
        unit = np.exp(rng.uniform(*np.log(photons))) / 255
        counted: Image = (rng.poisson(np.maximum(image, 0) * unit) / unit).astype(np.float32)
        return counted

    return step


def camera(strength: Range) -> Step:
    """What is left of a sensor's noise when a camera has made a picture of it.

    Shot and read noise of linear light, as sRGB's curve shows it: steeper in
    the shadows, so that light and dark end up about equally noisy. Coarser in
    colour than in brightness, as after demosaicing.

    strength: deviation of brightness in midtones, in levels, about.
    """

    def step(image: Image, rng: Generator) -> Image:
        height, width = image.shape[:2]
        linear = (np.clip(image, 0, 255) / np.float32(255)) ** np.float32(2.2)
        middle = np.float32(0.22)  # (1 / 2)^2.2
        read = np.float32(rng.uniform(0.01, 0.1))
        deviation = np.sqrt((linear + read) / (middle + read))
        deviation *= (np.maximum(linear, np.float32(0.02)) / middle) ** np.float32(1 / 2.2 - 1)
        deviation *= np.float32(rng.uniform(*strength))
        fine = rng.standard_normal((height, width, 1), np.float32)
        coarse = rng.standard_normal(((height + 1) // 2, (width + 1) // 2, 3), np.float32)
        coarse = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        share = np.float32(rng.uniform(0.3, 0.9))  # of the noise that is colour
        noisy: Image = image + deviation * (fine + share * coarse)
        return noisy

    return step
