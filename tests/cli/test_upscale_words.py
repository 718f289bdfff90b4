"""`wdsr upscale`: pictures through pipes, and what it says on the way."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.files import load, one_line, pixels, repeated, save
from tests.helpers import unpacked

import wdsr as package
from wdsr import picture as pictures
from wdsr import zoo
from wdsr.target import chain

Wdsr = Callable[..., Any]  # see conftest.py

# Whole sizes and pixels are judged here; real engines are in tests/test_upscale.py.
pytestmark = pytest.mark.usefixtures("nearest")

COMMAND = [sys.executable, "-m", "wdsr"]


# Streams


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_streams_carry_the_bytes_that_files_hold(wdsr: Wdsr, kind: str) -> None:
    source = save(f"a.{kind}")
    assert wdsr("upscale", source, "-s", "2").code == 0
    expected = unpacked(Path(f"a_x2.{kind}").read_bytes())
    sent = source.read_bytes()
    for call in (["-"], ["-", "-o", "-"], ["-i", "-", "-v"]):
        ran = wdsr("upscale", *call, "-s", "2", stdin=sent)
        assert (ran.code, unpacked(ran.out)) == (0, expected)
        assert "stdin -> stdout" in ran.err
    assert unpacked(wdsr("upscale", source, "-o", "-", "-s", "2").out) == expected
    assert wdsr("upscale", "-", "-o", f"new/b.{kind}", "-s", "2", stdin=sent).out == b""
    assert unpacked(Path(f"new/b.{kind}").read_bytes()) == expected


def test_a_streams_format_can_be_chosen(wdsr: Wdsr) -> None:
    ran = wdsr("upscale", "-", "-f", "webp", stdin=save("a.png").read_bytes())
    assert ran.code == 0
    assert pictures.read(ran.out).format == "webp"
    np.testing.assert_array_equal(pictures.read(ran.out).pixels, repeated(pixels(), 4))


def test_bad_streams(wdsr: Wdsr) -> None:
    for sent in (b"", b"no picture"):
        ran = wdsr("upscale", "-", stdin=sent)
        one_line(ran, "stdin")
        assert ran.code == 1
    Path("out").mkdir()
    ran = wdsr("upscale", "-", "-o", "out", stdin=save("a.png").read_bytes())
    one_line(ran, "stdin has no name")
    assert ran.code == 2


def test_a_real_pipe_carries_the_picture_and_nothing_else(wdsr: Wdsr) -> None:
    source = save("a.png").read_bytes()
    ran = subprocess.run(
        [*COMMAND, "upscale", "-v", "-"], input=source, capture_output=True, check=True
    )
    picture = pictures.read(ran.stdout)
    assert (picture.width, picture.height, picture.format) == (36, 24, "png")
    assert ran.stdout.endswith(b"IEND\xaeB`\x82")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout(wdsr: Wdsr) -> None:
    save("a.png")
    with Path("/dev/full").open("w") as full:
        ran = wdsr("upscale", "a.png", "-o", "-", stdout=full)
    one_line(ran, "stdout: cannot be written (No space left on device)")
    assert ran.code == 1


@pytest.mark.parametrize("buffering", [-1, 0])  # 0 as with PYTHONUNBUFFERED
def test_a_reader_that_leaves_hears_no_more(wdsr: Wdsr, buffering: int) -> None:
    save("a.png", pixels(100, 200))  # a result larger than a pipe holds
    reading, writing = os.pipe()

    def read_a_little() -> None:
        os.read(reading, 4)
        os.close(reading)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    with io.TextIOWrapper(os.fdopen(writing, "wb", buffering), write_through=True) as stdout:
        ran = wdsr("upscale", "a.png", "-f", "ppm", "-o", "-", stdout=stdout)
    reader.join()
    assert (ran.code, ran.out, ran.err) == (1, b"", "")


# What it says


def test_verbose_names_model_engine_and_precision(wdsr: Wdsr) -> None:
    save("a.png")
    ran = wdsr("upscale", "a.png", "-v", "-s", "8", "--suffix", "_v")
    assert ran.code == 0
    passes = chain(8, zoo.scales(zoo.DEFAULT_MODEL))
    assert "; ".join(f"{zoo.DEFAULT_MODEL}-x{s}, Nearest, float32" for s in passes) in ran.err
    assert "float32" not in wdsr("upscale", "a.png", "-s", "8").err


@pytest.mark.parametrize("arguments", [["--version"], ["upscale", "--version"]])
def test_version(wdsr: Wdsr, arguments: list[str]) -> None:
    ran = wdsr(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode().strip() == f"wdsr {package.__version__}"


def test_help(wdsr: Wdsr) -> None:
    ran = wdsr("upscale", "--help")
    assert (ran.code, ran.err) == (0, "")
    options = (
        "-i --input -o --output -s --scale --width --height --max-side -n --model -t --tile "
        "--backend --device --threads -x --self-ensemble -f --format -q --quality --suffix "
        "--precision -r --recursive -y --overwrite -v --verbose --strict --strip-private "
        "--drop-tags --consistent --version"
    )
    assert set(options.split()) < set(ran.out.decode().replace(",", "").split())
    bare = wdsr()
    assert bare.code == 2
    assert "upscale" in bare.err
    assert wdsr("--help").out.decode() == bare.err


def test_a_terminal_sees_progress_whatever_the_name(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's word for: take it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    name = "[bold]name.png"  # which rich would read as markup
    save(Path("in") / name)
    save("in/plain.png")
    ran = wdsr("upscale", "in")
    assert (ran.code, ran.out) == (0, b"")
    assert f"1/2 {name}" in ran.err
    assert "%" in ran.err
    monkeypatch.undo()


def test_tiles_and_self_ensemble_change_the_work_not_the_size(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png", pixels(40, 60))
    runs = {}
    for name, options in {"plain": [], "tiles": ["-t", "16"], "mean": ["-x"]}.items():
        nearest.runs = 0
        assert wdsr("upscale", "a.png", "-o", f"{name}.png", *options).code == 0
        runs[name] = nearest.runs
        np.testing.assert_array_equal(load(f"{name}.png"), repeated(pixels(40, 60), 4))
    assert runs == {"plain": 1, "tiles": 3 * 4, "mean": 8}
