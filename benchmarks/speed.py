"""Speed and memory on this machine, in one run, as ratios to named alternatives.

    python benchmarks/speed.py [--record]

Engines are timed in turn, round after round, so that a machine whose speed
drifts slows all of them alike; the best round of each counts.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image

from wdsr import backends, zoo
from wdsr.backends.torch import network_from_card, read_weights
from wdsr.inference import run_tiles

ROUNDS = 5
RECORDS = Path(__file__).parent / "records"
Pixels = NDArray[np.uint8]


def photograph(width: int, height: int) -> Pixels:
    """A photograph of scikit-image's wheel, mirrored on if it is too small."""
    name = "motorcycle_left.png" if width * height < 1e6 else "retina.jpg"
    pixels = np.asarray(Image.open(Path(skimage.data.__file__).parent / name).convert("RGB"))
    grow = [
        (0, max(side - have, 0)) for side, have in zip((height, width), pixels.shape, strict=False)
    ]
    return np.pad(pixels, (*grow, (0, 0)), mode="symmetric")[:height, :width]


def engines(threads: int) -> dict[str, Callable[[Pixels], Any]]:
    """Ways to run B-8 x4 over a uint8 picture."""
    model = zoo.find("wdsr-b-8", 4)
    torch.set_num_threads(threads)
    eager = network_from_card(model.card)
    eager.load_state_dict(read_weights(model))
    eager.eval()

    def torch_eager(image: Pixels) -> Any:
        lr = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).float() / 255
        with torch.inference_mode():
            return eager(lr).mul_(255).round_().clamp_(0, 255).to(torch.uint8)

    def tiled(name: str, precision: str) -> Callable[[Pixels], Any]:
        backend = backends.create(name, model, precision=precision, threads=threads)
        return lambda image: run_tiles(image, backend, white=255, dtype=np.uint8)

    default = backends.create("auto", model, threads=threads)
    return {
        "torch eager, float32, NCHW, whole picture": torch_eager,
        "torch backend, float32, channels last, tiled": tiled("torch", "float32"),
        "ONNX Runtime, float32, tiled": tiled("onnxruntime", "float32"),
        "OpenVINO, float32, tiled": tiled("openvino", "float32"),
        "OpenVINO, bf16, tiled": tiled("openvino", "bf16"),
        f"default path ({default.precision})": tiled("auto", "auto"),
    }


def best_times(tasks: dict[str, Callable[[Pixels], Any]], image: Pixels) -> dict[str, float]:
    """Best seconds of each task over interleaved rounds, after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(ROUNDS + 1):
        for name, task in tasks.items():
            began = time.perf_counter()
            task(image)
            if turn:
                times[name].append(time.perf_counter() - began)
    return {name: min(values) for name, values in times.items()}


def gemm_rate(dtype: torch.dtype) -> float:
    """Matrix-product rate in GFLOP/s: what the processor can do at most."""
    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    a @ b
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(seconds) / 1e9


# Runs a command and prints its seconds and peak memory. In a process of its own: a child's
# peak counts what its parent held when it was started, and here that would be torch.
_METER = """
import os, sys, time
began = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(status, time.perf_counter() - began, usage.ru_maxrss / 1024)
"""


def whole_process(image: Pixels, threads: int) -> tuple[float, float]:
    """(best seconds, peak MB) of `wdsr upscale` from shell to PNG, over the rounds."""
    seconds, peaks = [], []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photo.png"
        Image.fromarray(image).save(source)
        command = [sys.executable, "-m", "wdsr", "upscale", str(source), "-y"]
        command += ["--threads", str(threads)]
        for _ in range(ROUNDS):
            meter = [sys.executable, "-S", "-c", _METER, *command]
            output = subprocess.run(meter, check=True, capture_output=True, text=True).stdout
            status, spent, peak = output.split()
            if status != "0":
                raise SystemExit(f"{' '.join(command)} failed")
            seconds.append(float(spent))
            peaks.append(float(peak))
    return min(seconds), max(peaks)


def report(threads: int) -> str:
    """The whole measurement, as Markdown."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("wdsr", "torch", "onnxruntime", "openvino", "numpy")
    )
    lines = [
        f"# Speed of wdsr-b-8 x4, {datetime.date.today()}",
        "",
        f"Command: `python benchmarks/speed.py --threads {threads}`; "
        f"best of {ROUNDS} rounds, interleaved.",
        f"Machine: {processor()}, {os.cpu_count()} cores, {threads} threads used; "
        f"Python {platform.python_version()}; {packages}.",
        f"GEMM 2048: float32 {gemm_rate(torch.float32):.0f}, "
        f"bf16 {gemm_rate(torch.bfloat16):.0f} GFLOP/s.",
        "",
        "| engine, 640 x 480 in | LR MP/s | times torch eager |",
        "|---|---|---|",
    ]
    times = best_times(engines(threads), photograph(640, 480))
    slowest = next(iter(times.values()))
    for name, seconds in times.items():
        lines.append(f"| {name} | {0.3072 / seconds:.3f} | {slowest / seconds:.1f} |")
    lines += ["", "| whole process: `wdsr upscale` to PNG | seconds | peak MB |", "|---|---|---|"]
    for width, height in ((640, 480), (1632, 1224)):
        seconds, peak = whole_process(photograph(width, height), threads)
        lines.append(
            f"| {width} x {height} ({width * height / 1e6:.1f} MP) | {seconds:.2f} | {peak:.0f} |"
        )
    return "\n".join(lines) + "\n"


def processor() -> str:
    """The processor's name and what matters of its features."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    name = next(
        (line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "?"
    )
    features = [
        f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if f in text
    ]
    return f"{name} ({' '.join(features)})"


def main() -> None:
    """Print the report; with --record also keep it under `benchmarks/records/`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--record", action="store_true", help="keep it under benchmarks/records/")
    arguments = parser.parse_args()
    text = report(arguments.threads)
    print(text)
    if arguments.record:
        RECORDS.mkdir(exist_ok=True)
        path = RECORDS / f"speed-{datetime.date.today()}.md"
        path.write_text(text)
        print(f"kept in {path}")


if __name__ == "__main__":
    main()
