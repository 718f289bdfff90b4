"""What the commands share."""

from __future__ import annotations

from typing import Annotated

import typer

import wdsr


def one_line(text: str) -> str:
    """A message without line breaks, which a file name may hold."""
    return " ".join(text.splitlines())


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"wdsr {wdsr.__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
]
