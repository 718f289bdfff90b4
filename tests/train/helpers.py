"""Small trainings, and what the tests of them share."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wdsr.networks import Network
from wdsr.networks.wdsr import WDSR, WDSRConfig
from wdsr.train import checkpoint
from wdsr.train.data import Source
from wdsr.train.journal import Progress
from wdsr.train.loop import train
from wdsr.train.recipe import Recipe
from wdsr.train.recorder import Intervals

Pixels = NDArray[np.uint8]
TINY = WDSRConfig(scale=2, filters=8, blocks=1, expansion=2)


def waves(height: int, width: int, seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    colours = [
        np.sin(x / rng.uniform(2, 9) + y / rng.uniform(4, 20) + rng.uniform(0, 6)) for _ in "rgb"
    ]
    return np.asarray(np.rint(128 + 90 * np.stack(colours, axis=2)), np.uint8)


def short(**changes: Any) -> Recipe:
    settings: dict[str, Any] = {"network": TINY, "steps": 12, "batch": 2, "patch": 6, "warmup": 3}
    return Recipe(**settings | changes)


def run_of(
    recipe: Recipe, source: Source, run: Path, *, save_minutes: float = 5, **settings: Any
) -> Network:
    """Train in float32, without TensorBoard; `log` and `validate` are steps between."""
    intervals = Intervals(settings.pop("log", 100), settings.pop("validate", 2000), save_minutes)
    settings = {"precision": "float32", "board": False, "intervals": intervals, **settings}
    return train(recipe, source, run, **settings)


def names(run: Path) -> list[str]:
    """Of the checkpoints, without their digests."""
    return sorted(path.name.rpartition("-")[0] for path in run.glob("*.ckpt"))


def newest(run: Path) -> dict[str, Any]:
    state = checkpoint.newest(run)
    assert state is not None
    return state


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def assert_same_bits(a: Any, b: Any, at: str = "") -> None:
    assert type(a) is type(b), at
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, at
        assert torch.equal(a, b), at
    elif isinstance(a, dict):
        assert list(a) == list(b), at
        for key in a:
            assert_same_bits(a[key], b[key], f"{at}/{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same_bits(x, y, f"{at}/{i}")
    else:
        assert a == b, at


class StopError(Exception):
    """Stands for whatever ends a run early."""


def stop_at(step: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == step:
            raise StopError

    return report


def trained(config: WDSRConfig) -> WDSR:
    """A network whose gains, directions and biases are all off their initial values."""
    torch.manual_seed(5)
    network = WDSR(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return network
