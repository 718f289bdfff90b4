"""One pass of a network over an image of any size, tile by tile."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wdsr.backends import Backend, Batch
from wdsr.errors import ModelError
from wdsr.processor import recall
from wdsr.resize import reflect
from wdsr.tiling import Box, Tile, TilePlan, even_core

Image = NDArray[Any]  # (H, W, C)

# The largest side of a tile's core by default, in LR pixels: a larger one wastes less on
# the halo, a smaller one keeps its widest features in the processor's cache. `wdsr doctor`
# measures what is best here.
AUTO_SIDE = 172
SMALL = 16  # sides of small pictures are rounded up to this, so that they share compiled shapes


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
    enlarge = tile_runner(backend, image, white, output.dtype, self_ensemble)
    for t, sr in run_plan(plan, lambda box: read_box(image, box), enlarge):
        output[t.write.slices] = sr
        tick()
    return output


def run_plan(
    plan: TilePlan, read: Callable[[Box], Image], enlarge: Callable[[Image], Image]
) -> Iterator[tuple[Tile, Image]]:
    """Each tile of a plan with what is to be written of it, in order.

    One tile is enlarged in a thread of its own while the next is read and the one
    before is put to use.

    read: the pixels of a box, which may reach beyond the picture.
    enlarge: (h, w, C) -> (s*h, s*w, C).
    """
    if len(plan) == 1:  # a thread would take longer than a small picture
        for t in plan:
            yield t, enlarge(read(t.read))[t.keep.slices]
        return
    with ThreadPoolExecutor(1) as engine:
        running: tuple[Tile, Future[Image]] | None = None
        for t in plan:
            lr = read(t.read)
            ready, running = running, (t, engine.submit(enlarge, lr))
            if ready:
                yield ready[0], ready[1].result()[ready[0].keep.slices]
        if running:
            yield running[0], running[1].result()[running[0].keep.slices]


def tile_runner(
    backend: Backend, like: Image, white: float, dtype: np.dtype[Any], self_ensemble: bool = False
) -> Callable[[Image], Image]:
    """A function that enlarges one tile, (h, w, C) of the type of `like` -> (s*h, s*w, C)."""
    s = backend.card.scale
    # Plain 8-bit colour needs no float in Python: the engine converts, rounds and clips.
    plain = like.dtype == dtype == np.uint8 and like.shape[2] == 3 and not self_ensemble

    def enlarge(lr: Image) -> Image:
        if plain:
            sr = backend.run(np.ascontiguousarray(lr[None]))[0]
        else:
            sr = _by_floats(lr, backend, white, self_ensemble)
        if sr.shape != (lr.shape[0] * s, lr.shape[1] * s, lr.shape[2]):
            raise ModelError(
                f"{backend.card.title}: its card is wrong, it makes {sr.shape} of {lr.shape}"
            )
        return sr if plain or dtype.kind != "u" else quantise(sr, np.iinfo(dtype).max, dtype)

    return enlarge


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
    if tile is not None:
        core = tile, tile
    else:
        side = best_side(backend)
        core = even_core(height, width, (side, side))
        if max(height, width) < side - SMALL:
            core = -(-core[0] // SMALL) * SMALL, -(-core[1] // SMALL) * SMALL
    return TilePlan(height, width, backend.card.scale, backend.card.halo, core)


def side_note(backend: Backend) -> str:
    """Names the measurement of a backend's best tile, for `wdsr.processor.recall`."""
    return f"tile side, {type(backend).__name__}, {backend.precision}, {backend.card.title}"


def best_side(backend: Backend) -> int:
    """The largest side of a tile's core: as `wdsr doctor` measured it here, else AUTO_SIDE."""
    side = _recall(side_note(backend))
    return side if type(side) is int and 32 <= side <= 2048 else AUTO_SIDE


_recall = functools.lru_cache(recall)  # a file is read once
forget_sides = _recall.cache_clear


def read_box(image: Image, box: Box) -> Image:
    """The pixels of a box, continued beyond the edge by reflection."""
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
