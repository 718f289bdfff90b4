"""Batches on their way to the device: by worker processes, or from pictures that live there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from wdsr.train.data import Cut, Pairs, Source, stream
from wdsr.train.recipe import Recipe
from wdsr.train.validate import to_floats

Patches = tuple[torch.Tensor, torch.Tensor]


def feed(
    source: Source, recipe: Recipe, first: int, *, fabric: Fabric, workers: int = 0
) -> Iterator[Patches]:
    """This process's share of each step's batch, from step `first` to the last.

    Yields LR (N, 3, p, p) and HR (N, 3, s*p, s*p), float32 in [0, 1], on the device.
    What is drawn does not depend on the number of workers or processes: each takes
    every so many places of the one batch.
    """
    device = fabric.device
    share = (fabric.global_rank, fabric.world_size)
    resident = Resident.if_fits(source, device)
    steps: Any = _Cuts(source, recipe, share) if resident else _Steps(source, recipe, share)
    loader: DataLoader[Any] = DataLoader(
        steps,
        batch_size=None,  # an item is a whole batch
        sampler=range(first, recipe.total),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=_ignore_interrupts,
        generator=torch.Generator(),  # of the loader's own: no one else's numbers are drawn
    )
    for lr, hr in loader:
        on_device = (part.to(device, non_blocking=True) for part in (lr, hr))
        pixels = resident.take(*on_device) if resident else tuple(on_device)
        yield to_floats(pixels[0]), to_floats(pixels[1])


class _Steps:
    """Step -> its patches, (N, p, p, 3) and (N, s*p, s*p, 3) uint8."""

    def __init__(self, source: Source, recipe: Recipe, share: tuple[int, int]) -> None:
        self.source, self.recipe, self.share = source, recipe, share

    def __len__(self) -> int:
        return self.recipe.total

    def __getitem__(self, step: int) -> tuple[Any, Any]:
        stage, _ = self.recipe.stage_at(step)
        rank, ranks = self.share
        return self.source.batch(
            seed=self.recipe.seed,
            step=step,
            places=range(rank, stage.batch, ranks),
            patch=stage.patch,
            candidates=stage.candidates,
        )


class _Cuts(_Steps):
    """Step -> where its patches lie in LR and HR, (N, p, p) and (N, s*p, s*p) int64."""

    def __getitem__(self, step: int) -> tuple[Any, Any]:
        stage, _ = self.recipe.stage_at(step)
        rank, ranks = self.share
        cuts = [
            self.source.cut(stream(self.recipe.seed, step, place), stage.patch, stage.candidates)
            for place in range(rank, stage.batch, ranks)
        ]
        return corners(self.source, cuts, stage.patch, 1), corners(
            self.source, cuts, stage.patch, self.source.scale
        )


class Resident:
    """All pixels of a pack in the device's memory, where patches are gathered too."""

    def __init__(self, pairs: Pairs, device: torch.device) -> None:
        self._lr, self._hr = (
            torch.from_numpy(np.fromfile(pairs.folder / name, np.uint8)).view(-1, 3).to(device)
            for name in (f"lr_x{pairs.scale}.bin", "hr.bin")
        )

    @classmethod
    def if_fits(cls, source: Source, device: torch.device) -> Resident | None:
        """None if the pixels are not all in a pack, or the device is no GPU or too small."""
        if type(source) is not Pairs or device.type != "cuda":
            return None
        need = sum(image.nbytes for image in (*source.hr, *source.lr))
        free, _ = torch.cuda.mem_get_info(device)
        return cls(source, device) if need < 0.6 * free else None

    def take(self, lr: torch.Tensor, hr: torch.Tensor) -> Patches:
        """The patches at these corners, as `Source.batch` gives them."""
        return gather(self._lr, lr), gather(self._hr, hr)


def corners(source: Source, cuts: list[Cut], patch: int, scale: int) -> NDArray[np.int64]:
    """(N, 4) int64: a patch's first pixel in the file, its steps down and right, its side.

    Flips and quarter turns are nothing but other steps.
    """
    sizes = [image.shape for image in source.hr] if scale > 1 else [(*s, 3) for s in source.sizes]
    begins = np.cumsum([0, *(s[0] * s[1] for s in sizes)])
    last = patch * scale - 1
    table = np.empty((len(cuts), 4), np.int64)
    for row, cut in enumerate(cuts):
        width = sizes[cut.which][1]
        right, down = 1, width
        first = int(begins[cut.which]) + cut.y * scale * width + cut.x * scale
        for _ in range(cut.turn):  # anticlockwise: the top right corner comes first
            first, down, right = first + last * right, -right, down
        if cut.flip:
            first, right = first + last * right, -right
        table[row] = first, down, right, last + 1
    return table


def gather(pixels: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """(P, 3) pixels and (N, 4) corners -> (N, side, side, 3)."""
    first, down, right, _ = (column.view(-1, 1, 1) for column in table.unbind(1))
    line = torch.arange(int(table[0, 3]), device=table.device)
    return pixels[first + down * line.view(1, -1, 1) + right * line.view(1, 1, -1)]


def _ignore_interrupts(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the main one ends its workers in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
