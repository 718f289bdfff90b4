"""Which model a picture needs, from a cheap look at it.

The classical model keeps what it sees and makes it crisp, damage too. The photo
model removes JPEG blocks and light noise, and costs a clean picture a little of
its crispness. So the look asks for evidence of damage:

- the quality that a JPEG file's tables state;
- steps in brightness at every eighth pixel: JPEG blocks, also under a later save;
- noise: fine grain, without direction, where the picture is flattest;
- softness: no finest detail even where the picture is busiest, as after an
  earlier enlargement.

Each figure is divided by the level at which it alone suffices, and the parts are
added up: two faint signs together may decide. In doubt it is the classical model.

A look takes at most 36 small windows, so it costs the same for any size of picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import zoo
from wdsr.picture import Picture
from wdsr.tiling import Box

Windows = NDArray[np.float32]

_SIDE = 48  # pixels of a window; a picture that holds none is too small to judge
_GRID = 6  # windows across and down, at most


@dataclass(frozen=True)
class Look:
    """What was seen of a picture."""

    quality: int | None  # of the JPEG file it came from
    blocks: float  # how far steps at one of eight columns or rows exceed those at any other
    noise: float  # deviation in levels, where the picture is flattest
    grain: float  # of that place: 1 for grain without direction, 0.06 for a smooth surface
    fineness: float | None  # of the busiest places: 1/16 smooth, 0.2 to 0.5 sharp photographs
    windows: int  # that were looked at

    def __str__(self) -> str:
        """All figures in one line."""
        quality = "no JPEG" if self.quality is None else f"JPEG quality {self.quality}"
        fineness = "none" if self.fineness is None else f"{self.fineness:.2f}"
        return (
            f"{quality}, blocks {self.blocks:.2f}, noise {self.noise:.1f}, "
            f"grain {self.grain:.2f}, fineness {fineness}, {self.windows} windows"
        )


@dataclass(frozen=True)
class Choice:
    """A model's name, and in words why."""

    model: str
    reason: str = ""  # "" if there was nothing to choose from
    look: Look | None = None

    def tell(self, *, figures: bool = False) -> str:
        """One line, e.g. `wdsr-photo: JPEG quality 60`; "" if there is no reason to give."""
        line = f"{self.model}: {self.reason}" if self.reason else ""
        return f"{line} ({self.look})" if line and figures and self.look else line


def candidates() -> list[str]:
    """The models that are chosen from: the classical one, and the photo one if it is shipped."""
    return [zoo.DEFAULT_MODEL, *([zoo.PHOTO_MODEL] if zoo.is_shipped(zoo.PHOTO_MODEL) else [])]


def choose(picture: Picture) -> Choice:
    """The model for a picture; never fails, in doubt the classical one.

    Example: `choose(picture).reason == "JPEG quality 60"`
    """
    classical, *others = candidates()
    if not others:
        return Choice(classical)
    if picture.white != 255:
        return Choice(classical, "not of 8 bits: values are kept, not cleaned")
    seen = look(picture)
    if seen is not None:
        return weigh(seen, classical, others[0])
    if picture.quality is not None and _stated(picture.quality) >= 1:
        return Choice(others[0], f"JPEG quality {picture.quality}")
    return Choice(classical, "too small to judge")


def look(picture: Picture) -> Look | None:
    """Measure an 8-bit picture; None if it is too small."""
    windows = _windows(picture.pixels)
    if windows is None:
        return None
    near, far, usable = _curvature(windows)
    noise, grain = _grain(near, far, usable)
    activity = far.mean(axis=1)
    busiest = activity >= np.quantile(activity, 0.6)
    detail = float(far[busiest].mean())
    fineness = float(near[busiest].mean()) / detail if detail > 4 else None  # too flat to tell
    return Look(picture.quality, _blocks(windows), noise, grain, fineness, len(windows))


def sample(picture: Picture, read: Callable[[Box], NDArray[Any]]) -> Picture:
    """The windows alone of a picture that is read row by row: it looks alike, in constant memory.

    picture: its facts; of its pixels only the shape counts.
    read: the pixels of a box; asked for from the top down, and never far ahead.
    """
    grid = _grid(picture.height, picture.width)
    if grid is None:
        return replace(picture, pixels=read(Box(0, 0, 1, 1)).copy())
    bands, below = [], 0
    for top in grid[0]:
        while below < top:  # what is between is read, too, but not held
            step = min(top - below, _SIDE)
            read(Box(below, 0, below + step, picture.width))
            below += step
        rows = read(Box(top, 0, top + _SIDE, picture.width))
        bands.append(np.concatenate([rows[:, x : x + _SIDE] for x in grid[1]], axis=1))
        below = top + _SIDE
    return replace(picture, pixels=np.concatenate(bands))


def weigh(seen: Look, classical: str, photo: str) -> Choice:
    """Add up the evidence. What each part is divided by was found by the scores of both models."""
    parts = [_compression(seen), _noisiness(seen), _softness(seen)]
    total = sum(share for share, _ in parts)
    told = ", ".join(words for share, words in sorted(parts, reverse=True) if share >= 0.3)
    if total >= 1:
        return Choice(photo, told, seen)
    if _is_lying(seen):
        told = f"in doubt: the file says JPEG quality {seen.quality}, but has no blocks"
        return Choice(classical, told, seen)
    if total >= 0.7:
        return Choice(classical, f"in doubt: {told}", seen)
    return Choice(classical, "clean", seen)


