"""How large results are, and the passes that lead there."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers import noise, repeated

import wdsr
from wdsr.errors import UsageError
from wdsr.resize import resize
from wdsr.target import Target, chain
from wdsr.upscale import Upscaler


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(1, 64))
def test_a_scale_gives_the_rounded_size(height: int, width: int, scale: float) -> None:
    assert Target(scale=scale).size(height, width) == (round(height * scale), round(width * scale))


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(1, 60))
def test_sides_are_exact_and_the_other_side_keeps_the_shape(
    height: int, width: int, times: float
) -> None:
    wide, high = math.ceil(width * times), math.ceil(height * times)
    h, w = Target(width=wide).size(height, width)
    assert w == wide
    assert abs(h - height * wide / width) <= 0.5
    h, w = Target(height=high).size(height, width)
    assert h == high
    assert abs(w - width * high / height) <= 0.5
    assert Target(width=wide, height=high).size(height, width) == (high, wide)
    longest = max(wide, high)
    assert max(Target(max_side=longest).size(height, width)) == longest


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0},
        {"scale": 0.99},
        {"scale": -1},
        {"scale": math.nan},
        {"scale": math.inf},
        {"scale": 64.1},
        {"width": 0},
        {"height": -1},
        {"max_side": 0},
        {"scale": 2, "width": 9},
        {"scale": 2, "max_side": 9},
        {"max_side": 9, "height": 9},
    ],
)
def test_targets_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        Target(**options)
    for name in options:
        assert name.replace("_", "-") in str(error.value)


@pytest.mark.parametrize(
    "target",
    [
        Target(width=9),
        Target(height=7),
        Target(width=100, height=7),
        Target(width=9, height=100),
        Target(max_side=9),
        Target(max_side=641),
        Target(width=10, height=513),
    ],
)
def test_a_smaller_or_a_huge_result_is_refused(target: Target) -> None:
    with pytest.raises(UsageError, match="10 x 8"):
        target.size(height=8, width=10)


def test_suffixes_say_the_target() -> None:
    targets = {
        "_x4": Target(scale=4),
        "_x2.5": Target(scale=2.5),
        "_w9": Target(width=9),
        "_h9": Target(height=9),
        "_8x9": Target(width=8, height=9),
        "_max9": Target(max_side=9),
    }
    assert [target.suffix for target in targets.values()] == list(targets)


@given(st.floats(1, 64), st.lists(st.integers(2, 8), min_size=1, max_size=4, unique=True))
def test_the_chain_is_the_smallest_product_that_reaches_the_scale(
    scale: float, available: list[int]
) -> None:
    got = chain(scale, available)
    assert set(got) <= set(available)
    assert math.prod(got) >= scale - 1e-9
    # By search: no smaller product does, and no shorter chain gives the same.
    products: dict[int, int] = {1: 0}
    for _ in range(6):
        products |= {
            p * s: n + 1 for p, n in products.items() for s in available if p * s not in products
        }
    enough = min(p for p in products if p >= scale - 1e-9)
    assert math.prod(got) == enough
    assert len(got) == products[enough]
    assert all(a >= b for a, b in pairwise(got))


@pytest.mark.parametrize(
    "target",
    [
        Target(scale=1),
        Target(scale=2.5),
        Target(scale=3),
        Target(scale=4.5),
        Target(scale=8),
        Target(scale=17.3),
        Target(width=37),
        Target(width=19, height=60),
        Target(max_side=40),
    ],
    ids=lambda target: target.suffix,
)
@pytest.mark.parametrize("shape", [(7, 9, 3), (5, 5), (2, 1, 4)])
def test_every_target_is_met_exactly(
    nearest: object, target: Target, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    result = Upscaler(target=target).upscale(array)
    assert result.shape == (*target.size(*shape[:2]), *shape[2:])
    assert result.dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_chained_passes_are_exact_where_no_reduction_follows(
    nearest: object, dtype: str, channels: int
) -> None:
    array = noise((6, 5, channels), dtype)
    np.testing.assert_allclose(
        wdsr.load(scale=8).upscale(array), repeated(array, 8), rtol=1e-6 if "f" in dtype else 0
    )


def test_a_reduction_is_made_from_unrounded_values(nearest: object) -> None:
    array = noise((6, 20, 3), "uint8") // 2 + 50
    expected = resize(repeated(array.astype(float), 4), size=(21, 70))
    result = wdsr.load(scale=3.5).upscale(array)
    assert np.abs(result - expected).max() < 0.501  # rounded once, not after each axis
