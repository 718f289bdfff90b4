"""PSNR, SSIM and kin, with everything that changes the number asked for by name."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wdsr.color import luma as to_luma
from wdsr.resize import resize

Floats = NDArray[np.float64]

_WINDOW = 11  # pixels across SSIM's Gaussian
_ROWS = 32  # of windows at a time: what they need stays in the processor's cache
# How much each scale of MS-SSIM counts, the finest first (Wang et al., 2003).
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


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
    if min(a.shape[:2]) < _WINDOW:
        raise ValueError(f"SSIM needs 11 x 11 pixels, {a.shape[1]} x {a.shape[0]} are left")
    whole, _ = _similarity(a, b, data_range)
    return float(np.mean(whole))


def ms_ssim(
    image: NDArray[np.generic],
    reference: NDArray[np.generic],
    *,
    data_range: float,
    shave: int = 0,
    luma: bool = False,
) -> float:
    """SSIM over five scales, each half the one before; 1 for equal images.

    Contrast and structure count at every scale, luminance at the coarsest only. A
    scale whose mean contrast and structure is negative counts as 0. Parameters and
    errors as for `psnr`; at least 161 x 161 pixels must be left, so that the window
    fits the coarsest scale. Source: Wang et al., "Multi-scale structural similarity
    for image quality assessment", 2003.
    """
    a, b = _prepare(image, reference, data_range, shave, luma)
    if not fits_ms_ssim(*a.shape[:2]):
        raise ValueError(f"MS-SSIM needs 161 x 161 pixels, {a.shape[1]} x {a.shape[0]} are left")
    result: Floats | float = 1.0
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        whole, contrast = _similarity(a, b, data_range)
        last = scale == len(_SCALE_WEIGHTS) - 1
        result = result * np.maximum(whole if last else contrast, 0) ** weight
        a, b = _halve(a), _halve(b)
    return float(np.mean(result))


def fits_ms_ssim(height: int, width: int) -> bool:
    """Whether pixels that are left after shaving are enough for `ms_ssim`."""
    return min(height, width) > (_WINDOW - 1) << (len(_SCALE_WEIGHTS) - 1)


def lr_psnr(sr: NDArray[np.generic], lr: NDArray[np.generic], *, data_range: float) -> float:
    """LR-consistency in dB: how near SR, shrunk again, comes to the LR it was made from.

    It needs no HR, and finds what was invented against the evidence: a colour cast,
    a shift, a texture where LR is flat. 8-bit SR that hides nothing reaches about 50
    dB. PSNR over all pixels and channels, SR shrunk by `resize` without rounding.

    sr: (s*h, s*w) or (s*h, s*w, C). lr: (h, w) or (h, w, C).

    Raises ValueError if one size is not a whole multiple of the other.
    """
    scale = sr.shape[0] // max(lr.shape[0], 1)
    if scale < 1 or sr.shape != (lr.shape[0] * scale, lr.shape[1] * scale, *lr.shape[2:]):
        raise ValueError(f"SR is no whole multiple of LR: {sr.shape} and {lr.shape}")
    shrunk = resize(sr.astype(np.float32), size=(lr.shape[0], lr.shape[1]))
    return psnr(shrunk, lr, data_range=data_range)


def _prepare(
    image: NDArray[np.generic],
    reference: NDArray[np.generic],
    data_range: float,
    shave: int,
    luma: bool,
) -> tuple[Floats, Floats]:
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


def _similarity(a: Floats, b: Floats, data_range: float) -> tuple[Floats, Floats]:
    """Per channel, the mean of SSIM and of its contrast and structure alone."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    sums = np.zeros((2, *a.shape[2:]))
    height = a.shape[0] - _WINDOW + 1
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS + _WINDOW - 1)
        x, y = a[rows], b[rows]
        mean_x, mean_y = _window(x), _window(y)
        squares, product = mean_x**2 + mean_y**2, mean_x * mean_y
        variances = _window(x * x + y * y) - squares  # linear, so one pass for both
        covariance = _window(x * y) - product
        contrast = (2 * covariance + c2) / (variances + c2)
        luminance = (2 * product + c1) / (squares + c1)
        sums += [(luminance * contrast).sum(axis=(0, 1)), contrast.sum(axis=(0, 1))]
    whole, contrast = sums / (height * (a.shape[1] - _WINDOW + 1))
    return whole, contrast


def _window(image: Floats) -> Floats:
    """Gaussian-weighted mean over every 11 x 11 window that fits."""
    kernel = np.exp(-((np.arange(_WINDOW) - 5) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    height, width = (side - _WINDOW + 1 for side in image.shape[:2])
    rows = _weighted(kernel, [image[i : i + height] for i in range(_WINDOW)])
    return _weighted(kernel, [rows[:, i : i + width] for i in range(_WINDOW)])


def _weighted(weights: Floats, terms: list[Floats]) -> Floats:
    total: Floats = weights[0] * terms[0]
    product = np.empty_like(total)
    for weight, term in zip(weights[1:], terms[1:], strict=True):
        total += np.multiply(term, weight, out=product)
    return total


def _halve(image: Floats) -> Floats:
    """Mean of each 2 x 2 block; an odd side is continued by its last row or column."""
    edge = [(0, side % 2) for side in image.shape[:2]] + [(0, 0)] * (image.ndim - 2)
    image = np.pad(image, edge, mode="edge")
    rows: Floats = image[::2] + image[1::2]
    halved: Floats = (rows[:, ::2] + rows[:, 1::2]) / 4
    return halved
