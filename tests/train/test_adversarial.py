"""Training against a discriminator: both sides learn, resume to the same bits, and are watched."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.games import EDSR, SRRESNET, UNET, VGG, WDSR_B, duel, pixel_model
from tests.train.helpers import (
    StopError,
    assert_same_bits,
    newest,
    run_of,
    short,
    stop_at,
    waves,
)

from wdsr import networks
from wdsr.errors import TrainingError, UsageError
from wdsr.networks import Config
from wdsr.networks.discriminator import build_discriminator
from wdsr.networks.edsr import EDSRConfig
from wdsr.train import adversarial, checkpoint, gan
from wdsr.train.data import Pairs
from wdsr.train.gan import GAMES, Adversary, feature_matching
from wdsr.train.pictures import make_pair
from wdsr.train.recipe import Recipe, Stage
from wdsr.train.warm import plain_weights

KINDS = [(WDSR_B, UNET), (EDSR, UNET), (SRRESNET, VGG)]

each_kind = pytest.mark.parametrize(("network", "adversary"), KINDS, ids=["wdsr", "edsr", "srgan"])


def table(run: Path) -> list[dict[str, str]]:
    with (run / "adversarial.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the game after every step, as the table's default is every 100."""
    monkeypatch.setattr(adversarial, "WATCH_EVERY", 1)


# Moves


@each_kind
def test_both_sides_move(
    pairs: Pairs, tmp_path: Path, network: Config, adversary: Adversary
) -> None:
    run_of(duel(network, adversary, steps=1), pairs, tmp_path)
    torch.manual_seed(0)
    generator = networks.build(network)
    discriminator = build_discriminator(adversary.against(16, 3))
    state = newest(tmp_path)
    for before, after in (
        (generator, state["network"]),
        (discriminator, state["opponent"]["network"]),
    ):
        moved = [n for n, p in before.named_parameters() if not torch.equal(p, after[n])]
        assert len(moved) > 0.8 * len(list(before.parameters()))


@pytest.mark.parametrize("game", GAMES)
def test_a_step_is_the_formula(pairs: Pairs, tmp_path: Path, game: gan.GameName) -> None:
    """The gradients of both losses, worked out here, are those that Adam was given."""
    adversary = dataclasses.replace(UNET, game=game, weight=0.3, features=0.2, pace=0.5)
    recipe = duel(EDSR, adversary, steps=1, clip=1e9, warmup=0)
    run_of(recipe, pairs, tmp_path)
    torch.manual_seed(0)
    generator = networks.build(EDSR)
    discriminator = build_discriminator(adversary.against(16, 3))
    lr, hr = (
        torch.from_numpy(p).permute(0, 3, 1, 2) / 255
        for p in pairs.batch(seed=0, step=0, places=range(2), patch=8)
    )
    sr = generator(lr)
    real = discriminator(hr)  # once: spectral norm refines its estimate with every call
    made = discriminator(sr)
    loss = (sr - hr).abs().mean()
    loss = loss + 0.3 * GAMES[game].generator(real.logits, made.logits)
    loss = loss + 0.2 * feature_matching(real.features, made.features)
    wanted = torch.autograd.grad(loss, list(generator.parameters()), retain_graph=True)
    state = newest(tmp_path)
    assert_first_moments(state["optimizer"], list(wanted))
    made = discriminator(sr.detach())
    loss = GAMES[game].discriminator(real.logits, made.logits)
    wanted = torch.autograd.grad(loss, list(discriminator.parameters()))
    assert_first_moments(state["opponent"]["optimizer"], list(wanted))
    rates = [state[k]["param_groups"][0]["lr"] for k in ("optimizer",)]
    rates.append(state["opponent"]["optimizer"]["param_groups"][0]["lr"])
    assert rates == [recipe.learning_rate, 0.5 * recipe.learning_rate]


