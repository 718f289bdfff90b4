"""What `wdsr upscale` tells people beside its results, and what it never does to a terminal."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage

from wdsr import picture as pictures
from wdsr import zoo

Wdsr = Callable[..., Any]  # see conftest.py
pytestmark = pytest.mark.usefixtures("nearest")

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


def save(name: str, height: int = 6, width: int = 9) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pictures.write(pictures.Picture(noise), path)
    return path


def refused(ran: Any, words: str) -> None:
    assert (ran.code, ran.out, len(ran.lines)) == (2, b"", 1)
    assert words in ran.err


def test_no_picture_goes_to_a_terminal(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    master, terminal = os.openpty()
    try:
        for call in (["a.png", "-o", "-"], ["-"]):
            with io.TextIOWrapper(os.fdopen(os.dup(terminal), "wb")) as stdout:
                ran = wdsr("upscale", *call, stdin=b"", stdout=stdout)
            refused(ran, "stdout is a terminal")
    finally:
        os.close(master)
        os.close(terminal)
    assert nearest.runs == 0


def test_without_a_terminal_there_are_signs_of_life(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("in/a.png", 40, 60)
    save("in/b.png", 40, 60)
    assert len(wdsr("upscale", "in", "-t", "16").lines) == 2  # a short run needs none
    monkeypatch.setattr("wdsr.cli.report._SIGN_SECONDS", 0)
    ran = wdsr("upscale", "in/a.png", "-t", "16", "-o", "a.png")
    assert ran.lines[:2] == ["wdsr: a.png: 1 of 12 tiles", "wdsr: a.png: 2 of 12 tiles"]
    ran = wdsr("upscale", "in", "-y", "-j", "1")
    assert any(line.startswith("wdsr: 1/2 files, 0.0 MP, ") for line in ran.lines)
    assert not any(line.startswith("wdsr: 2/2 files") for line in ran.lines)


def test_a_picture_cut_short_is_told_once_and_truly(wdsr: Wdsr) -> None:
    data = (PHOTOGRAPHS / "rocket.jpg").read_bytes()
    Path("cut.jpg").write_bytes(data[: len(data) // 2])
    ran = wdsr("upscale", "cut.jpg", "--best-effort", "-s", "2")
    assert ran.code == 0
    assert len(ran.lines) == 2
    assert "the missing part grey or black: cut.jpg" in ran.lines[0]
    assert "to the end (premature end of JPEG" in ran.lines[0]
    assert "cut_x2.jpg" in ran.lines[1]


def test_what_a_folder_holds_beside_pictures_is_counted(wdsr: Wdsr) -> None:
    save("in/a.png")
    for name in ("in/b", "in/notes.txt", "in/.hidden"):
        Path(name).touch()
    Path("in/c.jpg").symlink_to("nowhere.jpg")
    Path("in/d.png").mkdir()
    ran = wdsr("upscale", "in", "--exclude", "*.txt")
    assert ran.code == 0
    told = "wdsr: note: left out: 1 dangling link, 1 without a picture suffix"
    assert ran.lines[0] == told
    assert [path.name for path in Path("in_x4").glob("[a-z]*")] == ["a_x4.png"]


@pytest.mark.parametrize("options", [[], ["-s", "2"], ["--width", "18"]])
def test_a_models_name_may_say_its_scale(wdsr: Wdsr, options: list[str]) -> None:
    save("a.png")
    title = f"{zoo.DEFAULT_MODEL}-x2"
    ran = wdsr("upscale", "a.png", "-v", "-n", title, "-o", "b.png", *options)
    assert ran.code == 0
    assert "9 x 6 -> 18 x 12 in " in ran.err
    assert f"({title}, Nearest, float32)" in ran.err
    ran = wdsr("upscale", "a.png", "-n", title, "-s", "3")
    refused(ran, f"{title} enlarges 2 times, not 3: give {zoo.DEFAULT_MODEL}")
