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
from wdsr.train.recipe import Recipe, Stage
from wdsr.train.recipes import RECIPES


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"patch": 3}, "patch must be at least 4"),
        ({"patch": -3}, "patch must be at least 4, not -3$"),
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
        ({"losses": {"l1": 0.0}}, "losses must be at least one of a weight above 0"),
        ({"losses": {}}, "losses"),
        ({"milestones": [5]}, "milestones must be .* unless the schedule is multistep"),
        ({"milestones": [5, 5], "schedule": "multistep"}, "milestones must be steps in rising"),
        ({"milestones": [0], "schedule": "multistep"}, "milestones must be steps in rising"),
        ({"decay": 1.0}, r"decay must be in \(0, 1\)"),
        ({"cooldown": 5}, "cooldown must be 0 unless the schedule is constant"),
        ({"cooldown": 6, "steps": 5, "schedule": "constant"}, "cooldown must be from 0 to steps"),
        ({"degradation": "nix"}, "degradation must be one of .*photo.*, not 'nix'"),
        ({"candidates": 0}, "candidates must be from 1"),
        ({"weight_decay": 0.1}, "weight_decay must be 0 unless the optimizer is adamw"),
        ({"distillation": 0.5}, "a teacher and a distillation weight above 0 go together"),
        ({"teacher": "wdsr-b-8-x4"}, "a teacher and a distillation"),
        ({"losses": {"luma": 1.0}, "network": WDSRConfig(channels=1)}, "luma need 3 channels"),
        ({"then": [Stage(batch=0)]}, r"then\[0\]\.batch must be at least 1"),
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
        "stepps is unknown, is it steps?",
        "lr is unknown;",
        "batch must be a whole number, not 'many'",
        "patch must be at least 4, not 1",
        "warmup must be a whole number, not True",
        "seed must be a whole number, not 1.5",
        "losses must be a table, each value a number, not {'l1': 'a lot'}",
        "network.filter is unknown",
        "network.blocks must be a whole number, not '8'",
        "scale must be 2, 3, 4 or 8, not 7",
        "network.block must be one of plain, a, b, not 'c'",
    ):
        assert problem in message


def test_one_mistake_is_said_once() -> None:
    values = {"steps": -5, "losses": {"l7": 1.0}, "then": [{"steps": 3}, {"patch": 1}]}
    with pytest.raises(UsageError) as caught:
        Recipe.from_dict(values)
    said = str(caught.value).removeprefix("recipe: ").split("; ")
    assert [problem.split(" must be ")[0] for problem in said] == [
        *("steps", "losses"),
        "then[1].patch",
    ]


@pytest.mark.parametrize("values", [{"network": "b"}, {"network": 3}, {"network": ["a"]}])
def test_network_must_be_a_table(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="network must be a table"):
        Recipe.from_dict(values)


def test_from_dict_leaves_its_argument_alone() -> None:
    values = {"steps": 5, "network": {"scale": 2}}
    Recipe.from_dict(values)
    assert values == {"steps": 5, "network": {"scale": 2}}


@pytest.mark.parametrize("content", [b"steps = ", b"[network", b"\xff\xfe", b"a = " + b"[" * 3000])
def test_what_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"broken\.toml: cannot read the recipe"):
        Recipe.read(path)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "notepad.toml"
    path.write_bytes(b"\xef\xbb\xbfsteps = 7\n")
    assert Recipe.read(path).steps == 7


@pytest.mark.parametrize("name", ["steps", "learning_rate", "losses"])
def test_numbers_that_nothing_could_hold_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} must be"):
        Recipe.from_dict({name: {"l1": 10**400} if name == "losses" else 10**400})


@pytest.mark.parametrize("name", ["expansion", "residual_scale", "mean"])
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_networks_are_of_finite_numbers(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"network: {name} must be"):
        Recipe.from_dict({"network": {name: value}})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.toml: cannot read the recipe: No such file"):
        Recipe.read(tmp_path / "none.toml")


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_survive_json(name: str) -> None:
    recipe = RECIPES[name]
    stored = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.from_dict(stored) == recipe
    assert stored == recipe.to_dict()  # a checkpoint is compared in this form
    network = stored["network"]
    assert f"-x{recipe.network.scale}" in name
    assert ("gan" in name) == (recipe.adversary is not None)
    if network["family"] == "wdsr":
        parts = name.replace("-gan", "").split("-")[:4]  # then what it is for
        assert parts[1:] == [network["block"], str(network["blocks"]), f"x{recipe.network.scale}"]
    else:
        assert name.startswith({"edsr": "edsr", "srresnet": "sr"}[network["family"]])


@pytest.mark.parametrize("family", ["nothing", 7, None])
def test_an_unknown_family_of_networks_is_named(family: object) -> None:
    with pytest.raises(UsageError, match=r"network\.family must be one of wdsr"):
        Recipe.from_dict({"network": {"family": family}})


