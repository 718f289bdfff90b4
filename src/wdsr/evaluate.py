"""Scores of a model on a folder of HR pictures, by a named protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import picture as pictures
from wdsr.backends import Backend
from wdsr.errors import PictureError, UsageError
from wdsr.files import list_files
from wdsr.inference import run_tiles
from wdsr.metrics import psnr, ssim
from wdsr.resize import resize

Image = NDArray[Any]
Method = Callable[[Image, int], Image]  # (LR uint8 (H, W, 3), scale) -> SR uint8


@dataclass(frozen=True)
class Row:
    """The scores of one picture."""

    name: str
    psnr: float  # dB
    ssim: float
    seconds: float


def bicubic(lr: Image, scale: int) -> Image:
    """The baseline every table has."""
    return resize(lr, scale=scale)


def model(backend: Backend) -> Method:
    """A model as `evaluate` wants it."""
    return lambda lr, scale: run_tiles(lr, backend, white=255, dtype=np.uint8)


def evaluate(folder: Path, scale: int, method: Method) -> Iterator[Row]:
    """A row for each picture of a folder, by the classical protocol.

    HR is cropped to a multiple of the scale; LR is HR reduced by the MATLAB
    convention, uint8; SR is uint8; PSNR and SSIM are of BT.601 luma with
    `scale` pixels shaved from each border. The score of a set is the mean of
    its rows.

    Raises PictureError if a picture cannot be read, is not 8-bit, not opaque or
    too small, UsageError for a scale below 2.
    """
    if scale < 2:
        raise UsageError(f"scale must be at least 2, not {scale}")
    for path in list_files(folder, pictures.READABLE_SUFFIXES):
        hr = _rgb8(path)
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        if min(hr.shape[:2]) < 11 + 2 * scale:
            raise PictureError(f"{path}: too small to be scored at x{scale}; take it out")
        lr = resize(hr, scale=1 / scale)
        began = time.perf_counter()
        sr = method(lr, scale)
        seconds = time.perf_counter() - began
        scores = [metric(sr, hr, data_range=255, shave=scale, luma=True) for metric in (psnr, ssim)]
        yield Row(path.name, scores[0], scores[1], seconds)


def _rgb8(path: Path) -> Image:
    picture = pictures.read(path)
    pixels = picture.pixels
    if pixels.dtype != np.uint8 or picture.alpha is not None:
        kind = "transparent" if picture.alpha is not None else str(pixels.dtype)
        raise PictureError(f"{path}: {kind} pixels; the protocol is for opaque ones of 8 bits")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
