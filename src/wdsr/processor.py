"""What this machine is, and what was once measured on it.

Nothing here is needed for right results: only for choosing the quickest of several
ways, and for estimates. So whatever cannot be found out is left unknown.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wdsr.files import write_atomically

# Of the many flags a processor has, those that decide how fast networks run, slowest first.
FEATURES = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16",
)  # fmt: skip


@dataclass(frozen=True)
class Processor:
    """A processor as its system describes it."""

    name: str
    features: tuple[str, ...]  # those of FEATURES it has
    cores: int  # this process may use
    l2: int  # bytes of cache for each core; 0 if unknown
    l3: int  # bytes of cache that cores share; 0 if unknown

    @property
    def runs_int8_well(self) -> bool | None:
        """Whether int8 beats float32; None if only a measurement can tell.

        Measured on wdsr-b-8 x4, int8 against float32: 1.8 times with AVX2 alone
        (AMD Zen 3), 3.7 times with AVX-512 VNNI (Intel Xeon).
        """
        return True if "avx2" in self.features else None

    @property
    def runs_bf16_well(self) -> bool:
        """Whether bf16 beats float32: by AMX, or by AMD's AVX512_BF16.

        Measured on wdsr-b-8 x4, LR megapixels a second, with AVX512_BF16 but no AMX: 1.03
        against 0.38 (AMD Zen 4), but 0.36 against 0.56 (Intel Xeon).
        """
        amd = "AMD" in self.name and "avx512_bf16" in self.features
        return amd or "amx_bf16" in self.features

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(self.features) or 'features unknown'}), {self.cores} cores"


@functools.cache
def processor() -> Processor:
    """The processor of this machine."""
    text = ""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text("ascii", "ignore")
    facts = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in text.splitlines())
    }
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    name = facts.get("model name") or platform.processor() or platform.machine()
    return Processor(
        name=name,
        features=tuple(feature for feature in FEATURES if feature in flags),
        cores=_cores(),
        l2=_cache(2),
        l3=_cache(3),
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cache(level: int) -> int:
    """Bytes of the first core's cache of a level; 0 if unknown."""
    with suppress(OSError, ValueError):
        for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
            if (folder / "level").read_text().strip() == str(level):
                size = (folder / "size").read_text().strip()
                return int(size[:-1]) * {"K": 2**10, "M": 2**20}[size[-1]]
    return 0


def memory_free() -> int | None:
    """Bytes that can be had without swapping; None if unknown."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


class Others:
    """What other programs take of the processor, from when this was made."""

    def __init__(self) -> None:
        self._began = self._clocks()

    def share(self) -> float:
        """0 to 1 of the cores this process may use; 0 where the system does not tell."""
        wall, ours, all_ = (
            now - then for now, then in zip(self._clocks(), self._began, strict=True)
        )
        return min(max((all_ - ours) / max(wall * _cores(), 1e-6), 0.0), 1.0)

    @staticmethod
    def _clocks() -> tuple[float, float, float]:
        """Seconds: of the wall, of this process's threads, of all programs on our cores."""
        ours = time.process_time()
        busy = busy_seconds()
        return time.perf_counter(), ours, ours if busy is None else busy


def busy_seconds() -> float | None:
    """Seconds that the cores this process may use have worked since the machine started.

    Time that a virtual machine's host took from it counts too. None if unknown.
    """
    with suppress(OSError, ValueError, IndexError, AttributeError):
        ticks = 0
        cores = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        for line in Path("/proc/stat").read_text().splitlines():
            name, *counts = line.split()
            if name in cores:  # user, nice, system, idle, waiting, irq, softirq, steal
                ticks += sum(int(counts[at]) for at in (0, 1, 2, 5, 6, 7))
        return ticks / os.sysconf("SC_CLK_TCK")
    return None


def cache_folder() -> Path:
    """Where this user's programs keep what they can make again; `WDSR_CACHE` overrides it."""
    if chosen := os.environ.get("WDSR_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "wdsr"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/wdsr"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wdsr"


def recall(what: str) -> Any:
    """What `remember` was told of this machine; None if nothing, or nothing readable.

    what: names a measurement and all it depends on but the processor: model,
        engine and its version, threads.
    """
    with suppress(OSError, RuntimeError, ValueError, LookupError, TypeError):  # none, or no note
        return json.loads(_note(what).read_text("utf-8"))["result"]
    return None


def remember(what: str, result: Any) -> None:
    """Keep a measurement's result, a JSON value, in the user's cache folder.

    If that cannot be written, the measurement is made again next time: no error.
    """
    facts = {"what": what, "processor": str(processor()), "result": result}
    with suppress(OSError, RuntimeError):
        note = _note(what)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(note, json.dumps(facts, indent=1).encode())


def _note(what: str) -> Path:
    key = hashlib.sha256(f"{processor()!r} {what}".encode()).hexdigest()[:24]
    return cache_folder() / "measured" / f"{key}.json"
