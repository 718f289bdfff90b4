"""PSNR and SSIM, with everything that changes the number asked for by name."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wdsr.color import luma as to_luma


def psnr(
    image: NDArray[np.generic],
    reference: NDArray[np.generic],
    *,
    data_range: float,
    shave: int = 0,
    luma: bool = False,
) -> float:
    """Peak signal-to-noise ratio in dB: 10 log10(data_range^2 / MSE).

    Example, the classical protocol at x4:
    `psnr(sr, hr, data_range=255, shave=4, luma=True)`

    image, reference: arrays of one shape, (H, W) or (H, W, C).
    data_range: from black to white, e.g. 255 for uint8.
    shave: pixels left out along each border.
    luma: score BT.601 luma only.

    Returns infinity for equal images. Raises ValueError on unequal shapes, a
    data_range of 0 or below, or if nothing is left after shaving.
    """
    a, b = _prepare(image, reference, data_range, shave, luma)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)


def ssim(
    image: NDArray[np.generic],
    reference: NDArray[np.generic],
    *,
    data_range: float,
    shave: int = 0,
    luma: bool = False,
) -> float:
    """Structural similarity, 1 for equal images; mean over channels.

    Parameters and errors as for `psnr`; at least 11 x 11 pixels must be left.
    Gaussian window of 11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03, only where
    the window fits. Source: Wang et al., "Image quality assessment: from error
    visibility to structural similarity", 2004.
    """
    a, b = _prepare(image, reference, data_range, shave, luma)
    if min(a.shape[:2]) < 11:
        raise ValueError(f"SSIM needs 11 x 11 pixels, {a.shape[1]} x {a.shape[0]} are left")
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = _window(a), _window(b)
    var_a = _window(a * a) - mean_a**2
    var_b = _window(b * b) - mean_b**2
    cov = _window(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float(np.mean(top / bottom))


def _prepare(
    image: NDArray[np.generic],
    reference: NDArray[np.generic],
    data_range: float,
    shave: int,
    luma: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if image.shape != reference.shape:
        raise ValueError(f"images differ in shape: {image.shape} and {reference.shape}")
    if image.ndim not in (2, 3):
        raise ValueError(f"an image is (H, W) or (H, W, C), not of shape {image.shape}")
    if not data_range > 0:
        raise ValueError(f"data_range must be above 0, not {data_range}")
    height, width = image.shape[:2]
    if shave < 0 or min(height, width) <= 2 * shave:
        raise ValueError(f"nothing is left of {width} x {height} pixels after shaving {shave}")
    keep = slice(shave, height - shave), slice(shave, width - shave)
    a, b = image[keep], reference[keep]
    if luma:
        return to_luma(a, data_range=data_range), to_luma(b, data_range=data_range)
    return a.astype(np.float64), b.astype(np.float64)


def _window(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian-weighted mean over every 11 x 11 window that fits."""
    kernel = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        lines = np.moveaxis(image, axis, 0)
        length = len(lines) - 10
        total = kernel[0] * lines[:length]
        for offset in range(1, 11):
            total += kernel[offset] * lines[offset : offset + length]
        image = np.moveaxis(total, 0, axis)
    return image
