"""What to show of several methods on one picture: where they differ, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr.color import luma
from wdsr.errors import UsageError
from wdsr.evaluate.pairing import Pair, size
from wdsr.evaluate.protocols import CLASSICAL, Protocol
from wdsr.evaluate.scores import Maker, Row, score

Image = NDArray[Any]
Floats = NDArray[np.float64]

CROP_LR = 24  # LR pixels a side of a chosen crop: small enough to see each one


@dataclass(frozen=True)
class Crop:
    """A window of HR, in pixels from the top left."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image: Image) -> Image:
        """The window's pixels."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods on one picture."""

    pair: Pair
    protocol: Protocol
    sr: Mapping[str, Image]  # method -> its SR, bicubic first
    rows: Sequence[Row]  # in the same order

    @classmethod
    def of(
        cls, pair: Pair, makers: Mapping[str, Maker], protocol: Protocol = CLASSICAL
    ) -> Comparison:
        """Run every method. Raises what they and `score` raise."""
        sr, rows = {}, []
        for name, make in makers.items():
            sr[name], seconds = make(pair)
            rows.append(score(sr[name], pair, protocol, seconds=seconds, method=name))
        return cls(pair, protocol, sr, rows)

    def errors(self) -> dict[str, Floats]:
        """Method -> |SR - HR| of luma in levels, (H, W)."""
        hr = luma(self.pair.hr, data_range=255)
        return {name: np.abs(luma(sr, data_range=255) - hr) for name, sr in self.sr.items()}


def choose_crop(comparison: Comparison) -> Crop:
    """The square window where models differ most from one another.

    Bicubic counts only beside a single model. Difference is that between the highest
    and the lowest luma, summed over the window.
    """
    images = list(comparison.sr.values())
    images = images[1:] if len(images) > 2 else images
    lumas = [luma(image, data_range=255) for image in images]
    if len(lumas) == 1:
        lumas.append(luma(comparison.pair.hr, data_range=255))
    spread = np.max(lumas, axis=0) - np.min(lumas, axis=0)  # (H, W)
    height, width = spread.shape
    side = min(CROP_LR * comparison.pair.scale, height, width)
    total = np.zeros((height + 1, width + 1))
    total[1:, 1:] = spread.cumsum(axis=0).cumsum(axis=1)
    windows = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    windows += total[:-side, :-side]
    y, x = np.unravel_index(np.argmax(windows), windows.shape)
    return Crop(int(x), int(y), side, side)


def given_crop(values: Sequence[int], pair: Pair) -> Crop:
    """X Y W H in HR pixels. Raises UsageError if that is not inside the picture."""
    crop = Crop(*values)
    height, width = pair.hr.shape[:2]
    if (
        min(crop.x, crop.y) < 0
        or min(crop.width, crop.height) < 1
        or crop.x + crop.width > width
        or crop.y + crop.height > height
    ):
        raise UsageError(
            f"crop {crop.x} {crop.y} {crop.width} {crop.height} is not inside {pair.path}, "
            f"which has {size(pair.hr)} pixels; give X Y WIDTH HEIGHT"
        )
    return crop


def speed(makers: Mapping[str, Maker], pair: Pair, *, rounds: int = 3) -> dict[str, float]:
    """Method -> seconds for a megapixel of LR, engine ready: the best of some rounds.

    Methods run in turn, so that a machine whose speed drifts slows all of them alike.
    Finished pictures took no time here and are left out.
    """
    megapixels = pair.lr.shape[0] * pair.lr.shape[1] / 1e6
    times: dict[str, list[float]] = {}
    for turn in range(rounds + 1):  # the first, which prepares engines, does not count
        for name, make in makers.items():
            seconds = make(pair)[1]
            if turn and seconds is not None:
                times.setdefault(name, []).append(seconds / megapixels)
    return {name: min(values) for name, values in times.items()}
