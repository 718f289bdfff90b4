"""`wdsr upscale --dry-run`: what would be made, how long it would take, how much memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from wdsr import isolation
from wdsr import picture as pictures
from wdsr.batch.large import Large, flowing
from wdsr.batch.plan import STREAM
from wdsr.batch.results import check_free
from wdsr.errors import PictureError, UsageError, WriteError
from wdsr.stream import Saving

if TYPE_CHECKING:
    from wdsr.backends import Backend
    from wdsr.batch.plan import Job
    from wdsr.batch.settings import Settings
    from wdsr.estimate import Estimate, Way
    from wdsr.formats.rows import Look
    from wdsr.upscale import Upscaler


def tell(
    upscaler: Upscaler,
    jobs: Iterable[Job | None],
    settings: Settings,
    *,
    alone: bool,
    events: bool = False,
) -> None:
    """Print a line for each picture and one for all.

    alone: whether there is but one. events: for programs, a JSON object a line.

    Raises PictureError if any of the pictures would be refused.
    """
    from wdsr.estimate import BUSY, Held, compile_seconds, disturbance, estimate

    found, refused, memory = [], 0, 0.0
    start: float | None = None
    compiled: list[tuple[Backend, tuple[int, int]]] = []
    compiling, held = 0.0, Held()
    for job in jobs:
        if job is None:
            continue
        try:
            seen, kind, way = _look(upscaler, job, settings, alone)
            start = start or _after_loading(upscaler, seen)
            one = estimate(
                upscaler,
                seen.height,
                seen.width,
                kind,
                bands=seen.bands,
                white=seen.white,
                way=way,
                saving=Saving(compression=settings.compression, pyramid=settings.pyramid),
                compared=settings.measure,
            )
            for new in one.shapes:
                if new not in compiled:
                    compiling += compile_seconds(new[0], first=not compiled)
                    compiled = [*compiled[-1:], new]  # an engine keeps two
            pictures.check_format(kind, *one.size, alpha=seen.bands in (2, 4))
        except (PictureError, UsageError) as error:
            refused += 1
            name = "" if str(job.source) in str(error) else f"{job.source}: "
            if events:
                facts = {"error": type(error).__name__, "message": str(error)}
                typer.echo(json.dumps({"event": "failed", "input": job.source_name, **facts}))
            else:
                typer.echo(f"wdsr: {name}{error}", err=True)
            continue
        found.append(one)
        memory = max(memory, one.memory + held.beside(one.shapes))
        _say(job, seen, one, events)
    seconds = sum(one.seconds for one in found) + (start or 0) + compiling
    if found:
        _say_all(len(found), seconds, memory, events)
    if found and disturbance() >= BUSY and not events:
        typer.echo(
            f"Other programs took {disturbance():.0%} of the processor while it was measured: when "
            "it is quiet, this takes less.",
            err=True,
        )
    if refused:
        raise PictureError(f"{refused} of {refused + len(found)} pictures would be refused")


def _look(upscaler: Upscaler, job: Job, settings: Settings, alone: bool) -> tuple[Look, str, Way]:
    """What the file's header says, the format of the result, and how it is made."""
    source, target = job.source, job.target
    if job.clash:
        raise UsageError(job.clash)
    if target != STREAM:
        _check_place(target.parent)
    if not (settings.overwrite or settings.resume):
        check_free(job)
    header = isolation.header(source, limits=settings.limits)
    seen = isolation.look(source, header, limits=settings.limits)
    kind = settings.format or (seen.kind if target == STREAM else pictures.format_of(target))
    large = Large.of(upscaler, source, kind, limits=settings.limits, pyramid=settings.pyramid)
    way: Way = "whole" if alone else "several"
    if large is not None:
        way = "large"
    elif alone and seen.bands in (1, 3) and seen.white > 1 and not settings.measure:
        dtype = "uint8" if seen.white == 255 else "uint16"
        if flowing(upscaler, seen.height, seen.width, dtype, kind):
            way = "held"
    return seen, kind, way


def _check_place(folder: Path) -> None:
    """Raise WriteError if nothing can be written there, or no folder made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise WriteError(f"{folder}: cannot be written into; check the folder")


def _say(job: Job, seen: Look, one: Estimate, events: bool) -> None:
    if events:
        facts: dict[str, object] = {"input": job.source_name, "output": job.target_name}
        facts |= {"from": (seen.width, seen.height), "to": one.size[::-1]}
        facts |= {"seconds": round(one.seconds, 2), "memory": one.memory}
        typer.echo(json.dumps({"event": "estimate", **facts}))
        return
    typer.echo(
        f"{job.source_name} -> {job.target_name}: {seen.width} x {seen.height} -> "
        f"{one.size[1]} x {one.size[0]}, about {_spoken(one.seconds)}, {one.memory / 1e6:.0f} MB"
    )


def _say_all(count: int, seconds: float, memory: float, events: bool) -> None:
    if events:
        facts = {"pictures": count, "seconds": round(seconds, 2), "memory": int(memory)}
        typer.echo(json.dumps({"event": "total", **facts}))
        return
    pictures = f"{count} picture{'' if count == 1 else 's'}"
    spoken = _spoken(seconds)
    typer.echo(f"{pictures}: about {spoken} from start to end, at most {memory / 1e6:.0f} MB")


def _after_loading(upscaler: Upscaler, seen: Look) -> float:
    """How long it takes until the engine is loaded."""
    from wdsr.estimate import startup_seconds

    upscaler.passes(seen.height, seen.width, seen.white)
    return startup_seconds()


def _spoken(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
