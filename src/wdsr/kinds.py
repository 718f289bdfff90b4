"""What people hold pictures in: paths, bytes, PIL images, arrays. In one kind, out the same."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import picture as pictures
from wdsr.errors import LossWarning, PictureError, UsageError
from wdsr.picture import Picture

Back = Callable[[Picture], Any]
Size = tuple[int, int]  # (height, width)
_ADVICE = ": use .astype(np.uint8) if its values are 0 to 255"

FAR_ABOVE_WHITE = 16  # floats that reach this were not meant as 0 to 1, however bright the light


def from_array(array: NDArray[Any], *, data_range: float | None = None) -> Picture:
    """A picture from an array.

    array: (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or
        (H, W, 4) RGBA; uint8, uint16 or floating.
    data_range: the value of white; if not given, 1 in a floating array and the
        largest value of an integer type.

    Raises UsageError for other shapes and types, a data_range that is not above
    0, and floats far above 1 when none is given: it cannot be guessed.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise UsageError(
            f"an image is (height, width) or (height, width, 1 to 4 channels), not {array.shape}"
        )
    if array.size == 0:
        raise UsageError(f"the image is empty: {array.shape}")
    if data_range is not None and not 0 < data_range < math.inf:
        raise UsageError(f"data_range must be above 0, not {data_range:g}")
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind != "f" and dtype not in (np.uint8, np.uint16):
        advice = {"b": ": use .astype(np.uint8) * 255", "i": _ADVICE, "u": _ADVICE}
        fault = f"an image is uint8, uint16 or floating, not {dtype}"
        raise UsageError(fault + advice.get(dtype.kind, ""))
    if dtype.kind == "f" and data_range is None:
        top = np.max(np.abs(array), where=np.isfinite(array), initial=0)
        if top > FAR_ABOVE_WHITE:
            raise UsageError(
                f"a floating image is read as 0 to 1, but this one reaches {top:g}: "
                "give data_range (the value of white, e.g. 255)"
            )
    if dtype.kind == "f" or data_range not in (None, np.iinfo(dtype).max):
        array = array.astype(np.float32) / np.float32(data_range or 1)
    else:
        array = array.astype(dtype, copy=False)
    array = array[..., None] if array.ndim == 2 else array
    if array.shape[2] in (2, 4):
        return Picture(array[..., :-1], alpha=array[..., -1])
    return Picture(array)


def check_values(picture: Picture) -> None:
    """Refuse floats that are no numbers, or so far above white that white is not 1.

    Raises PictureError.
    """
    for values in (picture.pixels, picture.alpha):
        if values is None or values.dtype.kind != "f":
            continue
        if not np.isfinite(values).all():
            raise PictureError("the image holds NaN or infinite values: replace them first")
        if (top := np.max(np.abs(values))) > FAR_ABOVE_WHITE:
            raise PictureError(
                f"floats are read as 0 to 1, but these reach {top:g}: divide them by the value "
                "of white first (in Python, give an array and data_range)"
            )


def to_array(
    picture: Picture, like: NDArray[Any], *, data_range: float | None = None
) -> NDArray[Any]:
    """The picture as an array with the type and number of axes of `like`."""
    array = picture.pixels
    if picture.alpha is not None:
        array = np.concatenate([array, picture.alpha[..., None]], axis=2)
    if array.dtype.kind == "f":
        array = array * np.float32(data_range or 1)
        if like.dtype.kind == "u":
            array = np.clip(np.rint(array), 0, data_range)
    result: NDArray[Any] = (array[..., 0] if like.ndim == 2 else array).astype(like.dtype)
    return result


def to_picture(
    x: Any,
    *,
    output: Path | None,
    overwrite: bool = False,
    name: str,
    size: Callable[[int, int], Size],
    data_range: float | None,
) -> tuple[Picture, Back]:
    """A picture, and the function that turns the larger picture back into the kind of `x`.

    output: where to write, for a path; beside the input with `name` added if None.
    overwrite: whether that may be there already.
    size: from (height, width) to those of the larger picture.

    Warns (LossWarning) of all that a file held and the result will not.

    Raises UsageError for any other kind and for an option that `x` has no use
    for, PictureError if a file cannot be read, or its result not be written.
    """
    if output is not None and not isinstance(x, (str, Path)):
        raise UsageError("output is for paths: other results are given back, not written")
    if overwrite and not isinstance(x, (str, Path)):
        raise UsageError("overwrite is for paths: other results are given back, not written")
    if data_range is not None and not isinstance(x, np.ndarray):
        raise UsageError("data_range is for arrays: all else knows its own white")
    if isinstance(x, np.ndarray):
        return from_array(x, data_range=data_range), lambda p: to_array(p, x, data_range=data_range)
    if isinstance(x, (bytes, bytearray, memoryview)):
        picture = pictures.read(bytes(x))
        kind = picture.format or "png"
        _check_fits(picture, kind, size, "the picture")
        return picture, lambda p: pictures.encode(p, kind)
    if isinstance(x, (str, Path)):
        path = Path(x)
        target = output or path.parent / f"{path.stem}{name}{path.suffix}"
        if target.exists() and not overwrite:
            raise PictureError(f"{target}: exists already; give another output, or overwrite=True")
        if target.exists() and target.samefile(path):
            raise UsageError(f"{target}: the result would replace the input; give another output")
        picture = pictures.read(path)
        _check_fits(picture, pictures.format_of(target), size, str(path))

        def write(picture: Picture) -> Path:
            pictures.write(picture, target, overwrite=overwrite)
            return target

        return picture, write
    if isinstance(x, Picture):
        return x, lambda p: p
    if "PIL.Image" in sys.modules and isinstance(x, sys.modules["PIL.Image"].Image):
        return pictures.from_pil(x), pictures.to_pil
    raise UsageError(
        f"cannot upscale a {type(x).__name__}: give a path, bytes, a numpy array or a PIL image"
    )


def _check_fits(picture: Picture, kind: str, size: Callable[[int, int], Size], name: str) -> None:
    """Refuse what the format cannot hold before the long work, and warn of what it will lose."""
    sizes = [size(page.height, page.width) for page in picture.pages]
    for line in (*pictures.noted(picture), *pictures.check_output(picture, kind, sizes)):
        warnings.warn(f"{name}: {line}", LossWarning, stacklevel=4)
