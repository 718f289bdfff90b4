"""Arithmetic of other people's networks in plain numpy, and the comparison with ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wdsr import backends, zoo
from wdsr.importers import Imported, import_file
from wdsr.inference import run_tiles
from wdsr.train.export import write_model

Array = NDArray[Any]
Forward = Callable[[Array], Array]  # (H, W, 3) in [0, 1] -> (s*H, s*W, 3)


def _conv(image: Array, kernel: Array, bias: Array) -> Array:
    """(H, W, in) with a kernel (h, w, in, out), zeros around -> (H, W, out)."""
    size = kernel.shape[0]
    edge = size // 2
    padded = np.pad(image, ((edge, edge), (edge, edge), (0, 0)))
    height, width = image.shape[:2]
    total = np.zeros((height, width, kernel.shape[3]))
    for row in range(size):
        for column in range(size):
            part = padded[row : row + height, column : column + width]
            total += part @ kernel[row, column]
    return total + bias


def _agrees(path: Path, forward: Forward, scale: int, engine: str, **options: Any) -> Imported:
    imported = import_file(path, **options)
    # torch reads safetensors, which are written in no time; OpenVINO wants the whole graph.
    target = path.with_name("imported.safetensors" if engine == "torch" else "imported.onnx")
    write_model(target, imported.network, imported.card)
    model = zoo.read_model(target)
    assert model.card.scale == scale
    picture = np.random.default_rng(3).random((13, 11, 3), np.float32)
    ours = run_tiles(
        picture,
        backends.create(engine, model, precision="float32"),
        white=1.0,
        dtype=np.float32,
        tile=6,
    )
    halo = model.card.halo
    wide = np.pad(picture.astype(np.float64), ((halo, halo), (halo, halo), (0, 0)), "symmetric")
    edge = halo * scale
    theirs = forward(wide)[edge:-edge, edge:-edge]
    assert theirs.std() > 0.05  # there is something to agree about
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    return imported


@pytest.fixture
def conv() -> Callable[[Array, Array, Array], Array]:
    """`conv(image, kernel, bias)`, see above."""
    return _conv


@pytest.fixture
def agrees() -> Callable[..., Imported]:
    """`agrees(path, forward, scale, engine, **options)`: import, export, enlarge, compare to 1e-5.

    On a picture continued by reflection, which is our border rule; theirs is zeros.
    """
    return _agrees
