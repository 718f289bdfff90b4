"""A row of scores for each picture, and the mean of rows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import metrics
from wdsr.backends import Backend
from wdsr.errors import PictureError
from wdsr.evaluate.pairing import OnBad, Pair, hr_files, match, pairs, read_partner, size
from wdsr.evaluate.protocols import CLASSICAL, Protocol
from wdsr.inference import run_tiles
from wdsr.resize import resize

Image = NDArray[Any]
Method = Callable[[Image, int], Image]  # (LR uint8 (h, w, 3), scale) -> SR uint8
Maker = Callable[[Pair], tuple[Image, float | None]]  # -> SR, and the seconds it took
Metric = Callable[[Image, Image], float]  # (SR, HR), uint8 (H, W, 3) without the shaved border


@dataclass(frozen=True)
class Row:
    """The scores of one method on one picture, or their mean over a set."""

    name: str  # of the picture
    psnr: float  # dB
    ssim: float
    ms_ssim: float | None  # None if the picture is too small for five scales
    lr_psnr: float  # dB; LR-consistency, by the same rule in every protocol
    seconds: float | None  # with the engine's preparation for a new size; None if made before
    lpips: float | None = None  # None if not asked for
    dists: float | None = None
    method: str = ""


def bicubic(lr: Image, scale: int) -> Image:
    """The baseline every table has."""
    return resize(lr, scale=scale)


def lanczos(lr: Image, scale: int) -> Image:
    """A sharper classic."""
    return resize(lr, scale=scale, kernel="lanczos")


def model(backend: Backend) -> Method:
    """A model as `evaluate` wants it."""
    return lambda lr, scale: run_tiles(lr, backend, white=255, dtype=np.uint8)


class Finished:
    """SR pictures made before, by whatever program: files of a folder, found by name.

    Raises PictureError if there are none, or if some HR or SR stays alone; with
    `on_bad`, an SR alone is told there, and an HR alone fails when its turn comes.
    """

    def __init__(self, folder: Path, hr: Path, scale: int, *, on_bad: OnBad | None = None) -> None:
        self.files, self.faults = match(hr, folder, scale)
        ours = set(hr_files(hr))
        for path, fault in self.faults.items():
            if on_bad is None:
                raise fault
            if path not in ours:
                on_bad(fault)

    def __call__(self, pair: Pair) -> tuple[Image, None]:
        """The SR of a pair. Raises PictureError if it is unreadable or of another size."""
        if pair.path in self.faults:
            raise self.faults[pair.path]
        path = self.files[pair.path]
        sr = read_partner(path, pair.path, pair.hr)
        if sr.shape != pair.hr.shape:
            raise PictureError(
                f"{path}: is {size(sr)}, but x{pair.scale} of the LR of {pair.path} "
                f"({size(pair.lr)}) is {size(pair.hr)}"
            )
        return sr, None


def score(
    sr: Image,
    pair: Pair,
    protocol: Protocol = CLASSICAL,
    *,
    seconds: float | None = None,
    method: str = "",
    extra: Mapping[str, Metric] | None = None,
) -> Row:
    """The row of an SR that was made from `pair.lr`.

    sr: uint8 (H, W, 3), as large as `pair.hr`.
    extra: more fields of the row, e.g. {"lpips": ...}; they see RGB, shaved likewise.

    Raises PictureError if the picture is too small to be scored.
    """
    shave = protocol.shave(pair.scale)
    height, width = (side - 2 * shave for side in pair.hr.shape[:2])
    if min(height, width) < 11:
        least = 11 + 2 * shave
        least += -least % pair.scale
        raise PictureError(
            f"{pair.path}: too small to be scored at x{pair.scale}: {size(pair.hr)}, "
            f"at least {least} x {least} wanted"
        )
    how: dict[str, Any] = {"data_range": 255, "shave": shave, "luma": protocol.luma}
    inside = slice(shave, shave + height), slice(shave, shave + width)
    return Row(
        name=pair.name,
        psnr=metrics.psnr(sr, pair.hr, **how),
        ssim=metrics.ssim(sr, pair.hr, **how),
        ms_ssim=metrics.ms_ssim(sr, pair.hr, **how)
        if metrics.fits_ms_ssim(height, width)
        else None,
        lr_psnr=metrics.lr_psnr(sr, pair.lr, data_range=255),
        seconds=seconds,
        method=method,
        **{name: metric(sr[inside], pair.hr[inside]) for name, metric in (extra or {}).items()},
    )


def evaluate(
    folder: Path,
    scale: int,
    method: Method,
    protocol: Protocol = CLASSICAL,
    *,
    lr: Path | None = None,
) -> Iterator[Row]:
    """A row for each picture of a folder; the score of a set is the `mean` of its rows.

    lr: folder of LR pictures; None makes them, as the protocols say.

    Raises what `pairs` and `score` raise.
    """
    for pair in pairs(folder, scale, lr=lr):
        yield from side_by_side(pair, {"": timed(method)}, protocol)


def side_by_side(
    pair: Pair,
    makers: Mapping[str, Maker],
    protocol: Protocol = CLASSICAL,
    *,
    extra: Mapping[str, Metric] | None = None,
) -> list[Row]:
    """The rows of several methods, by name, on one picture: all of them, or an error."""
    rows = []
    for name, make in makers.items():
        sr, seconds = make(pair)
        rows.append(score(sr, pair, protocol, seconds=seconds, method=name, extra=extra))
    return rows


def timed(method: Method) -> Maker:
    """A method, with a clock."""

    def make(pair: Pair) -> tuple[Image, float]:
        began = time.perf_counter()
        sr = method(pair.lr, pair.scale)
        return sr, time.perf_counter() - began

    return make


def mean(rows: Iterable[Row]) -> Row:
    """The mean of each score; None where a row lacks it. Raises ValueError for no rows."""
    rows = list(rows)
    if not rows:
        raise ValueError("there are no rows to take the mean of")
    values: dict[str, Any] = {"name": f"mean of {len(rows)}", "method": rows[0].method}
    for field in dataclasses.fields(Row):
        if field.name not in values:
            column = [getattr(row, field.name) for row in rows]
            values[field.name] = None if None in column else fmean(column)
    return Row(**values)
