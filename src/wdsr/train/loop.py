"""The training loop, top to bottom."""

from __future__ import annotations

import csv
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from wdsr import networks
from wdsr.errors import TrainingError, UsageError
from wdsr.metrics import psnr
from wdsr.networks import Config, Network
from wdsr.train import checkpoint
from wdsr.train.data import Pairs, Pixels, list_pictures, make_pair, read_rgb
from wdsr.train.losses import weighted
from wdsr.train.recipe import Recipe

Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class Progress:
    """What the loop reports as it goes."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    steps_per_second: float
    psnr: float | None  # on validation pictures, when just measured
    best: float | None


def train(
    recipe: Recipe,
    pairs: Pairs,
    run: Path,
    *,
    validation: list[tuple[Pixels, Pixels]] | None = None,
    start: dict[str, torch.Tensor] | None = None,
    precision: Precision = "bf16",
    max_minutes: float | None = None,
    log_every: int = 100,
    validate_every: int = 2000,
    save_minutes: float = 5,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Network:
    """Train a network, resuming from `run` if it holds a checkpoint.

    recipe: what and how. pairs: where patches come from.
    run: folder for checkpoints and log.csv; made if missing.
    validation: (LR, HR) uint8 pairs, scored as `validate` does.
    start: weights to begin from; layers that do not fit (another scale's last
        convolutions) keep their initialisation.
    max_minutes: stop cleanly, with a checkpoint, after so long.

    Returns the network with averaged (EMA) weights, on the CPU, not fused. Raises
    UsageError if the pairs are not what the recipe's network takes, TrainingError
    if they are too small or the run folder holds another recipe's checkpoint.
    Ctrl-C and exceptions leave a checkpoint too, always of whole steps.
    """
    if recipe.network.scale != pairs.scale:
        raise UsageError(f"the recipe is for x{recipe.network.scale}, the pairs x{pairs.scale}")
    if recipe.network.channels != 3:
        raise UsageError(f"pairs have 3 channels, the network {recipe.network.channels}")
    pairs.check(recipe.patch)
    validation = validation or []
    run.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.seed_everything(recipe.seed, verbose=False)
    bare = networks.build(recipe.network)
    if start is not None:
        warm_start(bare, start)
    bare.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = list(bare.parameters())
    optimizer: Any = torch.optim.Adam(parameters, lr=recipe.learning_rate, fused=True)
    network, optimizer = fabric.setup(bare, optimizer)
    learned = bare.learned()
    average = [t.detach().clone() for t in learned]
    loss_of = weighted(recipe.losses)
    step, best = 0, None

    if (saved := _saved(run, recipe)) is not None:
        step, best = saved["step"], saved["best"]
        bare.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        average = [a.to(p.device) for a, p in zip(saved["average"], learned, strict=True)]
        _trim_log(run, step)
    else:
        _describe(recipe, run)

    def save() -> None:
        state = {
            "step": step,
            "best": best,
            "recipe": recipe.to_dict(),
            "network": bare.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": average,
        }
        checkpoint.save(run, state)

    began = last_save = last_log = time.monotonic()
    losses: list[torch.Tensor] = []
    whole = True  # False while a step is half taken: weights moved, average and count not
    try:
        while step < recipe.steps:
            lr, hr = (
                _to_tensor(patches, fabric.device)
                for patches in pairs.batch(
                    seed=recipe.seed, step=step, places=range(recipe.batch), patch=recipe.patch
                )
            )
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at(step)
            loss = loss_of(network(lr), hr)
            optimizer.zero_grad()
            fabric.backward(loss)
            nn.utils.clip_grad_norm_(parameters, recipe.clip)
            whole = False
            optimizer.step()
            step += 1
            decay = min(recipe.ema, step / (step + 10))  # early on, forget the start faster
            torch._foreach_lerp_(average, [t.detach() for t in learned], 1 - decay)
            whole = True

            losses.append(loss.detach())
            now = time.monotonic()
            last = step == recipe.steps
            judge = len(validation) > 0 and (last or step % validate_every == 0)
            if last or judge or step % log_every == 0:
                score = None
                if judge:
                    score = validate(averaged(recipe.network, average), validation)
                    if best is None or score > best:
                        best = score
                progress = Progress(
                    step,
                    recipe.steps,
                    float(torch.stack(losses).mean()),
                    recipe.learning_rate_at(step - 1),
                    len(losses) / (now - last_log),
                    score,
                    best,
                )
                _log(run, progress)
                report(progress)
                losses.clear()
                last_log = time.monotonic()
            if now - last_save > save_minutes * 60:
                save()
                last_save = now
            if max_minutes is not None and now - began > max_minutes * 60:
                break
    finally:
        if whole:
            save()
    return averaged(recipe.network, average)


def averaged(config: Config, average: Iterable[torch.Tensor]) -> Network:
    """A CPU network in eval mode that has learned these (EMA) values."""
    network = networks.build(config)
    with torch.no_grad():
        for tensor, value in zip(network.learned(), average, strict=True):
            tensor.copy_(value)
    return network.eval()


def warm_start(network: nn.Module, weights: dict[str, torch.Tensor]) -> list[str]:
    """Copy plain convolution weights into a (weight-normalised) network where names and shapes fit.

    Returns the names of the network's layers that kept their initialisation.
    Raises TrainingError if nothing fits.
    """
    kept = []
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
        if weight is None or bias is None or weight.shape != module.weight.shape:
            kept.append(name)
            continue
        with torch.no_grad():
            if is_parametrized(module):  # g = |w|; v in its direction, short as it is at the start
                g = module.get_parameter("parametrizations.weight.original0")
                v = module.get_parameter("parametrizations.weight.original1")
                length = weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                g.copy_(length)
                short = weight * (v.flatten(1).norm(dim=1).mean() / length)
                v.copy_(torch.where(length > 0, short, v))  # a zero filter has no direction
            else:
                module.weight.copy_(weight)
            assert module.bias is not None
            module.bias.copy_(bias)
    if len(kept) == sum(isinstance(m, nn.Conv2d) for m in network.modules()):
        raise TrainingError("warm start: not one layer of these weights fits this network")
    return kept


def validation_pairs(folder: Path, scale: int, side: int = 480) -> list[tuple[Pixels, Pixels]]:
    """(LR, HR) of the central `side` x `side` pixels of each picture of a folder."""
    pairs = []
    for path in list_pictures(folder):
        hr = read_rgb(path)
        if min(hr.shape[:2]) < scale:
            raise TrainingError(f"{path}: {hr.shape[1]} x {hr.shape[0]} pixels are too few")
        top, left = max(hr.shape[0] - side, 0) // 2, max(hr.shape[1] - side, 0) // 2
        pairs.append(make_pair(hr[top : top + side, left : left + side], scale))
    return pairs


def validate(network: Network, pairs: list[tuple[Pixels, Pixels]]) -> float:
    """Mean Y-PSNR in dB by the classical protocol, float32, symmetric border."""
    halo, scale = network.config.radius, network.config.scale
    scores = []
    for lr, hr in pairs:
        extended = np.pad(lr, ((halo, halo), (halo, halo), (0, 0)), mode="symmetric")
        with torch.inference_mode():
            tensor = _to_tensor(extended[None], torch.device("cpu"))
            sr = network(tensor)[0].permute(1, 2, 0).numpy()
        edge = halo * scale
        levels = np.clip(np.rint(sr[edge:-edge, edge:-edge] * 255), 0, 255)
        scores.append(psnr(levels, hr, data_range=255, shave=scale, luma=True))
    return float(np.mean(scores))


def _to_tensor(patches: Pixels, device: torch.device) -> torch.Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 in [0, 1], channels last in memory."""
    return torch.from_numpy(patches).permute(0, 3, 1, 2).to(device, torch.float32).div_(255)


def _saved(run: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The newest checkpoint, or None. Raises TrainingError if it is another recipe's."""
    state = checkpoint.newest(run)
    if state is not None and Recipe.from_dict(state["recipe"]) != recipe:
        raise TrainingError(f"{run}: holds a run of another recipe; use another run folder")
    return state


def _describe(recipe: Recipe, run: Path) -> None:
    facts = {
        "recipe": recipe.to_dict(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
    }
    (run / "run.json").write_text(json.dumps(facts, indent=2) + "\n")


def _trim_log(run: Path, step: int) -> None:
    """Drop rows past the resumed step, which will be written again, and a torn last one."""
    path = run / "log.csv"
    if path.exists():
        lines = path.read_bytes().splitlines(keepends=True)
        rows = [row for row in lines[1:] if row.endswith(b"\n")]
        kept = [row for row in rows if int(row.split(b",")[0]) <= step]
        path.write_bytes(b"".join(lines[:1] + kept))


def _log(run: Path, progress: Progress) -> None:
    path = run / "log.csv"
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(["step", "loss", "learning_rate", "steps_per_second", "psnr"])
        row = progress.step, progress.loss, progress.learning_rate, progress.steps_per_second
        writer.writerow([*row, "" if progress.psnr is None else progress.psnr])
