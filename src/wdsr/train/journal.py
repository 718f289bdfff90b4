"""What a run leaves in its folder for people to read: facts, curves and sample pictures."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from wdsr import zoo
from wdsr.errors import WdsrError
from wdsr.files import write_atomically
from wdsr.networks import Network
from wdsr.train import fields
from wdsr.train.recipe import Recipe
from wdsr.train.validate import Pair, enlarge

COLUMNS = ["step", "loss", "learning_rate", "steps_per_second", "psnr", "minutes", "skipped"]


@dataclass(frozen=True)
class Progress:
    """What the loop reports as it goes."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    steps_per_second: float
    psnr: float | None = None  # on validation pictures, when just measured
    best: float | None = None
    minutes: float = 0.0  # of training, over all sittings
    skipped: int = 0  # steps that were not finite


class Journal:
    """`run.json`, `recipe.toml`, `log.csv`, `samples/` and TensorBoard's `events.*`.

    step: the one that the run goes on from; what was logged past it is dropped.
    board: write TensorBoard's files too, where it is installed.
    """

    def __init__(self, run: Path, step: int, *, board: bool = True) -> None:
        self._run, self._log = run, run / "log.csv"
        self.minutes = self.rewind(step)  # trained until then
        self._board: Any = None
        if board and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run), purge_step=step + 1)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._board is not None:
            self._board.close()

    def write(self, progress: Progress) -> None:
        """Add a row."""
        columns = self._columns()
        with self._log.open("a", newline="") as stream:
            writer = csv.writer(stream)
            if stream.tell() == 0:
                writer.writerow(columns)
            values = [getattr(progress, name) for name in columns]
            writer.writerow(["" if value is None else value for value in values])
        if self._board is not None:
            for name in COLUMNS[1:]:
                if (value := getattr(progress, name)) is not None:
                    self._board.add_scalar(name, value, progress.step)

    def sample(self, network: Network, pairs: Sequence[Pair], step: int) -> None:
        """Save `samples/step-N.png`: LR enlarged by repetition, SR and HR, a row a picture."""
        rows = []
        for lr, hr in pairs[:4]:
            scale, side = network.config.scale, min(160 // network.config.scale, *lr.shape[:2])
            y, x = (lr.shape[0] - side) // 2, (lr.shape[1] - side) // 2
            crop = lr[y : y + side, x : x + side]
            large = hr[y * scale : (y + side) * scale, x * scale : (x + side) * scale]
            shown = [crop.repeat(scale, 0).repeat(scale, 1), enlarge(network, crop), large]
            rows.append(np.concatenate(shown, axis=1))  # (s*p, 3*s*p, 3)
        width = max(row.shape[1] for row in rows)
        fill = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
        picture = np.concatenate(fill)
        folder = self._run / "samples"
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"step-{step:08d}.png")
        if self._board is not None:
            self._board.add_image("LR, SR, HR", picture, step, dataformats="HWC")

    def _columns(self) -> list[str]:
        """Of the file that is there: an older version may have begun it."""
        if not self._log.exists():
            return COLUMNS
        with self._log.open(newline="") as stream:
            return next(csv.reader(stream), COLUMNS)

    def rewind(self, step: int) -> float:
        """Drop rows past the step, which will be written again.

        Returns the minutes trained until then.
        """
        kept = rewind_table(self._log, COLUMNS, step)
        column = COLUMNS.index("minutes")
        last = kept[-1].decode("ascii", "replace").strip().split(",") if kept else []
        try:
            return float(last[column])
        except (IndexError, ValueError):
            return 0.0


def rewind_table(path: Path, columns: list[str], step: int) -> list[bytes]:
    """Drop the rows of a CSV file past a step, and whatever is torn: a log must not stop a run.

    columns: as they are now, "step" first; an older version knew some of them.
    Returns the rows that are left.
    """
    if not path.exists():
        return []
    head, *rows = path.read_bytes().splitlines(keepends=True) or [b""]
    named = head.decode("ascii", "replace").strip().split(",")
    if not head.endswith(b"\n") or named[0] != "step" or not set(named) <= set(columns):
        path.unlink()  # begun anew by the next row
        return []
    rows = [row for row in rows if row.endswith(b"\n") and row.split(b",")[0].isdigit()]
    kept = [row for row in rows if int(row.split(b",")[0]) <= step]
    write_atomically(path, b"".join([head, *kept]))
    return kept


def describe(run: Path, recipe: Recipe, facts: Mapping[str, Any], step: int = 0) -> list[str]:
    """Write the resolved recipe, code version and environment.

    step: the one that the run goes on from. Returns the names of what was otherwise until
    then: such a run is not promised to the bit. `run.json` keeps what it was, under `until`.
    """
    recipe.write(run / "recipe.toml")
    before = _described(run)
    everything = {
        "recipe": fields.for_json(recipe.to_dict()),
        **{name: _version(name) for name in ("wdsr", "torch", "lightning", "numpy", "pillow")},
        "python": platform.python_version(),
        "machine": machine(),
        **facts,
    }
    if recipe.start is not None:
        noted = before.get("start")  # a run goes on also when what it began from is gone
        if began := (noted if step else None) or origin(recipe.start) or noted:
            everything["start"] = began
    earlier = before if step else {}
    unlike = {
        name: earlier[name]
        for name in everything
        if name != "recipe" and name in earlier and earlier[name] != everything[name]
    }
    until = {**earlier.get("until", {}), **({str(step): unlike} if unlike else {})}
    everything |= {"until": until} if until else {}
    write_atomically(run / "run.json", (json.dumps(everything, indent=2) + "\n").encode())
    return list(unlike)


def origin(start: str) -> dict[str, str]:
    """Title and licence of the model that training began from: its offspring is bound by it.

    If that is a run, of what the run itself began from, as it says. Nothing if unknown.
    """
    for _ in range(99):  # runs that began from runs; no more, as two may name each other
        if not Path(start).is_dir():
            break
        facts = _described(Path(start))
        noted, recipe = facts.get("start"), facts.get("recipe")
        if isinstance(noted, dict) and {"title", "licence"} <= set(noted):
            return noted
        earlier = recipe.get("start") if isinstance(recipe, dict) else None
        if not isinstance(earlier, str):
            return {}
        start = earlier
    name, scale = zoo.split_title(start)
    try:
        card = (zoo.read_model(Path(start)) if scale is None else zoo.find(name, scale)).card
    except WdsrError:  # a file that is gone
        return {}
    return {"title": card.title, "licence": card.licence}


def _described(run: Path) -> dict[str, Any]:
    """What `run.json` says, nothing if it is lost."""
    try:
        facts: dict[str, Any] = json.loads((run / "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def machine() -> str:
    """The processor and graphics cards."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        pass
    cards = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return ", ".join([name, f"{os.cpu_count()} cores", *cards])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
