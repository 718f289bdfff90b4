"""What the commands share."""

from __future__ import annotations

from typing import Annotated

import typer

import wdsr


def one_line(text: str) -> str:
    """A message that prints on one line, whatever the file names in it.

    Names may hold line breaks, codes that a terminal would obey, and bytes that are no text.
    """
    line = " ".join(text.splitlines())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"wdsr {wdsr.__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
]
