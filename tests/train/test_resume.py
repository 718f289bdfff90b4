"""Whatever stops a run, it goes on to the same bits."""

from __future__ import annotations

import csv
import itertools
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.helpers import (
    TINY,
    Pixels,
    StopError,
    assert_same_bits,
    names,
    newest,
    run_of,
    short,
    stop_at,
    waves,
)

from wdsr.networks.wdsr import WDSR
from wdsr.train import checkpoint
from wdsr.train.data import Pairs
from wdsr.train.journal import Progress
from wdsr.train.losses import LOSSES, l1
from wdsr.train.pictures import make_pair
from wdsr.train.preflight import resumable
from wdsr.train.recipe import Recipe, Stage
from wdsr.train.stopping import Stopping
from wdsr.train.warm import run_weights

# Stopping and resuming


@pytest.fixture(scope="module")
def whole(pairs: Pairs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The final state of a run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole")
    run_of(short(), pairs, run)
    return newest(run)


@pytest.mark.parametrize("step", [1, 5, 11])
def test_a_stopped_run_resumes_to_the_same_bits(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any], step: int
) -> None:
    with pytest.raises(StopError):
        run_of(short(), pairs, tmp_path, log=1, report=stop_at(step))
    assert newest(tmp_path)["step"] == step
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


def test_max_minutes_stops_cleanly_and_resumes_to_the_same_bits(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any]
) -> None:
    for step in range(1, 13):
        network = run_of(short(), pairs, tmp_path, max_minutes=0)
        assert newest(tmp_path)["step"] == step
    assert_same_bits(newest(tmp_path), whole)
    assert_same_bits(dict(network.state_dict()), whole["average"])


def test_bf16_resumes_to_the_same_bits(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path / "whole", precision="bf16")
    stopped = tmp_path / "stopped"
    with pytest.raises(StopError):
        run_of(short(), pairs, stopped, precision="bf16", log=1, report=stop_at(7))
    run_of(short(), pairs, stopped, precision="bf16")
    assert_same_bits(newest(stopped), newest(tmp_path / "whole"))


