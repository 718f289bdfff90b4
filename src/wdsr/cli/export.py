"""`wdsr export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdsr.cli.common import need
from wdsr.errors import TrainingError, UsageError

if TYPE_CHECKING:
    from wdsr.zoo import Model

# What a card can be told about a run: fields of ModelCard.
_FACTS = {"data", "licence", "notes", "scores", "softer", "training"}


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
    golden: Annotated[
        bool, typer.Option("--golden", help="Write a golden tile (.npz) and SHA256SUMS too.")
    ] = False,
    valid: Annotated[
        Path | None,
        typer.Option(help="HR pictures on which all engines must score alike. [drawn ones]"),
    ] = None,
) -> None:
    """Turn a training run into one .onnx file with its card inside."""
    need("torch", "lightning", "onnx")
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
        golden=golden,
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
