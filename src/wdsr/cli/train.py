"""`wdsr train` and `wdsr export`."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdsr.errors import BackendError, TrainingError, UsageError

if TYPE_CHECKING:
    from wdsr.train.recipe import Recipe
    from wdsr.zoo import Model

# What a card can be told about a run: fields of ModelCard.
_FACTS = {"data", "licence", "notes", "scores", "training"}


def train(
    recipe: Annotated[str, typer.Argument(help="Name, e.g. wdsr-b-8-x4, or a .toml file.")],
    data: Annotated[Path, typer.Option(help="Folder of HR pictures to train on.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Run folder; resumed if there. [runs/RECIPE]")
    ] = None,
    valid: Annotated[Path | None, typer.Option(help="Folder of held-out HR pictures.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded pictures are kept. [OUT/../cache]")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    patch: Annotated[int | None, typer.Option(help="Side of an LR patch.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    start: Annotated[
        str | None, typer.Option(help="Weights to begin from: MODEL-xSCALE or a model file.")
    ] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Stop cleanly after so long.")] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads. [all]")] = None,
    precision: Annotated[str, typer.Option(help="float32 or bf16.")] = "bf16",
) -> None:
    """Train a network; run the same command again to resume."""
    _need_torch()
    import dataclasses

    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        os.environ["OMP_NUM_THREADS"] = str(threads)  # torch reads it when it loads, just below
    from wdsr.train.data import Pairs, pack
    from wdsr.train.loop import train as run_training
    from wdsr.train.loop import validation_pairs

    if precision not in ("float32", "bf16"):
        raise UsageError(f"precision must be float32 or bf16, not {precision!r}")
    changes: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "learning_rate": learning_rate,
        "seed": seed,
        "start": start,
    }
    chosen = dataclasses.replace(
        _recipe(recipe), **{name: value for name, value in changes.items() if value is not None}
    )
    run = out or Path("runs") / Path(recipe).stem
    scale = chosen.network.scale
    with _bars() as bars:
        packing = bars.add_task("reading pictures", total=None, text="")
        packed = pack(
            data,
            cache or run.parent / "cache",
            scale,
            progress=lambda done, total: bars.update(packing, completed=done, total=total),
        )
        bars.remove_task(packing)
        pairs = Pairs(packed, scale)
        held_out = validation_pairs(valid, scale) if valid else None
        task = bars.add_task("training", total=chosen.steps, text="")

        def report(progress: Any) -> None:
            text = f"loss {progress.loss:.5f}  {progress.steps_per_second:.1f} steps/s"
            if progress.best is not None:
                text += f"  best {progress.best:.3f} dB"
            bars.update(task, completed=progress.step, text=text)
            if progress.psnr is not None or not bars.console.is_terminal:
                score = f"  PSNR {progress.psnr:.3f} dB" if progress.psnr is not None else ""
                bars.console.print(f"step {progress.step}: {text}{score}", highlight=False)

        run_training(
            chosen,
            pairs,
            run,
            validation=held_out,
            start=_weights(chosen.start),
            precision="bf16" if precision == "bf16" else "float32",
            max_minutes=max_minutes,
            report=report,
        )
    typer.echo(f"{run}: checkpoint and log.csv are there; `wdsr export {run}` makes a model file")


def export(
    run: Annotated[Path, typer.Argument(help="A run folder of `wdsr train`.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the model file.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Model name. [the run folder's]")] = None,
    facts: Annotated[
        Path | None,
        typer.Option(help="JSON file with the card's licence, data and notes."),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER of HR pictures to score for the card; may be repeated."),
    ] = None,
    safetensors: Annotated[
        bool, typer.Option("--safetensors", help="Write the weights as .safetensors too.")
    ] = False,
    valid: Annotated[
        Path | None,
        typer.Option(help="HR pictures on which all engines must score alike. [drawn ones]"),
    ] = None,
) -> None:
    """Turn a training run into one .onnx file with its card inside."""
    _need_torch()
    from wdsr.train.export import export_run

    try:
        known = json.loads(facts.read_text("utf-8")) if facts else {}
    except (OSError, ValueError) as error:
        raise TrainingError(f"{facts}: cannot read these facts: {error}") from error
    if not isinstance(known, dict) or not set(known) <= _FACTS:
        wanted = ", ".join(sorted(_FACTS))
        raise TrainingError(f"{facts}: must be a JSON object of {wanted}")
    sets = dict(_name_and_folder(text) for text in score or [])
    path = export_run(
        run,
        out,
        name=name or run.resolve().name,
        facts=known,
        score=lambda model: _scores(model, sets),
        safetensors=safetensors,
        valid=valid,
    )
    typer.echo(f"{path}: ready for `wdsr upscale -n {path} ...`")


def _name_and_folder(text: str) -> tuple[str, Path]:
    name, found, folder = text.partition("=")
    if not (name and found and folder):
        raise UsageError(f"score must be NAME=FOLDER, not {text!r}")
    return name, Path(folder)


def _scores(model: Model, sets: dict[str, Path]) -> dict[str, Any]:
    """PSNR and SSIM by the classical protocol, for each set."""
    from statistics import fmean

    from wdsr import backends
    from wdsr import evaluate as protocol

    if not sets:
        return {}
    method = protocol.model(backends.create("auto", model, precision="float32"))
    scores = {}
    for name, folder in sets.items():
        rows = list(protocol.evaluate(folder, model.card.scale, method))
        scores[name] = {
            "psnr": round(fmean(row.psnr for row in rows), 3),
            "ssim": round(fmean(row.ssim for row in rows), 4),
            "pictures": len(rows),
        }
    return {"classical": scores}


def _recipe(name: str) -> Recipe:
    from wdsr.train.recipe import RECIPES, Recipe

    if name.endswith(".toml"):
        return Recipe.read(Path(name))
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}: choose {', '.join(RECIPES)}, or give a .toml file")
    return RECIPES[name]


def _weights(start: str | None) -> Any:
    if start is None:
        return None
    from wdsr import zoo
    from wdsr.backends.torch import read_weights

    if start.endswith(zoo.SUFFIXES):
        return read_weights(zoo.read_model(Path(start)))
    name, _, scale = start.rpartition("-x")
    if not name or not scale.isdecimal():
        raise UsageError(f"start must be MODEL-xSCALE or a model file, not {start!r}")
    return read_weights(zoo.find(name, int(scale)))


def _need_torch() -> None:
    for package in ("torch", "lightning", "onnx"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"training needs {package}: pip install 'wdsr[train]'")


def _bars() -> Any:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
    )
