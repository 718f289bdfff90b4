"""The paper's claims, tested: small networks, equal parameters, equal steps, two seeds.

    python benchmarks/claims.py blocks --data PHOTOS --valid HELD_OUT
    python benchmarks/claims.py norms --data PHOTOS --valid HELD_OUT
    python benchmarks/claims.py expansion --data PHOTOS --valid HELD_OUT

A run takes about five minutes; finished ones are not repeated, so a stopped
benchmark goes on. Writes a table, a plot and the seeds to benchmarks/records/.

Source of the claims: Yu et al., 2018, arXiv 1808.08718.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Self

import torch
from torch import nn

from wdsr import networks
from wdsr.networks.wdsr import WDSR, WDSRConfig
from wdsr.train.data import Pairs
from wdsr.train.device import keep_memory
from wdsr.train.journal import machine
from wdsr.train.loop import train
from wdsr.train.pack import is_pack, pack
from wdsr.train.recipe import Recipe
from wdsr.train.recorder import Intervals
from wdsr.train.validate import validation_pairs

RECORDS = Path(__file__).parent / "records"
SCALE = 2  # as in the paper's tables
RATES = (1e-3, 3e-3, 1e-2, 3e-2)


@dataclass(frozen=True)
class BatchNormConfig(WDSRConfig):
    """A WDSR without weight normalisation, and with batch normalisation in its blocks."""

    weight_norm: bool = False


class BatchNormWDSR(WDSR):
    """The network of claim (b) that the paper argues against."""

    def __init__(self, config: BatchNormConfig) -> None:
        super().__init__(config)
        for block in self.body:
            layers: list[nn.Module] = []
            for layer in block.body:  # type: ignore[union-attr]
                layers.append(layer)
                if isinstance(layer, nn.Conv2d):
                    layers.append(nn.BatchNorm2d(layer.out_channels))
            block.body = nn.Sequential(*layers)

    def fuse(self) -> Self:
        """Not needed here: what is scored is scored in eval mode."""
        return self


networks.FAMILIES["wdsr with batch norm"] = (BatchNormConfig, BatchNormWDSR)


def parameters(config: WDSRConfig) -> int:
    """Fused."""
    return sum(p.numel() for p in networks.build(config).fuse().parameters())


def equal(config: WDSRConfig, wanted: int) -> WDSRConfig:
    """The same network with as many filters as come nearest to so many parameters."""
    sized = (dataclasses.replace(config, filters=n) for n in range(8, 129))
    return min(sized, key=lambda sized: abs(parameters(sized) - wanted))


@dataclass(frozen=True)
class Trial:
    """A row of a table: what varies along the plot's axis, the curve, the network, its rate."""

    at: float
    curve: str
    network: WDSRConfig
    learning_rate: float = 3e-3


def blocks() -> Iterator[Trial]:
    """(a) A and B against the plain residual block at equal parameters."""
    for depth in (1, 3, 5, 8):
        plain = WDSRConfig(block="plain", blocks=depth, scale=SCALE, filters=32)
        wanted = parameters(plain)
        yield Trial(depth, "plain", plain)
        a = WDSRConfig(block="a", blocks=depth, scale=SCALE, expansion=4)
        yield Trial(depth, "A, expansion 4", equal(a, wanted))
        b = WDSRConfig(block="b", blocks=depth, scale=SCALE, expansion=6)
        yield Trial(depth, "B, expansion 6", equal(b, wanted))


def norms() -> Iterator[Trial]:
    """(b) Weight norm against batch norm against none, each at its best of four rates."""
    config: dict[str, Any] = {"block": "a", "blocks": 5, "scale": SCALE, "expansion": 4}
    for rate in RATES:
        yield Trial(rate, "weight norm", WDSRConfig(**config, filters=16), rate)
        yield Trial(rate, "batch norm", BatchNormConfig(**config, filters=16), rate)
        yield Trial(rate, "none", WDSRConfig(**config, filters=16, weight_norm=False), rate)


def expansion() -> Iterator[Trial]:
    """(c) How wide before the ReLU, at equal parameters."""
    wanted = parameters(WDSRConfig(block="a", blocks=5, scale=SCALE, expansion=4, filters=16))
    for times in (1, 2, 4, 6, 9):
        for block in ("a", "b"):
            wide = WDSRConfig(block=block, blocks=5, scale=SCALE, expansion=times)
            yield Trial(times, block.upper(), equal(wide, wanted))


