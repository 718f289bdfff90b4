"""Whether a result fits into this machine: asked before, since afterwards the machine is down."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wdsr.errors import LimitError

if TYPE_CHECKING:
    from wdsr.picture import Picture

_SMALL = 2**26  # bytes; asking takes half a millisecond


def check_room(picture: Picture, height: int, width: int) -> None:
    """Refuse a result of this size if it would need more memory than is free.

    Raises LimitError.
    """
    bands = picture.pixels.shape[2] + (picture.alpha is not None)
    bands *= len(picture.pages)
    needed = 2 * height * width * bands * picture.pixels.itemsize  # the result, and encoded
    free = free_memory() if needed > _SMALL else None
    if free is not None and needed > free:
        raise LimitError(
            f"the result of {width} x {height} needs about {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} are free; enlarge less, or cut the picture up"
        )


def free_memory() -> int | None:
    """Bytes that can be used before the system swaps or kills; None if it does not say."""
    found = []
    with contextlib.suppress(OSError):
        if match := re.search(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text()):
            found.append(int(match[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # of a container; "max" is no number
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        found.append(max(limit - int((group / "memory.current").read_text()), 0))
    return min(found, default=None)


def give_back_at_once() -> None:
    """From now on, let what is freed of blocks above 1 MB go back to the system at once.

    glibc keeps them, once it has seen some, in case they are wanted again: of rows of
    tiles, which come and go in several threads, that is 80 MB. Elsewhere this does nothing.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 2**20)


_MMAP_THRESHOLD = -3  # in glibc's malloc.h