def _compression(seen: Look) -> tuple[float, str]:
    # Chance makes one of eight columns stand out a little, the more the fewer windows there are.
    alone = 0.1 + 0.3 / seen.windows**0.5
    if seen.quality is None or _is_lying(seen):
        return seen.blocks / alone, "JPEG blocks"
    stated = _stated(seen.quality)
    earlier = (seen.blocks - 0.06) / alone  # of smooth pictures, a good save leaves blocks too
    if earlier > 2 * stated:
        return earlier, f"JPEG blocks, older than the last save at quality {seen.quality}"
    return max(stated, earlier), f"JPEG quality {seen.quality}"


def _stated(quality: int) -> float:
    return (100 - quality) / 12


def _is_lying(seen: Look) -> bool:
    """Tables that must have left blocks, and no blocks."""
    return seen.quality is not None and seen.quality <= 60 and seen.blocks < 0.08


def _noisiness(seen: Look) -> tuple[float, str]:
    # Fine texture has a direction almost everywhere, noise nowhere.
    sure = min(max((seen.grain - 0.45) / 0.25, 0), 1)
    return sure * seen.noise / 2, f"noise of {seen.noise:.1f} levels"


def _softness(seen: Look) -> tuple[float, str]:
    if seen.fineness is None:
        return 0, ""
    return max(0.2 - seen.fineness, 0) / 0.045, "soft: enlarged before, or out of focus"


def _windows(pixels: NDArray[Any]) -> Windows | None:
    """(N, 48, 48) of the green or grey channel; None if there is no room for one."""
    grid = _grid(*pixels.shape[:2])
    if grid is None:
        return None
    tops, lefts = grid
    channel = pixels[..., pixels.shape[2] // 2]  # green is sharpest and has most of the brightness
    places = [(y, x) for y in tops for x in lefts]
    return np.stack([channel[y : y + _SIDE, x : x + _SIDE] for y, x in places]).astype(np.float32)


def _grid(height: int, width: int) -> tuple[list[int], list[int]] | None:
    """Tops and lefts of the windows, spread evenly, at multiples of 8 pixels."""
    if min(height, width) < _SIDE:
        return None

    def places(side: int) -> list[int]:
        count = min(_GRID, side // _SIDE)
        return [int(at) // 8 * 8 for at in np.linspace(0, side - _SIDE, count)]

    return places(height), places(width)


def _blocks(windows: Windows) -> float:
    """How much the column (row) of eight with the largest steps exceeds the next; 0 is none."""
    excess = []
    for w in (windows, windows.transpose(0, 2, 1)):
        slope = np.diff(w, axis=2)  # (N, 48, 47)
        # What a step has beyond the slope on both sides of it.
        step = np.abs(slope[:, :, 1:-1] - (slope[:, :, :-2] + slope[:, :, 2:]) / 2).mean(axis=1)
        step /= step.mean(axis=1, keepdims=True) + 0.3  # every window counts the same
        phases = np.sort(step[:, :40].reshape(len(w), 5, 8).mean(axis=(0, 1)))
        excess.append(phases[-1] - phases[-2])
    return float(np.mean(excess))


def _curvature(windows: Windows) -> tuple[Windows, Windows, NDArray[np.bool_]]:
    """Mean squared second differences of each 8 x 8 pixels, over 1 pixel and over 2: (N, 25).

    And which of these blocks are neither nearly black nor nearly white, where
    clipping hides noise.
    """
    count = len(windows)
    middle = windows[:, 4:44, 4:44]

    def per_block(values: Windows) -> Windows:
        means: Windows = values.reshape(count, 5, 8, 5, 8).mean(axis=(2, 4)).reshape(count, 25)
        return means

    def bend(d: int) -> Windows:
        rows = 2 * middle - windows[:, 4 - d : 44 - d, 4:44] - windows[:, 4 + d : 44 + d, 4:44]
        columns = 2 * middle - windows[:, 4:44, 4 - d : 44 - d] - windows[:, 4:44, 4 + d : 44 + d]
        return per_block(rows * rows + columns * columns)

    level = per_block(middle)
    return bend(1), bend(2), (level > 8) & (level < 247)


def _grain(near: Windows, far: Windows, usable: NDArray[np.bool_]) -> tuple[float, float]:
    """Noise in levels and its grain, from the flattest tenth of the blocks.

    A second difference of white noise has 6 times its variance, over any distance;
    of a smooth surface, 16 times as much over twice the distance.
    """
    near, far = near[usable], far[usable]
    if near.size < 8:
        return 0.0, 0.0
    flattest = far <= np.quantile(far, 0.1)
    near_sum, far_sum = float(near[flattest].mean()), float(far[flattest].mean())
    return (near_sum / 12) ** 0.5, near_sum / max(far_sum, 1e-6)
