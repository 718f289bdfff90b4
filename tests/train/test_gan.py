"""Both sides of each game against hand-computed cases."""

from __future__ import annotations

import math

import pytest
import torch

from wdsr.train.gan import GAMES, feature_matching

COIN = {"vanilla": math.log(2), "relativistic": math.log(2), "hinge": 1.0}


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1)


def cross_entropy(logit: float, real: bool) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -math.log(probability if real else 1 - probability)


def test_vanilla_by_hand() -> None:
    real, made = logits(2, -1), logits(0.5, -3)
    game = GAMES["vanilla"]
    halves = [(cross_entropy(2, True) + cross_entropy(-1, True)) / 2]
    halves += [(cross_entropy(0.5, False) + cross_entropy(-3, False)) / 2]
    assert float(game.discriminator(real, made)) == pytest.approx(sum(halves) / 2)
    expected = (cross_entropy(0.5, True) + cross_entropy(-3, True)) / 2
    assert float(game.generator(real, made)) == pytest.approx(expected)


def test_relativistic_by_hand() -> None:
    real, made = logits(3, 1), logits(1, -1)  # means 2 and 0
    game = GAMES["relativistic"]
    for side, first in ((game.discriminator, True), (game.generator, False)):
        reals = [cross_entropy(3 - 0, first), cross_entropy(1 - 0, first)]
        mades = [cross_entropy(1 - 2, not first), cross_entropy(-1 - 2, not first)]
        expected = (sum(reals) / 2 + sum(mades) / 2) / 2
        assert float(side(real, made)) == pytest.approx(expected)


def test_hinge_by_hand() -> None:
    real, made = logits(2, 0.5, -1), logits(-2, 0, 1)
    game = GAMES["hinge"]
    assert float(game.discriminator(real, made)) == pytest.approx(
        ((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3) / 2
    )
    assert float(game.generator(real, made)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", GAMES)
def test_a_coin_toss_and_certainty(name: str) -> None:
    """Undecided costs what a coin does; being sure and right goes below the floor."""
    game, unsure = GAMES[name], logits(0, 0)
    assert float(game.discriminator(unsure, unsure)) == pytest.approx(COIN[name])
    assert float(game.discriminator(unsure, unsure)) > 10 * game.floor
    assert float(game.discriminator(logits(6, 5), logits(-5, -6))) < game.floor


@pytest.mark.parametrize("name", GAMES)
def test_the_sides_pull_against_each_other(name: str) -> None:
    game = GAMES[name]
    made = logits(0.3, -0.2).requires_grad_()
    real = logits(0.1, 0.4)
    (up,) = torch.autograd.grad(game.generator(real, made).sum(), made)
    (down,) = torch.autograd.grad(game.discriminator(real, made).sum(), made)
    assert (up < 0).all()  # descending it raises the logits of made pictures
    assert (down > 0).all()


@pytest.mark.parametrize("name", GAMES)
def test_any_shape_of_verdict_and_no_overflow(name: str) -> None:
    game = GAMES[name]
    large = torch.full((2, 1, 5, 5), 1e4)
    for side in (game.discriminator, game.generator):
        assert side(large, -large).isfinite()
        assert side(-large, large).isfinite()


def test_feature_matching_by_hand() -> None:
    real = [torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]])]
    made = [torch.tensor([[1.5, 2.0]]), torch.tensor([[-2.0]])]
    assert float(feature_matching(real, made)) == pytest.approx((0.25 + 2) / 2)
    assert float(feature_matching(real, real)) == 0


def test_feature_matching_moves_only_what_is_made() -> None:
    real, made = torch.ones(1, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    torch.autograd.backward(feature_matching([real], [made]))
    assert real.grad is None
    assert made.grad is not None
