"""`wdsr degrade`: a sheet of examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wdsr import picture
from wdsr.degrade import PRESETS

Wdsr = Callable[..., Any]  # see conftest.py


@pytest.fixture(autouse=True)
def photograph(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(pixels[:20]).save(tmp_path / "small.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16)).save(tmp_path / "deep.png")


def test_the_sheet_has_every_preset(wdsr: Wdsr) -> None:
    ran = wdsr("degrade", "a.png", "--columns", "2")
    assert (ran.code, ran.err) == (0, "a_degraded.png: 8 presets, 2 examples each\n")
    drawn = picture.read(Path("a_degraded.png"))
    assert drawn.height == 26 + len(PRESETS) * (60 + 6)


def test_some_presets_of_a_grey_picture_as_another_format(wdsr: Wdsr) -> None:
    ran = wdsr("degrade", "grey.png", "-p", "photo", "-p", "mild", "-o", "sheet.webp", "-s", "2")
    assert ran.code == 0
    first = picture.read(Path("sheet.webp"))
    assert first.height == 26 + 2 * (60 + 6)
    assert wdsr("degrade", "grey.png", "-p", "photo", "-o", "sheet.webp").code == 1  # exists
    again = ("degrade", "grey.png", "-p", "photo", "-p", "mild", "-o", "sheet.webp", "-s", "2")
    assert wdsr(*again, "-y", "--seed", "1").code == 0
    assert not np.array_equal(picture.read(Path("sheet.webp")).pixels, first.pixels)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("a.png", "-p", "foto"), 2, "wdsr: no degradation 'foto': choose classical, table, "),
        (("a.png", "-s", "0"), 2, "wdsr: scale must be at least 1, not 0"),
        (("a.png", "--columns", "0"), 2, "wdsr: columns must be from 1 to 16, not 0"),
        (("a.png", "--seed", "-1"), 2, "wdsr: seed must be at least 0, not -1"),
        (("a.png", "-o", "a.xyz"), 2, "wdsr: a.xyz: no known picture suffix"),
        (("small.png",), 2, "wdsr: 80 x 20 is too small for a sheet at x4"),
        (("deep.png",), 1, "wdsr: deep.png: uint16 pixels; give a picture of 8 bits"),
        (("none.png",), 1, "wdsr: none.png: does not exist"),
    ],
)
def test_bad_calls_are_told_in_one_line(
    wdsr: Wdsr, arguments: tuple[str, ...], code: int, message: str
) -> None:
    before = set(Path().iterdir())
    ran = wdsr("degrade", *arguments)
    assert ran.code == code
    assert ran.err.startswith(message)
    assert len(ran.lines) == 1
    assert set(Path().iterdir()) == before
