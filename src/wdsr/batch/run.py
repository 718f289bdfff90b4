"""Doing the jobs: read, enlarge, write, remember; one file's fault is one file's loss."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wdsr import isolation
from wdsr import picture as pictures
from wdsr.batch.large import Flow, Large
from wdsr.batch.memory import check_room
from wdsr.batch.plan import STREAM, Job
from wdsr.batch.results import Results, unwritable
from wdsr.batch.settings import Outcome, Settings, Size
from wdsr.consistent import measured
from wdsr.errors import (
    BackendError,
    DamageError,
    LimitError,
    ModelError,
    PictureError,
    UsageError,
    WdsrError,
)
from wdsr.files import read_file
from wdsr.stream import Saving

if TYPE_CHECKING:
    from wdsr.choose import Choice
    from wdsr.picture import Picture
    from wdsr.upscale import Upscaler

OnTile = Callable[[Job, int, int], None]  # (job, tiles done, tiles in all)


@dataclass
class _Work:
    """A job on its way; what a step has used up is let go, since pictures are large."""

    job: Job
    outcome: Outcome | None = None  # once it is settled
    seconds: float = 0.0
    digest: bytes = b""  # of the input
    replaces: bool | None = False
    kind: str = ""  # format of the result
    warning: str = ""
    lost: tuple[str, ...] = ()
    residual: str = ""
    picture: Picture | None = None
    flow: Flow | None = None  # instead, if it is enlarged row by row
    before: Size = (0, 0)
    result: Picture | None = None
    engine: str = ""
    choice: Choice | None = None


class Batch:
    """Runs jobs with one upscaler.

    Several files may be under way: while one is enlarged, which keeps all
    processors busy, the next are read and the last are encoded, synced and verified.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        settings: Settings,
        on_outcome: Callable[[Outcome], None],
        on_tile: OnTile = lambda *_: None,
    ) -> None:
        """on_outcome and on_tile are called in the thread that calls `run`."""
        self._upscaler = upscaler
        self._settings = settings
        self._on_outcome, self._on_tile = on_outcome, on_tile
        self._alone = False
        self._writing: deque[Future[Outcome]] = deque()
        self._proven = False  # once the engine has enlarged something
        self._results = Results(self._key, overwrite=settings.overwrite, resume=settings.resume)

    def run(self, jobs: Iterable[Job | None], at_once: int = 1) -> None:
        """Do the jobs and tell of each, in their order; a None among them waits for all so far.

        at_once: with 1 the steps of a file follow each other; with more, so many
            less one are read ahead, and as many are still being written.

        Raises what ends the whole run, such as Ctrl-C, once nothing is being written.
        """
        self._alone = at_once == 1
        with _Inline() if at_once == 1 else ThreadPoolExecutor(2 * at_once) as pool:
            try:
                for reading in self._ahead(jobs, pool, at_once - 1):
                    if reading is not None:
                        work = self._enlarge(reading.result())
                        self._writing.append(pool.submit(self._write, work))
                        self._tell(wait_for=at_once - 1)
                    else:
                        self._tell(wait_for=0, pause=True)
                self._tell(wait_for=0, pause=True)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                with contextlib.suppress(CancelledError, WdsrError):
                    self._tell(wait_for=0, pause=True)
                raise

    def _ahead(
        self, jobs: Iterable[Job | None], pool: Executor, many: int
    ) -> Iterator[Future[_Work] | None]:
        """The jobs as they are being read, so many ahead; never beyond a None."""
        reading: deque[Future[_Work]] = deque()
        for job in jobs:
            if job is not None:
                reading.append(pool.submit(self._read, _Work(job)))
            while reading and (job is None or len(reading) > many):
                yield reading.popleft()
            if job is None:
                yield None
        yield from reading

    def _tell(self, wait_for: int | None = None, *, pause: bool = False) -> None:
        """Pass on what has ended; wait until no more than this many files are being written.

        pause: nothing more comes for now, so what was done is to reach the disk at once.
        """
        while self._writing and (
            self._writing[0].done() or (wait_for is not None and len(self._writing) > wait_for)
        ):
            self._on_outcome(self._writing.popleft().result())
        self._results.keep(at_once=pause)

    def close(self) -> None:
        """Make what was done reach the disk. Raises WriteError if it cannot."""
        self._results.close()

    def _read(self, work: _Work) -> _Work:
        """From a file to pixels, past everything that can be refused before the long work."""
        with _settling(work):
            job, limits = work.job, self._settings.limits
            if job.clash:
                raise UsageError(job.clash)
            if job.source == STREAM:
                data = _receive(limits.bytes)
            else:
                self._results.check(job)
                if job.target != STREAM and (large := self._large(job)) is not None:
                    return self._prepared(work, large)
                data = read_file(job.source, max_bytes=limits.bytes)
            work.digest = hashlib.sha256(data).digest()
            work.replaces = self._results.may_replace(job, work.digest)
            if work.replaces is None:
                work.outcome = Outcome(job, "skipped")
                return work
            picture, work.warning = self._decode(data, job)
            sizes = self._upscaler.sizes(picture)
            work.kind = self._settings.format or (
                (picture.format or "png")
                if job.target == STREAM
                else pictures.format_of(job.target)
            )
            work.lost = self._lost(
                [*pictures.check_output(picture, work.kind, sizes), *pictures.noted(picture)]
            )
            work.choice = self._upscaler.choice(picture)
            # One file alone is enlarged, encoded and written at once; of several, one is enlarged
            # while others are encoded and written, which leaves the processors no less to do.
            if self._alone and not (job.target == STREAM or job.root or self._settings.measure):
                work.flow = Flow.held(self._upscaler, picture, work.kind, work.choice)
            if work.flow is None:
                check_room(self._upscaler, picture)
            if job.target != STREAM:
                self._results.prepare(job.target.parent)
            work.picture, work.before = picture, (picture.width, picture.height)
        return work

    def _lost(self, lines: list[str]) -> tuple[str, ...]:
        if lines and self._settings.strict:
            raise PictureError(f"{'; '.join(lines)} (refused by --strict)")
        return tuple(lines)

    def _large(self, job: Job) -> Large | None:
        settings = self._settings
        if settings.best_effort:  # what is left of a damaged picture is taken whole
            return None
        try:
            kind = settings.format or pictures.format_of(job.target)
        except UsageError:  # told in its turn, after what is wrong with the file itself
            return None
        return Large.of(
            self._upscaler,
            job.source,
            kind,
            limits=settings.limits,
            pyramid=settings.pyramid,
            strip_private=settings.strip_private,
        )

    def _prepared(self, work: _Work, large: Large) -> _Work:
        """A large picture, past everything that can be refused before the long work."""
        work.digest = large.digest()
        work.replaces = self._results.may_replace(work.job, work.digest)
        if work.replaces is None:
            work.outcome = Outcome(work.job, "skipped")
        else:
            work.lost = self._lost(large.lost)
            self._results.prepare(work.job.target.parent)
            large, work.choice = large.rehearsed(self._settings.limits).chosen(self._upscaler)
            work.flow, work.before = large, large.size
        return work

    def _enlarge(self, work: _Work) -> _Work:
        with _settling(work, all_alike=not self._proven):

            def tick(done: int, total: int) -> None:
                self._on_tile(work.job, done, total)
                self._tell()  # a large picture takes minutes

            if work.flow is not None:
                self._flow(work, work.flow, tick)
            elif work.picture is not None:
                work.result = self._upscaler.upscale_picture(work.picture, tick)
                work.engine = self._upscaler.describe(work.picture)
                if self._settings.measure:
                    work.residual = measured(work.result, work.picture)
            self._proven = True
        work.picture = work.flow = None
        return work

    def _flow(self, work: _Work, flow: Flow, tick: Callable[[int, int], None]) -> None:
        """Read, enlarge and write at once."""
        settings = self._settings
        fine = max(95, flow.facts.fine_quality or 0)
        saving = Saving(settings.quality or fine, settings.compression, settings.pyramid)
        self._results.put(
            work.job,
            lambda part: flow.write(part, saving, tick),
            work.digest,
            work.replaces,
            lambda part: flow.verify(part, work.job.target_name),
        )
        work.outcome = Outcome(
            work.job,
            "done",
            before=flow.size,
            after=flow.result,
            engine=flow.engine,
            choice=work.choice,
            warning=work.warning,
            lost=work.lost,
        )

    def _write(self, work: _Work) -> Outcome:
        with _settling(work):
            if work.result is not None:
                content = pictures.encode(
                    work.result,
                    work.kind,
                    quality=self._settings.quality,
                    compression=self._settings.compression,
                )
                after = work.result.width, work.result.height
                frames = len(work.result.pages)
                work.result = None  # verifying takes as much memory again
                if work.job.target == STREAM:
                    _send(content)
                else:
                    self._put(work, content, after, frames)
                work.outcome = Outcome(
                    work.job,
                    "done",
                    before=work.before,
                    after=after,
                    engine=work.engine,
                    choice=work.choice,
                    warning=work.warning,
                    lost=work.lost,
                    residual=work.residual,
                )
        work.result = None
        assert work.outcome is not None
        return dataclasses.replace(work.outcome, seconds=work.seconds)

    def _put(self, work: _Work, content: bytes, size: Size, frames: int) -> None:
        name = work.job.target_name

        def verify(part: Path) -> None:
            isolation.verify(part, name=name, width=size[0], height=size[1], frames=frames)

        self._results.put(work.job, content, work.digest, work.replaces, verify)

    def _decode(self, data: bytes, job: Job) -> tuple[Picture, str]:
        """The picture, and what is wrong with it if it was read all the same."""
        settings, warning = self._settings, ""
        options: dict[str, Any] = {"name": job.name, "limits": settings.limits}
        options |= {"drop_tags": settings.drop_tags, "strip_private": settings.strip_private}
        try:
            picture = isolation.read(data, **options)
        except DamageError as error:
            if not settings.best_effort:
                raise
            picture, warning = isolation.read(data, **options, best_effort=True), str(error)
        return picture, warning

    def _key(self) -> bytes:
        """SHA-256 of the model and of all settings that shape a result."""
        facts = [self._upscaler.hashes, self._upscaler.settings, self._settings.shaping]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).digest()


