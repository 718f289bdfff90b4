"""What runs in the process that decodes: one question after the other, until its pipe ends."""

from __future__ import annotations

import json
import math
import mmap
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from wdsr import errors, headers
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
    task, name = options.pop("task"), options["name"]
    try:
        return wire.pack(("done", _TASKS[task](data, options)))
    except errors.WdsrError as error:
        return wire.pack((type(error).__name__, str(error)))
    except MemoryError:
        fault = "wants more memory than its size explains; if you trust it, --limit memory=N"
        return wire.pack(("DecoderError", f"{name}: {fault}"))
    except OSError as error:
        fault = f"cannot be read ({error.strerror or error}); check the file"
        return wire.pack(("FileError", f"{name}: {fault}"))
    except Exception as error:  # nothing that a file holds may be more than that file's fault
        fault = f"its decoder fails ({type(error).__name__}: {error}); it is damaged or unusual"
        return wire.pack(("DamageError", f"{name}: {' '.join(fault.split())}"))


def _read(data: bytearray, options: dict[str, Any]) -> Any:
    from wdsr import picture

    strip = options.pop("strip_private")
    found = picture.read(bytes(data), **options)
    return found.without_private() if strip else found


def _size(data: bytearray, options: dict[str, Any]) -> tuple[int, int]:
    """Of a file that can be read to its end, in little memory if it is plain."""
    from wdsr import formats, picture

    with Path(options["path"]).open("rb") as file:
        kind = formats.sniff(file.read(64))
    if options.pop("frames") == 1 and kind in _IN_ORDER:
        return _last_row(Path(options["path"]), kind, options["name"])
    found = picture.read(Path(options.pop("path")), **options)
    return found.height, found.width


def _last_row(path: Path, kind: str, name: str) -> tuple[int, int]:
    from wdsr.formats.rows import unreadable
    from wdsr.formats.vips import of_file, vips

    try:
        image = of_file(path, kind, access="sequential", fail_on="warning")
        image.crop(0, image.height - 1, image.width, 1).avg()
    except vips().Error as error:
        raise unreadable(name, error) from error
    return image.height, image.width


def _header(data: bytearray, options: dict[str, Any]) -> Any:
    limits = headers.Limits(**options["limits"])
    if not Path(options["path"]).stat().st_size:  # which cannot be mapped
        return headers.check_header(b"", options["name"], limits)
    with (
        open(options["path"], "rb") as file,  # noqa: PTH123 - it may be of any name
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return headers.check_header(content, options["name"], limits)  # type: ignore[arg-type]


def _look(data: bytearray, options: dict[str, Any]) -> Any:
    from wdsr import formats, picture
    from wdsr.formats import rows

    strip, path = options.pop("strip_private", False), Path(options.pop("path"))
    name = options["name"]
    with path.open("rb") as file:
        try:
            kind = formats.sniff(file.read(64))
        except errors.PictureError as error:
            raise errors.PictureError(f"{name}: {error}") from error
    if not formats.FORMATS[kind].loader:
        found = picture.read(path, **options)
        bands = found.pixels.shape[2] + (found.alpha is not None)
        return rows.Look(kind, found.height, found.width, bands, found.white)
    seen = rows.look(path, kind, name)
    return replace(seen, facts=seen.facts.without_private()) if strip and seen.facts else seen


def _walk(data: bytearray, options: dict[str, Any]) -> Any:
    from wdsr.formats import rows

    return rows.walk(Path(options["path"]), rows.Look(**options["seen"]), options["name"])


_TASKS = {"read": _read, "size": _size, "header": _header, "look": _look, "walk": _walk}


def _limit(seconds: float, room: int | None) -> None:
    """Let this process take so much processor time, and memory beside what it has."""
    if resource is None:
        return
    infinite = resource.RLIM_INFINITY
    # Seconds are whole: a file may get up to one more than it was given.
    until = infinite if seconds == math.inf else math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, infinite))
    size = infinite if room is None else _used() + room
    resource.setrlimit(resource.RLIMIT_AS, (size, infinite))


def _used() -> int:
    """Bytes of address space in use; so many that nothing is limited where it cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 2**62
    return pages * os.sysconf("SC_PAGE_SIZE")
