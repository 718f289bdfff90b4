"""The `wdsr` command: one clear line out when something is wrong, or somebody ends it.

Nothing is imported before `main` has hold of Ctrl-C: the commands are in `app`, and
what each of them needs is imported inside it.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # `typing` takes long to import
if TYPE_CHECKING:
    from typing import Any

_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
_SOON = 0.05  # seconds
_NO_WORK = {"-h", "--help", "--version", "--dry-run"}


class _AskedError(KeyboardInterrupt):
    """Not a KeyboardInterrupt itself: once through `exec`, Python would end without our code."""


class _Ending:
    """Ctrl-C and SIGTERM, from here on: an interrupt that no library can lose.

    Many an import goes on, or fails with an error of its own, when it is interrupted.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    def __enter__(self) -> _Ending:
        for number in _CODES:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and the like ask
                self._before[number] = signal.signal(number, self._heard)
        sys.unraisablehook = self._swallowed
        return self

    def __exit__(self, *error: object) -> None:
        """Whoever called this in a process of theirs gets their own way back, if there is time."""
        sys.unraisablehook = self._hook
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.asked else before)

    def _heard(self, number: int, _: object) -> None:
        self.asked = signal.Signals(number)
        raise _AskedError

    def _swallowed(self, unraisable: Any) -> None:
        """Python can raise nothing from where it has been: raise it a little later."""
        if self.asked is None or not isinstance(unraisable.exc_value, KeyboardInterrupt):
            self._hook(unraisable)
            return
        import threading

        again = threading.Timer(_SOON, os.kill, (os.getpid(), self.asked))
        again.daemon = True
        again.start()


def main() -> None:
    """Run the command.

    Exit 0: done; 1: a file failed; 2: a wrong call; 130: interrupted; 143: ended by SIGTERM.
    """
    code, said = 130, "interrupted; nothing half-written is left"
    with _Ending() as ending:
        try:
            if sys.argv[1:2] == ["upscale"] and not _NO_WORK & set(sys.argv):
                # What people wait for: its decoder gets ready while everything else loads.
                from wdsr import isolation

                isolation.start()
            from wdsr.cli.app import run

            code, said = run(sys.argv[1:])
        except KeyboardInterrupt as end:  # training, which ends in order, says by what
            if end.args == (signal.SIGTERM,):
                code, said = 143, "ended; nothing half-written is left"
        except BaseException:
            if ending.asked is None:
                raise
    if ending.asked is not None and code != 0:  # whatever came of it
        code = _CODES[ending.asked]
        how = "interrupted" if code == 130 else "ended"
        said = f"{how}; nothing half-written is left"
    if said:
        print(f"wdsr: {said}", file=sys.stderr)  # noqa: T201
    try:
        sys.stdout.flush()
    except OSError:  # full, or its reader has gone; or Python would say so once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
