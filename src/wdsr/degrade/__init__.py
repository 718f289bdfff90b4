"""What happens to pictures before anyone enlarges them: blur, resizing, noise, compression.

    lr = Preset("photo", 4)(hr, rng)  # (4h, 4w, 3) uint8 -> (h, w, 3) uint8

A step is a pure function of (image, random generator); equal generators give equal
results. The rooms here make steps from ranges (`blur`, `sizes`, `noise`, `compress`),
`step` joins them, and `presets` gives whole chains their names.

Training calls a preset for each patch, so whatever can works on the small side of
the reduction: there an x4 patch has a sixteenth of the values. Needs numpy and
Pillow only.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from wdsr.degrade.presets import PRESETS
from wdsr.degrade.step import Pixels, Step, to_pixels
from wdsr.errors import UsageError

__all__ = ["MARGIN", "PRESETS", "Preset"]

# LR pixels next to a border that a step may have had to guess beyond. Where more of the
# picture is at hand, degrade a patch this much larger on each side and cut the result.
MARGIN = 4


@dataclass(frozen=True)
class Preset:
    """A named way to make LR from HR, at one scale; can be sent to another process.

    Example: `lr = Preset("photo", 4)(hr, np.random.default_rng(0))`

    name: a key of PRESETS. scale: HR pixels per LR pixel, at least 1.

    Raises UsageError for an unknown name or scale.
    """

    name: str
    scale: int

    def __post_init__(self) -> None:
        if self.name not in PRESETS:
            raise UsageError(f"no degradation {self.name!r}: choose {', '.join(PRESETS)}")
        if self.scale < 1:
            raise UsageError(f"scale must be at least 1, not {self.scale}")

    def __call__(self, hr: Pixels, rng: Generator) -> Pixels:
        """(s*h, s*w, 3) uint8 -> (h, w, 3) uint8; odd rows and columns are cut.

        Near a border (`MARGIN` LR pixels) it has to guess what lies beyond. Raises
        UsageError for images of another shape or type, or without one pixel to give.
        """
        if hr.dtype != np.uint8 or hr.ndim != 3 or hr.shape[2] != 3:
            raise UsageError(f"an image must be (H, W, 3) uint8, not {hr.shape} {hr.dtype}")
        scale = self.scale
        height, width = hr.shape[0] // scale * scale, hr.shape[1] // scale * scale
        if height == 0 or width == 0:
            raise UsageError(f"{hr.shape[1]} x {hr.shape[0]} is too small for x{scale}")
        step = _step(self.name, scale)
        return to_pixels(step(hr[:height, :width].astype(np.float32), rng))


@functools.cache
def _step(name: str, scale: int) -> Step:
    return PRESETS[name](scale)
