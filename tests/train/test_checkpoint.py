"""Checkpoints: whole or not there, verified, the last two kept, never one that is not finite."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from collections.abc import Container
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock
from tests.train.helpers import TINY, assert_same_bits, names, newest, rows, run_of, short, trained

from wdsr.errors import TrainingError
from wdsr.train import checkpoint, loop
from wdsr.train.data import Pairs
from wdsr.train.journal import Progress
from wdsr.train.loop import PATIENCE
from wdsr.train.losses import LOSSES, l1
from wdsr.train.trainee import Trainee


def test_checkpoints_are_written_at_intervals(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()  # one second for each step
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    save, saved = checkpoint.save, []

    def spy(run: Path, state: dict[str, Any], *, trunk: bool = False) -> None:
        saved.append(state["step"])
        save(run, state, trunk=trunk)

    monkeypatch.setattr(checkpoint, "save", spy)
    run_of(short(steps=10), pairs, tmp_path, save_minutes=3.5 / 60)
    assert saved == [0, 4, 8, 10]


def test_the_last_two_are_kept(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path, save_minutes=0)
    assert names(tmp_path) == ["step-00000011", "step-00000012"]
    assert not list(tmp_path.glob("*.part"))


def test_the_same_step_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    for step, best in ((1, 0.5), (2, 0.5), (2, 0.75)):
        checkpoint.save(tmp_path, some_state(step) | {"best": best})
    assert names(tmp_path) == ["step-00000001", "step-00000002"]
    assert newest(tmp_path)["best"] == 0.75


def some_state(step: int) -> dict[str, Any]:
    return {"step": step, "weights": torch.full((50,), float(step)), "best": None}


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_one_is_passed_over_and_named(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        path = checkpoint.save(tmp_path, some_state(step))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes({"cut": content[:-500], "bit": content, "empty": b""}[damage]))
    told: list[str] = []
    (state,) = checkpoint.whole(tmp_path, told.append)
    assert state["step"] == 1
    assert len(told) == 1
    assert told[0].startswith(f"{path}: damaged")


def test_one_that_cannot_be_read_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, some_state(1))

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(TrainingError, match=r"cannot be read \(Permission denied\)"):
        checkpoint.newest(tmp_path)


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".step-00000001-0.ckpt.00c0ffee.wdsr-part"
    left.write_bytes(b"half")
    os.utime(left, (1, 1))  # long ago: no one may be just about to lock it
    with checkpoint.held(tmp_path):
        assert not left.exists()


def test_if_all_are_damaged_nothing_is_begun_anew(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, some_state(step)).write_bytes(b"torn")
    with pytest.raises(TrainingError, match=r"no whole checkpoint is left, .* step-00000002-"):
        checkpoint.newest(tmp_path)


def test_a_damaged_trunk_is_passed_over_and_a_whole_one_can_serve(tmp_path: Path) -> None:
    trunk = checkpoint.save(tmp_path, some_state(1), trunk=True)
    last = checkpoint.save(tmp_path, some_state(2))
    assert [state["step"] for state in checkpoint.whole(tmp_path)] == [2, 1]
    content = trunk.read_bytes()
    trunk.write_bytes(b"torn")
    told: list[str] = []
    assert [state["step"] for state in checkpoint.whole(tmp_path, told.append)] == [2]
    assert told == [f"{trunk}: damaged and passed over"]
    trunk.write_bytes(content)
    last.write_bytes(b"torn")
    assert [state["step"] for state in checkpoint.whole(tmp_path)] == [1]


def test_a_run_folder_is_held_by_one_process(tmp_path: Path) -> None:
    run = tmp_path / "run"
    again = f"with held(Path({str(run)!r}), 0): print('mine')"
    call = [
        sys.executable,
        "-c",
        f"from pathlib import Path\nfrom wdsr.train.checkpoint import *\n{again}",
    ]
    with checkpoint.held(run):
        other = subprocess.run(call, capture_output=True, text=True, check=False)
        assert "another process trains in this folder" in other.stderr
    assert subprocess.run(call, capture_output=True, text=True, check=True).stdout == "mine\n"


def test_without_locks_a_run_goes_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: object, timeout: float) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with checkpoint.held(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


def test_files_of_the_first_version_are_read(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None
    torch.save(some_state(7), tmp_path / "step-00000007.ckpt")
    state = checkpoint.newest(tmp_path)
    assert state is not None
    assert state["step"] == 7
    checkpoint.save(tmp_path, some_state(8))
    (tmp_path / "step-00000007.ckpt").write_bytes(b"torn")
    assert checkpoint.newest(tmp_path) is not None


def test_a_full_disk_harms_no_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, some_state(1))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TrainingError, match=r"No space left on device.*older .* unharmed"):
            checkpoint.save(tmp_path, some_state(2))
    assert names(tmp_path) == ["step-00000001"]
    assert len(list(tmp_path.iterdir())) == 1
    state = checkpoint.newest(tmp_path)
    assert state is not None
    assert_same_bits(state, some_state(1))


def test_a_run_goes_on_from_the_one_before_a_damaged_one(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path / "whole")
    run = tmp_path / "run"
    for _ in range(5):
        run_of(short(), pairs, run, max_minutes=0)
    (path,) = run.glob("step-00000005-*")
    path.write_bytes(path.read_bytes()[:-1])
    told: list[str] = []
    run_of(short(), pairs, run, notice=told.append)
    assert path.name in told[0]
    assert told[1:] == ["going on from step 4"]
    assert_same_bits(newest(run), newest(tmp_path / "whole"))


# What is not finite


def poison(monkeypatch: pytest.MonkeyPatch, calls: Container[int], kind: str = "loss") -> None:
    """Make the loss, or only its gradient, NaN at these of its calls."""
    count = itertools.count()

    def poisoned(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        loss = l1(sr, hr)
        if next(count) not in calls:
            return loss
        return loss * math.nan if kind == "loss" else loss + (sr * 0).sum().sqrt()

    monkeypatch.setitem(LOSSES, "l1", poisoned)


def learnt(state: dict[str, Any]) -> Any:
    return {name: state[name] for name in ("network", "average")} | state["optimizer"]["state"]


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_skipped(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    poison(monkeypatch, {5}, kind)
    recipe = short(ema=0.0)  # else the average would still move
    seen: list[Progress] = []
    for step in range(1, 8):
        run_of(recipe, pairs, tmp_path, max_minutes=0, log=1, report=seen.append)
        if step == 5:
            before = newest(tmp_path)
        if step == 6:
            assert_same_bits(learnt(newest(tmp_path)), learnt(before))
    assert newest(tmp_path)["step"] == 7
    assert not torch.equal(newest(tmp_path)["network"]["tail.bias"], before["network"]["tail.bias"])
    assert [p.skipped for p in seen] == [0] * 5 + [1] * 2
    assert checkpoint.is_finite(newest(tmp_path))


def test_several_in_a_row_roll_back_and_halve_the_rate(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(7, 7 + PATIENCE))
    recipe = short(steps=20)
    told: list[str] = []
    for _ in range(6):
        run_of(recipe, pairs, tmp_path, max_minutes=0)
    seen: list[Progress] = []
    run_of(recipe, pairs, tmp_path, log=1, report=seen.append, notice=told.append)
    told_then = ["step 12: not finite; back to step 6, half the rate"]
    assert told == ["going on from step 6", *told_then]
    assert [p.step for p in seen] == [*range(7, 13), *range(7, 21)]
    rates = [p.learning_rate / recipe.learning_rate_at(p.step - 1) for p in seen]
    assert rates == [1.0] * 6 + [0.5] * 14
    state = newest(tmp_path)
    assert (state["step"], state["halvings"]) == (20, 1)
    assert checkpoint.is_finite(state)
    assert [int(r["step"]) for r in rows(tmp_path)] == list(range(1, 21))


def test_a_run_that_diverges_for_good_ends_with_a_finite_checkpoint(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(4, 10**6))
    with pytest.raises(TrainingError, match=r"diverges at step .* lower learning_rate"):
        run_of(short(steps=200), pairs, tmp_path)
    files = sorted(tmp_path.glob("*.ckpt"))
    assert files
    assert all(checkpoint.is_finite(torch.load(path)) for path in files)


def test_a_state_that_is_not_finite_is_not_saved(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainee.update

    def broken(self: Trainee, *arguments: Any) -> None:
        update(self, *arguments)
        if self.skipped == 0:
            with torch.no_grad():
                self.parameters[0].view(-1)[0] = math.inf

    monkeypatch.setattr(Trainee, "update", broken)
    with pytest.raises(TrainingError, match="diverges"):
        run_of(short(steps=200), pairs, tmp_path, save_minutes=0)
    assert names(tmp_path) == ["step-00000000"]


def test_weights_that_overflow_in_the_last_step_roll_back(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update, count = Trainee.update, itertools.count(1)

    def broken(self: Trainee, *arguments: Any) -> None:
        update(self, *arguments)
        if next(count) == 12:
            with torch.no_grad():
                self.parameters[0].view(-1)[0] = math.inf

    monkeypatch.setattr(Trainee, "update", broken)
    told: list[str] = []
    run_of(short(), pairs, tmp_path, notice=told.append)
    assert told == ["step 12: not finite; back to step 0, half the rate"]
    assert (newest(tmp_path)["step"], newest(tmp_path)["halvings"]) == (12, 1)


def test_a_start_that_is_not_finite_is_refused(pairs: Pairs, tmp_path: Path) -> None:
    start = trained(TINY).fuse().state_dict()
    start["tail.bias"][0] = math.nan
    with pytest.raises(TrainingError, match=r"start: .* not finite"):
        run_of(short(), pairs, tmp_path / "run", start=start)
    assert not (tmp_path / "run").exists()


def test_what_is_finite() -> None:
    good = torch.zeros(2)
    assert checkpoint.is_finite({"a": [good, 1, None, "nan"], "b": {"c": good}})
    for bad in (math.nan, math.inf, -math.inf):
        assert not checkpoint.is_finite({"a": [1, {"b": (good, good + bad)}]})
