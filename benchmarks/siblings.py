"""A short training of EDSR and SRResNet, against bicubic on the same held-out pictures.

    python benchmarks/siblings.py --data PHOTOS --valid HELD_OUT [--minutes 20] [--record]

Trains the named recipes with a cosine over as many steps as fit in the time (measured
first), so that the rate has come down when it ends, and writes one row a network:
steps, minutes, validation PSNR, and the distance to bicubic. The issue asks for 2 dB.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from wdsr.metrics import psnr
from wdsr.resize import resize
from wdsr.train.data import Pairs
from wdsr.train.device import keep_memory
from wdsr.train.journal import Progress, machine
from wdsr.train.loop import train
from wdsr.train.pack import pack
from wdsr.train.recipe import Recipe
from wdsr.train.recipes import RECIPES
from wdsr.train.recorder import Intervals
from wdsr.train.validate import Pair, validate, validation_pairs

RECORDS = Path(__file__).parent / "records"
WARM_UP = 20  # steps, to know the rate


def short(name: str, rate: float) -> Recipe:
    """The named recipe for a short time: a higher rate that falls to nothing, averaged."""
    return dataclasses.replace(
        RECIPES[name],
        batch=8,
        patch=24,
        learning_rate=rate,
        warmup=50,
        schedule="cosine",
        milestones=[],
        losses={"l1": 1.0},
        clip=1.0,
        ema=0.995,
    )


def bicubic(pairs: list[Pair], scale: int) -> float:
    """Mean Y-PSNR of bicubic on the same pairs."""
    scores = []
    for lr, hr in pairs:
        sr = resize(lr, scale=scale)
        scores.append(psnr(sr, hr, data_range=255, shave=scale, luma=True))
    return float(np.mean(scores))


def run(
    name: str, source: Pairs, pairs: list[Pair], minutes: float, rate: float
) -> tuple[int, float, float]:
    """(steps, minutes, PSNR) of one network."""
    recipe = dataclasses.replace(short(name, rate), steps=WARM_UP)
    seen: list[Progress] = []
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, source, Path(folder), report=seen.append, intervals=Intervals(log=WARM_UP))
    steps = max(int(seen[-1].steps_per_second * minutes * 60), WARM_UP)
    print(f"{name}: {seen[-1].steps_per_second:.2f} steps/s, {steps} steps", flush=True)

    def report(progress: Progress) -> None:
        print(
            f"  {progress.step}: loss {progress.loss:.5f}, {progress.minutes:.1f} min", flush=True
        )
        seen.append(progress)

    recipe = dataclasses.replace(recipe, steps=steps)
    with tempfile.TemporaryDirectory() as folder:
        network = train(recipe, source, Path(folder), report=report, intervals=Intervals(log=100))
    return steps, seen[-1].minutes, validate(network, pairs)


def main() -> None:
    """Train, print, and with --record keep it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("networks", nargs="*", default=["edsr", "srresnet"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_memory()
    scale = options.scale
    with tempfile.TemporaryDirectory() as cache:
        source = Pairs(pack(options.data, Path(cache), scale), scale)
        pairs = validation_pairs(options.valid, scale)
        base = bicubic(pairs, scale)
        lines = [
            f"Short training, x{scale}, {options.threads} threads, {options.minutes:g} minutes, "
            f"{datetime.date.today()}",
            f"{machine()}; Python {sys.version.split()[0]}, torch {torch.__version__}; "
            f"{len(source.names)} pictures, {len(pairs)} held out; bicubic {base:.3f} dB",
            "",
            "| network | steps | minutes | PSNR, dB | over bicubic |",
            "|---|---|---|---|---|",
        ]
        gains = []
        for name in options.networks:
            steps, minutes, score = run(
                f"{name}-x{scale}", source, pairs, options.minutes, options.learning_rate
            )
            gains.append(score - base)
            lines.append(f"| {name} | {steps} | {minutes:.1f} | {score:.3f} | {gains[-1]:+.3f} |")
    print(
        "\n" + "\n".join(lines) + f"\n\nleast gain {min(gains):+.3f} dB, mean "
        f"{statistics.fmean(gains):+.3f} dB"
    )
    if options.record:
        path = RECORDS / f"{datetime.date.today()}-siblings-x{scale}.md"
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
