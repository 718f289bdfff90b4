"""Colour as super-resolution scores see it, and colour beside transparency."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# ITU-R BT.601, studio range, as MATLAB's rgb2ycbcr: Y = 16 + 65.481 R + ... for RGB in [0, 1].
_LUMA = np.array([65.481, 128.553, 24.966]) / 255


def luma(image: NDArray[np.generic], *, data_range: float) -> NDArray[np.float64]:
    """BT.601 luma in studio range (MATLAB's `rgb2ycbcr`), unrounded.

    image: (H, W, 3) RGB, or (H, W) / (H, W, 1) grey, which is scaled likewise.
    data_range: the value of white, e.g. 255; luma is given on the same scale
        (white is 235 / 255 of it, black 16 / 255).

    Returns (H, W) float64. Raises ValueError for other channel counts.
    """
    offset = 16 / 255 * data_range
    if image.ndim == 3 and image.shape[2] == 3:
        return np.asarray(image.astype(np.float64) @ _LUMA + offset)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim != 2:
        raise ValueError(f"luma needs a grey or RGB image, not shape {image.shape}")
    return np.asarray(image.astype(np.float64) * _LUMA.sum() + offset)


def is_neutral(image: NDArray[Any]) -> bool:
    """Whether the three channels of an RGB image (H, W, 3) are the same everywhere.

    A network tells them apart by a few levels, so that a black and white photograph would
    get tints: it is enlarged as the grey that it is.
    """
    return image.shape[2] == 3 and all(
        np.array_equal(some[..., 0], some[..., band])
        for some in (image[:1], image)  # most pictures are settled by the first row
        for band in (1, 2)
    )


def extend_under_alpha(image: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Replace the colour of fully transparent pixels by that of their visible surroundings.

    What an encoder left under alpha = 0 is arbitrary; a network would smear it
    into the visible edge. Visible pixels stay as they are.

    image: (H, W, C). alpha: (H, W); 0 is transparent.
    Returns an array like image; image itself if nothing is transparent, or all is.
    """
    visible = np.greater(alpha, 0)
    if visible.all() or not visible.any():
        return image
    # Push-pull: average the visible pixels down to ever coarser levels, then fill
    # each level's holes from the next coarser one.
    hidden_as_0 = np.where(visible[..., None], image, 0).astype(np.float32)
    levels = [(hidden_as_0, visible.astype(np.float32))]
    while min(levels[-1][1].shape) > 0 and max(levels[-1][1].shape) > 1:
        total, weight = levels[-1]
        levels.append((_halve(total), _halve(weight[..., None])[..., 0]))
    total, weight = levels.pop()
    fill = total / np.maximum(weight, 1e-12)[..., None]
    while levels:
        total, weight = levels.pop()
        height, width = weight.shape
        fill = fill.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        known = weight[..., None] > 0
        fill = np.where(known, total / np.maximum(weight, 1e-12)[..., None], fill)
    if image.dtype.kind in "ui":
        fill = np.rint(fill)
    return np.where(visible[..., None], image, fill.astype(image.dtype))


def _halve(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum of each 2 x 2 block; odd sides count a missing row or column as nothing."""
    height, width = values.shape[:2]
    padded = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]


def within_neighbours(alpha: NDArray[Any], lr: NDArray[Any]) -> NDArray[Any]:
    """Enlarged alpha without echoes: nowhere beyond the values that the input has nearby.

    A network answers a hard edge with faint rings on both sides, which show as
    lines on a plain background. So what lies amid transparent pixels stays
    transparent, and what lies amid opaque ones opaque.

    alpha: (H, W). lr: (h, w) of the same type. Near is: the pixel itself and the
    eight around it. Returns an array like alpha.
    """
    rows, columns = (
        (np.arange(large) * 2 + 1) * small // (2 * large)
        for large, small in zip(alpha.shape, lr.shape, strict=True)
    )
    around = np.lib.stride_tricks.sliding_window_view(np.pad(lr, 1, "edge"), (3, 3))
    low, high = around.min(axis=(2, 3)), around.max(axis=(2, 3))
    result: NDArray[Any] = np.clip(alpha, low[rows[:, None], columns], high[rows[:, None], columns])
    return result
