"""Agreement with the input: made small again, a result should be what it was made from.

A network is trained to be near the truth, not to obey its input; its means drift by
up to half a grey level, and its details may contradict the pixels that are known.
Back-projection moves a result by as little as is needed to agree.

Source: Irani and Peleg, "Improving resolution by image registration", 1991, 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wdsr.errors import UsageError
from wdsr.formats.base import Picture
from wdsr.resize import resize

Floats = NDArray[np.float32]

STEPS = 30  # at most; on photographs 5 to 20 are enough
NEAR = 0.05 / 255  # stop here: far below what rounding to 8 bits adds


@dataclass(frozen=True)
class Residual:
    """How far a picture made small again is from its input, in grey levels of 255."""

    largest: float
    mean: float  # of the absolute values
    drift: tuple[float, ...]  # mean of the picture less mean of the input, per channel

    def __str__(self) -> str:
        names = "RGB" if len(self.drift) == 3 else ["grey"]
        drift = " ".join(f"{n} {value:+.3f}" for n, value in zip(names, self.drift, strict=True))
        return f"residual {self.largest:.2f} at most, {self.mean:.3f} on average; drift {drift}"


def residual(sr: NDArray[Any], lr: NDArray[Any], *, white: float, lr_white: float) -> Residual:
    """Compare a picture, made small again, with its input.

    sr: (H, W, C). lr: (h, w, C), no larger. white, lr_white: the values of white in them.

    Made small as MATLAB's bicubic `imresize` does, unrounded. Raises UsageError
    for another number of channels or a picture smaller than its input.
    """
    if sr.shape[2] != lr.shape[2]:
        raise UsageError(f"cannot compare {sr.shape[2]} channels with {lr.shape[2]}")
    if sr.shape[0] < lr.shape[0] or sr.shape[1] < lr.shape[1]:
        raise UsageError(
            f"{sr.shape[1]} x {sr.shape[0]} is no enlargement of {lr.shape[1]} x {lr.shape[0]}"
        )
    largest, total, drift = 0.0, 0.0, []
    for channel in range(lr.shape[2]):  # one at a time: a third of the memory
        large = _levels(sr, channel, white)
        small = _levels(lr, channel, lr_white)
        difference = np.abs(resize(large, size=small.shape) - small)
        largest = max(largest, float(difference.max()))
        total += float(difference.mean(dtype=np.float64))
        means = (float(values.mean(dtype=np.float64)) for values in (large, small))
        drift.append(next(means) - next(means))
    return Residual(largest, total / lr.shape[2], tuple(drift))


def measured(result: Picture, picture: Picture) -> str:
    """How far a result, made small again, is from its picture, in words: of the worst page.

    Raises UsageError as `residual` does.
    """
    pages = zip(result.pages, picture.pages, strict=True)
    found = (residual(sr.pixels, lr.pixels, white=sr.white, lr_white=lr.white) for sr, lr in pages)
    return f"made small again, in levels of 255: {max(found, key=lambda each: each.largest)}"


def back_projected(sr: Floats, lr: Floats, *, dtype: DTypeLike) -> Floats:
    """A picture near `sr` that, made small, is `lr`; as near to that as clipping allows.

    sr: (H, W, C), 1.0 is white. lr: (h, w, C) likewise.
    dtype: what the result will be rounded to; whole numbers keep it within 0..1.

    Returns a new array like sr. The means of the channels come to agree too.
    """
    clip = np.issubdtype(dtype, np.integer)
    channels = [
        _projected(sr[..., channel], lr[..., channel], clip=clip) for channel in range(lr.shape[2])
    ]
    return np.stack(channels, axis=2)


def _projected(sr: Floats, lr: Floats, *, clip: bool) -> Floats:
    work = np.clip(sr, 0, 1) if clip else sr
    ahead, t = work, 1.0
    for _ in range(STEPS):
        error = lr - resize(ahead, size=lr.shape)
        if np.abs(error).max() <= NEAR:
            break
        last, work = work, ahead + resize(error, size=sr.shape)
        if clip:
            np.clip(work, 0, 1, out=work)
        # With momentum (Beck and Teboulle, 2009): where clipping binds, plain steps crawl.
        t, t_last = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        ahead = work + np.float32((t_last - 1) / t) * (work - last)
        if clip:
            np.clip(ahead, 0, 1, out=ahead)
    return ahead


def _levels(image: NDArray[Any], channel: int, white: float) -> Floats:
    return image[..., channel].astype(np.float32) * np.float32(255 / white)
