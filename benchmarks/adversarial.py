"""The adversarial loop against what its arithmetic would take at the machine's GEMM rate.

    python -m benchmarks.adversarial [--threads 2] [--batch 8] [--patch 32] [--record]

Operations are counted by running one step under torch's counter: both networks,
forward and backward, as the loop runs them. The bound is that count over the rate
of a large matrix product, measured in the same run at the loop's own precision.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.training import RECORDS, pace

GAMES = ("wdsr-b-8-gan-x4", "edsr-gan-x4", "srgan-x4")
SIDE = 2048  # of the matrices


def stepper(name: str, batch: int, patch: int, run: Path) -> tuple[Callable[[], Any], float]:
    """One step of a recipe as a call, and its operations in GFLOP."""
    import dataclasses

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from wdsr import networks
    from wdsr.train.adversarial import Duel
    from wdsr.train.device import keep_memory, launch, quicken
    from wdsr.train.recipes import RECIPES
    from wdsr.train.trainee import Trainee

    # Pixel losses only: VGG's weights may not be here, and its work would hide the loop's.
    recipe = dataclasses.replace(
        RECIPES[name], batch=batch, patch=patch, losses={"l1": 1.0}, start=None
    )
    keep_memory()
    fabric = launch(1, "auto")
    network = networks.build(recipe.network)
    quicken(network)
    learner = Trainee(fabric, network, clip=recipe.clip, ema=recipe.ema)
    duel = Duel(fabric, learner, recipe, None, run)
    learner.set_rate(1e-5)
    lr, hr = (
        torch.rand(batch, 3, side, side, device=fabric.device).contiguous(
            memory_format=torch.channels_last
        )
        for side in (patch, patch * recipe.network.scale)
    )
    step = iter(range(10**9))
    with FlopCounterMode(display=False) as counter:
        duel.take(next(step), lr, hr)
    return lambda: duel.take(next(step), lr, hr), counter.get_total_flops() / 1e9


def gemm() -> float:
    """GFLOP/s of a large product, at the precision that the loop chooses here."""
    import torch

    from wdsr.train.device import uses_bf16

    kind = torch.bfloat16 if uses_bf16("auto") else torch.float32
    a = torch.rand(SIDE, SIDE, dtype=kind)
    return pace(lambda: a @ a) * 2 * SIDE**3 / 1e9


def main() -> None:
    """Measure, print, and with --record keep it in benchmarks/records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("games", nargs="*", default=GAMES)
    options = parser.parse_args()
    import torch

    from wdsr.train.device import uses_bf16
    from wdsr.train.journal import machine

    torch.set_num_threads(options.threads)
    lines = [
        f"Adversarial loop, batch {options.batch}, LR patch {options.patch}, x4, "
        f"{options.threads} threads, {'bf16' if uses_bf16('auto') else 'float32'}, "
        f"{datetime.date.today()}",
        f"{machine()}; Python {sys.version.split()[0]}, torch {torch.__version__}",
        "",
        "| recipe (pixel loss only) | GFLOP a step | GEMM GFLOP/s | bound, steps/s | steps/s "
        "| share of the bound |",
        "|---|---|---|---|---|---|",
    ]
    for name in options.games:
        with tempfile.TemporaryDirectory() as run:
            call, work = stepper(name, options.batch, options.patch, Path(run))
            before = gemm()
            rate = pace(call)
            peak = max(before, gemm())  # around the loop, as a machine's speed drifts
        bound = peak / work
        lines.append(
            f"| {name} | {work:.1f} | {peak:.0f} | {bound:.2f} | {rate:.2f} "
            f"| {100 * rate / bound:.0f} % |"
        )
        print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))
    if options.record:
        path = RECORDS / f"{datetime.date.today()}-adversarial-speed.md"
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
