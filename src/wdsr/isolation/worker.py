"""What runs in the process that decodes: one question after the other, until its pipe ends."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from wdsr import errors
from wdsr.isolation import wire

try:
    import resource
except ImportError:  # Windows: only the master's clock limits us
    resource = None  # type: ignore[assignment]


_IN_ORDER = ("png", "jpeg")  # formats with no way to the last row but through all before it
_DOT = bytes.fromhex(  # a PNG file of one pixel
    "89504e470d0a1a0a0000000d494844520000000100000001080000000"
    "03a7e9b550000000a49444154789c636000000002000148afa471"
    "0000000049454e44ae426082"
)


def main() -> None:
    """Answer on what was stdout; decoders that print shall not be taken for answers."""
    os.environ["VIPS_CONCURRENCY"] = "1"  # the engine has the processors
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _get_ready()
    while True:
        try:
            request, data = wire.receive(sys.stdin.buffer)
        except EOFError:
            return
        options = json.loads(request)
        _limit(options.pop("seconds"), options.pop("room"))
        answer = _answer(options, data)
        del data
        _limit(math.inf, None)
        wire.send(answers, answer)
        del answer


def _get_ready() -> None:
    """Load the libraries by decoding something."""
    from wdsr import picture

    picture.read(_DOT)


def _answer(options: dict[str, Any], data: bytearray) -> list[wire.Part]:
    from wdsr import picture

    task, name = options.pop("task"), options["name"]
    try:
        if task == "walk":
            return wire.pack(("done", _walk(Path(options["path"]), name)))
        if task == "verify":
            return wire.pack(("done", _verified(options)))
        return wire.pack(("done", picture.read(bytes(data), **options)))
    except errors.WdsrError as error:
        return wire.pack((type(error).__name__, str(error)))
    except MemoryError:
        fault = "wants more memory than its size explains; if you trust it, --limit memory=N"
        return wire.pack(("DecoderError", f"{name}: {fault}"))
    except Exception as error:  # nothing that a file holds may be more than that file's fault
        fault = f"its decoder fails ({type(error).__name__}: {error}); it is damaged or unusual"
        return wire.pack(("DamageError", f"{name}: {' '.join(fault.split())}"))


def _verified(options: dict[str, Any]) -> tuple[int, int]:
    """(height, width) of a file that was just written, read as anyone would read it."""
    from wdsr import formats, picture

    path, name, whole = Path(options["path"]), options["name"], options["whole"]
    with path.open("rb") as file:
        kind = formats.sniff(file.read(64))
    if not whole or (kind in _IN_ORDER and options["frames"] == 1):
        return _walk(path, name, rows=whole)
    found = picture.read(path, name=name, max_pixels=options["max_pixels"])
    return found.height, found.width


def _walk(path: Path, name: str, *, rows: bool = True) -> tuple[int, int]:
    """(height, width) of a large file, and a look at all its rows, of which none is kept."""
    from wdsr import formats
    from wdsr.formats.vips import of_file, vips

    with path.open("rb") as file:
        kind = formats.sniff(file.read(64))
    try:
        loader = formats.FORMATS[kind].loader
        image = of_file(path, loader, access="sequential", fail_on="warning")
        if rows and kind in _IN_ORDER:
            image.crop(0, image.height - 1, image.width, 1).avg()
        elif rows:
            image.avg()
    except vips().Error as error:
        reason = " ".join(error.detail.split())
        fault = f"cannot be decoded as {kind} ({reason}); it is damaged, cut short or unusual"
        raise errors.DamageError(f"{name}: {fault}") from error
    return image.height, image.width


def _limit(seconds: float, room: int | None) -> None:
    """Let this process take so much processor time, and memory beside what it has."""
    if resource is None:
        return
    infinite = resource.RLIM_INFINITY
    # Seconds are whole: a file may get up to one more than it was given.
    until = infinite if seconds == math.inf else math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, infinite))
    size = infinite if room is None else _size() + room
    resource.setrlimit(resource.RLIMIT_AS, (size, infinite))


def _size() -> int:
    """Bytes of address space in use; so many that nothing is limited where it cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 2**62
    return pages * os.sysconf("SC_PAGE_SIZE")
