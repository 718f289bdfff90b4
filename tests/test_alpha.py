"""Transparency through the shipped models: no fringes, and nothing hidden shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.helpers import Array, noise, photograph, repeated

import wdsr
from wdsr.resize import resize
from wdsr.upscale import Upscaler


def disc(colour: tuple[int, int, int], garbage: int | None) -> Array:
    """RGBA: a disc of one colour with a soft edge, and anything under full transparency."""
    y, x = np.mgrid[0:48, 0:64]
    alpha = np.clip((16 - np.hypot(y - 24, x - 32)) / 4, 0, 1)
    array = np.empty((48, 64, 4), np.uint8)
    array[..., :3] = colour
    array[..., 3] = np.rint(alpha * 255)
    hidden = array[..., 3] == 0
    if garbage is not None:
        array[hidden, :3] = noise((48, 64, 3), "uint8", garbage)[hidden]
    return array


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (180, 120, 90), (20, 90, 200)])
def test_a_disc_keeps_its_colour_up_to_its_edge(x2: Upscaler, colour: tuple[int, int, int]) -> None:
    result = x2.upscale(disc(colour, garbage=0))
    # What the network makes of that colour alone, without any edge.
    flat = x2.upscale(disc(colour, garbage=None)[..., :3])
    seen = result[..., 3] > 0
    assert 0.1 < seen.mean() < 0.5
    difference = np.abs(result[..., :3].astype(int) - flat)[seen]
    assert difference.max() <= 1
    # The edge is that of the input, not softer and not rimmed by opacity.
    expected = resize(disc(colour, None)[..., 3], scale=2)
    assert np.abs(result[..., 3].astype(int) - expected).mean() < 2


def test_what_is_hidden_never_shows(x2: Upscaler) -> None:
    first, second = (x2.upscale(disc((200, 40, 90), garbage)) for garbage in (1, 2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_flat_alpha_stays_exact(x2: Upscaler, dtype: str, level: float) -> None:
    white = 1 if "float" in dtype else np.iinfo(dtype).max
    array = (photograph() / 255 * white).astype(dtype)
    value = np.array(level * white).astype(dtype)
    result = x2.upscale(np.dstack([array, np.full((48, 64), value)]))
    assert (result[..., 3] == value).all()
    if level == 1:
        np.testing.assert_array_equal(result[..., :3], x2.upscale(array))


def test_alpha_and_colour_do_not_mix(nearest: object) -> None:
    array = noise((5, 6, 4), "uint8")
    np.testing.assert_array_equal(wdsr.load(scale=2).upscale(array), repeated(array, 2))


def test_alpha_outside_its_range_is_clipped_flat_or_not(nearest: list[dict[str, Any]]) -> None:
    for low, high in ((-0.4, -0.4), (1.5, 1.5), (-0.4, 1.5)):
        array = np.full((4, 6, 4), 0.5, np.float32)
        array[:, :3, 3], array[:, 3:, 3] = low, high
        alpha = wdsr.load(scale=2).upscale(array)[..., 3]
        np.testing.assert_array_equal(alpha, repeated(array[..., 3].clip(0, 1), 2))
