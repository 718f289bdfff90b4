"""Picture files for training: finding, reading and matching them. Needs only Pillow."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wdsr.errors import PictureError, TrainingError
from wdsr.files import list_files
from wdsr.resize import resize

Pixels = NDArray[np.uint8]
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
# What Pillow raises on damaged files (not only OSError) and on gigapixels.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, struct.error)
_UNDECODABLE = (*_DAMAGED, Image.DecompressionBombError)


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name. Raises TrainingError if there are none."""
    try:
        return list_files(folder, SUFFIXES)
    except PictureError as error:
        raise TrainingError(str(error)) from error


def read_rgb(path: Path) -> Pixels:
    """Decode to (H, W, 3) uint8. Raises TrainingError naming the file."""
    try:
        with Image.open(path) as picture:
            if picture.mode[0] in "IF":  # Pillow would clip these to 8 bits, not scale them
                raise ValueError("16-bit grey or float values: convert it to 8 bits first")
            return np.asarray(picture.convert("RGB"))
    except _UNDECODABLE as error:
        raise TrainingError(f"{path}: cannot decode this picture: {error}") from error


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) as the header says. Raises TrainingError naming the file."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except _UNDECODABLE as error:
        raise TrainingError(f"{path}: cannot decode this picture: {error}") from error


def make_pair(hr: Pixels, scale: int) -> tuple[Pixels, Pixels]:
    """Crop HR to a multiple of scale and make its LR: (LR, HR)."""
    height, width = hr.shape[0] // scale * scale, hr.shape[1] // scale * scale
    hr = hr[:height, :width]  # (H, W, 3) -> (s*h, s*w, 3)
    return resize(hr, scale=1 / scale), hr


def match(hr: list[Path], lr: list[Path], scale: int) -> list[Path]:
    """The LR picture of each HR picture, by name.

    `0001.png` goes with `0001.*`, or as DIV2K names them with `0001x4.*`, and with
    `0001x4m.*` (mild) and `0001x4d.*` (difficult).

    Raises TrainingError naming what has no partner, or shares one.
    """
    mark = re.compile(rf"x{scale}[md]?$")
    known: dict[str, Path] = {}
    by_name: dict[str, Path] = {}
    doubled = []
    for path in hr:
        if (other := known.setdefault(path.stem, path)) is not path:
            doubled.append(f"{other.name} and {path.name}")
    for path in lr:
        # `matrix4.png` is of `matrix4.png`, if there is one, and not of `matri.png`.
        stem = path.stem if path.stem in known else mark.sub("", path.stem)
        if by_name.setdefault(stem, path) is not path:
            doubled.append(path.name)
    alone = [path.name for path in hr if path.stem not in by_name]
    alone_lr = [path.name for stem, path in by_name.items() if stem not in known]
    both = " and ".join(some(names) for names in (alone, alone_lr) if names)
    for names, what, shown in (
        (doubled, "two for one", some(doubled)),
        ([*alone, *alone_lr], "without a partner", both),
    ):
        if names:
            raise TrainingError(
                f"{hr[0].parent} and {lr[0].parent}: {len(names)} pictures {what}: {shown}; "
                f"LR of 0001.png is to be called 0001.png or 0001x{scale}.png "
                f"(or 0001x{scale}m.png, 0001x{scale}d.png)"
            )
    return [by_name[path.stem] for path in hr]


def fits(hr: tuple[int, int], lr: tuple[int, int], scale: int) -> bool:
    """Whether LR has the size of HR over scale, rounded down or up (as MATLAB does)."""
    return all(h // scale <= small <= -(-h // scale) for h, small in zip(hr, lr, strict=True))


def some(names: list[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
