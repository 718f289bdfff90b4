"""`wdsr quantise`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdsr.cli.common import sets_of
from wdsr.errors import BackendError, TrainingError, UsageError

if TYPE_CHECKING:
    from wdsr.zoo import Model

SIDE = 768  # pixels of an HR picture that are scored, each way


def quantise(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL", help="Float32 .onnx files of `wdsr export`.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of HR pictures, as in training.")],
    score: Annotated[
        list[str],
        typer.Option(
            help="NAME=FOLDER of HR pictures to measure the loss on (of large ones the middle); "
            "may be repeated."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to write to. [the model's]")
    ] = None,
    max_loss: Annotated[float, typer.Option(metavar="DB", help="PSNR that may be lost.")] = 0.05,
) -> None:
    """Make int8 versions of models: quicker and smaller, at a loss that is measured.

    Writes NAME.int8.onnx beside each model; `wdsr upscale` then finds it by itself.
    """
    for package in ("nncf", "onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"quantising needs {package}: pip install 'wdsr[quantize]'")
    sets = sets_of(score)
    if not max_loss >= 0:  # nan is not
        raise UsageError(f"max-loss must be at least 0, not {max_loss}")

    from rich.console import Console

    from wdsr import zoo
    from wdsr.files import write_atomically
    from wdsr.train.export import update_checksums
    from wdsr.train.quantise import quantise as make

    console = Console(stderr=True)
    for path in models:
        with console.status(f"{path.name}: calibrating and scoring"):
            model = zoo.read_model(path)
            pairs = _pairs(sets, model.card.scale)
            int8, price = make(
                model,
                data,
                enlarge=_enlarge,
                score=lambda model, pairs=pairs: _psnr(model, pairs),  # type: ignore[misc]
                max_loss=max_loss,
                report=lambda line, path=path: console.print(  # type: ignore[misc]
                    f"{path.name}: {line}", markup=False, highlight=False, soft_wrap=True
                ),
            )
        target = (out or path.parent) / int8.source
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, int8.onnx)
        if (target.parent / "SHA256SUMS").exists():
            update_checksums(target.parent)
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in price.loss.items())
        typer.echo(f"{target}: {len(int8.onnx) / 1000:.0f} KB; dB lost: {losses}")


def _enlarge(model: Model) -> Callable[[Any], Any]:
    """A model over an 8-bit picture, on the engine that the files are for."""
    import numpy as np

    from wdsr import backends
    from wdsr.inference import run_tiles

    backend = backends.create("openvino", model, precision="float32")
    return lambda lr: run_tiles(lr, backend, white=255, dtype=np.uint8)


def _pairs(folders: Mapping[str, Path], scale: int) -> dict[str, list[Any]]:
    """(LR, HR) of every picture of each set, as the classical protocol makes them."""
    from wdsr.train.pictures import list_pictures, make_pair

    return {
        name: [make_pair(_middle(path, scale), scale) for path in list_pictures(folder)]
        for name, folder in folders.items()
    }


def _middle(path: Path, scale: int) -> Any:
    """At most SIDE pixels each way: whole pictures of the usual sets, a part of photographs."""
    from wdsr.train.pictures import read_rgb

    hr = read_rgb(path)
    least = 11 + 2 * scale  # what `wdsr evaluate` wants of it too: SSIM's window and the border
    least += -least % scale
    if min(hr.shape[:2]) < least:
        raise TrainingError(
            f"{path}: too small to be scored at x{scale}: {hr.shape[1]} x {hr.shape[0]}, "
            f"at least {least} x {least} wanted"
        )
    top, left = (max(side - SIDE, 0) // 2 for side in hr.shape[:2])
    return hr[top : top + SIDE, left : left + SIDE]


def _psnr(model: Model, pairs: Mapping[str, list[Any]]) -> dict[str, float]:
    """Mean PSNR (at most 100 dB a picture) by the classical protocol, for each set."""
    from statistics import fmean

    from wdsr.metrics import psnr
    from wdsr.train.validate import BEST

    enlarge, shave = _enlarge(model), model.card.scale
    return {
        name: fmean(
            min(psnr(enlarge(lr), hr, data_range=255, shave=shave, luma=True), BEST)
            for lr, hr in rows
        )
        for name, rows in pairs.items()
    }
