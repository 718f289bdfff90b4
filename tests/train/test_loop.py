"""The training loop: it learns, follows its recipe, and refuses what does not fit."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.helpers import TINY, Pixels, assert_same_bits, newest, run_of, short, waves

from wdsr.errors import TrainingError, UsageError
from wdsr.metrics import psnr
from wdsr.networks.srresnet import SRResNetConfig
from wdsr.networks.wdsr import WDSR, WDSRConfig
from wdsr.train import checkpoint
from wdsr.train.data import Pairs
from wdsr.train.journal import Progress
from wdsr.train.pictures import make_pair
from wdsr.train.preflight import check
from wdsr.train.recipe import Stage
from wdsr.train.trainee import averaged
from wdsr.train.validate import validate

# Learning


def test_a_tiny_network_learns(pairs: Pairs, tmp_path: Path) -> None:
    lr, hr = make_pair(waves(64, 64, 9), 2)
    nearest = psnr(lr.repeat(2, axis=0).repeat(2, axis=1), hr, data_range=255, shave=2, luma=True)
    seen: list[Progress] = []
    recipe = short(steps=80, batch=4, patch=8, learning_rate=0.02, ema=0.9)
    network = run_of(recipe, pairs, tmp_path, validation=[(lr, hr)], log=10, report=seen.append)
    assert [p.step for p in seen] == list(range(10, 81, 10))
    assert seen[-1].loss < seen[0].loss / 4
    final = seen[-1].psnr
    assert final is not None
    assert final > nearest + 3
    assert isinstance(network, WDSR)
    assert validate(network, [(lr, hr)]) == final == seen[-1].best
    assert not network.training


def test_bf16_trains_float32_weights(pairs: Pairs, tmp_path: Path) -> None:
    seen: list[Progress] = []
    recipe = short(steps=24, learning_rate=0.02, losses={"l1": 1.0, "frequency": 0.05})
    run_of(recipe, pairs, tmp_path, precision="bf16", log=6, report=seen.append)
    assert seen[-1].loss < seen[0].loss / 1.5
    state = newest(tmp_path)
    assert {v.dtype for v in state["network"].values()} == {torch.float32}
    exact = run_of(recipe, pairs, tmp_path / "exact")
    both = zip(exact.parameters(), averaged(TINY, state["average"]).parameters(), strict=True)
    assert any((a != b).any() for a, b in both)  # that is, bf16 was used at all


def test_step_follows_recipe(pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn; rate, clipping and averaging, read back from every step's checkpoint."""
    states: list[dict[str, Any]] = []
    drawn: list[dict[str, Any]] = []
    batch = pairs.batch

    def draw(**arguments: Any) -> tuple[Pixels, Pixels]:
        drawn.append(arguments)
        return batch(**arguments)

    monkeypatch.setattr(pairs, "batch", draw)
    save = checkpoint.save

    def spy(run: Path, state: dict[str, Any], *, trunk: bool = False) -> None:
        save(run, state, trunk=trunk)
        states.append(newest(run))

    monkeypatch.setattr(checkpoint, "save", spy)
    later = Stage(steps=5, batch=3, patch=4, learning_rate=0.5, warmup=2, candidates=2)
    recipe = short(steps=10, clip=1e-3, ema=0.4, seed=7, then=[later])
    network = run_of(recipe, pairs, tmp_path, save_minutes=0)
    assert [s["step"] for s in states] == [*range(16), 15]  # before the first, and at the end
    places = [(2, 6, 1)] * 10 + [(3, 4, 2)] * 5
    assert drawn == [
        {"seed": 7, "step": k, "places": range(0, n, 1), "patch": p, "candidates": c}
        for k, (n, p, c) in enumerate(places)
    ]

    torch.manual_seed(recipe.seed)
    initial = WDSR(TINY)
    names = [name for name, _ in initial.named_parameters()]
    average = {name: p.detach() for name, p in initial.named_parameters()}
    assert_same_bits([states[0]["network"][name] for name in names], list(average.values()))
    for step, state in enumerate(states[1:16]):
        rate = state["optimizer"]["param_groups"][0]["lr"]
        assert rate == recipe.learning_rate_at(step)
        kept = min(0.4, (step + 1) / (step + 11))
        for name in names:
            average[name] = kept * average[name] + (1 - kept) * state["network"][name]
            torch.testing.assert_close(state["average"][name], average[name], rtol=0, atol=1e-6)
    moments = [s["exp_avg"] for s in states[1]["optimizer"]["state"].values()]
    norm = math.sqrt(sum(float(m.square().sum()) for m in moments))
    assert norm == pytest.approx(0.1 * recipe.clip, rel=1e-3)  # Adam keeps 1 - 0.9 of a gradient
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, states[-1]["average"][name])


def test_seed_decides_the_bits(pairs: Pairs, tmp_path: Path) -> None:
    one, again, other = (
        [p.detach() for p in run_of(short(steps=3, seed=seed), pairs, tmp_path / name).parameters()]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert_same_bits(one, again)
    assert any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


# What does not fit


def test_a_run_of_another_recipe_is_refused(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path, max_minutes=0)
    before = sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir())
    with pytest.raises(TrainingError, match="another recipe"):
        run_of(short(learning_rate=5e-4), pairs, tmp_path)
    assert sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir()) == before


def test_batch_norm_is_not_shared_by_processes(pairs: Pairs) -> None:
    recipe = short(network=SRResNetConfig(scale=2, filters=4, blocks=1))
    check(recipe, pairs, 1)
    with pytest.raises(UsageError, match="batch norm needs the whole batch in one process"):
        check(recipe, pairs, 2)
    check(short(), pairs, 2)


@pytest.mark.parametrize(
    ("network", "patch", "error", "says"),
    [
        (
            dataclasses.replace(TINY, scale=4),
            6,
            UsageError,
            "recipe is for x4, the pictures for x2",
        ),
        (dataclasses.replace(TINY, channels=1), 6, UsageError, "3 channels, the network 1"),
        (TINY, 37, TrainingError, "smaller than a patch of 74 pixels"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_anything_is_written(
    pairs: Pairs, tmp_path: Path, network: WDSRConfig, patch: int, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        run_of(short(network=network, patch=patch), pairs, tmp_path / "run")
    assert not (tmp_path / "run").exists()
