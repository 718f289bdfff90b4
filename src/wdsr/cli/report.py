"""What `wdsr upscale` says while it works: lines, a bar, or events for scripts."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from wdsr.cli.common import one_line
from wdsr.errors import WdsrError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from wdsr.batch.plan import Job
    from wdsr.batch.settings import Outcome, Size

_SIGN_SECONDS = 30  # between signs of life in a log


class Report:
    """Counts outcomes and shows them.

    total: how many jobs there are, None if nobody knows.
    events: print JSON lines on stdout instead of words on stderr.
    """

    def __init__(self, total: int | None, *, verbose: bool, events: bool) -> None:
        self.counts = {"done": 0, "skipped": 0, "failed": 0}
        self._total, self._verbose, self._events = total, verbose, events
        self._logged = not events and not sys.stderr.isatty()  # nobody sees a bar
        self._pixels = 0
        self._began = self._told = time.monotonic()
        self._bar = _bar(events)
        self._all: TaskID | None = None
        self._tiles: dict[str, TaskID] = {}
        self._started = 0

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """While the work is going on."""
        with self._bar:
            if self._total != 1:
                self._all = self._bar.add_task(self._progress(), total=self._total)
            yield
        if self._events:
            self._emit("end", **self.counts, megapixels=round(self._pixels / 1e6, 3))

    def on_tile(self, job: Job, done: int, total: int) -> None:
        """A tile of a picture is done."""
        key = job.source_name
        if key not in self._tiles:
            self._started += 1
            name = _source(job)
            count = f"{self._started}/{self._total or '?'} " if self._total != 1 else ""
            self._tiles[key] = self._bar.add_task(one_line(count + name), total=total)
        self._bar.update(self._tiles[key], completed=done)
        if done < total:
            self._sign(f"{_source(job)}: {done} of {total} tiles")
        else:
            self._bar.remove_task(self._tiles.pop(key))

    def left_out(self, counts: Mapping[str, int]) -> None:
        """Files of folders that were passed over, by the reason."""
        if counts and not self._events:
            told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
            self._say(f"wdsr: note: left out: {told}")

    def fault(self, error: WdsrError) -> None:
        """Something beside the jobs is wrong."""
        self.counts["failed"] += 1
        if self._events:
            self._emit("failed", error=type(error).__name__, message=str(error))
        else:
            self._say(f"wdsr: {error}")

    def outcome(self, outcome: Outcome) -> None:
        """A job has ended. Raises its error if it was the only one, and for people."""
        if outcome.error and self._total == 1 and not self._events:
            raise outcome.error
        self.counts[outcome.status] += 1
        if (stuck := self._tiles.pop(outcome.job.source_name, None)) is not None:
            self._bar.remove_task(stuck)  # it failed half way
        if outcome.before:
            self._pixels += outcome.before[0] * outcome.before[1]
        if self._all is not None:
            done = sum(self.counts.values())
            self._bar.update(self._all, completed=done, description=self._progress())
            if done != self._total:
                self._sign(self._progress())
        if self._events:
            self._emit(outcome.status, **_facts(outcome))
        elif outcome.status == "failed":
            self._say(f"wdsr: {outcome.error}")
        elif outcome.status == "done":
            if outcome.warning:
                self._say(
                    f"wdsr: taken all the same, the missing part grey or black: {outcome.warning}"
                )
            for lost in outcome.lost:
                self._say(f"wdsr: warning: {_source(outcome.job)}: {lost}")
            self._say(self._line(outcome))

    def _sign(self, text: str) -> None:
        """Of life, now and then, where there is no bar to see."""
        now = time.monotonic()
        if self._logged and now - self._told >= _SIGN_SECONDS:
            self._told = now
            self._say(f"wdsr: {text}")

    def _line(self, outcome: Outcome) -> str:
        job = outcome.job
        source = _source(job)
        target = "stdout" if job.target_name == "-" else job.target_name
        line = f"{source} -> {target}: {_size(outcome.before)} -> {_size(outcome.after)}"
        line += f" in {outcome.seconds:.1f} s"
        if outcome.choice and (told := outcome.choice.tell(figures=self._verbose)):
            line += f"; {told}"
        line += f" ({outcome.engine})" if self._verbose else ""
        return f"{line}; {outcome.residual}" if outcome.residual else line

    def _progress(self) -> str:
        done = sum(self.counts.values())
        rate = self._pixels / 1e6 / max(time.monotonic() - self._began, 1e-9)
        return f"{done}/{self._total or '?'} files, {self._pixels / 1e6:.1f} MP, {rate:.2f} MP/s"

    def _say(self, line: str) -> None:
        # Words go to stderr, above the bar: stdout may be where the picture goes.
        self._bar.say(one_line(line))

    def _emit(self, event: str, **facts: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stdout.flush()


def _facts(outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "input": outcome.job.source_name,
        "output": outcome.job.target_name,
        "seconds": round(outcome.seconds, 4),
    }
    if outcome.before and outcome.after:
        facts |= {"from": outcome.before, "to": outcome.after, "engine": outcome.engine}
    if outcome.choice and outcome.choice.reason:
        facts["model"] = outcome.choice.tell(figures=True)
    if outcome.warning:
        facts["warning"] = outcome.warning
    if outcome.lost:
        facts["lost"] = outcome.lost
    if outcome.residual:
        facts["residual"] = outcome.residual
    if outcome.error:
        facts |= {"error": type(outcome.error).__name__, "message": str(outcome.error)}
    return facts


def _source(job: Job) -> str:
    return "stdin" if job.name == "stdin" else job.source.name


def _size(size: Size | None) -> str:
    return f"{size[0]} x {size[1]}" if size else "?"


class _NoBar:
    """What stands in for a bar where nobody would see one: loading rich takes 40 ms."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add_task(self, description: str, *, total: float | None) -> TaskID:
        """Nothing to show."""
        return cast("TaskID", 0)

    def update(self, task: TaskID, *, completed: float, description: str = "") -> None:
        """Nothing to show."""

    def remove_task(self, task: TaskID) -> None:
        """Nothing to show."""

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _bar(events: bool) -> Any:
    if events or not (sys.stderr.isatty() or os.environ.get("FORCE_COLOR")):
        return _NoBar()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)

    class Bar(Progress):
        def say(self, line: str) -> None:
            """Print a line above the bar."""
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    return Bar(
        TextColumn("{task.description}", markup=False),  # a file may be called [/]
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
