"""`wdsr import`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from wdsr.errors import BackendError, ModelError, UsageError


def import_(
    file: Annotated[
        Path, typer.Argument(help="Keras .h5, PyTorch .pth or .pt, .safetensors or .onnx.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Model file, .onnx or .safetensors. [FILE's name.onnx]"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Model name. [FILE's]")] = None,
    residual_scale: Annotated[
        float | None,
        typer.Option(metavar="X", help="Gain of each block, if its program has one. [1]"),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="What its program subtracts, on 0 to 1. [as known]"),
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the weights, for the card.")] = "",
    overwrite: Annotated[bool, typer.Option("-y", "--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Make a model file of a checkpoint that another program trained."""
    from wdsr.zoo import SUFFIXES

    for package in ("torch", "onnx", "onnxscript", "safetensors", "h5py"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"importing needs {package}: pip install 'wdsr[import]'")
    target = out or file.with_suffix(".onnx")
    if target.suffix not in SUFFIXES:
        raise UsageError(f"{target}: give a name that ends in {' or '.join(SUFFIXES)}")
    if target.exists() and not overwrite:
        raise ModelError(f"{target}: exists already; use -y to replace it")
    means = None if mean is None else _numbers(mean)
    from rich.console import Console

    with Console(stderr=True).status("loading torch") as status:  # nothing without a terminal
        from wdsr.importers import import_file
        from wdsr.train.export import write_model

        status.update(f"reading {file.name}")
        imported = import_file(
            file, name=name, mean=means, residual_scale=residual_scale, licence=licence
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        status.update(f"writing {target.name} and trying it on every engine")
        write_model(target, imported.network, imported.card)
    card = imported.card
    typer.echo(f"{file}: {imported.layout}, {card.title}, {card.parameters:,} parameters")
    if imported.guessed_scale:
        typer.echo(f"{file}: its residual scale is taken as 1; if not so, give --residual-scale")
    typer.echo(f"{target}: ready for `wdsr upscale -n {target} -s {card.scale} ...`")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"mean must be numbers like 0.5 or 0.45,0.44,0.40, not {text!r}"
        ) from error
