"""How long a picture will take on this machine and how much memory: measured, then reckoned.

Three things are measured once and remembered in the user's cache folder: how many
LR pixels a second each model's tiles take, how many HR pixels a second each format
encodes, and how long it takes until the engine is ready. The rest is arithmetic.
What is measured while other programs are busy serves for the moment: it is not remembered.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wdsr import picture as pictures
from wdsr.backends import Backend
from wdsr.formats import lines
from wdsr.formats.writing import Saving, write
from wdsr.inference import best_side, forget_sides, plan_tiles, side_note
from wdsr.processor import Others, processor, recall, remember
from wdsr.upscale import Upscaler

BUSY = 0.15  # of the processor: from here on, what others take spoils a measurement
SIDES = (96, 128, 172, 224, 288, 384)  # of a tile's core, that `best` chooses among

# Bytes, from measured peaks (see docs/speed.md): a process with its engine before the first
# tile; for each LR pixel of a tile; for each sample of a result in memory with its encoded
# copy; libvips, where it encodes; and what it holds of a picture that it decodes row by row.
_PROCESS, _PER_SAMPLE, _VIPS, _DECODING = 107e6, 1.5, 20e6, 60e6
_PER_SAMPLE_TIFF, _PER_SAMPLE_COMPARED = 2.1, 3.6
_AT_REST = 0.5  # of a tile's memory, what its compiled shape goes on holding
_MOST_ROW = 40 * 2**20  # of tiles, see `stream.MOST`
_PER_TILE_PIXEL = {"int8": 1150}
_PER_TILE_PIXEL_ELSE = 1700
Way = Literal["whole", "several", "held", "large"]


@dataclass(frozen=True)
class Estimate:
    """What enlarging one picture will take."""

    size: tuple[int, int]  # (height, width) of the result
    seconds: float
    memory: int  # bytes, at most
    shapes: tuple[tuple[Backend, tuple[int, int]], ...] = ()  # of tiles that are compiled for


class Held:
    """What engines hold in a run of several pictures: of each, the last two shapes of tiles."""

    def __init__(self) -> None:
        self._shapes: dict[Backend, list[tuple[int, int]]] = {}

    def beside(self, shapes: Iterable[tuple[Backend, tuple[int, int]]]) -> float:
        """Bytes held for other shapes than these, which come next."""
        shapes = list(shapes)
        for backend, shape in shapes:
            kept = self._shapes.setdefault(backend, [])
            self._shapes[backend] = [*[one for one in kept if one != shape][-1:], shape]
        return _AT_REST * sum(
            _tile_memory(backend, shape)
            for backend, kept in self._shapes.items()
            for shape in kept
            if (backend, shape) not in shapes
        )


def estimate(
    upscaler: Upscaler,
    height: int,
    width: int,
    kind: str,
    *,
    bands: int = 3,
    white: float = 255,
    way: Way = "whole",
    saving: Saving | None = None,
    compared: bool = False,
) -> Estimate:
    """An estimate for one picture of a run, without the start of the program and compiling.

    height, width, bands, white: of the picture. kind: format of the result.
    way: how it is enlarged: as a whole, alone or as one of several; or row by row, the
        picture being in memory or too large for it.

    compared: with the picture that it came from, as `--verbose` does.

    Raises UsageError if the target is smaller than the picture.
    """
    saving = saving or Saving()
    size = upscaler.target.size(height, width)
    samples = size[0] * size[1] * bands
    by_rows = way in ("held", "large")
    seconds, shapes = samples / encoding_rate(kind, saving, by_rows=by_rows), []
    if by_rows and kind != "jpeg":  # beside the network, which keeps all cores busy
        seconds /= processor().cores
    sample = 1 if white == 255 else 2 if white == 65535 else 4
    layers = 2 if bands in (2, 4) else 1
    tiles = row = 0.0
    for backend in upscaler.passes(height, width, white):
        plan = plan_tiles(height, width, backend, upscaler.tile)
        area = plan.shape[0] * plan.shape[1]
        work = layers * len(plan) * area * (8 if upscaler.self_ensemble else 1)
        seconds += work / tile_rate(backend)
        tiles = max(tiles, _tile_memory(backend, plan.shape))
        row = plan.core[0] * backend.card.scale * size[1] * bands * sample
        shapes.append((backend, plan.shape))
        height, width = height * backend.card.scale, width * backend.card.scale
    quick = kind == "png" and lines.can_write(saving.compression)
    memory = _PROCESS + tiles + (0 if quick else _VIPS)
    if by_rows:
        memory += 2 * min(row, _MOST_ROW)
    else:
        memory += samples * sample * (_PER_SAMPLE_TIFF if kind == "tiff" else _PER_SAMPLE)
        memory += samples * _PER_SAMPLE_COMPARED if compared else 0
    if way == "held":
        memory += samples * sample / shapes[0][0].card.scale ** 2
    elif way == "large":
        memory += _VIPS + _DECODING
        if kind == "tiff":  # 256 rows are gathered for its tiles, and again for each smaller copy
            memory += 256 * size[1] * bands * sample * (5 if saving.pyramid else 3)
    return Estimate(size, seconds, int(memory), tuple(shapes))


def _tile_memory(backend: Backend, shape: tuple[int, int]) -> float:
    return shape[0] * shape[1] * _PER_TILE_PIXEL.get(backend.precision, _PER_TILE_PIXEL_ELSE)


def tile_rate(backend: Backend, *, again: bool = False) -> float:
    """LR pixels a second, halo included, of a backend's usual tile."""
    return _tile_facts(backend, again)[0]


