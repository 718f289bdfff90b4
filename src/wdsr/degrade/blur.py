"""Blurs, by multiplying the spectrum. Lengths are pixels of the image a step is given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from wdsr.degrade.step import Image, Range, Step


def blur(sigma: Range) -> Step:
    """Gaussian, the same in every direction: a lens a little out of focus."""
    return blur_anisotropic(sigma, ratio=(1, 1))


def blur_anisotropic(sigma: Range, ratio: Range = (0.2, 1)) -> Step:
    """Gaussian, `sigma` along a random direction and `ratio` of that across: a moving hand."""

    def step(image: Image, rng: Generator) -> Image:
        along, turn = rng.uniform(*sigma), rng.uniform(0, np.pi)
        across = along * rng.uniform(*ratio)

        def response(fy: Image, fx: Image) -> Image:
            u, v = fx * np.cos(turn) + fy * np.sin(turn), fy * np.cos(turn) - fx * np.sin(turn)
            passed: Image = np.exp(-2 * np.pi**2 * ((along * u) ** 2 + (across * v) ** 2))
            return passed

        return _filter(image, response, reach=round(4 * along))

    return step


def blur_sinc(cutoff: Range) -> Step:
    """A sharp circular low-pass, which rings along edges as hard resizing and sharpening do.

    cutoff: in cycles a pixel; 0.5 is the finest stripes along an axis.
    """

    def step(image: Image, rng: Generator) -> Image:
        edge = rng.uniform(*cutoff)

        def response(fy: Image, fx: Image) -> Image:  # soft over 0.04, so that ringing ends
            return np.clip((edge - np.hypot(fy, fx)) / 0.04 + 0.5, 0, 1)

        return _filter(image, response, reach=10)

    return step


def _filter(image: Image, response: Callable[[Image, Image], Image], reach: int) -> Image:
    """Multiply the spectrum by a response to (vertical, horizontal) frequencies."""
    height, width = image.shape[:2]
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    size = wide.shape[:2]
    fy = np.fft.fftfreq(size[0]).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size[1]).astype(np.float32)
    spectrum = np.fft.rfft2(wide, axes=(0, 1))
    spectrum *= response(fy, fx).astype(np.float32)[..., None]
    result = np.fft.irfft2(spectrum, size, axes=(0, 1)).astype(np.float32)
    return result[reach : reach + height, reach : reach + width]
