"""One pass of a network over an image of any size, tile by tile."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wdsr.backends import Backend, Batch
from wdsr.errors import ModelError
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
    dtype: of the result: uint8 or uint16 (rounded and clipped to its range), or
        float32 (1.0 is white; neither rounded nor clipped).
    tile: side of a tile's core; None chooses.
    tick: called after each tile.

    Returns (s*H, s*W, C). The picture is continued beyond its edge by symmetric
    reflection, so the convolutions' zero padding reaches no kept pixel.
    """
    plan = plan_tiles(image.shape[0], image.shape[1], backend, tile)
    s = plan.scale
    output = np.empty((plan.height * s, plan.width * s, image.shape[2]), dtype)
    # Plain 8-bit colour needs no float in Python: the engine converts, rounds and clips.
    plain = image.dtype == output.dtype == np.uint8 and image.shape[2] == 3 and not self_ensemble
    for t in plan:
        lr = _read(image, t.read)  # (h, w, C)
        if plain:
            sr = backend.run(np.ascontiguousarray(lr[None]))[0]
        else:
            sr = _by_floats(lr, backend, white, self_ensemble)
        if sr.shape != (lr.shape[0] * s, lr.shape[1] * s, lr.shape[2]):
            raise ModelError(
                f"{backend.card.title}: its card is wrong, it makes {sr.shape} of {lr.shape}"
            )
        sr = sr[t.keep.slices]
        if output.dtype.kind == "u" and not plain:
            sr = quantise(sr, np.iinfo(dtype).max, dtype)
        output[t.write.slices] = sr
        tick()
    return output


def _by_floats(lr: Image, backend: Backend, white: float, self_ensemble: bool) -> Image:
    """(h, w, C) up to `white` -> float32 (s*h, s*w, C) where 1.0 is white."""
    low, high = backend.card.value_range
    batch = lr.transpose(2, 0, 1)[None].astype(np.float32)  # (1, C, h, w)
    batch *= np.float32((high - low) / white)
    batch += np.float32(low)
    sr = _grey_or_colour(backend, batch, self_ensemble)  # (C, s*h, s*w)
    return ((sr - np.float32(low)) / np.float32(high - low)).transpose(1, 2, 0)


def plan_tiles(height: int, width: int, backend: Backend, tile: int | None = None) -> TilePlan:
    """The tiles of one pass over an image of this size."""
    core = (tile, tile) if tile is not None else even_core(height, width, AUTO_CORE)
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
