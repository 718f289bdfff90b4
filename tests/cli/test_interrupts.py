"""Ctrl-C and SIGTERM at every moment, the earliest too: one line, the right code, no traceback."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wdsr import picture as pictures

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}

# A Python that sends itself a signal when it begins to import a module, then is the command.
# Not by an audit hook: that would be Python code inside of C++ that expects none.
AT_AN_IMPORT = """
import os, signal, sys
name, number = sys.argv.pop(1), int(sys.argv.pop(1))
class Finder:
    def find_spec(self, sought, path, target=None):
        global name
        if sought == name:
            name = None
            os.kill(os.getpid(), number)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
"""
# As the installed script, and as `python -m wdsr`.
STARTS = [
    "from wdsr.__main__ import main; main()",
    "import runpy; runpy.run_module('wdsr', run_name='__main__')",
]


@pytest.fixture(autouse=True)
def photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    pictures.write(pictures.Picture(noise), Path("a.png"))


def check(process: subprocess.Popen[str], by: signal.Signals) -> None:
    _, err = process.communicate(timeout=60)
    assert (
        err
        == {
            signal.SIGINT: "wdsr: interrupted; nothing half-written is left\n",
            signal.SIGTERM: "wdsr: ended; nothing half-written is left\n",
        }[by]
    )
    assert process.returncode == CODES[by]
    assert [path.name for path in Path().iterdir()] == ["a.png"]


@pytest.mark.parametrize("by", CODES)
@pytest.mark.parametrize(
    ("module", "start"),
    [
        ("wdsr.cli.app", 0),
        ("wdsr.cli.app", 1),
        ("typer", 0),
        ("wdsr.isolation", 0),
        ("numpy", 0),
        ("numpy._core._multiarray_umath", 0),
        ("openvino._pyopenvino", 0),
    ],
)
def test_an_interrupt_during_an_import(module: str, start: int, by: signal.Signals) -> None:
    code = AT_AN_IMPORT + STARTS[start]
    arguments = [module, str(int(by)), "upscale", "a.png"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True
    )
    check(process, by)


@pytest.mark.parametrize("by", CODES)
@pytest.mark.parametrize("start", STARTS)
def test_an_interrupt_in_the_first_second(start: str, by: signal.Signals) -> None:
    # All at once, since every one is slow to start; each tells when our code has begun.
    code = AT_AN_IMPORT.replace("os.kill(os.getpid(), number)", "print(flush=True)") + start
    arguments = ["wdsr.cli.app", "0", "upscale", "a.png", "-s", "64"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process, seconds in zip(processes, (0.0, 0.1, 0.4, 0.8), strict=True):
        assert process.stdout is not None
        assert process.stdout.read(1) == "\n"
        time.sleep(seconds)
        process.send_signal(by)
    for process in processes:
        check(process, by)


SWALLOWED = """
import os, signal, sys, time
import wdsr.cli, wdsr.cli.app
class Deaf:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[2]))
        time.sleep(1)
def run(arguments):
    Deaf()
    time.sleep(30)
    return 0, ""
wdsr.cli.app.run = run
signal.signal(signal.SIGINT, signal.default_int_handler)
wdsr.cli.main()
"""


@pytest.mark.parametrize("by", CODES)
def test_an_interrupt_that_python_cannot_raise_comes_again(by: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SWALLOWED, "run", str(int(by))], stderr=subprocess.PIPE, text=True
    )
    check(process, by)


@pytest.mark.parametrize("by", CODES)
def test_training_ends_after_its_step_with_a_checkpoint(by: signal.Signals) -> None:
    Path("tiny.toml").write_text("steps = 100_000\nbatch = 1\npatch = 8\n[network]\nscale = 2\n")
    call = ["train", "tiny.toml", "--data", ".", "-o", "run", "--threads", "1"]
    call = [sys.executable, "-m", "wdsr", *call, "--log-every", "1"]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        summary = next(process.stderr)
        first = next(line for line in process.stderr if not line.startswith("warm-up"))
        process.send_signal(by)
        *_, told, last = process.stderr.read().splitlines()
    assert summary.startswith("100000 steps, of 1 patches of 8 x 8 LR pixels of ")
    assert first.startswith("step 1 of 100000: ")
    assert re.fullmatch(r"stopped at step \d+ of 100000; the same command goes on", told)
    how = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended"}[by]
    assert last == f"wdsr: {how}; nothing half-written is left"
    assert process.returncode == CODES[by]
    assert max(path.name for path in Path("run").glob("*.ckpt")) > "step-00000001"
