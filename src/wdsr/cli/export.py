"""`wdsr export`."""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdsr.cli.common import need, sets_of
from wdsr.errors import TrainingError, UsageError
from wdsr.zoo import SUFFIXES

if TYPE_CHECKING:
    from wdsr.zoo import Model

# What a card can be told about a run: fields of ModelCard.
_FACTS: dict[str, type] = {
    "data": str,
    "licence": str,
    "notes": str,
    "scores": dict,
    "softer": str,
    "training": dict,
}


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

    if out.suffix in SUFFIXES and not out.is_dir():
        raise UsageError(f"{out}: --out takes a folder; the file is named by --name and its scale")
    known = _read_facts(facts) if facts else {}
    sets = sets_of(score or [])
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


def _read_facts(path: Path) -> dict[str, Any]:
    """What the card is to be told. Raises TrainingError if a card cannot hold it."""
    try:
        known = json.loads(path.read_text("utf-8"))
        json.dumps(known, allow_nan=False)  # Python reads NaN and Infinity, which are no JSON
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{path}: cannot read these facts: {error}") from error
    if not isinstance(known, dict) or not set(known) <= set(_FACTS):
        raise TrainingError(f"{path}: must be a JSON object of {', '.join(_FACTS)}")
    for name, value in known.items():
        if not isinstance(value, _FACTS[name]):
            kind = "text" if _FACTS[name] is str else "a JSON object"
            raise TrainingError(f"{path}: {name} must be {kind}, not {reprlib.repr(value)}")
    return known


def _scores(model: Model, sets: dict[str, Path]) -> dict[str, Any]:
    """PSNR (at most 100 dB a picture) and SSIM by the classical protocol, for each set."""
    from statistics import fmean

    from wdsr import backends
    from wdsr import evaluate as protocol
    from wdsr.train.validate import BEST

    if not sets:
        return {}
    method = protocol.model(backends.create("auto", model, precision="float32"))
    scores = {}
    for name, folder in sets.items():
        rows = list(protocol.evaluate(folder, model.card.scale, method))
        scores[name] = {
            "psnr": round(fmean(min(row.psnr, BEST) for row in rows), 3),
            "ssim": round(fmean(row.ssim for row in rows), 4),
            "pictures": len(rows),
        }
    return {"classical": scores}
