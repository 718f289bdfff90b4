"""Estimates: arithmetic on measured rates, which are measured once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wdsr import estimate as estimates
from wdsr.backends import Batch, Precision, by_floats
from wdsr.card import ModelCard
from wdsr.errors import UsageError
from wdsr.estimate import best, encoding_rate, estimate, tile_rate
from wdsr.formats.writing import Saving
from wdsr.inference import AUTO_SIDE, best_side, forget_sides, plan_tiles
from wdsr.processor import processor
from wdsr.target import Target
from wdsr.upscale import Upscaler


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WDSR_CACHE", str(tmp_path))
    monkeypatch.setattr("wdsr.processor.busy_seconds", lambda: None)  # others may be busy
    forget_sides()


class Fake:
    """Runs in no time, which `clock` passes for it."""

    precision: Precision = "float32"
    card = ModelCard("fake", 2, 10, {})

    def __init__(self) -> None:
        self.sides: list[int] = []

    def run(self, batch: Batch) -> Batch:
        if batch.dtype == np.uint8:
            self.sides.append(batch.shape[1])
        return by_floats(batch, self.card, lambda lr: lr.repeat(2, 2).repeat(2, 3))


def clock(monkeypatch: pytest.MonkeyPatch, fake: Fake, seconds: dict[int, float]) -> None:
    """Each tile takes as long as its side says."""
    monkeypatch.setattr(estimates, "_seconds", lambda backend, side, runs: (9.0, seconds[side]))


def test_the_best_tile_is_measured_once_and_then_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    assert best_side(fake) == AUTO_SIDE
    rates = {96: 5, 128: 6, 172: 8, 224: 8.1, 288: 6, 384: 9}  # 288 is where it stops
    clock(monkeypatch, fake, {side + 20: side**2 / rate for side, rate in rates.items()})
    told: list[int] = []
    assert best(fake, report=lambda side, rate: told.append(side)) == 172
    assert told == [96, 128, 172, 224, 288]
    assert best_side(fake) == 172
    assert max(plan_tiles(1000, 1000, fake).core) <= 172


def test_rates_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    small = (AUTO_SIDE + 20) // 2
    clock(monkeypatch, fake, {AUTO_SIDE + 20: 0.5, small: 0.1})
    rate = tile_rate(fake)
    assert rate == pytest.approx((AUTO_SIDE + 20) ** 2 / 0.5)
    clock(monkeypatch, fake, {AUTO_SIDE + 20: 5, small: 1})
    assert tile_rate(fake) == rate
    assert estimates.compile_seconds(fake) == pytest.approx(8.5)
    assert estimates.compile_seconds(fake, first=False) == pytest.approx(8.9)
    assert tile_rate(fake, again=True) == pytest.approx(rate / 10)
    png = encoding_rate("png")
    assert png > 0
    assert encoding_rate("png") == png
    rows, pyramid = (
        encoding_rate("tiff", Saving(pyramid=pyramid), by_rows=True) for pyramid in (False, True)
    )
    assert min(rows, pyramid) > 0
    assert rows != pyramid


def test_a_process_knows_how_long_it_has_run() -> None:
    one = estimates.startup_seconds()
    assert 0 < one < 36_000
    assert estimates.startup_seconds() >= one


def test_an_estimate_is_work_over_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler, fake = Upscaler(target=Target(scale=2)), Fake()
    monkeypatch.setattr(upscaler, "passes", lambda height, width, white: [fake])
    monkeypatch.setattr(estimates, "tile_rate", lambda backend: 1e6)
    monkeypatch.setattr(estimates, "encoding_rate", lambda kind, saving, by_rows: 1e7)
    one = estimate(upscaler, 340, 340, "png")
    plan = plan_tiles(340, 340, fake)
    area = len(plan) * plan.shape[0] * plan.shape[1]
    assert one.size == (680, 680)
    assert one.seconds == pytest.approx(area / 1e6 + 680 * 680 * 3 / 1e7)
    held = estimate(upscaler, 340, 340, "png", way="held")  # encoding beside the network
    beside = 680 * 680 * 3 / 1e7 / processor().cores
    assert held.seconds == pytest.approx(area / 1e6 + beside)
    more = estimate(upscaler, 340, 340, "png", bands=4)
    assert more.seconds > 1.5 * one.seconds  # alpha is enlarged by itself
    deep = estimate(upscaler, 340, 340, "png", white=65535)
    assert deep.memory > one.memory
    with pytest.raises(UsageError, match="only enlarges"):
        estimate(Upscaler(target=Target(width=10)), 340, 340, "png")


def test_the_stand_in_for_a_photograph_compresses_like_one() -> None:
    import io

    from PIL import Image

    pixels = estimates._photograph(256, 256)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    assert 0.3 < len(buffer.getvalue()) / pixels.nbytes < 0.95
