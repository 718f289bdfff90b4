"""`wdsr quantise`: what is refused before the work."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.files import one_line, pixels, save

from wdsr import zoo
from wdsr.cli import quantise

Wdsr = Callable[..., Any]  # see conftest.py
MODEL = zoo.find("wdsr-b-8", 2)

pytest.importorskip("nncf")


@pytest.fixture
def call(wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A call that lacks its --score; scoring would take long, and is not to be reached."""
    monkeypatch.setattr(quantise, "_psnr", lambda *_: pytest.fail("work was begun"))
    Path("model.onnx").write_bytes(MODEL.onnx)
    save("hr/0.png", pixels(48, 48))
    return ["quantise", "model.onnx", "--data", "hr"]


@pytest.mark.parametrize("loss", ["nan", "-0.1", "-inf"])
def test_a_loss_that_cannot_be_asked_for(wdsr: Wdsr, call: list[str], loss: str) -> None:
    ran = wdsr(*call, "--score", "A=hr", "--max-loss", loss)
    one_line(ran, f"max-loss must be at least 0, not {float(loss)}")
    assert ran.code == 2


def test_a_set_named_twice(wdsr: Wdsr, call: list[str]) -> None:
    ran = wdsr(*call, "--score", "A=hr", "--score", "A=other")
    one_line(ran, "score has 'A' twice: hr and other")
    assert ran.code == 2


def test_pictures_too_small_to_be_scored(wdsr: Wdsr, call: list[str]) -> None:
    """In the words of `wdsr evaluate`, which wants as much."""
    save("tiny/a.png", pixels(4, 4))
    words = "too small to be scored at x2: 4 x 4, at least 16 x 16 wanted"
    one_line(wdsr(*call, "--score", "A=tiny"), f"tiny/a.png: {words}")
    one_line(wdsr("evaluate", "--hr", "tiny", "-s", "2", "-n", "bicubic"), f"a.png: {words}")
    save("tiny/a.png", pixels(16, 16))
    assert len(quantise._pairs({"A": Path("tiny")}, 2)["A"]) == 1


def test_pictures_too_small_to_calibrate_on(wdsr: Wdsr, call: list[str]) -> None:
    save("hr/1.png", pixels(41, 60))
    ran = wdsr(*call, "--score", "A=hr")
    one_line(ran, "hr/1.png: too small to calibrate x2 on: 60 x 41, at least 42 x 42 wanted")
    assert not Path("model.int8.onnx").exists()


def test_a_blank_page_has_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    page = np.full((32, 32, 3), 255, np.uint8)
    monkeypatch.setattr(quantise, "_enlarge", lambda model: lambda lr: page)
    scores = quantise._psnr(MODEL, {"flat": [(page[::2, ::2], page)]})
    assert scores == {"flat": 100}
    assert math.isfinite(scores["flat"])
