"""Speed and memory on this machine, in one run, as ratios to named alternatives.

    python -m benchmarks.speed [--parts engines,processes] [--record]

Alternatives are timed in turn, round after round, so that a machine whose speed
drifts slows all of them alike; the best round of each counts. Parts may be run one
after another: with --record each adds to the day's JSON, from which the Markdown
and the plots are made.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import alternatives, peers, processes, report, roofline, wide

from wdsr import backends, zoo
from wdsr.inference import best_side, plan_tiles
from wdsr.processor import processor

COMPILED = "--compiled"
RECORDS = Path(__file__).parent / "records"
PACKAGES = ("wdsr", "openvino", "onnxruntime", "torch", "numpy", "pyvips", "nncf")


def machine(threads: int) -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "-"
    here = processor()
    return {
        "date": str(datetime.date.today()),
        "processor": here.name,
        "features": list(here.features),
        "cores": here.cores,
        "caches_kb": [here.l2 // 1024, here.l3 // 1024],
        "threads": threads,
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": versions,
    }


def engines(threads: int, rounds: int) -> dict[str, Any]:
    """B-8 x4 on 0.3 megapixels by every engine, with the matrix rates of the same minutes."""
    rates = roofline.gemm_rates(threads)
    runs = alternatives.engines(threads, compiled=COMPILED in sys.argv)
    times = alternatives.race(runs, (640, 480), rounds)
    slowest = times[alternatives.EAGER]
    model = zoo.find("wdsr-b-8", 4)
    int8 = zoo.quantised(model)
    shares = {}
    for precision, file in (("float32", model), ("int8", int8)):
        if file is None:
            continue
        halo_pixels = _computed(threads, precision)
        seconds = times.get(f"wdsr, OpenVINO {precision}")
        if seconds:
            shares[precision] = halo_pixels / seconds / roofline.roofline(file, rates, precision)
    return {
        "gemm_gops": rates,
        "rows": [
            {"engine": name, "lr_mp_per_second": 0.3072 / seconds, "times_eager": slowest / seconds}
            for name, seconds in times.items()
        ],
        "roofline_share": shares,
    }


def _computed(threads: int, precision: str) -> int:
    """LR pixels that a pass over 640 x 480 computes, halo included."""
    backend = backends.create(
        "openvino", zoo.find("wdsr-b-8", 4), precision=precision, threads=threads
    )
    plan = plan_tiles(480, 640, backend)
    return len(plan) * plan.shape[0] * plan.shape[1]


def sizes(threads: int, rounds: int) -> dict[str, Any]:
    """Engine throughput of the default path against the picture's size: is cost linear?"""
    rows = []
    for width, height in ((64, 64), (100, 100), (320, 240), (640, 480), (1632, 1224)):
        run = alternatives.Ours("auto", threads, small=width * height < 100_000)
        seconds = alternatives.race({"wdsr": run}, (width, height), rounds)["wdsr"]
        rows.append({"megapixels": width * height / 1e6, "seconds": seconds})
    return {"rows": rows, "tile_side": best_side(run.backend)}


def cores(threads: int, rounds: int) -> dict[str, Any]:
    """One thread against several."""
    counts = sorted({1, threads})
    runs = {f"{n} threads": alternatives.Ours("auto", n) for n in counts}
    times = alternatives.race(runs, (640, 480), rounds)
    return {"rows": [{"threads": n, "seconds": times[f"{n} threads"]} for n in counts]}


PARTS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "engines": engines,
    "sizes": sizes,
    "cores": cores,
    "wide": wide.wide,
    "peers": peers.peers,
    "processes": processes.small,
    "large": processes.large,
}


def main() -> None:
    """Print the report; with --record also keep it under `benchmarks/records/`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=processor().cores)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--record", action="store_true", help="keep it under benchmarks/records/")
    parser.add_argument(COMPILED, action="store_true", help="torch.compile too: minutes more")
    arguments = parser.parse_args()
    path = RECORDS / f"speed-{datetime.date.today()}-{report.slug(processor().name)}.json"
    known = json.loads(path.read_text()) if arguments.record and path.exists() else {}
    results = {**known, "machine": machine(arguments.threads)}
    for part in arguments.parts.split(","):
        print(f"{part} ...", file=sys.stderr)
        results[part] = PARTS[part](arguments.threads, arguments.rounds)
        if arguments.record:
            path.write_text(json.dumps(results, indent=1) + "\n")
    text = report.markdown(results)
    print(text)
    if arguments.record:
        path.with_suffix(".md").write_text(text)
        report.plot(results, path.with_suffix(".png"))
        print(f"kept in {path.with_suffix('.md')}, .json and .png")


if __name__ == "__main__":
    main()
