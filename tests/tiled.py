"""Shipped models on engines that are exact, pictures for them, and one pass in tiles."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wdsr import backends, zoo
from wdsr.backends import Backend
from wdsr.inference import run_tiles

Image = NDArray[Any]

MODELS = zoo.shipped()
EXACT = [("openvino", "float32"), ("openvino", "bf16"), ("onnxruntime", "float32")]
EXACT = [pair for pair in EXACT if pair[0] in backends.installed()]

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.card.title)


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
