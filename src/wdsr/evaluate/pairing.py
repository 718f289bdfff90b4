"""HR pictures and the LR that belongs to each, or one clear line why they do not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import picture as pictures
from wdsr.errors import PictureError, UsageError
from wdsr.files import list_files
from wdsr.resize import resize

Image = NDArray[Any]
OnBad = Callable[[PictureError], None]

# Beside a grey picture, channels further apart than this are colour, and not a network's
# noise on grey.
_GREY_SPREAD = 3  # of 255 levels


@dataclass(frozen=True, eq=False)
class Pair:
    """A picture to be enlarged and what it should become, both uint8 RGB."""

    path: Path  # of HR
    scale: int
    hr: Image  # (s*h, s*w, 3), cropped to a multiple of the scale
    lr: Image  # (h, w, 3)
    given: bool = False  # LR was read from a file, not made by us

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def pairs(
    hr: Path, scale: int, *, lr: Path | None = None, on_bad: OnBad | None = None
) -> Iterator[Pair]:
    """Each HR picture of a folder, or the one HR picture, with its LR.

    lr: folder of LR pictures, found by name: `0801.png` belongs to `0801.png`,
        `0801x4.png`, `0801_x4.png`, `0801_LR.png` or `0801_SRF_4_LR.png`. None makes
        LR by `wdsr.resize`.
    on_bad: told of each picture that is left out; without it the first one raises.

    Raises UsageError for a scale below 2, PictureError for a folder without pictures,
    and for a picture that cannot be read, has no LR, is not opaque and of 8 bits, or is
    too small, or whose LR has another size than the scale asks or lacks its colour.
    """
    if scale < 2:
        raise UsageError(f"scale must be at least 2, not {scale}")
    files = hr_files(hr)
    partners: dict[Path, Path] = {}
    if lr is not None:
        partners, faults = match(hr, lr, scale)
        for fault in faults.values():
            _tell(fault, on_bad)
    for path in files:
        if lr is not None and path not in partners:
            continue
        try:
            pair = _pair(path, scale, partners.get(path))
        except PictureError as error:
            _tell(error, on_bad)
        else:
            yield pair


def hr_files(hr: Path) -> list[Path]:
    """The pictures of a folder, or the one picture."""
    return [hr] if hr.is_file() else list_files(hr, pictures.READABLE_SUFFIXES)


def match(hr: Path, folder: Path, scale: int) -> tuple[dict[Path, Path], dict[Path, PictureError]]:
    """HR path -> the LR or SR picture of a folder with its name; and who stayed alone, and why.

    A folder may hold more than the one picture, if HR is one file and no folder.
    """
    named: dict[str, list[Path]] = {}
    for path in list_files(folder, pictures.READABLE_SUFFIXES):
        named.setdefault(path.stem, []).append(path)
    endings = _endings(scale)
    matched: dict[Path, Path] = {}
    faults = {}
    for path in hr_files(hr):
        stem = re.sub(r"(_SRF_\d)?_HR$", "", path.stem)
        found = next((named.pop(name) for end in endings if (name := stem + end) in named), [])
        if len(found) == 1:
            matched[path] = found[0]
        elif found:
            both = " and ".join(other.name for other in found[:2])
            faults[path] = PictureError(f"{folder}: {both} both belong to {path}; take one out")
        else:
            wanted = f"{stem}.png or {stem}{endings[1]}.png"
            faults[path] = PictureError(f"{path}: has no partner in {folder}, such as {wanted}")
    for path in sorted(path for paths in named.values() for path in paths):
        if not hr.is_file():
            faults[path] = PictureError(f"{path}: has no HR picture of its name; take it out")
    return matched, faults


def read_partner(path: Path, hr_path: Path, hr: Image) -> Image:
    """The LR or SR of a picture, as uint8 RGB. Raises PictureError if one alone has colour."""
    image = _rgb8(path)
    spread, hr_spread = _spread(image), _spread(hr)
    if min(spread, hr_spread) == 0 and max(spread, hr_spread) > _GREY_SPREAD:
        kinds = ("grey", "colour") if spread == 0 else ("colour", "grey")
        raise PictureError(f"{path}: is {kinds[0]}, {hr_path} is {kinds[1]}; convert one of them")
    return image


def size(image: Image) -> str:
    """`width x height`, for messages."""
    return f"{image.shape[1]} x {image.shape[0]}"


def _tell(fault: PictureError, on_bad: OnBad | None) -> None:
    if on_bad is None:
        raise fault
    on_bad(fault)


def _pair(path: Path, scale: int, source: Path | None) -> Pair:
    hr = _rgb8(path)
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if min(height, width) < 1:
        raise PictureError(f"{path}: too small for x{scale}: {size(hr)}")
    cropped = np.ascontiguousarray(hr[: height * scale, : width * scale])
    if source is None:
        return Pair(path, scale, cropped, resize(cropped, scale=1 / scale))
    lr = read_partner(source, path, hr)
    if lr.shape[:2] != (height, width):
        guess = _guess_scale(hr.shape, lr.shape)
        advice = f"they fit at x{guess}" if guess else "are they the same picture?"
        raise PictureError(
            f"{source}: is {size(lr)}, but at x{scale} {path} of {size(hr)} "
            f"has an LR of {width} x {height}; {advice}"
        )
    return Pair(path, scale, cropped, lr, given=True)


def _guess_scale(hr: tuple[int, ...], lr: tuple[int, ...]) -> int | None:
    """The scale at which these sizes would fit."""
    guess = max(hr[0] // lr[0], 1)
    return guess if guess > 1 and all(hr[i] // guess == lr[i] for i in (0, 1)) else None


def _endings(scale: int) -> list[str]:
    """What may follow HR's stem in the name of its LR or SR; the plainest first."""
    marks = ["", f"x{scale}", f"_x{scale}", f"-x{scale}", f"_SRF_{scale}"]
    kinds = ["", f"_x{scale}", "_LR", "_SR"]  # 0801x4_x4: an LR enlarged by `wdsr upscale`
    return [mark + kind for kind in kinds for mark in marks]


def _rgb8(path: Path) -> Image:
    picture = pictures.read(path, single=True)
    pixels = picture.pixels
    if pixels.dtype != np.uint8:
        kind = {"uint16": "16-bit", "float32": "float"}[str(pixels.dtype)]
        raise PictureError(f"{path}: has {kind} samples, scores are for 8 bits; convert it first")
    if picture.alpha is not None:
        raise PictureError(f"{path}: is transparent, scores are for opaque pictures; flatten it")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _spread(image: Image) -> float:
    """How far apart the channels are on average; 0 is grey."""
    channels = image.astype(np.int16)
    return float((channels.max(axis=2) - channels.min(axis=2)).mean())
