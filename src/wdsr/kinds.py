"""What people hold pictures in: paths, bytes, PIL images, arrays. In one kind, out the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import picture as pictures
from wdsr.errors import PictureError, UsageError
from wdsr.picture import Picture

Back = Callable[[Picture], Any]


def from_array(array: NDArray[Any], *, data_range: float | None = None) -> Picture:
    """A picture from an array.

    array: (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or
        (H, W, 4) RGBA; uint8, uint16 or floating.
    data_range: the value of white in a floating array; 1 if not given.

    Raises UsageError for other shapes and types, and for floats far above 1
    when data_range is not given: it cannot be guessed.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise UsageError(
            f"an image is (height, width) or (height, width, 1 to 4 channels), not {array.shape}"
        )
    if array.size == 0:
        raise UsageError(f"the image is empty: {array.shape}")
    if array.dtype.kind == "f":
        if data_range is None and np.nanmax(np.abs(array), initial=0) > 16:
            raise UsageError(
                f"a floating image is read as 0 to 1, but this one reaches {np.nanmax(array):g}: "
                "give data_range (the value of white, e.g. 255)"
            )
        array = array.astype(np.float32) / np.float32(data_range or 1)
    elif array.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"an image is uint8, uint16 or floating, not {array.dtype}")
    array = array[..., None] if array.ndim == 2 else array
    if array.shape[2] in (2, 4):
        return Picture(array[..., :-1], alpha=array[..., -1])
    return Picture(array)


def to_array(
    picture: Picture, like: NDArray[Any], *, data_range: float | None = None
) -> NDArray[Any]:
    """The picture as an array with the type and number of axes of `like`."""
    array = picture.pixels
    if picture.alpha is not None:
        array = np.concatenate([array, picture.alpha[..., None]], axis=2)
    if like.dtype.kind == "f":
        array = array * np.float32(data_range or 1)
    result: NDArray[Any] = (array[..., 0] if like.ndim == 2 else array).astype(like.dtype)
    return result


def to_picture(
    x: Any, *, output: Path | None, name: str, data_range: float | None
) -> tuple[Picture, Back]:
    """A picture, and the function that turns the larger picture back into the kind of `x`.

    output: where to write, for a path; beside the input with `name` added if None.

    Raises UsageError for any other kind, PictureError if a file cannot be read.
    """
    if isinstance(x, np.ndarray):
        return from_array(x, data_range=data_range), lambda p: to_array(p, x, data_range=data_range)
    if isinstance(x, (bytes, bytearray, memoryview)):
        read = pictures.read(bytes(x))
        return read, lambda p: pictures.encode(p, read.format or "png")
    if isinstance(x, (str, Path)):
        path = Path(x)
        target = output or path.with_name(f"{path.stem}{name}{path.suffix}")
        if target.exists():
            raise PictureError(f"{target}: exists already; give another output")

        def write(picture: Picture) -> Path:
            pictures.write(picture, target)
            return target

        return pictures.read(path), write
    if isinstance(x, Picture):
        return x, lambda p: p
    if type(x).__module__.startswith("PIL."):
        return pictures.from_pil(x), pictures.to_pil
    raise UsageError(
        f"cannot upscale a {type(x).__name__}: give a path, bytes, a numpy array or a PIL image"
    )
