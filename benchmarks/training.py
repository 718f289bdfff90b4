"""Training speed on this machine, in one run, against the same network trained as usual.

    python benchmarks/training.py [--recipe wdsr-b-8-x4] [--threads 1] [--batch 8] [--patch 32]
        [--record]

Each way runs in processes of its own, in turn, round after round, so that a
machine whose speed drifts slows all of them alike; the best round of each counts.
Memory is the most that any of a way's processes held, or its card on a GPU.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROUNDS = 3
SECONDS = 4.0  # of measuring, a way and round
RECORDS = Path(__file__).parent / "records"
WAYS = {
    "eager": "float32, NCHW, as usually run",
    "channels_last": "float32, channels_last",
    "ours": "`wdsr train`",
    "ours uncaptured": "`wdsr train` without its CUDA graph",
    "gemm float32": "matrix product, float32",
    "gemm bf16": "matrix product, bf16",
    "data": "patches alone",
}


def pace(call: Callable[[], Any], wait: Callable[[], Any] = lambda: None) -> float:
    """Calls a second."""
    for _ in range(3):
        call()
    wait()
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        call()
        count += 1
        if count % 20 == 0:
            wait()
    wait()
    return count / max(spent, time.perf_counter() - began)


def measure(way: str, name: str, threads: int, batch: int, patch: int) -> float:
    """Steps a second; for a matrix product GFLOP/s."""
    import torch

    from wdsr import networks
    from wdsr.train.device import keep_memory, launch, quicken
    from wdsr.train.recipe import Recipe
    from wdsr.train.recipes import RECIPES
    from wdsr.train.step import Stepper
    from wdsr.train.trainee import Trainee

    torch.set_num_threads(threads)
    config = RECIPES[name].network
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    if way.startswith("gemm"):
        side, kind = 2048, torch.bfloat16 if "bf16" in way else torch.float32
        a = torch.rand(side, side, device=device, dtype=kind)
        return pace(lambda: a @ a, wait) * 2 * side**3 / 1e9
    if way == "data":
        return data_pace(config.scale, batch, patch)
    lr = torch.rand(batch, 3, patch, patch, device=device)
    hr = torch.rand(batch, 3, config.scale * patch, config.scale * patch, device=device)
    if way.startswith("ours"):
        keep_memory()
        fabric = launch(1, "auto")
        network = networks.build(config)
        quicken(network)
        learner = Trainee(fabric, network)
        stepper = Stepper(fabric, learner, Recipe(network=config), None)
        stepper.capture &= way == "ours"
        learner.set_rate(1e-3)
        lr, hr = (t.contiguous(memory_format=torch.channels_last) for t in (lr, hr))
        return pace(lambda: stepper.take(0, lr, hr), wait)
    layout = torch.channels_last if way == "channels_last" else torch.contiguous_format
    plain = networks.build(config).to(device, memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    lr, hr = (t.contiguous(memory_format=layout) for t in (lr, hr))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.l1_loss(plain(lr), hr).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return pace(step, wait)


def data_pace(scale: int, batch: int, patch: int) -> float:
    """Batches a second that one process cuts from a pack of photographs."""
    import skimage.data

    from wdsr.train.data import Pairs
    from wdsr.train.pack import pack

    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        shipped = Path(skimage.data.__file__).parent
        for name in ("retina.jpg", "motorcycle_left.png", "motorcycle_right.png"):
            with Image.open(shipped / name) as picture:
                Image.fromarray(np.asarray(picture.convert("RGB"))).save(pictures / f"{name}.png")
        pairs = Pairs(pack(pictures, Path(folder) / "cache", scale), scale)
        steps = iter(range(10**9))
        return pace(lambda: pairs.batch(seed=0, step=next(steps), places=range(batch), patch=patch))


def peak_mb() -> float:
    """The most memory that this process, or its card, held so far."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KB, on macOS bytes
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def flops(name: str, batch: int, patch: int) -> float:
    """Of a step of a WDSR: a fused parameter multiplies once an LR pixel; backward costs two."""
    from wdsr import networks
    from wdsr.train.recipes import RECIPES

    fused = networks.build(RECIPES[name].network).fuse()
    return 6.0 * sum(p.numel() for p in fused.parameters() if p.ndim > 1) * batch * patch**2


def main() -> None:
    """Measure, print, and with --record keep it in benchmarks/records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="wdsr-b-8-x4", help="whose network")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        rate = measure(options.way, options.recipe, options.threads, options.batch, options.patch)
        print(json.dumps([rate, peak_mb()]))
        return
    import torch

    from wdsr.train.journal import machine

    ways = [way for way in WAYS if way != "ours uncaptured" or torch.cuda.is_available()]
    best, memory = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0)
    names = ("recipe", "threads", "batch", "patch")
    settings = [f"--{name}={getattr(options, name)}" for name in names]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(options.threads),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    for _ in range(ROUNDS):
        for way in ways:
            call = [sys.executable, "-W", "ignore", __file__, *settings, "--way", way]
            out = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
            rate, held = json.loads(out.stdout.splitlines()[-1])
            best[way], memory[way] = max(best[way], rate), max(memory[way], held)
    work = flops(options.recipe, options.batch, options.patch) / 1e9
    lines = [
        f"{options.recipe}, batch {options.batch}, LR patch {options.patch}, "
        f"{options.threads} threads, {work:.2f} GFLOP a step; best of {ROUNDS} rounds, "
        f"{datetime.date.today()}",
        f"{machine()}; Python {sys.version.split()[0]}, torch {torch.__version__}",
        "",
        "| | steps/s | GFLOP/s | times eager | peak MB |",
        "|---|---|---|---|---|",
    ]
    for way in ways:
        name, value = WAYS[way], best[way]
        if way.startswith("gemm"):
            lines.append(f"| {name} | | {value:.0f} | | |")
        elif way == "data":
            share = best["ours"] / value
            lines.append(f"| {name}: {share:.1%} of a step of `wdsr train` | {value:.1f} | | | |")
        else:
            lines.append(
                f"| {name} | {value:.2f} | {value * work:.0f} | {value / best['eager']:.2f} "
                f"| {memory[way]:.0f} |"
            )
    text = "\n".join(lines)
    print(text)
    if options.record:
        command = " ".join(["python benchmarks/training.py", *settings])
        path = RECORDS / f"training-speed-{datetime.date.today()}.md"
        before = path.read_text() if path.exists() else "# Training speed\n"
        path.write_text(f"{before}\n`{command}`\n\n{text}\n")


if __name__ == "__main__":
    main()
