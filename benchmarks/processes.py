"""`wdsr upscale` from shell to file: seconds and peak memory of the whole process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import alternatives
from PIL import Image

# Runs a command and prints its seconds and peak memory. In a process of its own: a child's
# peak counts what its parent held when it was started, and here that would be torch.
_METER = """
import os, sys, time
began = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(status, time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


# An installed package is there in bytecode; a checkout gets its own in the first round.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def measure(arguments: list[str]) -> dict[str, float]:
    """Seconds on the clock, seconds of processor and peak MB of one `wdsr` call."""
    command = [sys.executable, "-S", "-c", _METER, sys.executable, "-m", "wdsr", *arguments]
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env=_ENVIRONMENT
    ).stdout
    status, seconds, processor, peak = output.split()
    if status != "0":
        raise SystemExit(f"wdsr {' '.join(arguments)} failed")
    return {"seconds": float(seconds), "processor": float(processor), "peak_mb": float(peak)}


def small(threads: int, rounds: int) -> dict[str, Any]:
    """An icon (whose time is the cold start), 0.3 and 2 megapixels, to PNG."""
    return {"rows": _rows([(64, 64), (640, 480), (1632, 1224)], "png", threads, rounds)}


def large(threads: int, rounds: int) -> dict[str, Any]:
    """24 megapixels to PNG, once, and 100 to a tiled BigTIFF with a pyramid."""
    rows = _rows([(6000, 4000)], "png", threads, 1)
    return {"rows": rows + _rows([(11600, 8700)], "tif", threads, 1, ["--pyramid"])}


def _rows(
    sizes: list[tuple[int, int]],
    suffix: str,
    threads: int,
    rounds: int,
    more: list[str] | None = None,
) -> list[dict[str, Any]]:
    rows = []
    for width, height in sizes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "photo.jpg"
            Image.fromarray(alternatives.photograph(width, height)).save(source, quality=92)
            target = str(Path(folder) / f"large.{suffix}")
            call = ["upscale", str(source), "-o", target, "-y", "--threads", str(threads)]
            runs = [measure([*call, *(more or [])]) for _ in range(rounds)]
        rows.append(
            {
                "width": width,
                "height": height,
                "to": suffix,
                "seconds": min(run["seconds"] for run in runs),
                "processor": min(run["processor"] for run in runs),
                "peak_mb": max(run["peak_mb"] for run in runs),
            }
        )
    return rows
