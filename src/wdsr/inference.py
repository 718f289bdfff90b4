"""One pass of a network over an image of any size, tile by tile."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wdsr.backends import Backend, Batch
from wdsr.resize import reflect
from wdsr.tiling import Box, TilePlan, even_core

Image = NDArray[Any]  # (H, W, C)

# The largest tile core by default, in LR pixels: small enough for a tile's widest
# features to stay in the processor's cache, large enough for the halo to be cheap.
AUTO_CORE = (172, 172)


def run_tiles(
    image: Image,
    backend: Backend,
    *,
    white: float,
    dtype: DTypeLike,
    tile: int | None = None,
    self_ensemble: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Image:
    """One network pass over an image, tile by tile.

    image: (H, W, C), C = 1 or 3, with values up to `white`.
    dtype: of the result: an integer type (rounded and clipped to its range) or
        float32 (1.0 is white; neither rounded nor clipped).
    tile: side of a tile's core; None chooses.
    tick: called after each tile.

    Returns (s*H, s*W, C). The picture is continued beyond its edge by symmetric
    reflection, so the convolutions' zero padding reaches no kept pixel.
    """
    plan = plan_tiles(image.shape[0], image.shape[1], backend, tile)
    s = plan.scale
    output = np.empty((plan.height * s, plan.width * s, image.shape[2]), dtype)
    low, high = backend.card.value_range
    for t in plan:
        lr = _read(image, t.read).astype(np.float32)  # (h, w, C)
        lr *= (high - low) / white
        lr += low
        batch = np.ascontiguousarray(lr.transpose(2, 0, 1)[None])  # (1, C, h, w)
        sr = _grey_or_colour(backend, batch, self_ensemble)[:, *t.keep.slices]
        sr = (sr - low) / (high - low) if (low, high) != (0.0, 1.0) else sr
        scaled = quantise(sr, np.iinfo(dtype).max, dtype) if output.dtype.kind == "u" else sr
        output[t.write.slices] = scaled.transpose(1, 2, 0)  # (C, h, w) -> (h, w, C)
        tick()
    return output


def plan_tiles(height: int, width: int, backend: Backend, tile: int | None = None) -> TilePlan:
    """The tiles of one pass over an image of this size."""
    core = (tile, tile) if tile else even_core(height, width, AUTO_CORE)
    return TilePlan(height, width, backend.card.scale, backend.card.halo, core)


def _read(image: Image, box: Box) -> Image:
    height, width = image.shape[:2]
    if box.top >= 0 and box.left >= 0 and box.bottom <= height and box.right <= width:
        return image[box.slices]
    rows = reflect(np.arange(box.top, box.bottom), height)
    columns = reflect(np.arange(box.left, box.right), width)
    return image[rows[:, None], columns]


def _grey_or_colour(backend: Backend, batch: Batch, self_ensemble: bool) -> Batch:
    """(1, C, h, w) -> (C, s*h, s*w); grey goes in as three equal channels, their mean comes out."""
    grey = batch.shape[1] == 1
    if grey:
        batch = np.repeat(batch, 3, axis=1)
    sr = _ensemble(backend, batch) if self_ensemble else backend.run(batch)[0]
    return sr.mean(axis=0, keepdims=True) if grey else sr


def _ensemble(backend: Backend, batch: Batch) -> Batch:
    """Mean over the eight flips and quarter turns, each undone."""
    total: Batch | None = None
    for turn, flip in itertools.product(range(4), (False, True)):
        view = np.rot90(batch, turn, axes=(2, 3))
        view = np.ascontiguousarray(view[..., ::-1] if flip else view)
        sr = backend.run(view)[0]
        sr = np.rot90(sr[..., ::-1] if flip else sr, -turn, axes=(1, 2))
        total = sr.copy() if total is None else np.add(total, sr, out=total)
    assert total is not None
    return total / np.float32(8)


def quantise(values: Image, white: float, dtype: DTypeLike) -> Image:
    """Float (1.0 is white) -> dtype; integers are rounded and clipped, floats only scaled."""
    scaled = values * np.float32(white)
    if np.issubdtype(dtype, np.integer):
        scaled += np.float32(0.5)  # then truncated: rounds, as nothing is negative after the clip
        np.clip(scaled, 0, white, out=scaled)
    return scaled.astype(dtype)
