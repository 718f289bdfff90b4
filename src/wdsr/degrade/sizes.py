"""Ways to a smaller size: resizers, a camera's sampling, a detour by another size.

An axis is resized by products of small matrices: far quicker on patches than passes by tap.
"""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from numpy.random import Generator

from wdsr.degrade.step import Image, Range, Step, levels
from wdsr.resize import taps

# Parts of a (target, source) matrix: rows, columns, and what stands there.
Bands = tuple[tuple[slice, slice, Image], ...]
Resizer = Literal["bicubic", "lanczos", "bilinear", "area"]

RESIZERS: tuple[Resizer, ...] = ("bicubic", "lanczos", "bilinear", "area")


def shrink(scale: int, resizers: tuple[Resizer, ...] = ("bicubic",)) -> Step:
    """Reduce by a whole scale with one of the resizers, and round to levels.

    With "bicubic", what `wdsr.resize.resize` makes of uint8: the field's own LR.
    """

    def step(image: Image, rng: Generator) -> Image:
        size = _reduced(image, scale)
        return _resize(image, size, resizers[int(rng.integers(len(resizers)))], rounded=True)

    return step


def focus(scale: int, sigma: Range, shift: float = 0) -> Step:
    """Reduce by a whole scale as a camera does: a Gaussian spot, then one sample a pixel.

    sigma: of the spot, in pixels of the result; 0.45 is about as sharp as bicubic.
    shift: largest displacement, in pixels of the result; the picture is then a
        little off its place.
    """

    def step(image: Image, rng: Generator) -> Image:
        spot = rng.uniform(*sigma)
        (top, left), size = rng.uniform(-shift, shift, 2), _reduced(image, scale)
        rows = _spot(image.shape[0], size[0], spot, top)
        columns = _spot(image.shape[1], size[1], spot, left)
        return _both_axes(rows, columns, image)

    return step


def detour(scale: int, factor: Range, between: Step) -> Step:
    """Reduce by a whole scale in two goes, with a step between them.

    factor: size at which `between` works, as a multiple of the result's size:
        above 1 the picture is reduced again, below 1 enlarged.
    """

    def step(image: Image, rng: Generator) -> Image:
        size, by = _reduced(image, scale), rng.uniform(*factor)
        middle = max(round(size[0] * by), 1), max(round(size[1] * by), 1)
        first, second = (RESIZERS[int(which)] for which in rng.integers(len(RESIZERS), size=2))
        image = between(_resize(image, middle, first, rounded=True), rng)
        return _resize(image, size, second, rounded=True)

    return step


def _reduced(image: Image, scale: int) -> tuple[int, int]:
    return image.shape[0] // scale, image.shape[1] // scale


def _resize(image: Image, size: tuple[int, int], resizer: Resizer, *, rounded: bool) -> Image:
    rows = _weights(image.shape[0], size[0], resizer)
    columns = _weights(image.shape[1], size[1], resizer)
    return _both_axes(rows, columns, image, rounded=rounded)


def _both_axes(rows: Bands, columns: Bands, image: Image, *, rounded: bool = False) -> Image:
    """Along both axes; rounded to levels after each, as MATLAB does."""
    height, width = image.shape[:2]
    h, w = rows[-1][0].stop, columns[-1][0].stop
    flat = _times(rows, image.reshape(height, width * 3))
    if rounded:
        flat = levels(flat)
    turned = flat.reshape(h, width, 3).transpose(1, 0, 2).reshape(width, h * 3)
    result = _times(columns, turned).reshape(w, h, 3).transpose(1, 0, 2)
    return levels(result) if rounded else result


def _times(bands: Bands, image: Image) -> Image:
    result = np.empty((bands[-1][0].stop, image.shape[1]), np.float32)
    for target, source, weights in bands:
        np.matmul(weights, image[source], out=result[target])
    return result


def _bands(matrix: Image) -> Bands:
    """A matrix cut into the parts that are not zero, eight rows at a time.

    That is less work, and products so small are done in one thread: those of a
    linear algebra library would fight with the threads of a training step.
    """
    bands = []
    for top in range(0, len(matrix), 8):
        part = matrix[top : top + 8]
        used = np.flatnonzero(part.any(axis=0))
        first, end = int(used[0]), int(used[-1]) + 1
        weights = np.ascontiguousarray(part[:, first:end])
        bands.append((slice(top, top + len(part)), slice(first, end), weights))
    return tuple(bands)


@functools.lru_cache(maxsize=64)
def _weights(source: int, target: int, resizer: Resizer) -> Bands:
    """The (target, source) matrix that resizes an axis, antialiased, mirrored at the ends."""
    if resizer in ("bicubic", "lanczos"):
        indices, values = taps(source, target, target / source, kernel=resizer)
        matrix = np.zeros((target, source))
        np.add.at(matrix, (np.arange(target)[:, None], indices), values)
    else:
        away = np.abs(_distances(source, target)) / max(source / target, 1)
        # An area's edge cuts through source pixels, which count in part.
        sharp = max(source / target, 1)
        matrix = np.clip((0.5 - away) * sharp + 0.5, 0, 1) if resizer == "area" else 1 - away
        matrix = np.maximum(matrix, 0)
        matrix /= matrix.sum(axis=1, keepdims=True)
    return _bands(matrix.astype(np.float32))


def _spot(source: int, target: int, sigma: float, shift: float) -> Bands:
    """The (target, source) matrix of Gaussian spots; `sigma` and `shift` in target pixels."""
    away = _distances(source, target) - np.float32(shift * source / target)
    away *= np.float32(target / source / max(sigma, 1e-3))
    away *= away
    away -= away.min(axis=1, keepdims=True)  # the nearest pixel counts, however small the spot
    matrix: Image = np.exp(np.float32(-0.5) * away)
    matrix *= matrix > 1e-4
    matrix /= matrix.sum(axis=1, keepdims=True)
    return _bands(matrix)


def _distances(source: int, target: int) -> Image:
    """(target, source): from a target pixel's centre to a source pixel's, in source pixels."""
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    distances: Image = np.subtract(np.arange(source), centres[:, None], dtype=np.float32)
    return distances
