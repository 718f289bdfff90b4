"""`wdsr upscale --dry-run`: what would be made, how long it would take, how much memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from wdsr.errors import PictureError, UsageError

if TYPE_CHECKING:
    from wdsr.backends import Backend
    from wdsr.batch.plan import Job
    from wdsr.batch.settings import Settings
    from wdsr.estimate import Way
    from wdsr.formats.rows import Look
    from wdsr.upscale import Upscaler


def tell(
    upscaler: Upscaler, jobs: Iterable[Job | None], settings: Settings, *, alone: bool
) -> None:
    """Print a line for each picture and one for all.

    alone: whether there is but one.

    Raises PictureError if any of the pictures would be refused.
    """
    from wdsr import isolation
    from wdsr import picture as pictures
    from wdsr.batch.large import Large, flowing
    from wdsr.batch.plan import STREAM
    from wdsr.estimate import compile_seconds, estimate
    from wdsr.stream import Saving

    found, refused = [], 0
    start: float | None = None
    compiled: list[tuple[Backend, tuple[int, int]]] = []
    compiling = 0.0
    saving = Saving(compression=settings.compression, pyramid=settings.pyramid)
    for job in jobs:
        if job is None:
            continue
        source, target = job.source, job.target
        try:
            header = isolation.header(source, limits=settings.limits)
            seen = isolation.look(source, header, limits=settings.limits)
            kind = settings.format or (
                seen.kind if target == STREAM else pictures.format_of(target)
            )
            large = Large.of(
                upscaler, source, kind, limits=settings.limits, pyramid=settings.pyramid
            )
            start = start or _after_loading(upscaler, seen)
            way: Way = "whole" if alone else "several"
            if large is not None:
                way = "large"
            elif alone and seen.bands in (1, 3) and seen.white > 1 and not settings.measure:
                dtype = "uint8" if seen.white == 255 else "uint16"
                if flowing(upscaler, seen.height, seen.width, dtype, kind):
                    way = "held"
            one = estimate(
                upscaler,
                seen.height,
                seen.width,
                kind,
                bands=seen.bands,
                white=seen.white,
                way=way,
                saving=saving,
            )
            for new in one.shapes:
                if new not in compiled:
                    compiling += compile_seconds(new[0], first=not compiled)
                    compiled = [*compiled[-1:], new]  # an engine keeps two
            pictures.check_format(kind, *one.size, alpha=seen.bands in (2, 4))
        except (PictureError, UsageError) as error:
            refused += 1
            name = "" if str(source) in str(error) else f"{source}: "
            typer.echo(f"wdsr: {name}{error}", err=True)
            continue
        found.append(one)
        typer.echo(
            f"{job.source_name} -> {job.target_name}: {seen.width} x {seen.height} -> "
            f"{one.size[1]} x {one.size[0]}, "
            f"about {_spoken(one.seconds)}, {one.memory / 1e6:.0f} MB"
        )
    seconds = sum(one.seconds for one in found) + (start or 0) + compiling
    memory = max((one.memory for one in found), default=0)
    count = f"{len(found)} picture{'' if len(found) == 1 else 's'}"
    typer.echo(
        f"{count}: about {_spoken(seconds)} from start to end, at most {memory / 1e6:.0f} MB"
    )
    if refused:
        raise PictureError(f"{refused} of {refused + len(found)} pictures would be refused")


def _after_loading(upscaler: Upscaler, seen: Look) -> float:
    """How long it takes until the engine is loaded."""
    from wdsr.estimate import startup_seconds

    upscaler.passes(seen.height, seen.width, seen.white)
    return startup_seconds()


def _spoken(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