def assert_first_moments(state: Any, gradients: list[torch.Tensor], near: float = 1e-3) -> None:
    """Adam keeps a tenth of its first gradient."""
    for moments, gradient in zip(state["state"].values(), gradients, strict=True):
        distance = (10 * moments["exp_avg"] - gradient).norm() / (gradient.norm() + 1e-9)
        assert float(distance) < near


def test_the_discriminator_learns_to_tell(pairs: Pairs, tmp_path: Path, every_step: None) -> None:
    adversary = dataclasses.replace(UNET, weight=0, features=0, filters=4)
    run_of(duel(EDSR, adversary, steps=40, learning_rate=2e-3), pairs, tmp_path)
    losses = [float(row["discriminator"]) for row in table(tmp_path)]
    assert sum(losses[-5:]) / 5 < 0.8 * sum(losses[:5]) / 5


def test_the_generator_learns_the_game(pairs: Pairs, tmp_path: Path, every_step: None) -> None:
    """Against an opponent that stands still, its side of the game gets better."""
    adversary = dataclasses.replace(UNET, game="vanilla", weight=1.0, features=0.0, pace=1e-9)
    recipe = duel(EDSR, adversary, steps=40, learning_rate=2e-3, losses={"l1": 0.01})
    run_of(recipe, pairs, tmp_path)
    losses = [float(row["game"]) for row in table(tmp_path)]
    assert max(losses[-5:]) < min(losses[:3])


def test_feature_matching_without_outside_weights_brings_sr_near(
    pairs: Pairs, tmp_path: Path, every_step: None
) -> None:
    adversary = dataclasses.replace(UNET, weight=0.0, features=1.0)
    recipe = duel(EDSR, adversary, steps=40, learning_rate=2e-3, losses={"l1": 0.001})
    run_of(recipe, pairs, tmp_path)
    losses = [float(row["features"]) for row in table(tmp_path)]
    assert sum(losses[-5:]) / 5 < 0.7 * sum(losses[:5]) / 5


# Stopping and resuming


@each_kind
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_stopped_run_resumes_to_the_same_bits(
    pairs: Pairs,
    tmp_path: Path,
    every_step: None,
    network: Config,
    adversary: Adversary,
    precision: str,
) -> None:
    recipe = duel(network, adversary)
    settings: dict[str, Any] = {"start": pixel_model(network), "precision": precision}
    run_of(recipe, pairs, tmp_path / "whole", **settings)
    stopped = tmp_path / "stopped"
    with pytest.raises(StopError):
        run_of(recipe, pairs, stopped, log=1, report=stop_at(5), **settings)
    assert newest(stopped)["step"] == 5
    run_of(recipe, pairs, stopped, **settings)
    assert_same_bits(newest(stopped), newest(tmp_path / "whole"))
    assert table(stopped) == table(tmp_path / "whole")


def test_a_checkpoint_holds_both_networks_and_both_optimisers(pairs: Pairs, tmp_path: Path) -> None:
    run_of(duel(), pairs, tmp_path, start=pixel_model())
    state = newest(tmp_path)
    for one in (state, state["opponent"]):
        moments = one["optimizer"]["state"]
        assert len(moments) > 0
        assert all(m["exp_avg"].abs().max() > 0 for m in moments.values())
    reference = networks.build(WDSR_B)
    reference.load_state_dict(state["reference"])
    given = pixel_model()
    for name, value in plain_weights(reference).items():
        torch.testing.assert_close(value, given[name])


def test_rows_past_the_resumed_step_are_written_anew(
    pairs: Pairs, tmp_path: Path, every_step: None
) -> None:
    with pytest.raises(StopError):
        run_of(duel(), pairs, tmp_path, log=1, report=stop_at(4))
    with (tmp_path / "adversarial.csv").open("a") as stream:
        stream.write("5,9,9,9,9,\n6,9,9")  # as if it had died after a later row, and in the next
    run_of(duel(), pairs, tmp_path)
    assert [int(row["step"]) for row in table(tmp_path)] == list(range(1, 9))