def test_a_step_that_was_not_begun_is_taken_on_resuming(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = pairs.batch

    def interrupted(**arguments: Any) -> tuple[Pixels, Pixels]:
        if arguments["step"] == 7:
            raise KeyboardInterrupt
        return batch(**arguments)

    with monkeypatch.context() as patched:
        patched.setattr(pairs, "batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_of(short(), pairs, tmp_path)
    assert newest(tmp_path)["step"] == 7
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


def test_a_step_half_taken_is_never_saved(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the weights have moved and before the average has."""
    sub, calls = torch._foreach_sub, iter(range(1, 100))

    def interrupted(*arguments: Any) -> Any:
        if next(calls) == 6:
            raise KeyboardInterrupt
        return sub(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "_foreach_sub", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_of(short(), pairs, tmp_path, save_minutes=0)
    assert newest(tmp_path)["step"] == 5
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


def test_what_fails_before_anything_has_moved_leaves_the_step_before(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another process is lost, which shows while gradients are joined."""
    calls = itertools.count()

    def failing(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        if next(calls) == 7:
            raise RuntimeError("connection closed by peer")
        return l1(sr, hr)

    with monkeypatch.context() as patched:
        patched.setitem(LOSSES, "l1", failing)
        with pytest.raises(RuntimeError, match="closed by peer"):
            run_of(short(), pairs, tmp_path)
    assert newest(tmp_path)["step"] == 7
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


def test_the_best_score_is_remembered(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path, max_minutes=0)
    state = newest(tmp_path)
    state["best"] = 99.0
    checkpoint.save(tmp_path, state)
    seen: list[Progress] = []
    held_out = [make_pair(waves(24, 24, 5), 2)]
    run_of(short(), pairs, tmp_path, validation=held_out, report=seen.append)
    assert seen[-1].best == newest(tmp_path)["best"] == 99.0
    assert seen[-1].psnr is not None
    assert seen[-1].psnr < 99


def test_a_finished_run_is_not_trained_further(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any]
) -> None:
    first = run_of(short(), pairs, tmp_path)
    log = (tmp_path / "log.csv").read_bytes()
    again = run_of(short(), pairs, tmp_path, report=stop_at(12))
    assert_same_bits(newest(tmp_path), whole)
    assert_same_bits(again.state_dict(), first.state_dict())
    assert (tmp_path / "log.csv").read_bytes() == log


def test_a_run_from_before_a_setting_existed_is_resumed(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any]
) -> None:
    run_of(short(), pairs, tmp_path, max_minutes=0)
    state = newest(tmp_path)
    for name in ("start", "then", "candidates", "optimizer"):
        del state["recipe"][name]
    del state["recipe"]["network"]["mean"], state["halvings"], state["trouble"]
    state["average"] = [state["average"][name] for name, _ in WDSR(TINY).named_parameters()]
    checkpoint.save(tmp_path, state)
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


def test_workers_change_nothing(pairs: Pairs, tmp_path: Path, whole: dict[str, Any]) -> None:
    run_of(short(), pairs, tmp_path, workers=2)
    assert_same_bits(newest(tmp_path), whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_step_and_then_the_run(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any], number: int
) -> None:
    def report(progress: Progress) -> None:
        if progress.step == 4:
            os.kill(os.getpid(), number)

    before = signal.signal(number, signal.SIG_DFL)  # these tests may themselves run under nohup
    try:
        with pytest.raises(KeyboardInterrupt):
            run_of(short(), pairs, tmp_path, log=1, report=report)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert newest(tmp_path)["step"] == 4
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


def test_a_closed_terminal_that_is_to_be_ignored_is() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stopping(None) as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_run_stopped_by_the_clock_says_how_good_it_is(pairs: Pairs, tmp_path: Path) -> None:
    told: list[str] = []
    held_out = [make_pair(waves(24, 24, 5), 2)]

    def sitting(run: Path, log: int = 100) -> None:
        run_of(short(), pairs, run, max_minutes=0, validation=held_out, notice=told.append, log=log)

    for log in (100, 1):  # its last step has a row already, without a score, or none
        run = tmp_path / str(log)
        sitting(run, log)
        assert told.pop() == "stopped at step 1 of 12; the same command goes on"
        assert not told
        rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
        assert {row["step"] for row in rows} == {"1"}
        assert float(rows[-1]["psnr"]) > 5
        assert (run / "samples" / "step-00000001.png").exists()
        assert newest(run)["best"] is None  # a run that was not stopped would not know it
    sitting(run)
    assert told == ["going on from step 1", "stopped at step 2 of 12; the same command goes on"]


def test_training_that_makes_it_worse_says_so(pairs: Pairs, tmp_path: Path) -> None:
    told: list[str] = []
    ruinous = short(learning_rate=1.0, ema=0.0)
    held_out = [make_pair(waves(24, 24, 5), 2)]
    run_of(short(ema=0.0), pairs, tmp_path / "good")
    begun, worse = run_weights(tmp_path / "good"), tmp_path / "worse"
    run_of(ruinous, pairs, worse, validation=held_out, start=begun, notice=told.append)
    before = float(told[0].removeprefix("before training: PSNR ").removesuffix(" dB"))
    assert newest(worse)["best"] == pytest.approx(before, abs=1e-3)
    below = rf"the last score is \d+\.\d+ dB below the best, {before:.3f} dB"
    assert re.fullmatch(below, told[-1])


def test_a_second_signal_stops_at_once() -> None:
    with Stopping(None) as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_with_a_cooldown_can_be_extended(pairs: Pairs, tmp_path: Path) -> None:
    def cooled(steps: int) -> Recipe:
        return short(steps=steps, schedule="constant", cooldown=4)

    run_of(cooled(20), pairs, tmp_path / "whole")
    run = tmp_path / "run"
    run_of(cooled(12), pairs, run)
    assert names(run) == ["step-00000000", "step-00000012", "trunk-00000008"]
    told: list[str] = []
    looked = resumable(run, cooled(20))
    assert looked is not None
    assert looked["step"] == 8
    assert "step-00000012" in names(run)  # looking deletes nothing
    run_of(cooled(20), pairs, run, notice=told.append)
    assert told[0].startswith("the run is extended from step 8, before its cooldown; ")
    assert_same_bits(newest(run), newest(tmp_path / "whole"))
    assert Recipe.read(run / "recipe.toml") == cooled(20)
    assert names(run) == ["step-00000008", "step-00000020", "trunk-00000016"]


def test_a_stage_can_be_added(pairs: Pairs, tmp_path: Path) -> None:
    last = Stage(steps=3, batch=1, patch=8, learning_rate=1e-5, warmup=0, losses={"mse": 1.0})
    run_of(short(then=[last]), pairs, tmp_path / "whole")
    run_of(short(), pairs, tmp_path / "run")
    run_of(short(then=[last]), pairs, tmp_path / "run")
    assert_same_bits(newest(tmp_path / "run"), newest(tmp_path / "whole"))
