"""SIGKILL at random moments: the resumed run ends with the same bits as one never disturbed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wdsr.train.data import Pairs


def killed_run(pairs: Pairs, run: Path, workers: int, kills: int) -> tuple[int, str, str]:
    """How many kills met a training at work, and the last checkpoints' names (with digests)."""
    program = Path(__file__).with_name("forks.py")
    root = program.parents[2]
    command = [sys.executable, "-m", "tests.train.forks", pairs.folder, run, workers, kills, 7]
    ran = subprocess.run([str(part) for part in command], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    killed, whole, last = ran.stdout.split()[-3:]
    return int(killed), whole, last


def test_a_killed_run_ends_with_the_same_bits(pairs: Pairs, tmp_path: Path) -> None:
    killed, whole, last = killed_run(pairs, tmp_path, workers=0, kills=4)
    assert killed == 4
    assert last == whole


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_fifty_kills(pairs: Pairs, tmp_path: Path, workers: int) -> None:
    killed, whole, last = killed_run(pairs, tmp_path, workers, kills=50)
    assert killed >= 45  # a step that an earlier child has passed is not met again
    assert last == whole