def test_a_discriminator_for_another_patch_size_is_one_line(pairs: Pairs, tmp_path: Path) -> None:
    run_of(duel(SRRESNET, VGG, steps=1), pairs, tmp_path)
    state = newest(tmp_path)
    larger = build_discriminator(VGG.against(32, 3))
    state["opponent"]["network"] = larger.state_dict()
    for path in tmp_path.glob("*.ckpt"):
        path.unlink()
    checkpoint.save(tmp_path, state)
    with pytest.raises(TrainingError, match="discriminator is of another kind, width or patch"):
        run_of(duel(SRRESNET, VGG, steps=1), pairs, tmp_path)
    with pytest.raises(TrainingError, match="holds a run of another recipe"):
        run_of(duel(SRRESNET, VGG, steps=1, patch=16), pairs, tmp_path)


# Trouble


def nan_at(side: gan.Side, *steps: int) -> gan.Side:
    """The side of a game, whose loss is NaN at these steps."""
    calls = iter(range(1000))

    def spoilt(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        loss = side(real, made)
        return loss * torch.nan if next(calls) in steps else loss

    return spoilt


def floats(state: dict[str, Any]) -> dict[str, Any]:
    """Without batch norm's counts of batches, on which nothing depends."""
    return {name: value for name, value in state.items() if "num_batches" not in name}


def test_a_step_that_is_not_finite_moves_neither_side(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both run before it is known; nothing of it may stay, not even in running statistics."""
    game = GAMES["vanilla"]
    recipe = duel(SRRESNET, VGG, schedule="constant", steps=2)
    run_of(recipe, pairs, tmp_path / "good")
    spoilt = game._replace(
        generator=nan_at(game.generator, 2), discriminator=nan_at(game.discriminator, 2)
    )
    monkeypatch.setitem(GAMES, "vanilla", spoilt)
    run_of(dataclasses.replace(recipe, steps=3), pairs, tmp_path / "bad")
    good, bad = newest(tmp_path / "good"), newest(tmp_path / "bad")
    assert_same_bits(floats(bad["network"]), floats(good["network"]))
    ours, theirs = bad["opponent"], good["opponent"]
    assert_same_bits(floats(ours["network"]), floats(theirs["network"]))
    assert bad["trouble"][1] == ours["trouble"][1] == 1


def test_a_run_that_diverges_rolls_both_back(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = GAMES["vanilla"]
    said: list[str] = []
    spoilt = game._replace(generator=nan_at(game.generator, 3, 4, 5, 6, 7))
    monkeypatch.setitem(GAMES, "vanilla", spoilt)
    run_of(duel(SRRESNET, VGG, steps=10), pairs, tmp_path, save_minutes=0, notice=said.append)
    assert any("half the rate" in text for text in said)
    assert newest(tmp_path)["step"] == 10


def test_a_discriminator_that_diverges_is_noticed(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = GAMES["vanilla"]
    spoilt = game._replace(discriminator=nan_at(game.discriminator, 3, 4, 5, 6, 7))
    monkeypatch.setitem(GAMES, "vanilla", spoilt)
    said: list[str] = []
    run_of(duel(SRRESNET, VGG, steps=10), pairs, tmp_path, save_minutes=0, notice=said.append)
    assert any("half the rate" in text for text in said)


def test_a_discriminator_that_is_sure_is_reported_once(
    pairs: Pairs, tmp_path: Path, every_step: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = GAMES["relativistic"]
    monkeypatch.setitem(GAMES, "relativistic", game._replace(floor=100.0))
    said: list[str] = []
    run_of(duel(), pairs, tmp_path, notice=said.append)
    assert len(said) == 2
    assert "no start: a generator that knows nothing yet" in said[0]
    assert "step 1: collapse: the discriminator is sure of everything" in said[1]
    assert [row["trouble"] for row in table(tmp_path)] == 8 * ["sure"]


def test_a_healthy_game_is_not_reported(pairs: Pairs, tmp_path: Path, every_step: None) -> None:
    said: list[str] = []
    recipe = duel(learning_rate=1e-5)
    run_of(recipe, pairs, tmp_path, start=pixel_model(), notice=said.append)
    assert said == []
    found = table(tmp_path)
    assert {row["trouble"] for row in found} == {""}
    assert all(0.99 < float(row["similarity"]) <= 1 for row in found)


def test_a_generator_that_drifts_from_its_pixel_model_is_reported(
    pairs: Pairs, tmp_path: Path, every_step: None
) -> None:
    """With the pixels' say taken away and a rate far too high, it goes where the game leads."""
    said: list[str] = []
    adversary = dataclasses.replace(UNET, weight=10.0)
    recipe = duel(WDSR_B, adversary, steps=40, learning_rate=0.3, losses={"l1": 1e-6})
    validation = [make_pair(waves(24, 24, 5), 2)]
    run_of(recipe, pairs, tmp_path, start=pixel_model(), validation=validation, notice=said.append)
    found = table(tmp_path)
    assert float(found[0]["similarity"]) > 0.9
    assert float(found[-1]["similarity"]) < adversarial.LEAST_SIMILARITY
    assert any("collapse: SSIM to the pixel model is down to 0." in text for text in said)


def test_from_nothing_there_is_no_pixel_model_to_drift_from(pairs: Pairs, tmp_path: Path) -> None:
    run_of(duel(steps=2), pairs, tmp_path)
    assert [row["similarity"] for row in table(tmp_path)] == [""]
    assert newest(tmp_path)["reference"] is None


# What cannot be


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"patch": 6}, r"adversary: patch must be a multiple of 8 .* not 12"),
        ({"patch": 12, "adversary": VGG}, r"patch must be a multiple of 16 .* not 24"),
        ({"adversary": dataclasses.replace(UNET, filters=0)}, r"adversary.filters must be"),
        ({"adversary": dataclasses.replace(UNET, weight=-1)}, r"adversary.weight must be"),
        ({"adversary": dataclasses.replace(UNET, pace=0)}, r"adversary.pace must be above 0"),
        ({"adversary": VGG, "then": [Stage(patch=16)]}, r"needs one patch size in all stages"),
        (
            {"network": EDSRConfig(channels=1), "losses": {"vgg54": 1.0}},
            r"losses vgg54 need 3 channels, not 1",
        ),
    ],
)
def test_impossible_games_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        duel(**changes)


