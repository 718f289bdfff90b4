"""Resizing by the MATLAB convention: the field's own definition of "low resolution".

Nearly every published super-resolution score is for LR pictures made by MATLAB's
`imresize(..., 'bicubic')`. It differs from most libraries in three ways: when
shrinking, the kernel is stretched by the scale (antialiasing); pixel centres are
aligned as (x + 0.5) * scale - 0.5; and the picture is continued by symmetric
reflection. Scores on LR pictures made any other way are not comparable.

Source: Keys, "Cubic convolution interpolation", 1981 (a = -0.5); MATLAB's
documentation of `imresize`.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Kernel = Literal["bicubic", "lanczos", "linear", "bicubic-0.75"]
Scalar = TypeVar("Scalar", bound=np.generic)  # whatever comes in goes out

# Full width in source pixels.
_SUPPORT: dict[str, float] = {"bicubic": 4.0, "lanczos": 6.0, "linear": 2.0, "bicubic-0.75": 4.0}


def resize(
    image: NDArray[Scalar],
    *,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    kernel: Kernel = "bicubic",
    antialias: bool = True,
) -> NDArray[Scalar]:
    """Resize an image as MATLAB's `imresize` does.

    Example: `lr = resize(hr, scale=1 / 4)`

    image: (H, W) or (H, W, C); uint8, uint16 or floating. Integers are rounded
        and clipped to their range after each axis, as MATLAB does; floats are
        neither.
    scale: output size is ceil(scale * size), rounding errors aside. Or
    size: (height, width) of the output; each axis then has its own scale.
    kernel: "bicubic" (a = -0.5), "lanczos" (a = 3), "linear", or "bicubic-0.75",
        the cubic of OpenCV and torch, which no published LR picture was made with.
    antialias: stretch the kernel when shrinking. False gives the aliased
        results of libraries that do not.

    Returns a new array of the same dtype. Raises ValueError for an empty image, a
    size below one pixel, a dtype that holds no levels (bool, complex), an unknown
    kernel, and if not exactly one of scale and size is given.
    """
    if (scale is None) == (size is None):
        raise ValueError("give either scale or size")
    if kernel not in _SUPPORT:
        raise ValueError(f"kernel must be one of {', '.join(_SUPPORT)}, not {kernel!r}")
    if image.ndim not in (2, 3):
        raise ValueError(f"an image is (H, W) or (H, W, C), not of shape {image.shape}")
    if not np.issubdtype(image.dtype, np.integer) and not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"cannot resize {image.dtype} values")
    height, width = image.shape[:2]
    if min(height, width) < 1:
        raise ValueError(f"cannot resize an empty image ({width} x {height})")
    if scale is not None:
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be a number above 0, not {scale}")
        size = (_ceil(height * scale), _ceil(width * scale))
        scales = (scale, scale)
    else:
        assert size is not None
        scales = (size[0] / height, size[1] / width)
    if min(size) < 1:
        raise ValueError(f"cannot resize to {size[1]} x {size[0]} pixels")
    # MATLAB treats the axis with the smaller scale first; rows when equal.
    result = image
    for axis in (0, 1) if scales[0] <= scales[1] else (1, 0):
        result = _resize_axis(result, axis, size[axis], scales[axis], kernel, antialias)
    return image.copy() if result is image else result


def _ceil(length: float) -> int:
    return math.ceil(length - 1e-9)  # 110 * 1.1 is 121 pixels, though above 121 in binary


def _resize_axis(
    image: NDArray[Scalar],
    axis: int,
    length: int,
    scale: float,
    kernel: Kernel,
    antialias: bool,
) -> NDArray[Scalar]:
    if length == image.shape[axis] and scale == 1:
        return image
    indices, weights = taps(image.shape[axis], length, scale, kernel=kernel, antialias=antialias)
    work: type[np.floating[Any]] = np.float64
    if image.dtype in (np.uint8, np.float16, np.float32):
        work = np.float32
    shape = [1] * image.ndim
    shape[axis] = length
    factors = weights.astype(work)
    total: NDArray[np.floating[Any]] | None = None
    for tap in range(indices.shape[1]):  # few taps, long axes: one pass per tap
        part: NDArray[np.floating[Any]] = np.take(image, indices[:, tap], axis=axis).astype(work)
        part *= factors[:, tap].reshape(shape)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    if np.issubdtype(image.dtype, np.integer):
        limit = np.iinfo(str(image.dtype))
        np.clip(np.floor(total + 0.5), limit.min, limit.max, out=total)
    return total.astype(image.dtype)


def taps(
    source: int, target: int, scale: float, *, kernel: Kernel = "bicubic", antialias: bool = True
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Source indices and weights for each pixel of a resized axis.

    Returns two (target, taps) arrays; each row of weights sums to 1 and
    indices are reflected into [0, source).
    """
    stretch = min(scale, 1.0) if antialias else 1.0
    width = _SUPPORT[kernel] / stretch
    centre = (np.arange(target) + 0.5) / scale - 0.5
    left = np.floor(centre - width / 2)
    index = left[:, None] + np.arange(math.ceil(width) + 2)
    weight = _kernel((centre[:, None] - index) * stretch, kernel)
    weight /= weight.sum(axis=1, keepdims=True)
    index = reflect(index.astype(np.intp), source)
    used = weight.any(axis=0)
    return index[:, used], weight[:, used]


def reflect(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Symmetric reflection of any index into [0, length): ... 1 0 | 0 1 2 | 2 1 ..."""
    index = np.mod(index, 2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def _kernel(x: NDArray[np.float64], kernel: Kernel) -> NDArray[np.float64]:
    x = np.abs(x)
    if kernel == "lanczos":
        return np.sinc(x) * np.sinc(x / 3) * (x < 3)
    if kernel == "linear":
        return np.maximum(1 - x, 0)
    a = -0.75 if kernel == "bicubic-0.75" else -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))
