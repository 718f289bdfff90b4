"""Where patches come from: LR and HR cut from packed pictures, flipped and turned alike.

The patch drawn at a step is a pure function of (seed, step, place in the
batch), so a resumed run, or one spread over workers and devices, sees the same.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wdsr.errors import TrainingError
from wdsr.train.pack import check_patch
from wdsr.train.pictures import Pixels

Degrade = Callable[[Pixels, np.random.Generator], Pixels]


@dataclass(frozen=True)
class Cut:
    """Where a patch lies, in cells (LR pixels, or HR pixels), and how it is laid."""

    which: int  # picture
    y: int
    x: int
    turn: int  # quarter turns, anticlockwise
    flip: bool  # left to right, after the turn

    def of(self, image: Pixels, patch: int, scale: int) -> Pixels:
        """The patch of `patch` cells, (s*p, s*p, 3), of an image with `scale` pixels a cell."""
        y, x, side = self.y * scale, self.x * scale, patch * scale
        crop = np.rot90(image[y : y + side, x : x + side], self.turn)
        return crop[:, ::-1] if self.flip else crop


class Source(ABC):
    """Packed HR pictures to draw patches from; what LR is, a kind of source says.

    >>> lr, hr = source.batch(seed=0, step=7, places=range(16), patch=48)  # doctest: +SKIP
    """

    cell: int  # HR pixels between the places where a cut may begin

    def __init__(self, folder: Path, scale: int) -> None:
        self.folder = folder
        self.scale = self.cell = scale
        try:
            text = (folder / "index.json").read_bytes()
            # Of the pictures' names, sizes and, unless an older version packed them, pixels.
            self.digest = hashlib.sha256(text).hexdigest()[:16]
            index = json.loads(text)
            self.names: list[str] = index["names"]
            sizes = [(int(h), int(w)) for h, w in index["sizes"]]
            self.sizes = [(h // scale, w // scale) for h, w in sizes]  # of LR
            self.hr = _views(folder / "hr.bin", sizes)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{folder}: not a pack for x{scale}: {error}") from error
        # Larger pictures are drawn more often, so that every pixel is seen equally often.
        area = np.cumsum([h * w for h, w in self.sizes])
        self._cumulative = area / area[-1]

    def check(self, patch: int) -> None:
        """Raise TrainingError naming the pictures that are smaller than a patch."""
        check_patch(self.names, self.sizes, patch, self.scale)

    def batch(
        self, *, seed: int, step: int, places: Sequence[int], patch: int, candidates: int = 1
    ) -> tuple[Pixels, Pixels]:
        """LR (N, p, p, 3) and HR (N, s*p, s*p, 3) uint8 for these places of the step's batch.

        candidates: draw so many patches for a place, keep the one with most detail.
        """
        lr = np.empty((len(places), patch, patch, 3), np.uint8)
        hr = np.empty((len(places), patch * self.scale, patch * self.scale, 3), np.uint8)
        for row, place in enumerate(places):
            lr[row], hr[row] = self.draw(stream(seed, step, place), patch, candidates)
        return lr, hr

    @abstractmethod
    def draw(self, rng: np.random.Generator, patch: int, candidates: int) -> tuple[Pixels, Pixels]:
        """One pair of patches, LR (p, p, 3) and HR (s*p, s*p, 3)."""

    def cut(self, rng: np.random.Generator, patch: int, candidates: int = 1) -> Cut:
        """Where to cut `patch` cells: the most detailed of some random places."""
        cuts = [self._random_cut(rng, patch) for _ in range(candidates)]
        return max(cuts, key=lambda cut: self._detail(cut, patch)) if candidates > 1 else cuts[0]

    def _random_cut(self, rng: np.random.Generator, patch: int) -> Cut:
        which = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        height, width = (side * self.scale // self.cell for side in self.sizes[which])
        y, x = int(rng.integers(height - patch + 1)), int(rng.integers(width - patch + 1))
        return Cut(which, y, x, int(rng.integers(4)), bool(rng.integers(2)))

    def _detail(self, cut: Cut, patch: int) -> float:
        """Mean step between neighbouring pixels, in green, seen at LR's sampling."""
        cell, s = self.cell, self.scale
        y, x, side = cut.y * cell, cut.x * cell, patch * cell
        green = self.hr[cut.which][y : y + side : s, x : x + side : s, 1].astype(np.int16)
        return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean())

    def __reduce__(self) -> tuple[Any, ...]:
        """By path: a worker process maps the pixels, it is not sent them."""
        return type(self), (self.folder, self.scale)


