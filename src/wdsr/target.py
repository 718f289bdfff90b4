"""How large a result is to be, and by which passes of a model it gets there."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

from wdsr import zoo
from wdsr.errors import UsageError

LARGEST_SCALE = 64


@dataclass(frozen=True)
class Target:
    """How large the result is to be: one of these, or width and height together."""

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    max_side: int | None = None

    def __post_init__(self) -> None:
        sides = self.width is not None or self.height is not None
        if [self.scale is not None, self.max_side is not None, sides].count(True) != 1:
            raise UsageError("give one of scale, max-side, or width and/or height")
        for name, kind, words in (
            ("scale", numbers.Real, "a number"),
            ("width", numbers.Integral, "a whole number"),
            ("height", numbers.Integral, "a whole number"),
            ("max_side", numbers.Integral, "a whole number"),
        ):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise UsageError(f"{name.replace('_', '-')} must be {words}, not {value!r}")
        if self.scale is not None and not 1 <= self.scale <= LARGEST_SCALE:
            raise UsageError(f"scale must be from 1 to {LARGEST_SCALE}, not {self.scale:g}")
        for name in ("width", "height", "max_side"):
            side = getattr(self, name)
            if side is not None and side < 1:
                raise UsageError(f"{name.replace('_', '-')} must be at least 1, not {side}")

    @property
    def suffix(self) -> str:
        """What is added to a file's name: `_x4`, `_1920x1080`, `_w1920`, `_h1080`, `_max2048`."""
        if self.scale is not None:
            return f"_x{self.scale:g}"
        if self.width and self.height:
            return f"_{self.width}x{self.height}"
        if self.max_side:
            return f"_max{self.max_side}"
        return f"_w{self.width}" if self.width else f"_h{self.height}"

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the result for a picture of this size.

        Raises UsageError if that is smaller than the picture on either side, or
        more than 64 times larger.
        """
        if self.scale is not None:
            size = round(height * self.scale), round(width * self.scale)
        elif self.width and self.height:
            size = self.height, self.width
        else:
            factor = (
                self.max_side / max(height, width)
                if self.max_side
                else self.width / width
                if self.width
                else (self.height or 0) / height
            )
            size = max(round(height * factor), 1), max(round(width * factor), 1)
        if size[0] < height or size[1] < width:
            raise UsageError(
                f"{size[1]} x {size[0]} is smaller than the picture ({width} x {height}); "
                "wdsr only enlarges"
            )
        if size[0] > LARGEST_SCALE * height or size[1] > LARGEST_SCALE * width:
            raise UsageError(
                f"{size[1]} x {size[0]} is more than {LARGEST_SCALE} times the picture "
                f"({width} x {height})"
            )
        return size


def fitting(model: str, target: Target | None) -> Target:
    """The target, which may not contradict the scale in a model's name."""
    name, only = zoo.split_title(model)
    if target is None:
        return Target(scale=only or 4)
    if only is not None and target.scale not in (None, only):
        raise UsageError(
            f"{model} enlarges {only} times, not {target.scale:g}: give {name} for other scales"
        )
    return target


def chain(scale: float, available: Sequence[int]) -> list[int]:
    """The model scales whose product is the smallest that reaches `scale`; fewest passes first.

    >>> chain(4, [2, 3, 4]), chain(2.5, [2, 3, 4]), chain(8, [2, 3, 4]), chain(1, [2])
    ([4], [3], [4, 2], [])
    """
    if scale <= 1:
        return []
    deepest = max(math.ceil(math.log(scale, min(available)) - 1e-9), 1)
    options = [
        option
        for length in range(1, deepest + 1)
        for option in itertools.combinations_with_replacement(available, length)
        if math.prod(option) >= scale - 1e-9
    ]
    best = min(options, key=lambda option: (math.prod(option), len(option)))
    return sorted(best, reverse=True)
