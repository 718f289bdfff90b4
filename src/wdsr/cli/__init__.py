"""The `wdsr` command: arguments in, one clear line out when something is wrong.

Heavy imports stay inside the commands, so that `wdsr --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import wdsr
from wdsr.cli import evaluate, models, train, upscale
from wdsr.errors import WdsrError

app = typer.Typer(
    name="wdsr",
    help="Make small pictures larger, with WDSR networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("upscale")(upscale.upscale)
app.command("models")(models.models)
app.command("info")(models.info)
app.command("evaluate")(evaluate.evaluate)
app.command("train")(train.train)
app.command("export")(train.export)

# Typer has its own copy of click in some versions; either way this is the base of usage errors.
_CLICK_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"wdsr {wdsr.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command. Exit 0: done; 1: a file failed; 2: a wrong call; 130: interrupted."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except WdsrError as error:
        _fail(str(error), error.exit_code)
    except _CLICK_ERRORS as error:
        _fail(f"{error.format_message()} (wdsr --help)", 2)  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; nothing half-written is left", 130)
    except (
        BrokenPipeError
    ):  # the reader of our output has gone: nothing to say, nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        _fail("out of memory: use a smaller --tile, or enlarge less", 1)


def _fail(message: str, code: int) -> None:
    print(f"wdsr: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
