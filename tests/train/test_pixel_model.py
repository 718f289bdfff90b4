"""What a game leaves behind: a card that knows its pixel model, and blends with no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.games import WDSR_B, duel, pixel_model
from tests.train.helpers import assert_same_bits, newest, run_of, short, trained

from wdsr import networks, zoo
from wdsr.blend import softened
from wdsr.errors import ModelError
from wdsr.train.data import Pairs
from wdsr.train.export import card_of, export_run, write_model
from wdsr.train.recipe import Recipe
from wdsr.train.warm import plain_weights
from wdsr.zoo import Model


def exported(
    pairs: Pairs, folder: Path, start: str, weights: dict[str, torch.Tensor], **facts: Any
) -> Model:
    run_of(duel(steps=1, start=start), pairs, folder / "run", start=weights)
    path = export_run(folder / "run", folder, name="sharp", facts=facts)
    return zoo.read_model(path)


@pytest.mark.parametrize(
    ("start", "softer"),
    [
        ("wdsr-b-8-x2", "wdsr-b-8-x2"),
        ("models/mine-x2.onnx", "mine-x2"),
        ("runs/mine", "mine-x2"),
        ("runs/mine-x2-tune", "mine-tune-x2"),  # as export calls it
        ("own/my run", ""),  # no model can be called so
    ],
)
def test_a_card_names_the_pixel_model(
    pairs: Pairs, tmp_path: Path, start: str, softer: str
) -> None:
    card = exported(pairs, tmp_path, start, pixel_model()).card
    assert card.softer == softer
    assert bool(card.softer_sizes) == bool(softer)


def test_a_card_names_no_pixel_model_of_another_scale(pairs: Pairs, tmp_path: Path) -> None:
    said: list[str] = []
    body = {name: w for name, w in pixel_model().items() if name.startswith(("head", "body"))}
    run_of(duel(steps=1, start="a-x4"), pairs, tmp_path / "run", start=body, notice=said.append)
    assert said == ["start: nothing fits tail, skip: these begin anew"]
    path = export_run(tmp_path / "run", tmp_path, name="sharp", facts={})
    assert zoo.read_model(path).card.softer == ""


def test_a_card_names_no_pixel_model_without_a_game(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(start="wdsr-b-8-x2"), pairs, tmp_path / "run", start=pixel_model())
    path = export_run(tmp_path / "run", tmp_path, name="b", facts={})
    assert zoo.read_model(path).card.softer == ""
    told = exported(pairs, tmp_path / "b", "wdsr-b-8-x2", pixel_model(), softer="mine-x2")
    assert told.card.softer == "mine-x2"


def test_only_the_pixel_model_itself_is_blended_with(pairs: Pairs, tmp_path: Path) -> None:
    first = trained(WDSR_B)
    sharp = exported(pairs, tmp_path, "runs/mine", plain_weights(first))
    recipe = Recipe(network=WDSR_B)
    write_model(tmp_path / "mine-x2.onnx", first, card_of("mine", recipe, {}, {}))
    assert softened(sharp, 0.5).card.name == "sharp-0.5"
    torch.manual_seed(77)
    write_model(tmp_path / "mine-x2.onnx", networks.build(WDSR_B), card_of("mine", recipe, {}, {}))
    with pytest.raises(ModelError, match=r"mine-x2\.onnx is not the mine-x2 that it began from"):
        softened(sharp, 0.5)


def test_a_run_goes_on_without_what_it_began_from(pairs: Pairs, tmp_path: Path) -> None:
    recipe = duel(start="runs/gone")
    run_of(recipe, pairs, tmp_path / "whole", start=pixel_model())
    run_of(recipe, pairs, tmp_path / "run", start=pixel_model(), max_minutes=0)
    said: list[str] = []
    run_of(recipe, pairs, tmp_path / "run", notice=said.append)
    assert said == ["going on from step 1"]
    assert_same_bits(newest(tmp_path / "run"), newest(tmp_path / "whole"))
