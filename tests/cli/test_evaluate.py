"""`wdsr evaluate`: the table, its mean, and `--expect`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

from wdsr import evaluate as protocol

Wdsr = Callable[..., Any]  # see conftest.py

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


@pytest.fixture
def hr(wdsr: Wdsr) -> Path:
    """A folder of two small photographs."""
    folder = Path("hr")
    folder.mkdir()
    for name in ("chelsea", "coffee"):
        with Image.open(PHOTOGRAPHS / f"{name}.png") as image:
            image.crop((100, 80, 180, 140)).save(folder / f"{name}.png")
    return folder


def test_bicubic(wdsr: Wdsr, hr: Path) -> None:
    ran = wdsr("evaluate", "--hr", hr, "-s", "2", "-n", "bicubic")
    assert (ran.code, ran.err) == (0, "")
    head, *lines, mean = ran.out.decode().splitlines()
    assert head.split() == ["picture", "PSNR", "dB", "SSIM", "seconds"]
    rows = list(protocol.evaluate(hr, 2, protocol.bicubic))
    for line, row in zip(lines, rows, strict=True):
        name, psnr, ssim, _ = line.split()
        assert (name, psnr, ssim) == (row.name, f"{row.psnr:.3f}", f"{row.ssim:.4f}")
    expected = sum(row.psnr for row in rows) / 2
    assert mean.split()[:4] == ["mean", "of", "2", f"{expected:.3f}"]

    within = f"{expected + 0.05:.3f}"
    call = ["evaluate", "--hr", hr, "-s", "2", "-n", "bicubic", "--expect", within]
    assert wdsr(*call, "--tolerance", "0.06").code == 0
    ran = wdsr(*call)
    assert ran.code == 1
    assert ran.lines == [f"wdsr: mean PSNR is {expected:.3f} dB, expected {within} +- 0.01"]


@pytest.mark.usefixtures("nearest")
def test_a_model(wdsr: Wdsr, hr: Path, nearest: Any) -> None:
    ran = wdsr("evaluate", "--hr", hr, "-s", "2")
    assert ran.code == 0
    assert nearest.runs == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "--hr"),
        (["--hr", "hr", "-n", "nix"], 2, "nix"),
        (["--hr", "hr", "-s", "7"], 2, "x7"),
        (["--hr", "hr", "-s", "0", "-n", "bicubic"], 2, "scale"),
        (["--hr", "hr", "--backend", "nix"], 2, "nix"),
        (["--hr", "missing"], 1, "missing"),
        (["--hr", "."], 1, "no pictures"),
    ],
)
def test_bad_calls(wdsr: Wdsr, hr: Path, arguments: list[str], code: int, words: str) -> None:
    ran = wdsr("evaluate", *arguments)
    assert ran.code == code
    assert len(ran.lines) == 1
    assert words in ran.err
