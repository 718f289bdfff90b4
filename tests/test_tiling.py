"""Tile geometry: every pixel written once, from a box that holds all it depends on."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wdsr.errors import UsageError
from wdsr.tiling import Box, Tile, TilePlan, even_core

plans = st.builds(
    TilePlan,
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    scale=st.integers(1, 8),
    halo=st.integers(0, 12),
    core=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)


@given(plans)
def test_writes_cover_the_picture_exactly_once(plan: TilePlan) -> None:
    written = np.zeros((plan.height * plan.scale, plan.width * plan.scale), int)
    for tile in plan:
        assert min(tile.write.top, tile.write.left) >= 0
        assert tile.write.bottom <= written.shape[0]
        assert tile.write.right <= written.shape[1]
        written[tile.write.slices] += 1
    assert (written == 1).all()


@given(plans)
def test_every_read_box_has_the_plans_shape(plan: TilePlan) -> None:
    assert plan.shape == (plan.core[0] + 2 * plan.halo, plan.core[1] + 2 * plan.halo)
    for tile in plan:
        assert (tile.read.height, tile.read.width) == plan.shape


@given(plans)
def test_keep_is_a_halo_away_from_the_tiles_edge(plan: TilePlan) -> None:
    height, width = plan.shape[0] * plan.scale, plan.shape[1] * plan.scale
    margin = plan.halo * plan.scale
    for tile in plan:
        assert tile.keep.top == tile.keep.left == margin
        assert tile.keep.top < tile.keep.bottom <= height - margin
        assert tile.keep.left < tile.keep.right <= width - margin


@given(plans)
def test_what_is_kept_is_what_is_written(plan: TilePlan) -> None:
    s = plan.scale
    for tile in plan:
        assert (tile.keep.height, tile.keep.width) == (tile.write.height, tile.write.width)
        # The kept part, moved to where its tile lies in the HR picture, is the written part.
        assert tile.read.top * s + tile.keep.top == tile.write.top
        assert tile.read.left * s + tile.keep.left == tile.write.left


@given(plans)
def test_length_is_the_number_of_tiles(plan: TilePlan) -> None:
    assert len(plan) == len(list(plan))


def test_order_is_row_by_row() -> None:
    tiles = list(TilePlan(height=5, width=7, scale=2, halo=1, core=(3, 4)))
    corners = [(tile.write.top, tile.write.left) for tile in tiles]
    assert corners == [(0, 0), (0, 8), (6, 0), (6, 8)]
    # The last tile reads past the edge, but keeps only what is in the picture.
    assert tiles[-1] == Tile(
        read=Box(2, 3, 7, 9), keep=Box(2, 2, 6, 8), write=Box(top=6, left=8, bottom=10, right=14)
    )


def test_the_example_of_the_docstring() -> None:
    plan = TilePlan(height=100, width=250, scale=4, halo=10, core=(64, 64))
    assert (len(plan), plan.shape) == (8, (84, 84))


@pytest.mark.parametrize(
    "wrong",
    [{"height": 0}, {"width": 0}, {"height": -3}, {"core": (0, 5)}, {"core": (5, -1)}],
    ids=str,
)
def test_nothing_to_cover_or_to_cover_with_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"height": 8, "width": 9, "scale": 2, "halo": 3, "core": (4, 4)}
    with pytest.raises(UsageError, match="cannot cover") as caught:
        TilePlan(**{**right, **wrong})
    assert "\n" not in str(caught.value)


def test_plans_are_frozen() -> None:
    plan = TilePlan(height=8, width=9, scale=2, halo=3, core=(4, 4))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.height = 3  # type: ignore[misc]


@given(side=st.integers(1, 200_000), other=st.integers(1, 300), limit=st.integers(1, 600))
def test_even_core_covers_with_as_many_tiles_and_least_waste(
    side: int, other: int, limit: int
) -> None:
    core = even_core(side, other, (limit, 2 * limit))
    for length, part, largest in zip((side, other), core, (limit, 2 * limit), strict=True):
        tiles = math.ceil(length / part)
        assert 1 <= part <= largest
        assert tiles == math.ceil(length / largest)
        assert tiles * part - length < tiles  # a pixel less would need one tile more
        assert part == length or length > largest


def test_overhead_counts_the_halo_on_both_sides() -> None:
    assert TilePlan(100, 100, scale=4, halo=0, core=(50, 20)).overhead == 1
    assert TilePlan(100, 100, scale=4, halo=10, core=(20, 20)).overhead == 4
