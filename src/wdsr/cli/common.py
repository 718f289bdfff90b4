"""What the commands share."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

import wdsr
from wdsr.errors import BackendError

if TYPE_CHECKING:
    from rich.progress import Progress


def one_line(text: str) -> str:
    """A message that prints on one line, whatever the file names in it.

    Names may hold line breaks, codes that a terminal would obey, and bytes that are no text.
    """
    line = " ".join(text.splitlines())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def row_progress() -> Progress:
    """A bar on stderr, for commands whose rows on stdout already show how far they are."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,  # rich would send rows to stderr
        disable=not console.is_terminal or sys.stdout.isatty(),
    )


def need(*packages: str) -> None:
    """Raise BackendError if one of training's packages is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"training needs {package}: pip install 'wdsr[train]'")


def bars(*, quiet: bool = False) -> Any:
    """Progress bars with a text of their own and the time left, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, quiet=quiet)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,  # remarks are printed all the same
    )


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"wdsr {wdsr.__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
]
