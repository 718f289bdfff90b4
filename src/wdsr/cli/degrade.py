"""`wdsr degrade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wdsr.errors import PictureError, UsageError


def degrade(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A sharp, clean picture.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="[beside it, NAME_degraded.png]"),
    ] = None,
    presets: Annotated[
        list[str] | None,
        typer.Option("-p", "--preset", metavar="NAME", help="Only these. [all]"),
    ] = None,
    scale: Annotated[int, typer.Option("-s", "--scale", metavar="N", help="HR per LR pixel.")] = 4,
    columns: Annotated[int, typer.Option(metavar="N", help="Examples of each.")] = 5,
    seed: Annotated[int, typer.Option(metavar="N", help="Another one, other examples.")] = 0,
    overwrite: Annotated[bool, typer.Option("-y", "--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Draw a sheet of what the degradation presets for training make of a picture."""
    from wdsr import picture as pictures
    from wdsr.degrade import PRESETS
    from wdsr.degrade.sheet import sheet

    if not 1 <= columns <= 16:
        raise UsageError(f"columns must be from 1 to 16, not {columns}")
    if seed < 0:
        raise UsageError(f"seed must be at least 0, not {seed}")
    target = output or picture.with_name(f"{picture.stem}_degraded.png")
    pictures.format_of(target)
    if target.exists() and not overwrite:
        raise PictureError(f"{target}: exists already; use -y to replace it")
    hr = pictures.read(picture)
    if hr.pixels.dtype != "uint8":
        raise PictureError(f"{picture}: {hr.pixels.dtype} pixels; give a picture of 8 bits")
    rgb = hr.pixels.repeat(3, axis=2) if hr.pixels.shape[2] == 1 else hr.pixels
    drawn = sheet(rgb, presets=presets or list(PRESETS), scale=scale, columns=columns, seed=seed)
    pictures.write(pictures.Picture(drawn), target, overwrite=overwrite)
    typer.echo(f"{target}: {len(presets or PRESETS)} presets, {columns} examples each", err=True)