def test_losses_that_pool_need_patches_that_leave_something() -> None:
    assert duel(losses={"vgg54": 1.0}).patch == 8
    with pytest.raises(UsageError, match="vgg54 needs a patch of 8 or more, not 7"):
        short(network=WDSR_B, patch=7, losses={"vgg54": 1.0})
    with pytest.raises(UsageError, match="lpips needs a patch of 8 or more, not 4"):
        short(network=WDSR_B, patch=4, losses={"lpips": 0.1})
    short(network=WDSR_B, patch=4, losses={"vgg22": 0.1})


def test_games_read_from_a_file(tmp_path: Path) -> None:
    recipe = duel(SRRESNET, VGG, losses={"vgg54": 1.0})
    recipe.write(tmp_path / "r.toml")
    assert Recipe.read(tmp_path / "r.toml") == recipe
    values = recipe.to_dict()
    values["adversary"] = {"game": "chess", "wait": 1}
    with pytest.raises(UsageError, match=r"game must be one of van.* not 'chess'.*wait is unknown"):
        Recipe.from_dict(values)
    with pytest.raises(UsageError, match="adversary must be a table"):
        Recipe.from_dict({**values, "adversary": "vgg"})


def test_missing_weights_are_told_before_anything_is_written(pairs: Pairs, tmp_path: Path) -> None:
    recipe = duel(losses={"l1": 1.0, "vgg22": 0.1})
    with pytest.raises(TrainingError, match="no weights of VGG19 here"):
        run_of(recipe, pairs, tmp_path / "run", pretrained=tmp_path)
    assert not (tmp_path / "run").exists()


def test_one_process_only(pairs: Pairs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes one process"):
        run_of(duel(), pairs, tmp_path, devices=2)
