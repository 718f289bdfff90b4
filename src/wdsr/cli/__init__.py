"""The `wdsr` command: arguments in, one clear line out when something is wrong.

Heavy imports stay inside the commands, so that `wdsr --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Collection

import typer

from wdsr.cli.common import Version, one_line
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
        found = getattr(importlib.import_module(f"wdsr.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


# Typer has its own copy of click in some versions; either way this is the base of usage errors.
_CLICK_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]


def _root(context: typer.Context, version: Version = False) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


class _EndedError(BaseException):
    """The system, or whoever watches over us, wants the command to end: as Ctrl-C, but quieter."""


def _end(*_: object) -> None:
    raise _EndedError


def main() -> None:
    """Run the command.

    Exit 0: done; 1: a file failed; 2: a wrong call; 130: interrupted; 143: ended by SIGTERM.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        code = _run(sys.argv[1:])
    finally:  # whoever called this in a process of theirs gets their own way back
        signal.signal(signal.SIGTERM, before)
    try:
        sys.stdout.flush()
    except OSError:  # full, or its reader has gone; or Python would say so once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    named = [name for name in arguments[:1] if name in COMMANDS]
    try:
        command = typer.main.get_command(build(named or COMMANDS.keys()))
        # Not `app()`, which has its own ideas about interrupts and broken pipes.
        with command.make_context("wdsr", arguments) as context:
            command.invoke(context)
        sys.stdout.flush()  # a full disk is to be told here, not after the end
    except typer.Exit as end:
        return int(end.exit_code)
    except WdsrError as error:
        return _fail(str(error), error.exit_code)
    except _CLICK_ERRORS as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "wdsr")
        message = error.format_message()  # type: ignore[attr-defined]
        return _fail(f"{message} ({path} --help)", 2)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing half-written is left", 130)
    except _EndedError:
        return _fail("ended; nothing half-written is left", 143)
    except BrokenPipeError:  # the reader of our output has gone: nobody to say it to
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except MemoryError:
        return _fail("out of memory: enlarge less, or use a smaller --tile", 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"wdsr: {one_line(message)}", file=sys.stderr)  # noqa: T201
    return code
