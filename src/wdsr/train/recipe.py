"""A recipe: everything that decides what training produces, in one small object."""

from __future__ import annotations

import dataclasses
import itertools
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wdsr import networks
from wdsr.degrade import PRESETS
from wdsr.errors import TrainingError, UsageError
from wdsr.files import write_atomically
from wdsr.networks import Config
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train import fields
from wdsr.train.gan import Adversary
from wdsr.train.losses import COLOUR_LOSSES, KNOWN
from wdsr.train.perceptual import LEAST

Schedule = Literal["cosine", "multistep", "constant"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of steps under one set of settings."""

    steps: int = 300_000  # optimiser steps
    batch: int = 16  # patches a step, over all devices
    patch: int = 48  # side of an LR patch in pixels; HR is scale times that
    learning_rate: float = 1e-3  # peak; weight norm wants ten times the usual
    warmup: int = 500  # steps of linear rise to the peak
    schedule: Schedule = "cosine"  # after that: cosine to zero; by milestones; or constant
    milestones: list[int] = field(default_factory=list)  # multistep: steps at which the rate falls
    decay: float = 0.5  # multistep: ... to this part of itself
    cooldown: int = 0  # constant: last steps, in which the rate falls linearly to zero
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 1.0})  # name: weight
    distillation: float = 0.0  # weight of the L1 distance to the teacher's output
    candidates: int = 1  # patches drawn for a place; the one with most detail is kept

    def learning_rate_at(self, step: int) -> float:
        """The rate of this stage's step `step`, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.schedule == "multistep":
            return self.learning_rate * self.decay ** sum(step >= m for m in self.milestones)
        if self.schedule == "constant":
            left = (self.steps - step) / (self.cooldown + 1)
            return self.learning_rate * min(left, 1.0)
        progress = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))

    def problems(self) -> Iterator[str]:
        """What is impossible in these settings."""
        weights = self.losses.values()
        rises = all(a < b for a, b in itertools.pairwise([0, *self.milestones]))
        for name, ok, rule in (
            ("steps", self.steps >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("patch", self.patch >= 4, "at least 4"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("warmup", self.warmup >= 0, "at least 0"),
            ("milestones", rises, "steps in rising order"),
            (
                "milestones",
                not self.milestones or self.schedule == "multistep",
                "[] unless the schedule is multistep",
            ),
            ("decay", 0 < self.decay < 1, "in (0, 1)"),
            ("cooldown", 0 <= self.cooldown <= max(self.steps, 0), "from 0 to steps"),
            (
                "cooldown",
                not self.cooldown or self.schedule == "constant",
                "0 unless the schedule is constant",
            ),
            ("losses", set(self.losses) <= set(KNOWN), f"some of {', '.join(KNOWN)}"),
            ("losses", all(0 <= w < math.inf for w in weights), "weighted by 0 or more"),
            ("losses", sum(weights) + self.distillation > 0, "at least one of a weight above 0"),
            ("distillation", 0 <= self.distillation < math.inf, "at least 0"),
            ("candidates", 1 <= self.candidates <= 64, "from 1 to 64"),
        ):
            if not ok:
                yield f"{name} must be {rule}, not {getattr(self, name)}"


@dataclass(frozen=True, kw_only=True)
class Recipe(Stage):
    """What to train and how. Two runs of one recipe on one machine give the same bits.

    The settings of a `Stage` are those of the first stage.

    >>> Recipe(network=WDSRConfig(scale=2), steps=1000, learning_rate=2e-4).total
    1000
    """

    network: Config = field(default_factory=WDSRConfig)
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0  # adamw only
    clip: float = 1.0  # largest gradient norm
    ema: float = 0.999  # decay of the averaged weights, the ones that ship
    seed: int = 0
    degradation: str | None = None  # LR made on the fly by this preset; None: bicubic, or as given
    start: str | None = None  # weights to begin from: an ONNX file or a shipped model's name
    teacher: str | None = None  # a model whose output `distillation` imitates, named alike
    adversary: Adversary | None = None  # whom to train against
    then: list[Stage] = field(default_factory=list)  # stages that follow the first

    def __post_init__(self) -> None:
        problems = list(self.problems())
        inherited = set(problems)
        for number, stage in enumerate(self.then):
            own = (problem for problem in stage.problems() if problem not in inherited)
            problems += [f"then[{number}].{problem}" for problem in own]
        for name, ok, rule in (
            ("weight_decay", 0 <= self.weight_decay < 1, "in [0, 1)"),
            (
                "weight_decay",
                not self.weight_decay or self.optimizer == "adamw",
                "0 unless the optimizer is adamw",
            ),
            ("clip", self.clip > 0, "above 0"),
            ("ema", 0 <= self.ema < 1, "in [0, 1)"),
            ("seed", 0 <= self.seed < 2**32, "in [0, 2^32)"),
        ):
            if not ok:
                problems.append(f"{name} must be {rule}, not {getattr(self, name)}")
        if self.degradation is not None and self.degradation not in PRESETS:
            known = ", ".join(PRESETS)
            problems.append(f"degradation must be one of {known}, not {self.degradation!r}")
        distilled = any(stage.distillation for stage in self.stages)
        if distilled != (self.teacher is not None):
            problems.append("a teacher and a distillation weight above 0 go together")
        for stage in self.stages:
            side = stage.patch * self.network.scale
            for name, pixels in LEAST.items():
                if name in stage.losses and 0 < side < pixels:
                    least = -(-pixels // self.network.scale)
                    problems.append(f"{name} needs a patch of {least} or more, not {stage.patch}")
        coloured = {name for stage in self.stages for name in stage.losses} & COLOUR_LOSSES
        if coloured and self.network.channels != 3:
            names = ", ".join(sorted(coloured))
            problems.append(f"losses {names} need 3 channels, not {self.network.channels}")
        problems += self._adversary_problems()
        if problems:
            raise UsageError("recipe: " + "; ".join(problems))

    def _adversary_problems(self) -> Iterator[str]:
        if self.adversary is None:
            return
        yield from (f"adversary.{problem}" for problem in self.adversary.problems())
        patches = {stage.patch for stage in self.stages}
        if len(patches) > 1 and self.adversary.discriminator == "vgg":
            yield "adversary: a vgg discriminator needs one patch size in all stages"
        for patch in sorted(patches):
            try:
                self.adversary.against(patch * self.network.scale, self.network.channels)
            except ValueError as error:
                yield f"adversary: {error}"

    def remarks(self) -> Iterator[str]:
        """What is possible in these settings, but may not be meant."""
        for stage in self.stages:
            if stage.warmup > stage.steps:
                highest, peak = stage.learning_rate_at(stage.steps - 1), stage.learning_rate
                yield (
                    f"warm-up ({stage.warmup} steps) outlasts the {stage.steps} steps of a stage: "
                    f"the rate rises to {highest:.2g}, its peak would be {peak:.2g}; set warmup"
                )

    @property
    def stages(self) -> list[Stage]:
        """All stages in order, the first too."""
        return [self, *self.then]

    @property
    def total(self) -> int:
        """Steps over all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def trunk(self) -> int | None:
        """The step before the last stage's cooldown: a longer run can go on from there."""
        last = self.stages[-1]
        return self.total - last.cooldown if last.cooldown else None

    def stage_at(self, step: int) -> tuple[Stage, int]:
        """The stage that a step belongs to, and the step counted from that stage's begin."""
        for stage in self.stages[:-1]:
            if step < stage.steps:
                return stage, step
            step -= stage.steps
        return self.stages[-1], step

    def learning_rate_at(self, step: int) -> float:
        """The rate of step `step`, counted from 0 over all stages."""
        stage, inside = self.stage_at(step)
        return Stage.learning_rate_at(stage, inside)

    def agrees(self, other: Recipe, steps: int) -> bool:
        """Whether the two would have done the same in their first `steps` steps."""
        if self == other:
            return True
        of_stages = {*fields.names(Stage), "then"}
        lasting = [name for name in fields.names(Recipe) if name not in of_stages]
        if any(getattr(self, name) != getattr(other, name) for name in lasting):
            return False
        # Settings change only between stages, rates smoothly: a thousand samples tell.
        sample = {*range(0, steps, max(steps // 1000, 1)), *self._turns(), *other._turns()}
        sample |= {steps - 2, steps - 1}
        return all(self._does(s) == other._does(s) for s in sample if 0 <= s < steps)

    def differences(self, other: Recipe) -> list[str]:
        """The names of the settings that differ, e.g. `patch` and `network.blocks`."""
        names = []
        for name in fields.names(Recipe):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine == theirs:
                continue
            inner = [f.name for f in dataclasses.fields(mine)] if name == "network" else []
            if type(mine) is type(theirs) and inner:
                unlike = (n for n in inner if getattr(mine, n) != getattr(theirs, n))
                names += [f"network.{n}" for n in unlike]
            else:
                names.append(name)
        return names

    def _turns(self) -> list[int]:
        """The first step of each stage, and the last of the one before."""
        begins = itertools.accumulate((stage.steps for stage in self.stages), initial=0)
        return [step for begin in begins for step in (begin - 1, begin)]

    def _does(self, step: int) -> tuple[object, ...]:
        stage, _ = self.stage_at(step)
        drawn = stage.batch, stage.patch, stage.candidates
        return *drawn, stage.losses, stage.distillation, self.learning_rate_at(step)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings; `from_dict` turns them back."""
        return {**dataclasses.asdict(self), "network": networks.describe(self.network)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Build a recipe. Raises UsageError that names everything wrong at once.

        A stage of `then` takes from the first stage what it does not say itself.
        """
        values = dict(values)
        network, then = values.pop("network", {}), values.pop("then", [])
        adversary = values.pop("adversary", None)
        problems, values = fields.sift(cls, values)
        if not isinstance(network, dict):
            problems.append(f"network must be a table of settings, not {network!r}")
            network = {}
        if not isinstance(then, list) or not all(isinstance(stage, dict) for stage in then):
            problems.append(f"then must be a list of stages, [[then]], not {then!r}")
            then = []
        if not isinstance(adversary, dict | None):
            problems.append(f"adversary must be a table of settings, not {adversary!r}")
            adversary = None
        if adversary is not None:
            wrong, right = fields.sift(Adversary, adversary)
            problems += [f"adversary.{problem}" for problem in wrong]
            values["adversary"] = Adversary(**right)
        first = {name: values[name] for name in fields.names(Stage) if name in values}
        stages = []
        for number, stage in enumerate(then):
            wrong, right = fields.sift(Stage, stage)
            problems += [f"then[{number}].{problem}" for problem in wrong]
            stages.append(Stage(**{**first, **right}))
        network = dict(network)
        family = network.pop("family", "wdsr")
        config: Config = WDSRConfig()
        recipe = None
        if isinstance(family, str) and family in networks.FAMILIES:
            wrong, network = fields.sift(networks.FAMILIES[family][0], network)
            problems += [f"network.{problem}" for problem in wrong]
            try:
                config = networks.configure({"family": family, **network})
            except ValueError as error:
                problems.append(f"network: {error}")
        else:
            known = ", ".join(networks.FAMILIES)
            problems.append(f"network.family must be one of {known}, not {family!r}")
        try:
            recipe = cls(network=config, then=stages, **values)
        except UsageError as error:
            problems.append(str(error).removeprefix("recipe: "))
        if problems or recipe is None:
            raise UsageError("recipe: " + "; ".join(problems))
        return recipe

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """From a TOML file with the field names above; `[network]` holds the network's."""
        try:
            text = path.read_text("utf-8-sig")  # some editors begin a file with a mark
            return cls.from_dict(tomllib.loads(text))
        except OSError as error:
            raise TrainingError(f"{path}: cannot read the recipe: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TrainingError(f"{path}: cannot read the recipe: {error}") from error

    def write(self, path: Path) -> None:
        """To a TOML file that `read` reads."""
        write_atomically(path, fields.toml(self.to_dict()).encode())
