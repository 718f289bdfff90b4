"""Jobs that come while we wait: the new and changed files of watched folders."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wdsr.batch.plan import Job, Naming, Plan, make_plan
from wdsr.errors import FileError, PictureError

State = tuple[int, int, int]  # size, time of change, inode


def watch(
    sources: list[Path],
    naming: Naming,
    *,
    seconds: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Job | None]:
    """Every job of these folders, then, for ever, those of files that are new or have changed.

    A file counts as soon as it has been the same in two looks, so that one that is
    being copied is left alone. None says that there is nothing more for now. A
    folder that vanishes may come back.

    sleep: called with `seconds` between looks; Ctrl-C ends it.
    """
    seen: dict[str, State] = {}
    done: dict[str, State] = {}
    while True:
        for job in _look(sources, naming).jobs:
            state = _state(job.source_name)
            if state is None or done.get(job.source_name) == state:
                continue
            if seen.get(job.source_name) == state:
                done[job.source_name] = state
                yield job
            seen[job.source_name] = state
        yield None
        sleep(seconds)


def _look(sources: list[Path], naming: Naming) -> Plan:
    jobs: list[Job] = []
    faults: list[FileError] = []
    for source in sources:
        try:
            plan = make_plan([source], naming, lenient=True)
        except PictureError:  # empty, or gone for now
            continue
        jobs += plan.jobs
        faults += plan.faults
    return Plan(jobs, faults)


def _state(name: str) -> State | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - quicker, and this is per file and look
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
