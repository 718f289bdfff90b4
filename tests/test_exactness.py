"""With the shipped models: the same pixels for any tile, and nothing made up at edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.tiled import EXACT, MODELS, each_model, enlarge, pad, photograph, shipped

from wdsr import backends
from wdsr.zoo import Model

Image = NDArray[Any]

TILES = (32, 64, 100, 256, None)

each_exact = pytest.mark.parametrize(("engine", "precision"), EXACT)


@each_model
@each_exact
def test_pixels_are_identical_for_any_tile(model: Model, engine: str, precision: str) -> None:
    backend = shipped(model.card.title, engine, precision)
    image = photograph(70, 105)
    results = [enlarge(image, backend, tile=tile) for tile in TILES]
    assert results[0].std() > 30
    for tile, result in zip(TILES, results, strict=True):
        np.testing.assert_array_equal(result, results[-1], err_msg=f"tile {tile}")


@each_model
def test_pixels_are_within_one_level_on_torch(model: Model) -> None:
    backend = shipped(model.card.title, "torch")
    results = [enlarge(photograph(70, 105), backend, tile=tile).astype(int) for tile in TILES]
    for result in results[:-1]:
        assert np.abs(result - results[-1]).max() <= 1


@each_exact
@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint16), (1, np.uint8), (3, np.float32)])
def test_other_kinds_are_identical_for_any_tile(
    engine: str, precision: str, channels: int, dtype: Any
) -> None:
    backend = shipped(MODELS[0].card.title, engine, precision)
    image = photograph(61, 70, np.uint16 if dtype != np.uint8 else dtype, channels)
    whole = enlarge(image, backend, dtype)
    for tile in (17, 64):
        np.testing.assert_array_equal(enlarge(image, backend, dtype, tile=tile), whole)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (31, 18)], ids=str)
@pytest.mark.parametrize(
    ("model", "engine"),
    [(model, "auto") for model in MODELS] + [(MODELS[0], name) for name in backends.installed()],
    ids=lambda value: value if isinstance(value, str) else value.card.title,
)
def test_small_and_odd_pictures_equal_one_run_on_the_reflected_picture(
    model: Model, size: tuple[int, int], engine: str
) -> None:
    backend, image = shipped(model.card.title, engine), photograph(*size)
    s, halo = model.card.scale, model.card.halo
    padded = (pad(image, halo) / np.float32(255)).astype(np.float32)
    sr = backend.run(padded.transpose(2, 0, 1)[None].copy())[0].transpose(1, 2, 0)
    margin = halo * s
    expected = sr[margin:-margin, margin:-margin]
    for tile in (16, None):
        result = enlarge(image, backend, np.float32, tile=tile)
        assert result.shape == (size[0] * s, size[1] * s, 3)
        np.testing.assert_allclose(result, expected, atol=1e-5)
    levels = enlarge(image, backend)
    assert np.abs(levels - (expected * 255).clip(0, 255)).max() < 0.5 + 1e-2


@each_model
@each_exact
@pytest.mark.parametrize("level", [0, 100, 255])
def test_a_flat_picture_has_no_edge(model: Model, engine: str, precision: str, level: int) -> None:
    """Each of the s*s phases of a pixel is one value, at the border as inside."""
    backend, s = shipped(model.card.title, engine, precision), model.card.scale
    result = enlarge(np.full((13, 22, 3), level, np.uint16) * 257, backend, np.uint16, tile=10)
    phases = result.reshape(13, s, 22, s, 3)
    assert (phases == phases[:1, :, :1]).all()


@each_model
@each_exact
def test_white_stays_white_and_black_black_to_the_edge(
    model: Model, engine: str, precision: str
) -> None:
    backend = shipped(model.card.title, engine, precision)
    # bf16 rounds white's neighbourhood in steps of one level.
    slack = 1 if precision == "bf16" else 0
    for level in (0, 255):
        for tile in (16, None):
            result = enlarge(np.full((37, 53, 3), level, np.uint8), backend, tile=tile)
            assert np.abs(result.astype(int) - level).max() <= slack


@each_model
def test_grey_is_the_mean_of_the_colour_result(model: Model) -> None:
    backend, grey = shipped(model.card.title), photograph(20, 27, channels=1)
    colour = enlarge(grey.repeat(3, axis=2), backend, np.float32)
    result = enlarge(grey, backend, np.float32)
    np.testing.assert_allclose(result[..., 0], colour.mean(axis=2), atol=1e-6)
