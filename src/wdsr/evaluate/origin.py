"""Which resizer made this LR? A wrong one moves scores by up to 10 dB, silently.

A network that has learnt to undo one resizer is judged on another's pictures: without
antialiasing over 30 dB becomes 21. HR is known here, so each suspect can be tried and
compared with the LR that was given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from wdsr.metrics import psnr
from wdsr.resize import resize

Image = NDArray[Any]

# Measured on the 19 pictures of Set5 and Set14 at x2, x3 and x4, inside the border: other
# implementations of the protocol's own resizer (rounding once or in other places; Pillow's
# bicubic) are 53 to 58 dB away from ours, every other resizer is below 49 dB.
_SAME_KERNEL = 51.0
_SAME_PROGRAM = 60.0  # only the same arithmetic gets here
_SAME_PICTURE = 20.0  # the crudest resizer was 24 dB away, LR of other pictures 11 to 15
_BORDER = 3  # LR pixels left out: programs continue a picture beyond its edge differently


@dataclass(frozen=True)
class Origin:
    """What is known of one LR."""

    fits: bool  # made by the protocol's resizer, or one that no score can tell from it
    likely: str  # the resizer it fits best; "" if none fits well
    distance: float  # dB from the protocol's own downscale

    @property
    def harmful(self) -> bool:
        """Whether scores on it say little about the protocol's; a kin's cost some 0.01 dB."""
        return not self.fits and self.distance < _SAME_KERNEL


def origin(hr: Image, lr: Image, scale: int) -> Origin:
    """Compare an LR with what each resizer makes of HR.

    hr: uint8 (s*h, s*w, 3). lr: uint8 (h, w, 3).
    """
    inside = tuple(slice(_BORDER, -_BORDER) if side > 3 * _BORDER else slice(None)
                   for side in lr.shape[:2])  # fmt: skip

    def agreement(other: Image) -> float:
        return psnr(other[inside], lr[inside], data_range=255)

    own = agreement(resize(hr, scale=1 / scale))
    if own >= _SAME_PROGRAM:
        return Origin(True, "", own)
    found = {name: agreement(shrink(hr, scale)) for name, shrink in SUSPECTS.items()}
    best = max(found.values())
    if best < own + 3:
        return Origin(own >= _SAME_KERNEL, "", own)
    known = best >= _SAME_KERNEL
    names = [name for name, value in found.items() if value >= best - 0.5]  # ties: alike here
    return Origin(False, " or ".join(names) if known else "", own)


def warning(origins: Iterable[Origin]) -> str | None:
    """One line on LR pictures that the protocol's resizer did not make, if there are any."""
    origins = list(origins)
    wrong = [found for found in origins if not found.fits]
    if not wrong:
        return None
    [(likely, _)] = Counter(found.likely for found in wrong).most_common(1)
    away = min(found.distance for found in wrong)
    guess = "compressed?" if away >= _SAME_PICTURE else "are they of the same picture?"
    who = f"most likely by {likely}" if likely else f"nor by any resizer known here ({guess})"
    harmful = any(found.harmful for found in wrong)
    effect = (
        "do not compare with published ones" if harmful else "differ a little from those on ours"
    )
    return (
        f"{len(wrong)} of {len(origins)} LR pictures were not made by the protocol's resizer "
        f"(down to {away:.1f} dB from it), {who}: scores {effect}"
    )


def _pillow(resampling: Pillow.Resampling) -> Callable[[Image, int], Image]:
    def shrink(hr: Image, scale: int) -> Image:
        size = hr.shape[1] // scale, hr.shape[0] // scale
        return np.asarray(Pillow.fromarray(hr).resize(size, resampling))

    return shrink


def _aliased(kernel: Any) -> Callable[[Image, int], Image]:
    return lambda hr, scale: resize(hr, scale=1 / scale, kernel=kernel, antialias=False)


def _blurred(hr: Image, scale: int) -> Image:
    """Gaussian of sigma (s - 1) / 2, then linear, as scikit-image's `anti_aliasing`."""
    sigma = (scale - 1) / 2
    reach = math.ceil(4 * sigma)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    blurred = hr.astype(np.float32)
    for axis in (0, 1):
        edge = [(reach, reach) if i == axis else (0, 0) for i in range(3)]
        padded = np.moveaxis(np.pad(blurred, edge, mode="symmetric"), axis, 0)
        length = hr.shape[axis]
        total = sum(w * padded[i : i + length] for i, w in enumerate(kernel / kernel.sum()))
        blurred = np.moveaxis(np.asarray(total, np.float32), 0, axis)
    small = resize(blurred, scale=1 / scale, kernel="linear", antialias=False)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


SUSPECTS: dict[str, Callable[[Image, int], Image]] = {
    "Pillow BICUBIC": _pillow(Pillow.Resampling.BICUBIC),
    "Pillow BILINEAR": _pillow(Pillow.Resampling.BILINEAR),
    "Pillow LANCZOS": _pillow(Pillow.Resampling.LANCZOS),
    "Pillow BOX (OpenCV INTER_AREA)": _pillow(Pillow.Resampling.BOX),
    "OpenCV INTER_CUBIC (no antialiasing)": _aliased("bicubic-0.75"),
    "TensorFlow bicubic (no antialiasing)": _aliased("bicubic"),
    "OpenCV INTER_LINEAR (no antialiasing)": _aliased("linear"),
    "scikit-image (Gaussian, then linear)": _blurred,
    "Pillow NEAREST": _pillow(Pillow.Resampling.NEAREST),
    "every s-th pixel (OpenCV INTER_NEAREST)": lambda hr, scale: hr[::scale, ::scale],
}
