"""`wdsr compare`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wdsr.cli.evaluate import DEFAULT_MODEL, find_makers
from wdsr.errors import BackendError, PictureError, UsageError

if TYPE_CHECKING:
    from wdsr.evaluate import Pair, Row

_FORMATS = ("png", "svg")


def compare(
    hr: Annotated[Path, typer.Option(metavar="FILE", help="An HR picture, or a folder of them.")],
    lr: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Their LR. [made by MATLAB's bicubic]")
    ] = None,
    sr: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Finished SR pictures to show; may be repeated."),
    ] = None,
    scale: Annotated[int, typer.Option("-s", "--scale", metavar="N", help="2, 3, 4 ...")] = 4,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "-n",
            "--model",
            metavar="NAME",
            help="Model name or file, or lanczos; may be repeated. [wdsr-b-8]",
        ),
    ] = None,
    crop: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(metavar="X Y W H", help="In HR pixels. [where models differ most]"),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the drawings.")
    ] = Path(),
    format: Annotated[  # noqa: A002
        list[str] | None,
        typer.Option("-f", "--format", metavar="NAME", help="png or svg; may be repeated. [png]"),
    ] = None,
    protocol: Annotated[
        str, typer.Option(metavar="NAME", help="Of the scores: classical, ntire or ancestor.")
    ] = "classical",
    backend: Annotated[
        str, typer.Option(metavar="NAME", help="auto, openvino, onnxruntime or torch.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="float32, or auto or bf16 as in use.")
    ] = "float32",
) -> None:
    """Draw models side by side: crops with scores, error maps, quality against speed.

    Writes NAME_x4_crops and NAME_x4_errors for each picture, and x4_quality-speed.
    """
    kinds = list(dict.fromkeys(format or ["png"]))
    if not set(kinds) <= set(_FORMATS):
        raise UsageError(f"no format {', '.join(kinds)}: choose {' or '.join(_FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise BackendError("drawing needs matplotlib: pip install 'wdsr[compare]'")
    from wdsr.cli.common import row_progress
    from wdsr.evaluate import PROTOCOLS, compare, draw, mean, pairs, report
    from wdsr.evaluate.pairing import hr_files

    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol!r}: choose {', '.join(PROTOCOLS)}")
    names = list(dict.fromkeys(model or ([] if sr else [DEFAULT_MODEL])))
    folders = list(dict.fromkeys(sr or []))
    makers, _ = find_makers(names, folders, hr, scale, backend=backend, precision=precision)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{output}: cannot make this folder: {error.strerror}") from error

    rows: list[Row] = []
    largest: Pair | None = None
    with row_progress() as bar:
        task = bar.add_task("drawing", total=len(hr_files(hr)))
        for pair in pairs(hr, scale, lr=lr):
            shown = compare.given_crop(crop, pair) if crop else None
            found = compare.Comparison.of(pair, makers, PROTOCOLS[protocol])
            shown = shown or compare.choose_crop(found)
            rows += found.rows
            largest = pair if largest is None or pair.lr.size > largest.lr.size else largest
            for kind in kinds:
                stem = f"{pair.path.stem}_x{scale}"
                draw.save(draw.strip(found, shown), output / f"{stem}_crops.{kind}")
                draw.save(draw.error_map(found), output / f"{stem}_errors.{kind}")
            where = f"{shown.x} {shown.y} {shown.width} {shown.height}"
            typer.echo(f"{pair.name}: crop {where}")
            bar.advance(task)
    assert largest is not None
    seconds = compare.speed(makers, largest)
    own = {name: [row for row in rows if row.method == name] for name in makers}
    timed = [(mean(own[name]), seconds[name]) for name in seconds]
    facts = report.machine()
    count = len(own["bicubic"])
    title = f"{hr.resolve().stem} x{scale}, {PROTOCOLS[protocol].words(scale)}, mean of {count}"
    words = f"Time: best of 3, engine ready, {facts['cores']} cores of {facts['processor']}."
    for kind in kinds:
        draw.save(
            draw.quality_speed(timed, title, words), output / f"x{scale}_quality-speed.{kind}"
        )
    typer.echo(f"{output}: crops and error maps of {count}, quality against speed")
