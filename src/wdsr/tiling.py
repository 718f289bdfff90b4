"""Where tiles lie. Pure geometry: no pixels here.

Every tile of a plan reads a box of one fixed shape, so an engine compiles once:

    read    core plus halo, in LR pixels of the picture; it may reach past the
            picture's edge, where the picture is continued by reflection
    keep    the part of the tile's output that is right, in its own HR pixels
    write   where that part goes in the HR picture

As no kept pixel depends on anything outside its tile's read box, the result
does not depend on the tile size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from wdsr.errors import UsageError


@dataclass(frozen=True)
class Box:
    """Pixels from (top, left) up to, not including, (bottom, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing an (H, W, ...) array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Tile:
    """One step of a plan."""

    read: Box
    keep: Box
    write: Box


@dataclass(frozen=True)
class TilePlan:
    """Tiles that cover a picture.

    >>> plan = TilePlan(height=100, width=250, scale=4, halo=10, core=(64, 64))
    >>> len(plan), plan.shape
    (8, (84, 84))
    """

    height: int  # of the LR picture
    width: int
    scale: int
    halo: int
    core: tuple[int, int]  # (height, width) of the LR pixels a tile is there for

    def __post_init__(self) -> None:
        if min(self.height, self.width, *self.core) < 1:
            raise UsageError(
                f"tiles of {self.core} cannot cover {self.width} x {self.height} pixels"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of every tile's read box."""
        return self.core[0] + 2 * self.halo, self.core[1] + 2 * self.halo

    @property
    def overhead(self) -> float:
        """Pixels read for each pixel of a full core: how much work the halo adds."""
        return self.shape[0] * self.shape[1] / (self.core[0] * self.core[1])

    def __len__(self) -> int:
        return math.ceil(self.height / self.core[0]) * math.ceil(self.width / self.core[1])

    def __iter__(self) -> Iterator[Tile]:
        """Row by row, left to right."""
        (core_height, core_width), halo, s = self.core, self.halo, self.scale
        for top in range(0, self.height, core_height):
            for left in range(0, self.width, core_width):
                height = min(core_height, self.height - top)
                width = min(core_width, self.width - left)
                at = halo * s
                yield Tile(
                    read=Box(
                        top - halo, left - halo, top + core_height + halo, left + core_width + halo
                    ),
                    keep=Box(at, at, at + height * s, at + width * s),
                    write=Box(top * s, left * s, (top + height) * s, (left + width) * s),
                )


def even_core(height: int, width: int, largest: tuple[int, int]) -> tuple[int, int]:
    """The core, at most `largest`, that covers a picture in equal parts with least waste."""
    return tuple(  # type: ignore[return-value]
        math.ceil(side / max(math.ceil(side / limit), 1))
        for side, limit in zip((height, width), largest, strict=True)
    )
