"""What trust costs: isolation, our own work for each file, memory over a long batch, bombs.

    python benchmarks/trust.py [--files 10000] [--only PART ...] [--record]

Pairs are timed in turn, round after round, and the best round of each counts, so
that a machine whose speed drifts slows both alike.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import skimage
from PIL import Image

from wdsr import backends, isolation
from wdsr import picture as pictures
from wdsr.batch.plan import Job, Naming, make_plan
from wdsr.batch.run import Batch
from wdsr.batch.settings import Outcome, Settings
from wdsr.errors import LimitError
from wdsr.headers import Limits
from wdsr.target import Target
from wdsr.upscale import Upscaler

ROUNDS = 3
RECORDS = Path(__file__).parent / "records"


class Nearest:
    """An engine that takes no time worth counting: it repeats pixels."""

    precision = "float32"

    def __init__(self, card: Any) -> None:
        self.card = card

    def run(self, batch: Any) -> Any:
        """See `Backend.run`."""
        for axis in (1, 2) if batch.dtype == np.uint8 else (2, 3):
            batch = batch.repeat(self.card.scale, axis)
        return batch


def photograph(width: int, height: int) -> Any:
    """A part of a photograph of scikit-image's wheel."""
    path = Path(skimage.__file__).parent / "data" / "motorcycle_left.png"
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BOX))


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def resident(pid: int | str = "self") -> float:
    """Memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(jobs: list[Job], upscaler: Upscaler, at_once: int, tell: Any = lambda _: None) -> float:
    """Seconds for a batch; raises the first error."""

    def outcome(outcome: Outcome) -> None:
        if outcome.error:
            raise outcome.error
        tell(outcome)

    batch = Batch(upscaler, Settings(overwrite=True), outcome)
    began = time.perf_counter()
    batch.run(jobs, at_once)
    batch.close()
    return time.perf_counter() - began


def processor_seconds() -> float:
    """What this process and its workers have used: on busy processors, what throughput costs."""
    ticks = 0
    for worker in isolation._idle:
        fields = Path(f"/proc/{worker._process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def cost_of_isolation(folder: Path) -> list[str]:
    """Throughput on photographs of 0.3 MP, decoded in a worker and in this process."""
    many, image = 4, pictures.Picture(photograph(640, 480))
    upscaler = Upscaler(target=Target(scale=4))
    here = mock.patch.object(isolation, "read", lambda data, **_: pictures.read(data))
    lines = []
    for kind in ("jpeg", "png"):
        source = folder / kind
        source.mkdir()
        for i in range(many):
            (source / f"{i}.{kind}").write_bytes(pictures.encode(image, kind))
        jobs = make_plan([source], Naming(folder / f"{kind}-out", "_x4")).jobs
        for at_once in (1, 2):
            times: dict[str, list[list[float]]] = {"here": [], "worker": []}
            run(jobs, upscaler, at_once)
            for _ in range(ROUNDS):
                for which, spent in times.items():
                    before = processor_seconds()
                    with here if which == "here" else contextlib.nullcontext():
                        wall = run(jobs, upscaler, at_once)
                    spent.append([wall, processor_seconds() - before])
            shown: list[str] = []
            for part in (0, 1):  # wall, processor
                alone, apart = (
                    1000 * min(pair[part] for pair in times[key]) / many for key in times
                )
                shown += [f"{alone:.0f}", f"{apart:.0f}", f"{100 * (apart / alone - 1):+.1f}"]
            lines.append(f"| {kind}, `--jobs {at_once}` | {' | '.join(shown)} |")
    return lines


@contextlib.contextmanager
def counted(owner: Any, name: str, spent: dict[str, float]) -> Any:
    """Add up what a function takes."""
    honest: Callable[..., Any] = getattr(owner, name)

    def step(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return honest(*arguments, **options)
        finally:
            spent[name] = spent.get(name, 0) + time.perf_counter() - began

    with mock.patch.object(owner, name, step):
        yield


def long_batch(folder: Path, many: int, at_once: int) -> list[str]:
    """Our own time for each file, and memory, over many small files."""
    source = folder / "icons"
    if not source.exists():
        source.mkdir()
        rng = np.random.default_rng(0)
        for i in range(many):
            icon = pictures.Picture(rng.integers(0, 256, (16, 16, 3), np.uint8))
            (source / f"{i:06}.png").write_bytes(pictures.encode(icon, "png"))
    jobs = make_plan([source], Naming(folder / f"icons-{at_once}", "_x4")).jobs
    memory: list[float] = []
    done = 0

    def tell(_: Outcome) -> None:
        nonlocal done
        done += 1
        if done % 20 == 0:
            workers = [resident(worker._process.pid) for worker in isolation._idle]
            memory.append(resident() + sum(workers))

    upscaler = Upscaler(target=Target(scale=4))
    spent: dict[str, float] = {}
    syncing: dict[str, float] = {}
    fake = mock.patch.object(backends, "create", lambda name, model, **_: Nearest(model.card))
    with (
        fake,
        counted(isolation, "read", spent),
        counted(upscaler, "upscale_picture", spent),
        counted(pictures, "encode", spent),
        counted(os, "fsync", syncing),
    ):
        wall = run(jobs, upscaler, at_once, tell)
    tenth = max(len(memory) // 10, 1)
    first, last = statistics.mean(memory[:tenth]), statistics.mean(memory[-tenth:])
    disk = syncing["fsync"]
    ours, waits = "overlaps", "overlaps"
    if at_once == 1:
        ours = f"{1000 * (wall - sum(spent.values()) - disk) / many:.2f}"
        waits = f"{1000 * disk / many:.2f}"
    return [
        f"| {many} of 16 x 16, `--jobs {at_once}` | {1000 * wall / many:.2f} | {ours} "
        f"| {waits} | {first:.1f} | {last:.1f} | {100 * (last / first - 1):+.1f} |"
    ]


def synced(folder: Path) -> float:
    """Milliseconds that the disk takes to sync a small file, without us."""
    times = []
    for i in range(50):
        with (folder / f"sync{i}").open("wb") as file:
            file.write(bytes(5000))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


# As its codestream begins: 30 bits for the height, no ratio, 30 bits for the width, all set.
_JXL_SIZE = ((3 | (2**30 - 1) << 2) << 1 | (3 | (2**30 - 1) << 2) << 36).to_bytes(9, "little")


def bombs() -> list[str]:
    """Time and memory until a file is refused that declares gigapixels or thousands of pages."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    size = struct.pack(">IIBBBBB", 10**5, 10**5, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(10**6)))
    page = struct.pack("<HHHIIHHII", 2, 256, 4, 1, 9, 257, 4, 1, 7)
    pages = [page + struct.pack("<I", 8 + 30 * (i + 1)) for i in range(60_000)]
    tags, shared = 4095, bytearray(struct.pack("<H", 4095) * 44_000)
    shared[:8] = b"II*\0" + struct.pack("<I", 8)
    for at in range(8, 8 + 4 * 9_000, 4):
        struct.pack_into("<I", shared, at + 2 + 12 * tags, at + 4)
    files = {
        "PNG of 100,000 x 100,000": png,
        "JPEG XL of 1,073,741,824 x 1,073,741,824": b"\xff\x0a" + _JXL_SIZE + bytes(30),
        "PNG of 2,000,000 empty chunks": png[:33] + chunk(b"IDAT", b"") * 2_000_000,
        "TIFF of 9,000 pages that share 88 kB": bytes(shared),
        "PPM of 999,999 x 999,999": b"P6 999999 999999 255\n",
        "TIFF of 60,000 pages": b"II*\0" + struct.pack("<I", 8) + b"".join(pages),
    }
    lines = []
    for name, data in files.items():
        isolation.close()
        before, began = resident(), time.perf_counter()
        try:
            isolation.read(data, name=name, limits=Limits())
        except LimitError:
            took, grown = time.perf_counter() - began, resident() - before
            lines.append(f"| {name} | {1000 * took:.1f} | {max(grown, 0):.1f} |")
        else:
            raise SystemExit(f"{name} was taken")
    return lines


