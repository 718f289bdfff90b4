"""SIGKILL at random moments: the resumed run ends with the same bits as one never disturbed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wdsr.train.data import Pairs


def killed_run(pairs: Pairs, run: Path, workers: int, kills: int) -> int:
    """How many kills met a training at work; its end has been compared then, bit by bit."""
    program = Path(__file__).with_name("forks.py")
    root = program.parents[2]
    command = [sys.executable, "-m", "tests.train.forks", pairs.folder, run, workers, kills, 7]
    ran = subprocess.run([str(part) for part in command], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout.split()[-1])


def test_a_killed_run_ends_with_the_same_bits(pairs: Pairs, tmp_path: Path) -> None:
    assert killed_run(pairs, tmp_path, workers=0, kills=4) == 4


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_fifty_kills(pairs: Pairs, tmp_path: Path, workers: int) -> None:
    # The last ones may find the training at its end.
    assert killed_run(pairs, tmp_path, workers, kills=50) >= 45