def test_the_fields_that_checkpoints_hold() -> None:
    """A run can be resumed only if these stay; the default of a new field must be the old way."""
    values = Recipe().to_dict()
    stage = {
        "steps": 300_000,
        "batch": 16,
        "patch": 48,
        "learning_rate": 1e-3,
        "warmup": 500,
        "schedule": "cosine",
        "milestones": [],
        "decay": 0.5,
        "cooldown": 0,
        "losses": {"l1": 1.0},
        "distillation": 0.0,
        "candidates": 1,
    }
    assert {name: values[name] for name in stage} == stage
    assert values.keys() - stage.keys() == {
        *("network", "optimizer", "weight_decay", "clip", "ema", "seed"),
        *("degradation", "start", "teacher", "adversary", "then"),
    }
    assert Recipe.from_dict({"network": values["network"], "steps": 7}) == Recipe(steps=7)
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
    (remark,) = recipe.remarks()
    assert remark == (
        "warm-up (500 steps) outlasts the 5 steps of a stage: "
        "the rate rises to 0.01, its peak would be 1; set warmup"
    )
    assert not list(Recipe(steps=500, warmup=500).remarks())


def test_multistep_falls_at_milestones() -> None:
    recipe = Recipe(
        steps=100, warmup=0, schedule="multistep", milestones=[40, 60], decay=0.5, learning_rate=8.0
    )
    rates = [recipe.learning_rate_at(step) for step in (0, 39, 40, 59, 60, 99)]
    assert rates == [8, 8, 4, 4, 2, 2]


def test_constant_cools_down_linearly_to_just_above_zero() -> None:
    recipe = Recipe(steps=100, warmup=10, schedule="constant", cooldown=9, learning_rate=10.0)
    rates = [recipe.learning_rate_at(step) for step in range(100)]
    assert rates[4] == pytest.approx(5)
    assert rates[9:91] == [10.0] * 82
    assert rates[91:] == pytest.approx([9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert recipe.trunk == 91
    assert Recipe(schedule="constant").trunk is None


def test_stages_follow_each_other() -> None:
    last = Stage(steps=5, learning_rate=0.1, warmup=0, losses={"mse": 1.0}, patch=64)
    recipe = Recipe(steps=10, warmup=0, schedule="constant", then=[last])
    assert recipe.total == 15
    assert recipe.stage_at(9) == (recipe, 9)
    assert recipe.stage_at(10) == (last, 0)
    assert recipe.stage_at(14) == (last, 4)
    assert recipe.learning_rate_at(9) == 1e-3
    assert recipe.learning_rate_at(10) == 0.1
    assert recipe.learning_rate_at(12) == pytest.approx(0.05 * (1 + math.cos(math.pi * 0.4)))


def test_a_stage_in_a_file_takes_from_the_first_what_it_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text("batch = 4\nwarmup = 7\nsteps = 9\n[[then]]\nsteps = 3\nlosses = {mse = 1}")
    (stage,) = Recipe.read(path).then
    assert stage == Stage(steps=3, batch=4, warmup=7, losses={"mse": 1})


def test_what_is_wrong_in_any_stage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text(
        "steps = 0\nteacher = 'x'\n[[then]]\nstepps = 3\nbatch = 'x'\n[[then]]\npatch = 1"
    )
    with pytest.raises(UsageError) as caught:
        Recipe.read(path)
    for problem in (
        "steps must be at least 1",
        "then[0].stepps is unknown",
        "then[0].batch must be a whole number, not 'x'",
        "then[1].patch must be at least 4",
        "a teacher and a distillation weight",
    ):
        assert problem in str(caught.value)


@pytest.mark.parametrize("name", RECIPES)
def test_a_written_recipe_reads_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    patch = RECIPES[name].patch  # an SRGAN's discriminator allows no other
    recipe = dataclasses.replace(
        RECIPES[name],
        start='a "name"\\é',
        losses={"l1": 1, "frequency": 0.05},
        then=[
            Stage(steps=2, patch=patch, losses={"mse": 1.0}),
            Stage(steps=3, patch=patch, schedule="constant", cooldown=1),
        ],
    )
    recipe.write(path)
    assert Recipe.read(path) == recipe


def test_the_ancestors_recipe() -> None:
    recipe = RECIPES["ancestor-b-32-x4"]
    assert (recipe.total, recipe.batch, recipe.patch * 4, recipe.losses) == (
        *(300_000, 16, 96),
        {"l1": 1.0},
    )
    rates = [recipe.learning_rate_at(step) for step in (0, 199_999, 200_000, 299_999)]
    assert rates == [1e-3, 1e-3, 5e-4, 5e-4]


def test_recipes_agree_as_far_as_they_do_the_same() -> None:
    short, long = (
        Recipe(steps=steps, warmup=5, schedule="constant", cooldown=10) for steps in (50, 90)
    )
    assert short.agrees(long, 40)  # the 41st step is the first of the fall
    assert not short.agrees(long, 41)
    assert not short.agrees(dataclasses.replace(long, seed=1), 10)
    assert not short.agrees(dataclasses.replace(long, batch=8), 10)
    assert not short.agrees(dataclasses.replace(long, ema=0.9), 10)
    more = dataclasses.replace(short, then=[Stage(steps=5)])
    assert short.agrees(more, 50)
    assert not Recipe(steps=600).agrees(Recipe(steps=700), 510)
    plain: dict[str, Any] = {"schedule": "constant", "warmup": 0}
    brief = [
        Recipe(
            steps=50_010,
            **plain,
            then=[Stage(steps=20, batch=b, **plain), Stage(steps=50_000, **plain)],
        )
        for b in (8, 16)
    ]
    assert brief[0].agrees(brief[1], 50_010)
    assert not brief[0].agrees(brief[1], 50_011)
    assert not brief[0].agrees(brief[1], 100_030)