def compile_seconds(backend: Backend, *, first: bool = True) -> float:
    """How long the first tile of a shape takes longer than the next.

    first: of all shapes, which an engine needs more time for.
    """
    return _tile_facts(backend, False)[1 if first else 2]


def _tile_facts(backend: Backend, again: bool) -> tuple[float, float, float]:
    what = f"tile rate and compiling, {_name(backend)}"
    match None if again else _known(what):
        case [float() as rate, float() as one, float() as more] if rate > 0:
            return rate, one, more
    side = best_side(backend) + 2 * backend.card.halo
    others = Others()
    first, usual = _seconds(backend, side, runs=5)
    # A tile of another shape, as small as those of small pictures.
    another, then = _seconds(backend, side // 2, runs=2)
    facts = side**2 / usual, max(first - usual, 0.0), max(another - then, 0.0)
    _keep(what, facts, others)
    return facts


def startup_seconds() -> float:
    """How long this process has run: called when the engine is loaded, what every run spends."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # since the machine started
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began
    return 1.0


def best(backend: Backend, *, report: Callable[[int, float], None] = lambda *_: None) -> int:
    """Measure which tile side enlarges most, halo's waste counted in, and remember it.

    report: told each side and its LR pixels a second, without the halo.
    """
    useful, others = {}, Others()
    for side in SIDES:
        useful[side] = side**2 / _seconds(backend, side + 2 * backend.card.halo, runs=4)[1]
        report(side, useful[side])
        if useful[side] < 0.8 * max(useful.values()):
            break  # the cache is too small for this; larger ones are worse
    # A larger tile takes more memory: it has to be better by more than noise.
    choice = next(side for side in SIDES if useful.get(side, 0) > 0.97 * max(useful.values()))
    _keep(side_note(backend), choice, others)
    forget_sides()
    return choice


def encoding_rate(
    kind: str, saving: Saving | None = None, *, by_rows: bool = False, again: bool = False
) -> float:
    """Samples of a result a second that a format encodes, and reads again to verify them.

    On something like a photograph. by_rows: as they come, into a file.
    """
    saving = saving or Saving()
    how = saving.compression if kind in ("png", "tiff") else ""
    if by_rows and kind == "tiff":
        how = f"by rows, {saving}"
    what = f"encoding and verifying rate, {kind} {how}"
    rate = None if again else _known(what)
    if not isinstance(rate, (int, float)) or rate <= 0:
        sample = pictures.Picture(_photograph(768, 1024))
        _encode_and_read(pictures.Picture(sample.pixels[:8, :8]), kind, saving, by_rows)  # loads
        others, began = Others(), time.perf_counter()
        _encode_and_read(sample, kind, saving, by_rows)
        rate = sample.pixels.size / (time.perf_counter() - began)
        _keep(what, rate, others)
    return float(rate)


def _encode_and_read(sample: pictures.Picture, kind: str, saving: Saving, by_rows: bool) -> None:
    if by_rows and kind == "tiff":  # other formats are written alike either way
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "sample.tif")
            file.touch()
            write([sample.pixels], sample, file, "tiff", saving)
            pictures.read(file.read_bytes())
    else:
        pictures.read(pictures.encode(sample, kind, compression=saving.compression))


_measured: dict[str, object] = {}  # in this process, on a busy machine too
_disturbance = 0.0


def disturbance() -> float:
    """The largest share of the processor that others took while this process measured."""
    return _disturbance


def _known(what: str) -> object:
    return _measured[what] if what in _measured else recall(what)


def _keep(what: str, result: object, others: Others) -> None:
    global _disturbance
    share = others.share()
    _measured[what], _disturbance = result, max(_disturbance, share)
    if share < BUSY:
        remember(what, result)


def _photograph(height: int, width: int) -> NDArray[np.uint8]:
    """Smooth shapes, edges and soft noise: compresses about as an enlarged photograph does."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3))
    for octave in range(6):
        step = 2**octave
        coarse = rng.normal(
            0, step**1.1 if octave else 0.3, (height // step + 1, width // step + 1, 3)
        )
        total += coarse.repeat(step, 0).repeat(step, 1)[:height, :width]
    total = (total - total.mean()) / total.std() * 50 + 120
    result: NDArray[np.uint8] = np.clip(total, 0, 255).astype(np.uint8)
    return result


def _seconds(backend: Backend, side: int, runs: int) -> tuple[float, float]:
    """Seconds of a square tile: the first, which compiles, and the median of the next."""
    lr = np.random.default_rng(side).integers(0, 256, (1, side, side, 3), np.uint8)
    taken: list[float] = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        backend.run(lr)
        taken.append(time.perf_counter() - began)
    return taken[0], statistics.median(taken[1:])


def _name(backend: Backend) -> str:
    return f"{type(backend).__name__}, {backend.precision}, {backend.card.title}"
