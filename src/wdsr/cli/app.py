"""The commands. Heavy imports stay inside them, so that `wdsr --help` answers at once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection

import typer

from wdsr.cli.common import Command, Version, one_line
from wdsr.errors import WdsrError

# Command -> module of this package, and what stands for the command in it: a function, or an
# app of its own. In the order of `wdsr --help`.
COMMANDS = {
    "upscale": ("upscale", "upscale"),
    "models": ("models", "models"),
    "info": ("models", "info"),
    "degrade": ("degrade", "degrade"),
    "doctor": ("doctor", "doctor"),
    "evaluate": ("evaluate", "evaluate"),
    "compare": ("compare", "compare"),
    "train": ("train", "train"),
    "export": ("export", "export"),
    "import": ("importing", "import_"),
    "quantise": ("quantise", "quantise"),
    "data": ("data", "app"),
}


def build(names: Collection[str] = COMMANDS.keys()) -> typer.Typer:
    """The command with these subcommands: each takes milliseconds to build."""
    app = typer.Typer(
        name="wdsr",
        help="Make small pictures larger, with WDSR networks: `wdsr upscale photo.jpg`",
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    for name in names:
        module, attribute = COMMANDS[name]
        holder = importlib.import_module(f"wdsr.cli.{module}")
        found = getattr(holder, attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name, cls=holder.Upscale if name == "upscale" else Command)(found)
    return app


# Typer has its own copy of click in some versions; either way this is the base of usage errors.
_CLICK_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]


def _root(context: typer.Context, version: Version = False) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command; its exit code, and the line to say if that is not 0."""
    named = [name for name in arguments[:1] if name in COMMANDS]
    try:
        command = typer.main.get_command(build(named or COMMANDS.keys()))
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
