"""How a worker and its master talk: parts of bytes through a pipe, and values made of them."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import pickle
import struct
from collections.abc import Sequence
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Part = bytes | bytearray | memoryview | pickle.PickleBuffer

_COUNT, _LENGTH = struct.Struct("<I"), struct.Struct("<Q")
_MOST_PARTS = 100_000


def widen(stream: IO[bytes]) -> None:
    """Let a pipe hold more, where the system can: fewer turns for a large picture."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)


def send(stream: IO[bytes], parts: Sequence[Part]) -> None:
    """Write a message of several parts; arrays in them are not copied."""
    views = [memoryview(part).cast("B") for part in parts]
    stream.write(_COUNT.pack(len(views)) + b"".join(_LENGTH.pack(len(view)) for view in views))
    for view in views:
        stream.write(view)
    stream.flush()


def receive(stream: IO[bytes], most: int = 2**63) -> list[bytearray]:
    """Read a message. Raises EOFError if the stream ends in it, or it has over `most` bytes."""
    (count,) = _COUNT.unpack(_exactly(stream, _COUNT.size))
    if count > _MOST_PARTS:
        raise EOFError("no message")
    lengths = [_LENGTH.unpack(_exactly(stream, _LENGTH.size))[0] for _ in range(count)]
    if sum(lengths) > most:
        raise EOFError("longer than allowed")
    return [_exactly(stream, length) for length in lengths]


def _exactly(stream: IO[bytes], length: int) -> bytearray:
    content = bytearray(length)
    left = memoryview(content)
    while left:
        got = stream.readinto(left)  # type: ignore[attr-defined]
        if not got:
            raise EOFError("the stream has ended")
        left = left[got:]
    return content


def pack(value: Any) -> list[Part]:
    """A value as parts; its arrays stay where they are until they are sent."""
    buffers: list[pickle.PickleBuffer] = []
    first = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return [first, *(buffer.raw() for buffer in buffers)]


def unpack(parts: Sequence[bytearray]) -> Any:
    """The value of `pack`: plain Python, arrays, and dataclasses of wdsr; nothing else."""
    return _Unpickler(io.BytesIO(parts[0]), buffers=parts[1:]).load()


class _Unpickler(pickle.Unpickler):
    """A pickle may name any function to be called: what a decoder sends may name these."""

    def find_class(self, module: str, name: str) -> Any:
        """Raises EOFError, as for any answer that is none, for all but data."""
        if module.partition(".")[0] == "wdsr":
            found = getattr(importlib.import_module(module), name, None)
            if dataclasses.is_dataclass(found):
                return found
        if (module, name) in _ARRAYS:
            return super().find_class(module, name)
        raise EOFError(f"no data: {module}.{name}")


_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
}
