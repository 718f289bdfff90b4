"""With the shipped models: the same pixels for any tile, and nothing made up at edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wdsr import backends, zoo
from wdsr.backends import Backend
from wdsr.inference import run_tiles
from wdsr.zoo import Model

Image = NDArray[Any]

MODELS = zoo.shipped()
EXACT = [("openvino", "float32"), ("openvino", "bf16"), ("onnxruntime", "float32")]
EXACT = [pair for pair in EXACT if pair[0] in backends.installed()]
TILES = (32, 64, 100, 256, None)

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.card.title)
each_exact = pytest.mark.parametrize(("engine", "precision"), EXACT)


@cache
def shipped(title: str, engine: str = "auto", precision: str = "float32") -> Backend:
    model = next(model for model in MODELS if model.card.title == title)
    return backends.create(engine, model, precision=precision)


def photograph(height: int, width: int, dtype: Any = np.uint8, channels: int = 3) -> Image:
    """Slopes, waves, edges and noise, from black to white."""
    rng = np.random.default_rng(height * 1000 + width)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / (3 + c) + y / 9) + (x // 8 + y // 6 + c) % 2 for c in range(3)], 2)
    image = (waves[..., :channels] + rng.normal(0, 0.3, (height, width, channels))) / 2 + 0.1
    return (image.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)


def pad(image: Image, by: int) -> Image:
    return np.pad(image, ((by, by), (by, by), (0, 0)), mode="symmetric")


def enlarge(image: Image, backend: Backend, dtype: Any = np.uint8, **options: Any) -> Image:
    white = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1.0
    return run_tiles(image, backend, white=white, dtype=dtype, **options)


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