def cold_start(folder: Path) -> tuple[float, float]:
    """Best seconds of `wdsr upscale` on an icon, and of the same without a worker."""
    icon = folder / "icon.png"
    icon.write_bytes(pictures.encode(pictures.Picture(photograph(48, 48)), "png"))
    plain = [sys.executable, "-m", "wdsr", "upscale", str(icon), "-y"]
    here = [
        sys.executable,
        "-c",
        "from wdsr import cli, isolation, picture; isolation.start = lambda: None; "
        "isolation.read = lambda data, **_: picture.read(data); "
        "isolation.verify = lambda *_, **__: None; cli.main()",
        *plain[3:],
    ]
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(ROUNDS):
        for which, command in enumerate((plain, here)):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[which].append(time.perf_counter() - began)
    return min(times[0]), min(times[1])


def report(many: int, parts: list[str]) -> str:
    """The whole measurement, as Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [
            f"# What trust costs, {datetime.date.today()}",
            "",
            f"Command: `python benchmarks/trust.py --files {many} --only {' '.join(parts)}`; "
            f"best of {ROUNDS} rounds, interleaved, where there are pairs.",
            f"Machine: {processor()}, {os.cpu_count()} cores, load "
            f"{os.getloadavg()[0]:.1f} at the start; Python {platform.python_version()}. "
            f"The disk syncs a small file in {synced(folder):.1f} ms.",
        ]
        if "bombs" in parts:
            lines += ["", "| refused | ms | growth, MB |", "|---|---|---|", *bombs()]
        if "start" in parts:
            plain, here = cold_start(folder)
            lines += [
                "",
                "| icon, from shell to PNG | seconds |",
                "|---|---|",
                f"| `wdsr upscale icon.png` | {plain:.2f} |",
                f"| the same, decoded in the process, not verified | {here:.2f} |",
            ]
        if "isolation" in parts:
            lines += [
                "",
                "| 640 x 480, wdsr-b-8 x4 | in the process, ms a file | in a worker | cost, % "
                "| processor: in the process | in a worker | cost, % |",
                "|---|---|---|---|---|---|---|",
                *cost_of_isolation(folder),
            ]
        if "batch" in parts:
            lines += [
                "",
                "| files, an engine that repeats pixels | ms a file | our own | the disk's syncs "
                "| MB, first tenth | MB, last tenth | % |",
                "|---|---|---|---|---|---|---|",
                *long_batch(folder, many, 1),
                *long_batch(folder, many, 2),
                "",
                "Our own: all but decoding (in a worker), enlarging, encoding and syncs, so",
                "hashing, verifying, renaming, remembering. With syncs: the sum of both columns.",
                "Memory: this process and its workers.",
            ]
    return "\n".join(lines) + "\n"


PARTS = ["bombs", "start", "isolation", "batch"]


def main() -> None:
    """Print the report; with --record also keep it under `benchmarks/records/`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--record", action="store_true", help="keep it under benchmarks/records/")
    arguments = parser.parse_args()
    text = report(arguments.files, arguments.only)
    print(text)
    if arguments.record:
        path = RECORDS / f"trust-{datetime.date.today()}.md"
        path.write_text(text)
        print(f"kept in {path}")


if __name__ == "__main__":
    main()
