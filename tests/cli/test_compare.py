"""`wdsr compare`: which files it writes, and what it refuses."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

Wdsr = Callable[..., Any]  # see conftest.py

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


@pytest.fixture
def hr(wdsr: Wdsr) -> Path:
    Path("hr").mkdir()
    for name in ("chelsea", "coffee"):
        with Image.open(PHOTOGRAPHS / f"{name}.png") as image:
            image.crop((100, 80, 260, 200)).save(f"hr/{name}.png")
    return Path("hr")


@pytest.mark.usefixtures("nearest")
def test_drawings(wdsr: Wdsr, hr: Path) -> None:
    ran = wdsr("compare", "--hr", hr, "-s", "2", "-o", "out/deep", "-f", "svg")
    assert (ran.code, ran.err) == (0, "")
    stems = ["chelsea_x2_crops", "chelsea_x2_errors", "coffee_x2_crops", "coffee_x2_errors"]
    names = [f"{stem}.svg" for stem in [*stems, "x2_quality-speed"]]
    assert sorted(path.name for path in Path("out/deep").iterdir()) == names
    crop, *_ = ran.out.decode().splitlines()
    assert crop.startswith("chelsea.png: crop ")
    assert crop.split()[-2:] == ["48", "48"]


@pytest.mark.usefixtures("nearest")
def test_one_picture_and_a_given_crop(wdsr: Wdsr, hr: Path) -> None:
    ran = wdsr("compare", "--hr", hr / "coffee.png", "-s", "2", "--crop", 8, 9, 60, 40)
    assert ran.code == 0
    assert "coffee.png: crop 8 9 60 40" in ran.out.decode()
    assert sorted(path.name for path in Path().glob("*.*")) == [
        "coffee_x2_crops.png",
        "coffee_x2_errors.png",
        "x2_quality-speed.png",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "--hr"),
        (["--hr", "hr", "-f", "pdf"], 2, "png or svg"),
        (["--hr", "hr", "--protocol", "nix"], 2, "classical"),
        (["--hr", "hr", "--crop", "100", "0", "99", "9"], 2, "160 x 120"),
        (["--hr", "hr", "-n", "nix"], 2, "nix"),
        (["--hr", "missing"], 1, "missing"),
        (["--hr", "hr", "-o", "hr/coffee.png"], 1, "coffee.png"),
    ],
)
@pytest.mark.usefixtures("nearest")
def test_bad_calls(wdsr: Wdsr, hr: Path, arguments: list[str], code: int, words: str) -> None:
    ran = wdsr("compare", *arguments)
    assert ran.code == code
    assert len(ran.lines) == 1
    assert words in ran.err


def test_without_matplotlib(wdsr: Wdsr, hr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ran = wdsr("compare", "--hr", hr)
    assert ran.code == 1
    assert ran.lines == ["wdsr: drawing needs matplotlib: pip install 'wdsr[compare]'"]
