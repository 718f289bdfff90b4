"""The training loop: it learns, resumes to the same bits, and refuses what does not fit."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from wdsr.errors import TrainingError, UsageError
from wdsr.metrics import psnr
from wdsr.networks.wdsr import WDSR, WDSRConfig
from wdsr.train import checkpoint, loop
from wdsr.train.data import Pairs, make_pair, pack
from wdsr.train.loop import Progress, averaged, train, validate, validation_pairs, warm_start
from wdsr.train.recipe import Recipe

Pixels = NDArray[np.uint8]
TINY = WDSRConfig(scale=2, filters=8, blocks=1, expansion=2)


def waves(height: int, width: int, seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    colours = [
        np.sin(x / rng.uniform(2, 9) + y / rng.uniform(4, 20) + rng.uniform(0, 6)) for _ in "rgb"
    ]
    return np.asarray(np.rint(128 + 90 * np.stack(colours, axis=2)), np.uint8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(4):
        Image.fromarray(waves(72, 80, seed)).save(folder / f"{seed}.png")
    return Pairs(pack(folder, tmp_path_factory.mktemp("cache"), 2), 2)


def short(**changes: Any) -> Recipe:
    settings: dict[str, Any] = {"network": TINY, "steps": 12, "batch": 2, "patch": 6, "warmup": 3}
    return Recipe(**settings | changes)


def run_of(recipe: Recipe, pairs: Pairs, run: Path, **settings: Any) -> torch.nn.Module:
    return train(recipe, pairs, run, **{"precision": "float32", **settings})


def newest(run: Path) -> dict[str, Any]:
    state = checkpoint.newest(run)
    assert state is not None
    return state


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def assert_same_bits(a: Any, b: Any, at: str = "") -> None:
    assert type(a) is type(b), at
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, at
        assert torch.equal(a, b), at
    elif isinstance(a, dict):
        assert list(a) == list(b), at
        for key in a:
            assert_same_bits(a[key], b[key], f"{at}/{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), at
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same_bits(x, y, f"{at}/{i}")
    else:
        assert a == b, at


class StopError(Exception):
    """Stands for whatever ends a run early."""


def stop_at(step: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == step:
            raise StopError

    return report


# Learning


def test_a_tiny_network_learns(pairs: Pairs, tmp_path: Path) -> None:
    lr, hr = make_pair(waves(64, 64, 9), 2)
    nearest = psnr(lr.repeat(2, axis=0).repeat(2, axis=1), hr, data_range=255, shave=2, luma=True)
    seen: list[Progress] = []
    recipe = short(steps=80, batch=4, patch=8, learning_rate=0.02, ema=0.9)
    network = run_of(
        recipe, pairs, tmp_path, validation=[(lr, hr)], log_every=10, report=seen.append
    )
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
    train(recipe, pairs, tmp_path, log_every=6, report=seen.append)
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

    def spy(run: Path, state: dict[str, Any]) -> None:
        save(run, state)
        states.append(newest(run))

    monkeypatch.setattr(checkpoint, "save", spy)
    recipe = short(steps=15, clip=1e-3, ema=0.4, seed=7)
    network = run_of(recipe, pairs, tmp_path, save_minutes=0)
    states = states[:15]  # the last is saved once more at the end
    assert [s["step"] for s in states] == list(range(1, 16))
    assert drawn == [{"seed": 7, "step": k, "places": range(2), "patch": 6} for k in range(15)]

    torch.manual_seed(recipe.seed)
    initial = WDSR(TINY)
    names = [name for name, _ in initial.named_parameters()]
    average = [p.detach() for p in initial.parameters()]
    for step, state in enumerate(states):
        rate = state["optimizer"]["param_groups"][0]["lr"]
        assert rate == recipe.learning_rate_at(step)
        decay = min(0.4, (step + 1) / (step + 11))
        values = [state["network"][name] for name in names]
        average = [decay * a + (1 - decay) * v for a, v in zip(average, values, strict=True)]
        for ours, theirs in zip(average, state["average"], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    moments = [s["exp_avg"] for s in states[0]["optimizer"]["state"].values()]
    norm = math.sqrt(sum(float(m.square().sum()) for m in moments))
    assert norm == pytest.approx(0.1 * recipe.clip, rel=1e-3)  # Adam keeps 1 - 0.9 of a gradient
    for parameter, value in zip(network.parameters(), states[-1]["average"], strict=True):
        assert torch.equal(parameter, value)


def test_seed_decides_the_bits(pairs: Pairs, tmp_path: Path) -> None:
    one, again, other = (
        [p.detach() for p in run_of(short(steps=3, seed=seed), pairs, tmp_path / name).parameters()]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert_same_bits(one, again)
    assert any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


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
        run_of(short(), pairs, tmp_path, log_every=1, report=stop_at(step))
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
    assert_same_bits([p.detach() for p in network.parameters()], whole["average"])


def test_bf16_resumes_to_the_same_bits(pairs: Pairs, tmp_path: Path) -> None:
    train(short(), pairs, tmp_path / "whole")
    with pytest.raises(StopError):
        train(short(), pairs, tmp_path / "stopped", log_every=1, report=stop_at(7))
    train(short(), pairs, tmp_path / "stopped")
    assert_same_bits(newest(tmp_path / "stopped"), newest(tmp_path / "whole"))


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
    lerp, calls = torch._foreach_lerp_, iter(range(1, 100))

    def interrupted(*arguments: Any) -> None:
        if next(calls) == 6:
            raise KeyboardInterrupt
        lerp(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(torch, "_foreach_lerp_", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_of(short(), pairs, tmp_path, save_minutes=0)
    assert newest(tmp_path)["step"] == 5
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


# What is written


def test_log_has_a_row_where_something_was_measured(pairs: Pairs, tmp_path: Path) -> None:
    seen: list[Progress] = []
    recipe = short(steps=10)
    run_of(
        recipe,
        pairs,
        tmp_path,
        validation=[make_pair(waves(24, 24, 5), 2)],
        log_every=4,
        validate_every=3,
        report=seen.append,
    )
    written = rows(tmp_path)
    assert list(written[0]) == ["step", "loss", "learning_rate", "steps_per_second", "psnr"]
    assert [int(r["step"]) for r in written] == [3, 4, 6, 8, 9, 10]
    assert [r["step"] for r in written if r["psnr"]] == ["3", "6", "9", "10"]
    for row, progress in zip(written, seen, strict=True):
        assert float(row["loss"]) == progress.loss
        assert float(row["learning_rate"]) == recipe.learning_rate_at(progress.step - 1)
        assert float(row["steps_per_second"]) > 0
        assert progress.steps == 10
    scores = [p.psnr for p in seen if p.psnr is not None]
    best = [p.best for p in seen if p.psnr is not None]
    assert best == [max(scores[: n + 1]) for n in range(4)]


def test_loss_in_the_log_is_the_mean_since_the_row_before(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(steps=4), pairs, tmp_path / "each", log_every=1)
    run_of(short(steps=4), pairs, tmp_path / "two", log_every=2)
    each = [float(r["loss"]) for r in rows(tmp_path / "each")]
    two = [float(r["loss"]) for r in rows(tmp_path / "two")]
    assert two == pytest.approx([(each[0] + each[1]) / 2, (each[2] + each[3]) / 2], rel=1e-5)


def test_log_of_a_run_resumed_from_an_earlier_checkpoint_has_no_step_twice(
    pairs: Pairs, tmp_path: Path
) -> None:
    with pytest.raises(StopError):
        run_of(short(), pairs, tmp_path, log_every=1, save_minutes=0, report=stop_at(6))
    (tmp_path / "step-00000006.ckpt").unlink()  # as if the machine had died before writing it
    with (tmp_path / "log.csv").open("a") as stream:
        stream.write("7,0.0")  # a torn row
    run_of(short(), pairs, tmp_path, log_every=1)
    assert [int(r["step"]) for r in rows(tmp_path)] == list(range(1, 13))


def test_the_last_two_checkpoints_are_kept(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path, save_minutes=0)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["log.csv", "run.json", "step-00000011.ckpt", "step-00000012.ckpt"]


def test_checkpoints_are_written_at_intervals(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()  # one second for each step
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    save, saved = checkpoint.save, []

    def spy(run: Path, state: dict[str, Any]) -> None:
        saved.append(state["step"])
        save(run, state)

    monkeypatch.setattr(checkpoint, "save", spy)
    run_of(short(steps=10), pairs, tmp_path, save_minutes=3.5 / 60)
    assert saved == [4, 8, 10]


def test_a_checkpoint_torn_while_writing_is_not_resumed_from(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save

    def torn(state: dict[str, Any], path: Path) -> None:
        save(state, path)
        if state["step"] >= 5:
            path.write_bytes(path.read_bytes()[:1000])
            raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", torn)
        with pytest.raises(OSError, match="disk full"):
            run_of(short(), pairs, tmp_path, save_minutes=0)
    assert newest(tmp_path)["step"] == 4
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


def test_a_damaged_checkpoint_is_named(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path, max_minutes=0)
    path = tmp_path / "step-00000001.ckpt"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(TrainingError, match=r"step-00000001\.ckpt: damaged"):
        run_of(short(), pairs, tmp_path)


def test_run_folder_says_what_was_run(pairs: Pairs, tmp_path: Path) -> None:
    recipe = short(steps=1)
    run_of(recipe, pairs, tmp_path / "new" / "folder")
    facts = json.loads((tmp_path / "new" / "folder" / "run.json").read_text())
    assert Recipe.from_dict(facts["recipe"]) == recipe
    assert facts["torch"] == torch.__version__
    state = newest(tmp_path / "new" / "folder")
    assert set(state) == {"step", "best", "recipe", "network", "optimizer", "average"}
    assert state["recipe"] == recipe.to_dict()


# What does not fit


def test_a_run_of_another_recipe_is_refused(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path, max_minutes=0)
    before = sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir())
    with pytest.raises(TrainingError, match="another recipe"):
        run_of(short(learning_rate=5e-4), pairs, tmp_path)
    assert sorted((p.name, p.read_bytes()) for p in tmp_path.iterdir()) == before


def test_a_run_from_before_a_setting_existed_is_resumed(
    pairs: Pairs, tmp_path: Path, whole: dict[str, Any]
) -> None:
    run_of(short(), pairs, tmp_path, max_minutes=0)
    state = newest(tmp_path)
    del state["recipe"]["start"], state["recipe"]["network"]["mean"]
    checkpoint.save(tmp_path, state)
    run_of(short(), pairs, tmp_path)
    assert_same_bits(newest(tmp_path), whole)


@pytest.mark.parametrize(
    ("network", "patch", "error", "says"),
    [
        (dataclasses.replace(TINY, scale=4), 6, UsageError, "recipe is for x4, the pairs x2"),
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


# Warm start


def trained(config: WDSRConfig) -> WDSR:
    """A network whose gains, directions and biases are all off their initial values."""
    torch.manual_seed(5)
    network = WDSR(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return network


def test_warm_start_across_scales_copies_head_and_body_and_keeps_the_rest() -> None:
    weights = trained(TINY).fuse().state_dict()
    network = WDSR(dataclasses.replace(TINY, scale=4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert warm_start(network, weights) == ["tail", "skip"]
    for name, value in network.state_dict().items():
        if name.startswith(("tail", "skip")):
            assert torch.equal(value, before[name])
        elif name.endswith("bias"):
            assert torch.equal(value, weights[name])
        elif name.endswith("original1"):  # the direction keeps its short initial length
            length = value.flatten(1).norm(dim=1)
            assert length.tolist() == pytest.approx([length[0].item()] * len(length), rel=1e-5)
            assert length[0].item() == pytest.approx(3**-0.5, rel=0.2)
    network.fuse()
    for name, value in network.state_dict().items():
        if not name.startswith(("tail", "skip")):
            torch.testing.assert_close(value, weights[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("weight_norm", [True, False])
def test_warm_start_at_the_same_scale_gives_the_same_network(weight_norm: bool) -> None:
    # In double precision: in single, processors differ by more than an error of ours could hide.
    source = trained(TINY).double()
    network = WDSR(dataclasses.replace(TINY, weight_norm=weight_norm)).double()
    lr = torch.rand(1, 3, 9, 9, dtype=torch.float64)
    expected = source(lr)
    weights = source.fuse().state_dict()
    kept = {name: value.clone() for name, value in weights.items()}
    assert warm_start(network, weights) == []
    torch.testing.assert_close(network(lr), expected, rtol=0, atol=1e-12)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.requires_grad
            parameter.zero_()
    assert_same_bits(dict(weights), kept)  # the source is not shared


def test_warm_start_from_a_filter_of_zeros_is_no_nan() -> None:
    weights = trained(TINY).fuse().state_dict()
    weights["head.weight"][3] = 0
    network = WDSR(TINY)
    warm_start(network, weights)
    lr = torch.rand(1, 3, 9, 9)
    expected = WDSR(TINY).fuse()
    expected.load_state_dict(weights)
    torch.testing.assert_close(network(lr), expected(lr), rtol=0, atol=1e-6)


def test_warm_start_from_another_architecture_is_refused() -> None:
    weights = trained(dataclasses.replace(TINY, filters=10)).fuse().state_dict()
    network = WDSR(dataclasses.replace(TINY, scale=4))
    with pytest.raises(TrainingError, match="not one layer"):
        warm_start(network, weights)
    with pytest.raises(TrainingError, match="not one layer"):
        warm_start(network, trained(TINY).state_dict())  # not fused: other names


def test_training_begins_from_the_start_weights(pairs: Pairs, tmp_path: Path) -> None:
    weights = trained(TINY).fuse().state_dict()
    still = short(steps=1, learning_rate=1e-12)
    result = run_of(still, pairs, tmp_path, start=weights)
    assert isinstance(result, WDSR)
    for name, value in result.fuse().state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=1e-5, atol=1e-6)


# Validation


def linear(taps: dict[tuple[int, int], float], scale: int) -> WDSR:
    """Each HR pixel is this weighted sum of the LR pixels around its own, colour by colour."""
    network = WDSR(WDSRConfig(scale=scale, filters=1, block="a", blocks=0, weight_norm=False))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        weight = network.get_parameter("skip.weight")
        for colour in range(3):
            for (y, x), value in taps.items():
                weight[colour * scale**2 : (colour + 1) * scale**2, colour, 2 + y, 2 + x] = value
    return network


@pytest.mark.parametrize("scale", [2, 3])
def test_validation_is_the_classical_protocol(scale: int) -> None:
    pictures = [make_pair(waves(30, 36, seed), scale) for seed in (1, 2)]
    scores = [
        psnr(
            lr.repeat(scale, axis=0).repeat(scale, axis=1),
            hr,
            data_range=255,
            shave=scale,
            luma=True,
        )
        for lr, hr in pictures
    ]
    assert scores[0] != scores[1]
    mean = validate(linear({(0, 0): 1}, scale), pictures)
    assert mean == pytest.approx(sum(scores) / 2, abs=1e-9)  # of scores, not of errors


@pytest.mark.parametrize("size", [(20, 30), (3, 5)])
def test_validation_continues_the_picture_symmetrically(size: tuple[int, int]) -> None:
    class Recorder(WDSR):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            seen.append(lr)
            return super().forward(lr)

    seen: list[torch.Tensor] = []
    network = Recorder(dataclasses.replace(TINY, blocks=4))
    lr, hr = make_pair(waves(2 * size[0], 2 * size[1], 3), 2)
    validate(network, [(lr, hr)])
    halo = network.config.radius
    assert halo == 6
    expected = np.pad(lr, ((halo, halo), (halo, halo), (0, 0)), mode="symmetric") / 255
    (given,) = seen
    np.testing.assert_allclose(given[0].permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_validation_rounds_and_clips_to_8_bits() -> None:
    lr = np.full((8, 8, 3), 200, np.uint8)
    white, rounded = (np.full((16, 16, 3), v, np.uint8) for v in (255, 200))
    assert validate(linear({(0, 0): 2}, 2), [(lr, white)]) == math.inf
    assert validate(linear({(0, 0): 1.004}, 2), [(lr, rounded)]) == math.inf
    assert validate(linear({(0, 0): 1.02}, 2), [(lr, rounded)]) < 60


def test_validation_pictures_are_the_middles(tmp_path: Path) -> None:
    picture = waves(50, 61, 0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture[:20, :21]).save(tmp_path / "b.png")
    (lr, hr), (_, small) = validation_pairs(tmp_path, 3, side=31)
    np.testing.assert_array_equal(hr, picture[9:39, 15:45])
    np.testing.assert_array_equal(lr, make_pair(hr, 3)[0])
    np.testing.assert_array_equal(small, picture[:18, :21])
    Image.new("RGB", (40, 2)).save(tmp_path / "c.png")
    with pytest.raises(TrainingError, match=r"c\.png: 40 x 2 pixels are too few"):
        validation_pairs(tmp_path, 3)