CLAIMS = {"blocks": blocks, "norms": norms, "expansion": expansion}
AXES = {"blocks": "blocks", "norms": "learning rate", "expansion": "expansion"}


def score(trial: Trial, seed: int, options: argparse.Namespace, source: Pairs) -> float:
    """Validation PSNR of one run, at its end; from its log if it is there already."""
    recipe = Recipe(
        network=trial.network,
        steps=options.steps,
        batch=8,
        patch=32,
        warmup=min(200, options.steps // 10),
        learning_rate=trial.learning_rate,
        seed=seed,
    )
    name = f"{options.claim}-{trial.curve}-{trial.at:g}-{options.steps}-seed{seed}"
    run = options.out / name.replace(" ", "_").replace(",", "")
    train(
        recipe,
        source,
        run,
        validation=options.pictures,
        intervals=Intervals(log=100, validate=options.steps),
        board=False,
        report=lambda progress: print(f"  {name} {progress.step}", end="\r", file=sys.stderr),
    )
    with (run / "log.csv").open(newline="") as stream:
        return float([row["psnr"] for row in csv.DictReader(stream)][-1])


def table(claim: str, rows: list[tuple[Trial, list[float]]]) -> str:
    """Markdown: a line a trial."""
    seeds = range(len(rows[0][1]))
    head = ["", AXES[claim], "parameters", "rate", *(f"seed {n}" for n in seeds), "mean"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for trial, scores in rows:
        cells = [trial.curve, f"{trial.at:g}", f"{parameters(trial.network):,}"]
        cells += [f"{trial.learning_rate:g}", *(f"{s:.3f}" for s in scores), f"{fmean(scores):.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    if claim == "norms":
        lines.append("")
        for curve in dict.fromkeys(trial.curve for trial, _ in rows):
            best = max((fmean(s), t.learning_rate) for t, s in rows if t.curve == curve)
            lines.append(f"- {curve}: best {best[0]:.3f} dB, at {best[1]:g}")
    return "\n".join(lines)


def plot(claim: str, rows: list[tuple[Trial, list[float]]], path: Path) -> None:
    """A curve a kind, a point a seed."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "wdsr"
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for curve in dict.fromkeys(trial.curve for trial, _ in rows):
        mine = [(t.at, s) for t, s in rows if t.curve == curve]
        (line,) = axes.plot([at for at, _ in mine], [fmean(s) for _, s in mine], label=curve)
        for at, scores in mine:
            axes.plot([at] * len(scores), scores, ".", color=line.get_color())
    if claim == "norms":
        axes.set_xscale("log")
    axes.set(xlabel=AXES[claim], ylabel="validation Y-PSNR (dB)")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Train, and keep table and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("claim", choices=CLAIMS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/claims"))
    parser.add_argument("--steps", type=int, default=4500, help="of each run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--side", type=int, default=240, help="of the middles that are scored")
    parser.add_argument("--records", type=Path, default=RECORDS)
    options = parser.parse_args()
    keep_memory()
    packed = options.data if is_pack(options.data) else pack(options.data, options.out, SCALE)
    source = Pairs(packed, SCALE)
    options.pictures = validation_pairs(options.valid, SCALE, side=options.side)
    claim = CLAIMS[options.claim]
    rows = []
    for trial in claim():
        scores = [score(trial, seed, options, source) for seed in range(options.seeds)]
        rows.append((trial, scores))
        print(trial.curve, trial.at, *(f"{s:.3f}" for s in scores), flush=True)
    text = table(options.claim, rows)
    name = f"claim-{options.claim}-{datetime.date.today()}"
    plot(options.claim, rows, options.records / f"{name}.svg")
    doc = (claim.__doc__ or "").strip()
    (options.records / f"{name}.md").write_text(
        f"# {doc}\n\n`python benchmarks/claims.py {options.claim} --data PHOTOS --valid HELD_OUT "
        f"--steps {options.steps} --seeds {options.seeds}`\n\n{machine()}; torch "
        f"{torch.__version__}; x{SCALE}, batch 8, LR patch 32, cosine, EMA 0.999, L1; Y-PSNR on "
        f"the middle {options.side} pixels of {len(options.pictures)} held-out pictures.\n\n"
        f"{text}\n\n![]({name}.svg)\n"
    )


if __name__ == "__main__":
    main()
