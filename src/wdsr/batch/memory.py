"""Whether a result fits into this machine: asked before, since afterwards the machine is down."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import re
import sys
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING

from wdsr.errors import LimitError

if TYPE_CHECKING:
    from wdsr.picture import Picture
    from wdsr.upscale import Upscaler

_SMALL = 2**26  # bytes; asking takes half a millisecond


def check_room(upscaler: Upscaler, picture: Picture) -> None:
    """Refuse a picture whose result, or the way to it, would need more memory than is free.

    Raises LimitError.
    """
    needed = needed_bytes(upscaler, picture)
    free = free_memory() if needed > _SMALL else None
    if free is not None and needed > free:
        height, width = max(upscaler.sizes(picture))
        raise LimitError(
            f"the result of {width} x {height} needs about {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} are free; enlarge less, or cut the picture up"
        )


def needed_bytes(upscaler: Upscaler, picture: Picture) -> int:
    """Bytes that enlarging and encoding a picture takes at its peak, about, engine aside."""
    results, work = 0, 0
    for page, (height, width) in zip(picture.pages, upscaler.sizes(picture), strict=True):
        colours = page.pixels.shape[2]
        result = height * width
        results += result * (colours + (page.alpha is not None)) * page.pixels.itemsize
        # Between passes, before a reduction and for --consistent, samples are float32.
        scales = itertools.accumulate(upscaler.steps(page.height, page.width), mul)
        areas = [page.height * page.width * scale**2 for scale in scales]
        exact = bool(areas) and areas[-1] == result
        steps = [sum(pair) for pair in itertools.pairwise(areas)]
        steps += [] if exact or not areas else [areas[-1] + 2 * result]  # reduced by axis, in two
        steps += [4 * result] if upscaler.consistent else []
        work = max(work, 4 * colours * max(steps, default=0))
    return results + max(results, work)  # encoded, it takes as much again at the most


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
