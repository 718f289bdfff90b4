"""What every degradation is: a pure function of (image, random generator), and how to join them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.float32]  # (H, W, 3) sRGB, 0 to 255; may overshoot until it is rounded
Pixels = NDArray[np.uint8]
Step = Callable[[Image, Generator], Image]
Range = tuple[float, float]


def chain(*steps: Step) -> Step:
    """One step after the other."""
    return lambda image, rng: functools.reduce(lambda so_far, step: step(so_far, rng), steps, image)


def either(*choices: tuple[float, Step]) -> Step:
    """One of the steps, drawn by weight."""
    cumulative = np.cumsum([weight for weight, _ in choices])

    def step(image: Image, rng: Generator) -> Image:
        drawn = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        return choices[int(drawn)][1](image, rng)

    return step


def sometimes(probability: float, step: Step) -> Step:
    """The step, or else nothing."""
    return either((probability, step), (1 - probability, lambda image, rng: image))


def levels(image: Image) -> Image:
    """Rounded and clipped to whole levels, still float."""
    rounded: Image = np.clip(np.floor(image + np.float32(0.5)), 0, 255)
    return rounded


def to_pixels(image: Image) -> Pixels:
    """Rounded and clipped to 8 bits."""
    return levels(image).astype(np.uint8)