class Pairs(Source):
    """LR and HR both from a pack."""

    def __init__(self, folder: Path, scale: int) -> None:
        super().__init__(folder, scale)
        try:
            self.lr = _views(folder / f"lr_x{scale}.bin", self.sizes)
        except FileNotFoundError as error:
            have = ", ".join(sorted(f"x{path.stem[4:]}" for path in folder.glob("lr_x*.bin")))
            raise TrainingError(
                f"{folder}: not a pack for x{scale}, but for {have or 'HR alone'}; "
                f"`wdsr data pack -s {scale}` makes one"
            ) from error
        except (OSError, ValueError) as error:
            raise TrainingError(f"{folder}: not a pack for x{scale}: {error}") from error

    def draw(self, rng: np.random.Generator, patch: int, candidates: int) -> tuple[Pixels, Pixels]:
        """See `Source.draw`."""
        cut = self.cut(rng, patch, candidates)
        hr = cut.of(self.hr[cut.which], patch, self.scale)
        return cut.of(self.lr[cut.which], patch, 1), hr


class Degraded(Source):
    """LR made on the fly, by a function of (HR patch, rng) -> LR patch, cut at any HR pixel.

    degrade: gets (s*q, s*q, 3) uint8, returns (q, q, 3) uint8, and takes every
        random number from the rng it is given.
    margin: LR pixels that are made around a patch and cut away, so that no
        border of the patch is the border of what `degrade` sees; q = p + 2 * margin.
    """

    def __init__(self, folder: Path, scale: int, degrade: Degrade, margin: int = 0) -> None:
        super().__init__(folder, scale)
        self.degrade, self.margin, self.cell = degrade, margin, 1

    def check(self, patch: int) -> None:
        """See `Source.check`."""
        super().check(patch + 2 * self.margin)

    def draw(self, rng: np.random.Generator, patch: int, candidates: int) -> tuple[Pixels, Pixels]:
        """See `Source.draw`."""
        side, margin = patch + 2 * self.margin, self.margin
        cut = self.cut(rng, side * self.scale, candidates)
        hr = np.ascontiguousarray(cut.of(self.hr[cut.which], side * self.scale, 1))
        lr = self.degrade(hr, rng)
        if lr.shape != (side, side, 3) or lr.dtype != np.uint8:
            raise TrainingError(
                f"the degradation made {lr.dtype} {lr.shape} of {hr.shape}, "
                f"not uint8 {(side, side, 3)}"
            )
        inner, outer = slice(margin, margin + patch), margin * self.scale
        large = slice(outer, outer + patch * self.scale)
        return lr[inner, inner], hr[large, large]

    def __reduce__(self) -> tuple[Any, ...]:
        """See `Source.__reduce__`."""
        return type(self), (self.folder, self.scale, self.degrade, self.margin)


def stream(seed: int, step: int, place: int) -> np.random.Generator:
    """The random numbers of one place of one step's batch."""
    # The lowest word of the counter counts draws: left at 0, no two streams overlap.
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, place, step, 0]))


def _views(path: Path, sizes: list[tuple[int, int]]) -> list[Pixels]:
    flat = np.memmap(path, np.uint8, "r")
    ends = np.cumsum([h * w * 3 for h, w in sizes])
    if ends[-1] != flat.size:
        raise TrainingError(
            f"{path}: {flat.size} bytes, expected {ends[-1]}: delete it, and pack again"
        )
    return [
        np.asarray(flat[end - h * w * 3 : end]).reshape(h, w, 3)
        for end, (h, w) in zip(ends, sizes, strict=True)
    ]
