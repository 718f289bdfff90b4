"""Stopping cleanly: by the clock, by Ctrl-C, or because a cluster says so."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any, Self


class Stopping:
    """Asks a loop to end after the step it is in.

    Ctrl-C, SIGTERM and a closed terminal set `asked`; a second one stops at once. Works
    only in the main thread; elsewhere only the clock counts.

    max_minutes: from now on; None: no limit.
    """

    def __init__(self, max_minutes: float | None) -> None:
        self._end = None if max_minutes is None else time.monotonic() + max_minutes * 60
        self._before: dict[int, Any] = {}
        self.interrupted = 0  # the number of the signal

    @property
    def asked(self) -> bool:
        """Whether to end now."""
        return bool(self.interrupted) or (self._end is not None and time.monotonic() > self._end)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            heard = [signal.SIGINT, signal.SIGTERM]
            hangup = getattr(signal, "SIGHUP", None)  # Windows has none
            if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # as by nohup
                heard.append(hangup)
            for number in heard:
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt(number)
        self.interrupted = number
