"""`wdsr upscale`: what it keeps from harm, and files that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from tests.cli.files import files, load, one_line, pixels, save

from wdsr import picture as pictures

Wdsr = Callable[..., Any]  # see conftest.py

# Whole sizes and pixels are judged here; real engines are in tests/test_upscale.py.
pytestmark = pytest.mark.usefixtures("nearest")

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
COMMAND = [sys.executable, "-m", "wdsr"]


# What is kept from harm


def test_an_existing_result_is_replaced_only_when_told(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    Path("a_x4.png").write_bytes(b"precious")
    ran = wdsr("upscale", "a.png")
    one_line(ran, "a_x4.png", "exists already", "-y")
    assert ran.code == 1
    assert Path("a_x4.png").read_bytes() == b"precious"
    assert nearest.runs == 0
    assert wdsr("upscale", "a.png", "-y").code == 0
    assert load("a_x4.png").shape == (24, 36, 3)
    assert files() == ["a.png", "a_x4.png"]


def test_a_result_that_appears_during_the_work_is_kept_too(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    run = nearest.run

    def run_and_write(self: Any, batch: Any) -> Any:
        Path("a_x4.png").write_bytes(b"precious")
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", run_and_write)
    ran = wdsr("upscale", "a.png")
    one_line(ran, "a_x4.png", "exists already")
    assert ran.code == 1
    assert Path("a_x4.png").read_bytes() == b"precious"


@pytest.mark.parametrize("option", [[], ["-y"]])
def test_no_result_replaces_an_input(wdsr: Wdsr, option: list[str], nearest: Any) -> None:
    for name in ("a.png", "a_x4.png", "in/b.png"):
        save(name)
    Path("link.png").symlink_to("a.png")
    before = {name: Path(name).read_bytes() for name in files()}
    calls = [
        ["a.png", "--suffix", ""],
        ["a.png", "-o", "a.png"],
        ["a.png", "-o", "in/../a.png"],
        ["a.png", "-o", "link.png"],
        ["in", "-o", "in", "--suffix", ""],
        ["a.png", "a_x4.png"],  # the first result would be the second input
    ]
    for call in calls:
        ran = wdsr("upscale", *call, *option)
        one_line(ran, "replace")
        assert ran.code == 2
    assert {name: Path(name).read_bytes() for name in files()} == before
    assert nearest.runs == 0


def test_two_results_of_one_name_are_refused_before_any_work(wdsr: Wdsr, nearest: Any) -> None:
    save("in/a.png")
    save("in/a.jpg")
    save("in/z.png")
    ran = wdsr("upscale", "in", "-f", "png", "-o", "out")
    one_line(ran, "in/a.jpg", "in/a.png", "out/a_x4.png")
    assert ran.code == 2
    assert wdsr("upscale", "in/a.png", "in/../in/a.jpg", "-f", "webp", "-o", "out").code == 2
    assert files() == ["in/a.jpg", "in/a.png", "in/z.png"]
    assert nearest.runs == 0
    assert wdsr("upscale", "in", "-o", "out").code == 0  # the names differ
    assert files("out") == ["a_x4.jpg", "a_x4.png", "z_x4.png"]


def test_several_results_need_a_folder(wdsr: Wdsr) -> None:
    save("a.png")
    save("b.png")
    save("c.png")
    for call in (["a.png", "b.png", "-o", "c.png"], ["a.png", "b.png", "-o", "-"], [".", "-o-"]):
        ran = wdsr("upscale", *call)
        one_line(ran)
        assert ran.code == 2
    assert files() == ["a.png", "b.png", "c.png"]
    one_line(wdsr("upscale", "a.png", "b.png", "-o", "one.png"), "is a file name", "2 inputs")
    one_line(wdsr("upscale", ".", "-o", "one.PNG"), "one.PNG is a file name, but . is a folder")
    assert files() == ["a.png", "b.png", "c.png"]
    assert wdsr("upscale", "a.png", "b.png", "-o", "v1.5").code == 0
    assert files("v1.5") == ["a_x4.png", "b_x4.png"]


# Files that fail


def truncated(path: str) -> Path:
    data = (PHOTOGRAPHS / "rocket.jpg").read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])
    return Path(path)


def not_a_number(path: str) -> Path:
    picture = pictures.Picture(np.full((6, 9, 3), np.nan, np.float32))
    pictures.write(picture, Path(path))
    return Path(path)


def renamed_text(path: str) -> Path:
    Path(path).write_text("I am a letter, not a picture.\n" * 9)
    return Path(path)


def empty(path: str) -> Path:
    Path(path).touch()
    return Path(path)


BAD: dict[str, Callable[[str], Path]] = {
    "missing.png": Path,
    "missing": Path,
    "cut.jpg": truncated,
    "letter.png": renamed_text,
    "empty.png": empty,
    "nan.tif": not_a_number,
    "x" * 250 + ".png": save,  # the result's name is too long
}


@pytest.mark.parametrize("name", BAD, ids=lambda name: name[-11:])
def test_a_bad_file_ends_with_1_and_one_line_that_names_it(wdsr: Wdsr, name: str) -> None:
    BAD[name](name)
    before = files()
    ran = wdsr("upscale", name)
    one_line(ran, name.removesuffix(".png"))
    assert ran.code == 1
    assert files() == before


def test_one_bad_file_does_not_stop_the_others(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    save("z.png")
    save("small.png", pixels(2, 2))
    for name, make in BAD.items():
        make(name)
    ran = wdsr("upscale", "a.png", *BAD, "z.png", "-o", "out")
    assert ran.code == 1
    assert files("out") == ["a_x4.png", "z_x4.png"]
    assert nearest.runs == 2
    assert len(ran.lines) == 2 + len(BAD) + 1
    for name, line in zip(BAD, ran.lines[1:-2], strict=True):
        assert line.startswith("wdsr: ")
        assert name.removesuffix(".png") in line
    assert ran.lines[-1] == f"wdsr: {len(BAD)} of {len(BAD) + 2} pictures failed, see above"


def test_a_picture_larger_than_the_target_fails_alone(wdsr: Wdsr) -> None:
    save("large.png", pixels(40, 40))
    save("small.png")
    ran = wdsr("upscale", "large.png", "small.png", "--max-side", "20", "-o", "out")
    assert ran.code == 1
    assert files("out") == ["small_max20.png"]
    assert ran.lines[0].startswith("wdsr: large.png: 20 x 20 is smaller")


def test_a_line_break_in_a_name_makes_no_second_line(wdsr: Wdsr) -> None:
    save("a.png")
    one_line(wdsr("upscale", "no\nsuch.png"), "no such.png")
    ran = wdsr("upscale", "no\nsuch.png", "a.png")
    assert len(ran.lines) == 3


def test_a_folder_without_pictures(wdsr: Wdsr) -> None:
    Path("in/deep").mkdir(parents=True)
    Path("in/notes.txt").write_text("no picture")
    for option in ([], ["-r"]):
        ran = wdsr("upscale", "in", *option)
        one_line(ran, "in: no pictures")
        assert ran.code == 1
    assert files() == ["in/notes.txt"]


def test_an_output_folder_that_cannot_be(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    save("b.png")
    Path("file").write_text("in the way")
    for call in (["a.png", "-o", "file/b.png"], ["a.png", "-o", "file/deep/folder"]):
        ran = wdsr("upscale", *call)
        one_line(ran, "file", "cannot be written")
        assert ran.code == 1
    ran = wdsr("upscale", "a.png", "b.png", "-o", "file/folder")
    assert ran.code == 1
    assert len(ran.lines) == 3
    assert files() == ["a.png", "b.png", "file"]
    assert nearest.runs == 0


def test_a_read_only_output_folder_is_refused_before_the_work(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    Path("out").mkdir()
    # Root may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    ran = wdsr("upscale", "a.png", "-o", "out")
    one_line(ran, "out", "cannot be written")
    assert ran.code == 1
    assert nearest.runs == 0


def test_an_output_folder_that_vanishes_during_the_work(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    run = nearest.run

    def run_and_remove(self: Any, batch: Any) -> Any:
        Path("out").rmdir()
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", run_and_remove)
    ran = wdsr("upscale", "a.png", "-o", "out")
    one_line(ran, "out/a_x4.png", "cannot be written")
    assert ran.code == 1
    assert files() == ["a.png"]


def test_too_little_memory_costs_one_file(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    save("big.png", pixels(20, 20))
    run = nearest.run

    def run_out(self: Any, batch: Any) -> Any:
        if batch.size > 3 * 39 * 39:
            raise MemoryError
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", run_out)
    ran = wdsr("upscale", "big.png")
    one_line(ran, "big.png", "out of memory")
    assert ran.code == 1
    assert wdsr("upscale", "big.png", "a.png").code == 1
    assert files() == ["a.png", "a_x4.png", "big.png"]


def test_a_damaged_model_file(wdsr: Wdsr) -> None:
    save("a.png")
    Path("bad.onnx").write_bytes(b"not a model")
    for name in ("bad.onnx", "missing.onnx"):
        ran = wdsr("upscale", "a.png", "-n", name)
        one_line(ran, name)
        assert ran.code == 1


def interrupted(
    arguments: list[str], ready: Callable[[], bool], by: signal.Signals
) -> tuple[int, str]:
    """Exit code and stderr of a command that gets Ctrl-C, say, once it is ready."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background ignores Ctrl-C, and that would be inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until = time.monotonic() + 60
        while not ready():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(by)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    return process.returncode, err


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_whole_files_only(wdsr: Wdsr, by: signal.Signals, code: int) -> None:
    save("in/a.png")
    save("in/b.png", np.zeros((3000, 3000, 3), np.uint8))  # minutes of work
    ended, err = interrupted(["upscale", "in", "-o", "out"], Path("out/a_x4.png").exists, by)
    assert ended == code
    assert len(err.splitlines()) == 2  # of the first picture, and of the interrupt
    assert err.splitlines()[-1].endswith("ed; nothing half-written is left")
    assert files("out") == ["a_x4.png"]
    assert load("out/a_x4.png").shape == (24, 36, 3)


def test_an_interrupt_while_writing(wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch) -> None:
    save("a.png")
    Path("a_x4.png").write_bytes(b"precious")

    def interrupt(file: int) -> None:
        assert len(files()) == 3  # the file that is being written
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    ran = wdsr("upscale", "a.png", "-y")
    one_line(ran, "interrupted")
    assert ran.code == 130
    assert files() == ["a.png", "a_x4.png"]
    assert Path("a_x4.png").read_bytes() == b"precious"
