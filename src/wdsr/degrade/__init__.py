"""What happens to pictures before anyone enlarges them: blur, resizing, noise, compression.

    lr = preset("photo", 4)(hr, rng)  # (4h, 4w, 3) uint8 -> (h, w, 3) uint8

A step is a pure function of (image, random generator); equal generators give equal
results. The rooms here make steps from ranges (`blur`, `sizes`, `noise`, `compress`),
`step` joins them, and `presets` gives whole chains their names.

Training calls a preset for each patch, so whatever can works on the small side of
the reduction: there an x4 patch has a sixteenth of the values. Needs numpy and
Pillow only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from wdsr.degrade.presets import PRESETS
from wdsr.degrade.step import Pixels, to_pixels
from wdsr.errors import UsageError

__all__ = ["MARGIN", "PRESETS", "preset"]

# LR pixels next to a border that a step may have had to guess beyond. Where more of the
# picture is at hand, degrade a patch this much larger on each side and cut the result.
MARGIN = 4


def preset(name: str, scale: int) -> Callable[[Pixels, Generator], Pixels]:
    """A named way to make LR from HR.

    Example: `lr = preset("photo", 4)(hr, np.random.default_rng(0))`

    name: a key of PRESETS. scale: HR pixels per LR pixel, at least 1.

    The result takes (s*h, s*w, 3) uint8 and gives (h, w, 3) uint8; odd rows and
    columns are cut. Near a border (`MARGIN` LR pixels) it has to guess what lies beyond.

    Raises UsageError for an unknown name or scale; the result raises it for
    images of another shape or type, or without one pixel to give.
    """
    if name not in PRESETS:
        raise UsageError(f"no degradation {name!r}: choose {', '.join(PRESETS)}")
    if scale < 1:
        raise UsageError(f"scale must be at least 1, not {scale}")
    step = PRESETS[name](scale)

    def degrade(hr: Pixels, rng: Generator) -> Pixels:
        if hr.dtype != np.uint8 or hr.ndim != 3 or hr.shape[2] != 3:
            raise UsageError(f"an image must be (H, W, 3) uint8, not {hr.shape} {hr.dtype}")
        height, width = hr.shape[0] // scale * scale, hr.shape[1] // scale * scale
        if height == 0 or width == 0:
            raise UsageError(f"{hr.shape[1]} x {hr.shape[0]} is too small for x{scale}")
        return to_pixels(step(hr[:height, :width].astype(np.float32), rng))

    return degrade
