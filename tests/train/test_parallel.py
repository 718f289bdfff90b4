"""More than one process: the same training, one writer, and a lost one that ends it plainly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.train.helpers import newest, rows, waves

ROOT = Path(__file__).parents[2]
RECIPE = """
steps = {steps}
batch = 4
patch = 6
warmup = 3
[network]
scale = 2
filters = 8
blocks = 1
expansion = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hr").mkdir()
    for seed in range(3):
        Image.fromarray(waves(60, 60, seed)).save(tmp_path / "hr" / f"{seed}.png")
    (tmp_path / "tiny.toml").write_text(RECIPE.format(steps=12))
    (tmp_path / "long.toml").write_text(RECIPE.format(steps=100_000))
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def command(run: str, recipe: str = "tiny.toml", *more: str, torchrun: bool = False) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2"] if torchrun else []
    train = ["-m", "wdsr", "train", recipe, "--data", "hr", "-o", run, "--log-every", "4"]
    train += ["--precision", "float32"]  # bf16 rounds the parts of a batch otherwise than the whole
    return [sys.executable, *launcher, *train, *more]


def ran(folder: Path, *arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, **options),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.slow
def test_two_processes_train_as_one_does(folder: Path) -> None:
    for result in (
        ran(folder, "one"),
        ran(folder, "two", "tiny.toml", "--devices", "2"),
        ran(folder, "run", torchrun=True),
    ):
        assert result.returncode == 0, result.stderr
        assert "Warning" not in result.stderr
        assert result.stdout.count("checkpoint and logs are there") == 1
    one, two, run = (newest(folder / name) for name in ("one", "two", "run"))
    for name, value in one["average"].items():
        torch.testing.assert_close(two["average"][name], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(run["average"][name], two["average"][name])
    losses = [[float(r["loss"]) for r in rows(folder / name)] for name in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert [r["step"] for r in rows(folder / "two")] == ["4", "8", "12"]  # once, by one process


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused(folder: Path) -> None:
    result = ran(folder, "run", "tiny.toml", "--devices", "3")
    assert result.returncode == 2
    assert "a batch of 4 cannot be shared evenly by 3 processes" in result.stderr
    assert not (folder / "run").exists()


@pytest.mark.slow
def test_a_lost_process_ends_the_run_with_a_checkpoint(folder: Path) -> None:
    with subprocess.Popen(
        command("run", "long.toml", "--devices", "2"),
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        log = folder / "run" / "log.csv"
        while not log.exists() and process.poll() is None:
            time.sleep(0.1)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        assert process.stderr is not None
        error = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode == 1
    assert "lost another one" in error
    assert "the same command resumes run" in error
    step = newest(folder / "run")["step"]
    assert step >= 4
    again = ran(folder, "run", "long.toml", "--devices", "2", "--max-minutes", "0")
    assert again.returncode == 0, again.stderr
    assert newest(folder / "run")["step"] == step + 1
