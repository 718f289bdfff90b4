"""Decoding in a process of its own: a crash, a hang or a blow-up costs one file.

A `Worker` is a Python that does nothing but decode. It is given the bytes of a
file through a pipe and gives pixels back through another, about 1 ms for a
megapixel. It may take as much memory and processor time as the file's header
makes likely (see `Limits`) and is ended if it takes more; the next file gets a new one.

Importing this is cheap and `start` returns at once, so that the decoder gets
ready while the engine loads.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wdsr import errors
from wdsr.errors import DecoderError, PictureError
from wdsr.files import check_file
from wdsr.headers import Header, Limits, check_header
from wdsr.isolation import wire

if TYPE_CHECKING:
    from wdsr.formats.rows import Look, Walk
    from wdsr.picture import Picture

# Not `-m`, and with -P: no file in the folder where the command runs may pass for a module.
_RUN = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
_RUN += "from wdsr.isolation.worker import main; main()"
_START_SECONDS, _GRACE_SECONDS = 60, 10  # to get ready, and to answer, on a busy machine


def read(
    data: bytes,
    *,
    name: str = "the picture",
    limits: Limits | None = None,
    best_effort: bool = False,
    drop_tags: bool = False,
    strip_private: bool = False,
) -> Picture:
    """Decode a file's bytes in a worker; header first, see `check_header`.

    Example: `picture = read(Path("photo.jpg").read_bytes(), name="photo.jpg")`

    best_effort: a damaged file gives what can be decoded of it.
    drop_tags: as for `picture.read`.
    strip_private: without GPS position and serial numbers, see `Picture.without_private`.

    Raises PictureError as `picture.read` does, LimitError if the header declares
    too much, DecoderError if the decoder crashes or takes too much memory or time.
    """
    limits = limits or Limits()
    found = check_header(data, name, limits)
    options: dict[str, Any] = {"name": name, "max_pixels": limits.pixels}
    options |= {"best_effort": best_effort, "drop_tags": drop_tags, "strip_private": strip_private}
    picture: Picture = _ask("read", options, data, found, limits)
    if picture.height * picture.width > limits.pixels:  # the header has lied
        raise errors.LimitError(f"{name}: holds more pixels than the limit of {limits.pixels}")
    return picture


def header(path: Path, *, limits: Limits | None = None) -> Header:
    """What a file declares, read by `check_header` in a worker: the file is not held in memory.

    Raises FileError if there is no regular file, LimitError if it declares or has too much.
    """
    limits = limits or Limits()
    check_file(path, max_bytes=limits.bytes)
    found: Header = _ask("header", _file(path) | {"limits": asdict(limits)}, b"", Header(), limits)
    return found


def look(
    path: Path, found: Header, *, limits: Limits | None = None, strip_private: bool = False
) -> Look:
    """What a file is and holds beside its pixels, which are not decoded if the format allows that.

    found: what `header` has told of it. strip_private: as for `read`.

    Raises as `read` does.
    """
    limits = limits or Limits()
    options: dict[str, Any] = {"max_pixels": limits.pixels, "strip_private": strip_private}
    seen: Look = _ask("look", _file(path) | options, b"", found, limits)
    return seen


def walk(path: Path, seen: Look, found: Header, *, limits: Limits | None = None) -> Walk:
    """Decode a large file row by row, and keep nothing: see `rows.walk`. Raises as `read` does."""
    limits = limits or Limits()
    facts = {"kind": seen.kind, "height": seen.height, "width": seen.width}
    facts |= {"bands": seen.bands, "white": seen.white}
    told: Walk = _ask("walk", _file(path) | {"seen": facts}, b"", found, limits)
    return told


def verify(
    path: Path, *, name: str, height: int, width: int, frames: int = 1, whole: bool = True
) -> None:
    """Read a file that was just written, as anyone would; raises WriteError if that fails.

    whole: if not, only the header of a large one.
    """
    expected = Header(width=width, height=height, frames=frames)
    task = "size" if whole else "look"
    options: dict[str, Any] = _file(path) | {"name": name, "max_pixels": height * width}
    options |= {"frames": frames} if whole else {}
    try:
        found = _ask(task, options, b"", expected, Limits())
    except PictureError as error:
        raise errors.WriteError(
            f"{name}: was written but cannot be read again ({error}); try another --format"
        ) from error
    size = tuple(found) if whole else (found.height, found.width)
    if size != (height, width):
        fault = f"should have become {width} x {height} but is {size[1]} x {size[0]}"
        raise errors.WriteError(f"{name}: {fault}; try another --format")


def _file(path: Path) -> dict[str, Any]:
    return {"path": str(path.absolute()), "name": str(path)}


def _ask(task: str, options: dict[str, Any], data: bytes, found: Header, limits: Limits) -> Any:
    with _worker() as worker:
        return worker.ask(task, options, data, found, limits)


def start() -> None:
    """Begin to get a worker ready, for whoever will read soon."""
    if not _idle:
        with contextlib.suppress(DecoderError):  # told when there is something to decode
            _idle.append(Worker())


class Worker:
    """One process that decodes."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-c", _RUN, json.dumps(sys.path)]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what decoders say to developers
                # Ctrl-C is for us; we end the worker, or it sees its pipe end.
                process_group=0 if sys.platform != "win32" else None,
            )
        except OSError as error:
            fault = f"no process for decoding can be started ({error.strerror})"
            raise DecoderError(f"{fault}; end some other programs") from error
        assert self._process.stdout is not None
        wire.widen(self._process.stdout)
        self._fresh = True

    def ask(
        self, task: str, options: dict[str, Any], data: bytes, header: Header, limits: Limits
    ) -> Any:
        """The worker's answer. After any other error than a PictureError it has ended."""
        million = header.pixels / 1e6 * max(header.frames, 1)
        seconds = limits.seconds * (1 + million)
        room = limits.memory + 64 * header.pixels * max(header.frames, 1)
        request = json.dumps({"task": task, "seconds": seconds, "room": room, **options}).encode()
        # A wall clock tells little on a busy machine: it only catches what waits for ever.
        patience = 10 * seconds + (_START_SECONDS if self._fresh else _GRACE_SECONDS)
        try:
            verdict, value = self._exchange(request, data, room, patience)
        except Exception as error:  # its pipe has ended, or brought what is no answer
            self.close()
            late = isinstance(error, TimeoutError)
            spent = patience if late else seconds
            raise self._death(options["name"], spent, room, late) from error
        except BaseException:
            self.close()
            raise
        self._fresh = False
        if verdict != "done":
            kind = getattr(errors, verdict, PictureError)
            raise kind(value)
        return value

    def _exchange(self, request: bytes, data: bytes, room: int, patience: float) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wire.send(self._process.stdin, [request, data])
        # An answer begins when the decoding is done; Windows cannot wait for a pipe.
        if sys.platform != "win32" and not _answers(self._process.stdout, patience):
            raise TimeoutError
        return wire.unpack(wire.receive(self._process.stdout, room))

    def _death(self, name: str, seconds: float, room: int, late: bool) -> DecoderError:
        code = self._process.returncode
        if late or code == -getattr(signal, "SIGXCPU", 24):
            fault = f"decoding took more than {seconds:.0f} s; raise it with --limit seconds=N"
        else:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            fault = (
                f"its decoder crashed, or wanted more than {room / 1e6:.0f} MB ({how}); "
                "if you trust the file, raise that with --limit memory=N"
            )
        return DecoderError(f"{name}: {fault}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None


def _answers(stream: IO[bytes], seconds: float) -> bool:
    """Wait so long for something to read, or for the end."""
    with selectors.DefaultSelector() as selector:  # not `select`, which knows few descriptors
        selector.register(stream, selectors.EVENT_READ)
        return bool(selector.select(seconds))


_idle: list[Worker] = []


@contextlib.contextmanager
def _worker() -> Iterator[Worker]:
    """A worker for one question; it is kept for the next unless it ended."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = Worker()
    try:
        yield worker
    finally:
        if worker.alive:
            _idle.append(worker)


if hasattr(os, "register_at_fork"):  # a copy of this process has no workers of its own
    os.register_at_fork(after_in_child=_idle.clear)


@atexit.register
def close() -> None:
    """End all workers that wait."""
    while _idle:
        _idle.pop().close()
