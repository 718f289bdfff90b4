"""What the commands share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

import wdsr
from wdsr.errors import BackendError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

_MAY_BE_EMPTY = {"suffix"}


class Command(TyperCommand):
    """A command that refuses what cannot be meant, and says what it does without cutting it short.

    panels: heading -> names of the options below it, in the help.
    """

    panels: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Look at what was given before it is converted."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        for param in self.params:
            values = given.get(param.name or "")
            empty = "" in (values if isinstance(values, (list, tuple)) else [values])
            # `-o "$UNSET"` would otherwise become a path, and that the current folder.
            if empty and param.name not in _MAY_BE_EMPTY:
                raise UsageError(f"empty name for {_spoken(param)}: is a shell variable unset?")
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            words = {"integer": "whole number", "number": "number", "float": "number"}
            kind = next((words[word] for word in words if word in error.message), None)
            if kind is None or error.param is None:
                raise
            value = given[error.param.name or ""]
            raise UsageError(f"{_spoken(error.param)} must be a {kind}, not {value!r}") from None

    def get_short_help_str(self, limit: int = 0) -> str:
        """For the list of commands, which wraps lines: the first paragraph, whole."""
        return " ".join((self.help or "").partition("\n\n")[0].split())

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, grouped by their panels."""
        groups: dict[str, list[tuple[str, str]]] = {}
        headings = {name: heading for heading, names in self.panels.items() for name in names}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                groups.setdefault(headings.get(param.name or "", kind), []).append(record)
        for heading in sorted(groups, key=["Arguments", *self.panels, "Options"].index):
            with formatter.section(heading):
                formatter.write_dl(groups[heading])


def _spoken(param: Any) -> str:
    """What people call an argument or an option: `INPUT`, `--output`."""
    option = param.opts[-1].startswith("-")
    return str(param.opts[-1] if option else param.metavar or param.name.upper())


def one_line(text: str) -> str:
    """A message that prints on one line, whatever the file names in it.

    Names may hold line breaks, codes that a terminal would obey, and bytes that are no text.
    """
    line = " ".join(text.splitlines())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def sets_of(texts: Iterable[str]) -> dict[str, Path]:
    """Name -> folder, of every NAME=FOLDER given to `--score`."""
    sets: dict[str, Path] = {}
    for text in texts:
        name, found, folder = text.partition("=")
        if not (name and found and folder):
            raise UsageError(f"score must be NAME=FOLDER, not {text!r}")
        if name in sets:
            raise UsageError(
                f"score has {name!r} twice: {sets[name]} and {folder}; name each set differently"
            )
        sets[name] = Path(folder)
    return sets


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
