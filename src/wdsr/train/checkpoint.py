"""Checkpoints: written whole, then renamed; the last two are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wdsr.errors import TrainingError


def save(run: Path, state: dict[str, Any]) -> None:
    """Write `state` as the run's newest checkpoint; `state["step"]` names it."""
    path = run / f"step-{state['step']:08d}.ckpt"
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
    for old in sorted(run.glob("step-*.ckpt"))[:-2]:
        old.unlink()


def newest(run: Path) -> dict[str, Any] | None:
    """The state of a run's newest checkpoint, on the CPU; None if it has none."""
    files = sorted(run.glob("step-*.ckpt"))
    if not files:
        return None
    try:
        state: dict[str, Any] = torch.load(files[-1], map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise TrainingError(
            f"{files[-1]}: damaged; delete it to go on from the one before"
        ) from error
    return state
