"""The `wdsr` command: arguments in, one clear line out when something is wrong.

Heavy imports stay inside the commands, so that `wdsr --help` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys

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
from wdsr.cli.common import Version, one_line
from wdsr.errors import WdsrError

app = typer.Typer(
    name="wdsr",
    help="Make small pictures larger, with WDSR networks: `wdsr upscale photo.jpg`",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("upscale")(upscale.upscale)
app.command("models")(models.models)
app.command("info")(models.info)
app.command("degrade")(degrade.degrade)
app.command("doctor")(doctor.doctor)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("train")(train.train)
app.add_typer(data.app, name="data")
app.command("export")(export.export)
app.command("import")(importing.import_)
app.command("quantise")(quantise.quantise)

# Typer has its own copy of click in some versions; either way this is the base of usage errors.
_CLICK_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]


@app.callback(invoke_without_command=True)
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
    command = typer.main.get_command(app)
    try:
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
