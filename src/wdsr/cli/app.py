"""The commands. Heavy imports stay inside them, so that `wdsr --help` answers at once."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from wdsr.cli import (
    compare,
    data,
    degrade,
    doctor,
    evaluate,
    export,
    importing,
    models,
    quantise,
    train,
    upscale,
)
from wdsr.cli.common import Command, Version, one_line
from wdsr.errors import WdsrError

app = typer.Typer(
    name="wdsr",
    help="Make small pictures larger, with WDSR networks: `wdsr upscale photo.jpg`",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("upscale", cls=upscale.Upscale)(upscale.upscale)
_COMMANDS: dict[str, Callable[..., None]] = {
    "models": models.models,
    "info": models.info,
    "degrade": degrade.degrade,
    "doctor": doctor.doctor,
    "evaluate": evaluate.evaluate,
    "compare": compare.compare,
    "train": train.train,
    "export": export.export,
    "import": importing.import_,
    "quantise": quantise.quantise,
}
for name, command in _COMMANDS.items():
    app.command(name, cls=Command)(command)
app.add_typer(data.app, name="data")

# Typer has its own copy of click in some versions; either way this is the base of usage errors.
_CLICK_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, version: Version = False) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command; its exit code, and the line to say if that is not 0."""
    command = typer.main.get_command(app)
    try:
        # Not `app()`, which has its own ideas about interrupts and broken pipes.
        with command.make_context("wdsr", arguments) as context:
            command.invoke(context)
        sys.stdout.flush()  # a full disk is to be told here, not after the end
    except typer.Exit as end:
        return int(end.exit_code), ""
    except WdsrError as error:
        return error.exit_code, one_line(str(error))
    except _CLICK_ERRORS as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "wdsr")
        message = error.format_message()  # type: ignore[attr-defined]
        return 2, one_line(f"{message} ({path} --help)")
    except BrokenPipeError:  # the reader of our output has gone: nobody to say it to
        return 1, ""
    except OSError as error:
        return 1, one_line(f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        return 1, "out of memory: enlarge less, or use a smaller --tile"
    return 0, ""