class _Inline(Executor):
    """Does what is submitted at once, in this thread: where Ctrl-C arrives."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextlib.contextmanager
def _settling(work: _Work, *, all_alike: bool = True) -> Iterator[None]:
    """A step of a job: takes its time, and turns what goes wrong into the job's outcome.

    all_alike: what is wrong with model or engine ends the run, since it is so for every file.
    """
    began = time.perf_counter()
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        if all_alike and isinstance(error, BackendError | ModelError):
            raise
        fault = _fault(error, work.job)
        fault.__cause__ = error
        work.outcome, work.picture, work.result = Outcome(work.job, "failed", fault), None, None
    finally:
        work.seconds += time.perf_counter() - began


def _receive(most: int) -> bytes:
    data = bytearray()
    while chunk := sys.stdin.buffer.read(1 << 20):
        data += chunk
        if len(data) > most:
            fault = f"has more than {most / 1e6:.0f} MB; raise that with --limit bytes=N"
            raise LimitError(f"stdin: {fault}")
    return bytes(data)


def _send(data: bytes) -> None:
    left = memoryview(data)
    while left:  # with PYTHONUNBUFFERED set, a write may take only a part
        left = left[sys.stdout.buffer.write(left) :]
    sys.stdout.buffer.flush()


def _fault(error: Exception, job: Job) -> WdsrError:
    """The error as one of ours, with a message that names the file."""
    if isinstance(error, MemoryError):
        return LimitError(f"{job.name}: out of memory; enlarge less, or use a smaller --tile")
    if isinstance(error, OSError):
        where = "stdout" if job.target == STREAM else error.filename or job.target
        return unwritable(where, error)
    if not isinstance(error, WdsrError):  # a fault of ours costs one file too
        fault = f"{type(error).__name__}: {error}; this is a fault of wdsr: please report it"
        return WdsrError(f"{job.name}: failed with {fault}")
    if any(name in str(error) for name in (job.name, job.target_name)):
        return error
    return type(error)(f"{job.name}: {error}")
