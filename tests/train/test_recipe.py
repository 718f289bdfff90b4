"""Recipes: what they accept, how they are read, and the rate they prescribe."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest

from wdsr.errors import TrainingError, UsageError
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train.recipe import RECIPES, Recipe


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"patch": 3}, "patch must be at least 4"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\)"),
        ({"ema": -0.1}, "ema"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"losses": {"l2": 1.0}}, "losses must be some of l1, mse, charbonnier, frequency"),
        ({"losses": {"l1": -1.0}}, "losses must be weighted by 0 or more"),
        ({"losses": {"l1": math.nan}}, "losses"),
        ({"losses": {"l1": 0.0}}, "losses must be weighted above 0 somewhere"),
        ({"losses": {}}, "losses"),
    ],
)
def test_impossible_recipes_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Recipe(**wrong)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"^recipe: steps .*; batch .*; ema [^;]*$"):
        Recipe(steps=0, batch=-1, ema=2)


def test_toml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        steps = 1000
        learning_rate = 1      # a whole number where a fraction may stand
        start = "wdsr-b-8-x2"
        losses = { l1 = 1, frequency = 0.05 }

        [network]
        block = "a"
        scale = 3
        expansion = 2.5
        weight_norm = false
        """
    )
    assert Recipe.read(path) == Recipe(
        network=WDSRConfig(block="a", scale=3, expansion=2.5, weight_norm=False),
        steps=1000,
        learning_rate=1,
        start="wdsr-b-8-x2",
        losses={"l1": 1, "frequency": 0.05},
    )


def test_an_empty_file_is_the_default_recipe(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("")
    assert Recipe.read(path) == Recipe()


def test_everything_wrong_in_a_file_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "typos.toml"
    path.write_text(
        """
        stepps = 10
        lr = 0.1
        batch = "many"
        patch = 1
        warmup = true
        seed = 1.5
        losses = { l1 = "a lot" }
        [network]
        filter = 3
        blocks = "8"
        scale = 7
        block = "c"
        """
    )
    with pytest.raises(UsageError) as caught:
        Recipe.read(path)
    message = str(caught.value)
    assert message.count("recipe:") == 1
    for problem in (
        "stepps is unknown",
        "lr is unknown",
        "batch cannot be 'many'",
        "patch must be at least 4, not 1",
        "warmup cannot be True",
        "seed cannot be 1.5",
        "losses cannot be {'l1': 'a lot'}",
        "network.filter is unknown",
        "network.blocks cannot be '8'",
        "scale must be 2, 3, 4 or 8, not 7",
        "network.block cannot be 'c'",
    ):
        assert problem in message


@pytest.mark.parametrize("values", [{"network": "b"}, {"network": 3}, {"network": ["a"]}])
def test_network_must_be_a_table(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="network must be a table"):
        Recipe.from_dict(values)


def test_from_dict_leaves_its_argument_alone() -> None:
    values = {"steps": 5, "network": {"scale": 2}}
    Recipe.from_dict(values)
    assert values == {"steps": 5, "network": {"scale": 2}}


@pytest.mark.parametrize("content", [b"steps = ", b"[network", b"\xff\xfe"])
def test_what_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"broken\.toml: cannot read the recipe"):
        Recipe.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.toml: cannot read the recipe"):
        Recipe.read(tmp_path / "none.toml")


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_survive_json(name: str) -> None:
    recipe = RECIPES[name]
    stored = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.from_dict(stored) == recipe
    assert stored == recipe.to_dict()  # a checkpoint is compared in this form
    assert name.endswith(f"-x{recipe.network.scale}")
    network = stored["network"]
    assert name.startswith(f"{network['family']}-{network['block']}-{network['blocks']}-")


@pytest.mark.parametrize("family", ["nothing", 7, None])
def test_an_unknown_family_of_networks_is_named(family: object) -> None:
    with pytest.raises(UsageError, match=r"network\.family must be one of wdsr"):
        Recipe.from_dict({"network": {"family": family}})


def test_the_fields_that_checkpoints_hold() -> None:
    """A run can be resumed only if these stay; the default of a new field must be the old way."""
    values = Recipe().to_dict()
    assert list(values) == [
        *("network", "steps", "batch", "patch", "learning_rate", "warmup"),
        *("losses", "clip", "ema", "seed", "start"),
    ]
    assert values["network"] == {
        "family": "wdsr",
        "block": "b",
        "scale": 4,
        "channels": 3,
        "filters": 32,
        "blocks": 8,
        "expansion": 6,
        "linear_ratio": 0.8,
        "residual_scale": None,
        "weight_norm": True,
        "mean": 0.5,
    }


def test_recipe_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().steps = 5  # type: ignore[misc]


def test_rate_rises_linearly_then_falls_as_a_cosine() -> None:
    recipe = Recipe(steps=110, warmup=10, learning_rate=2.0)
    rates = [recipe.learning_rate_at(step) for step in range(111)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[4] == pytest.approx(1.0)
    assert rates[9] == rates[10] == 2.0
    assert rates[35] == pytest.approx(1 + math.cos(math.pi / 4))
    assert rates[60] == pytest.approx(1.0)
    assert rates[85] == pytest.approx(1 - math.cos(math.pi / 4))
    assert 0 < rates[109] < 0.001
    assert rates[110] == pytest.approx(0, abs=1e-12)
    assert all(after < before for before, after in itertools.pairwise(rates[10:]))


def test_rate_without_warmup_starts_at_the_peak() -> None:
    recipe = Recipe(steps=10, warmup=0, learning_rate=1e-3)
    assert recipe.learning_rate_at(0) == 1e-3
    assert recipe.learning_rate_at(5) == pytest.approx(5e-4)


def test_rate_of_a_run_shorter_than_its_warmup() -> None:
    recipe = Recipe(steps=5, warmup=500, learning_rate=1.0)
    assert [recipe.learning_rate_at(s) for s in range(5)] == pytest.approx(
        [0.002, 0.004, 0.006, 0.008, 0.01]
    )
