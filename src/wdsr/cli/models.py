"""`wdsr models` and `wdsr info`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdsr.errors import FileError, UsageError

if TYPE_CHECKING:
    from wdsr.picture import Picture
    from wdsr.zoo import Model

_LARGE_OVERHEAD = 1.5  # of a tile: wdsr-b-8 has 1.25, wdsr-a-16 1.95, EDSR and SRResNet over 2


def models() -> None:
    """List the models that come with wdsr."""
    from rich.console import Console
    from rich.table import Table

    from wdsr import zoo

    table = Table("model", "scales", "parameters", "Set5 PSNR, dB", "licence", box=None)
    groups: dict[str, list[Model]] = {}
    for model in zoo.shipped():
        groups.setdefault(model.card.name, []).append(model)
    for name, group in groups.items():
        cards = [model.card for model in group]
        table.add_row(
            name,
            " ".join(f"x{card.scale}" for card in cards),
            " / ".join(f"{card.parameters / 1000:.0f}K" for card in cards),
            " / ".join(_set5(card.scores) for card in cards),
            cards[0].licence,
        )
    Console().print(table)


def _set5(scores: Mapping[str, Any]) -> str:
    score = scores.get("classical", {}).get("Set5", {}).get("psnr")
    return "-" if score is None else f"{score:.2f}"


def info(
    file: Annotated[str, typer.Argument(help="A picture, a model file, or a model's name.")],
    other: Annotated[
        Path | None,
        typer.Argument(help="A picture: how well do the two agree, when the larger is made small?"),
    ] = None,
) -> None:
    """Show the facts of a picture or of a model, or compare a picture with its enlargement."""
    from wdsr import zoo

    path = Path(file)
    if other is not None:
        _print_residual(_read(path), _read(other))
        return
    name, scale = zoo.split_title(file)
    if not path.exists() and zoo.is_shipped(name):
        scales = zoo.scales(file)
        models = [zoo.find(name, s) for s in scales]
        _print_cards(models, as_list=scale is None)
    elif file.endswith(zoo.SUFFIXES):
        _print_cards([zoo.read_model(path)])
    elif zoo.training_run(path) is not None:
        zoo.scales(file)  # raises the error that names the way
    elif not path.exists() and not path.suffix:
        raise FileError(f"{file}: no such file, and no such model: `wdsr models` lists those")
    else:
        _print_picture(_read(path), path)


def _read(path: Path) -> Picture:
    from wdsr import isolation
    from wdsr.files import read_file
    from wdsr.headers import Limits

    data = read_file(path, max_bytes=Limits().bytes)
    return isolation.read(data, name=str(path), drop_tags=True)


def _print_residual(one: Picture, other: Picture) -> None:
    from wdsr.consistent import measured

    small, large = sorted((one, other), key=lambda picture: picture.width * picture.height)
    if len(small.pages) != len(large.pages):
        counts = f"{len(small.pages)} and {len(large.pages)}"
        raise UsageError(f"the pictures have {counts} pages or frames and cannot be compared")
    sizes = f"{large.width} x {large.height} of {small.width} x {small.height}"
    typer.echo(f"{sizes}: {measured(large, small)}")


def _print_cards(models: list[Model], *, as_list: bool = False) -> None:
    """Print the card of one model, or the list of several, as JSON."""
    from wdsr.inference import AUTO_SIDE
    from wdsr.tiling import TilePlan

    cards = [{**json.loads(model.card.to_json()), "sha256": model.sha256} for model in models]
    typer.echo(json.dumps(cards if as_list else cards[0], indent=2))
    core = AUTO_SIDE, AUTO_SIDE
    plan = TilePlan(*core, models[0].card.scale, models[0].card.halo, core)
    if plan.overhead > _LARGE_OVERHEAD:
        typer.echo(
            f"note: a large halo: with {models[0].card.halo} pixels around it, a tile of "
            f"{AUTO_SIDE} is {plan.overhead:.1f} times the work; a larger --tile wastes less",
            err=True,
        )


def _print_picture(picture: Picture, path: Path) -> None:
    from wdsr.picture import KINDS

    kind = "grey" if picture.pixels.shape[2] == 1 else "RGB"
    kind += " + alpha" if picture.alpha is not None else ""
    profile = f"ICC, {len(picture.icc)} bytes" if picture.icc else "none (sRGB assumed)"
    lines = [
        ("format", f"{picture.format}"),
        ("size", f"{picture.width} x {picture.height}"),
        ("pixels", f"{kind}, {picture.pixels.dtype}"),
        ("profile", profile),
    ]
    if picture.quality:
        halved = "" if picture.full_colour else ", colour at a lower resolution"
        lines.append(("quality", f"about {picture.quality} of 100{halved}"))
    for name, block in (("EXIF", picture.exif), ("XMP", picture.xmp), ("IPTC", picture.iptc)):
        if block:
            lines.append((name, f"{len(block)} bytes"))
    if picture.dpi:
        lines.append(("print", f"{picture.dpi[0]:g} x {picture.dpi[1]:g} dpi"))
    for key in ("comment", "text", "gamma"):
        name, has = KINDS[key]
        if has(picture):
            lines.append(("and", name))
    if picture.timing:
        plays = f"{picture.timing.plays} times" if picture.timing.plays else "for ever"
        seconds = sum(picture.timing.delays) / 1000
        lines.append(("frames", f"{len(picture.pages)} in {seconds:g} s, {plays}"))
    elif picture.others:
        lines.append(("pages", f"{len(picture.pages)}"))
    lines += [("note", note) for note in picture.notes]
    typer.echo(str(path))
    for name, text in lines:
        typer.echo(f"  {name:8} {text}")
