"""Where the command begins and ends: `wdsr`, and `python -m wdsr`."""

from __future__ import annotations

import atexit
import os
import sys

from wdsr import cli


def main() -> None:
    """Run the command; see `wdsr.cli.main`."""
    try:
        cli.main()
    except SystemExit as end:
        if sys.argv[1:2] == ["upscale"]:
            _leave(int(end.code or 0))
        raise


def _leave(code: int) -> None:
    """End without taking the engine apart piece by piece, which takes a tenth of a second.

    All files are closed by now, and what is left to be done at the end is done.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # its reader has gone
            code = code or 1
    os._exit(code)


if __name__ == "__main__":
    main()
