"""A recipe: everything that decides what training produces, in one small object."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any

from wdsr import networks
from wdsr.errors import TrainingError, UsageError
from wdsr.networks import Config
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train.losses import LOSSES


@dataclass(frozen=True)
class Recipe:
    """What to train and how. Two runs of one recipe on one machine give the same bits."""

    network: Config = field(default_factory=WDSRConfig)
    steps: int = 300_000  # optimiser steps
    batch: int = 16  # patches a step, over all devices
    patch: int = 48  # side of an LR patch in pixels; HR is scale times that
    learning_rate: float = 1e-3  # peak; weight norm wants ten times the usual
    warmup: int = 500  # steps of linear rise to the peak, then cosine to zero
    losses: dict[str, float] = field(default_factory=lambda: {"l1": 1.0})  # name: weight
    clip: float = 1.0  # largest gradient norm
    ema: float = 0.999  # decay of the averaged weights, the ones that ship
    seed: int = 0
    start: str | None = None  # weights to begin from: an ONNX file or a shipped model's name

    def __post_init__(self) -> None:
        weights = self.losses.values()
        problems = [
            f"{name} must be {rule}, not {getattr(self, name)}"
            for name, ok, rule in (
                ("steps", self.steps >= 1, "at least 1"),
                ("batch", self.batch >= 1, "at least 1"),
                ("patch", self.patch >= 4, "at least 4"),
                ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
                ("warmup", self.warmup >= 0, "at least 0"),
                ("losses", set(self.losses) <= set(LOSSES), f"some of {', '.join(LOSSES)}"),
                ("losses", all(0 <= w < math.inf for w in weights), "weighted by 0 or more"),
                ("losses", sum(weights) > 0, "weighted above 0 somewhere"),
                ("clip", self.clip > 0, "above 0"),
                ("ema", 0 <= self.ema < 1, "in [0, 1)"),
                ("seed", 0 <= self.seed < 2**32, "in [0, 2^32)"),
            )
            if not ok
        ]
        if problems:
            raise UsageError("recipe: " + "; ".join(problems))

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine from the peak to zero just after the last step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, numbers and strings; `from_dict` turns them back."""
        return {**dataclasses.asdict(self), "network": networks.describe(self.network)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Build a recipe. Raises UsageError that names everything wrong at once."""
        values = dict(values)
        network = values.pop("network", {})
        if not isinstance(network, dict):
            raise UsageError(f"recipe: network must be a table of settings, not {network!r}")
        problems, values = _sift(cls, values)
        network = dict(network)
        family = network.pop("family", "wdsr")
        config: Config = WDSRConfig()
        recipe = None
        if isinstance(family, str) and family in networks.FAMILIES:
            network_problems, network = _sift(networks.FAMILIES[family][0], network)
            problems += [f"network.{problem}" for problem in network_problems]
            try:
                config = networks.configure({"family": family, **network})
            except ValueError as error:
                problems.append(f"network: {error}")
        else:
            known = ", ".join(networks.FAMILIES)
            problems.append(f"network.family must be one of {known}, not {family!r}")
        try:
            recipe = cls(network=config, **values)
        except UsageError as error:
            problems.append(str(error).removeprefix("recipe: "))
        if problems or recipe is None:
            raise UsageError("recipe: " + "; ".join(problems))
        return recipe

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """From a TOML file with the field names above; `[network]` holds the network's."""
        try:
            return cls.from_dict(tomllib.loads(path.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TrainingError(f"{path}: cannot read the recipe: {error}") from error


def _sift(cls: type, values: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """What is wrong with the keys and types of these fields, and the fields that are right."""
    hints = typing.get_type_hints(cls)
    problems, right = [], {}
    for key, value in values.items():
        if key not in hints:
            problems.append(f"{key} is unknown")
        elif not _fits(value, hints[key]):
            problems.append(f"{key} cannot be {value!r}")
        else:
            right[key] = value
    return problems, right


def _fits(value: object, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is UnionType:
        return any(_fits(value, choice) for choice in arguments)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, arguments[1]) for v in value.values())
    if origin is typing.Literal:
        return value in arguments
    if isinstance(value, bool):  # which Python counts as an int
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _named() -> dict[str, Recipe]:
    recipes = {}
    for scale in (2, 3, 4):
        recipes[f"wdsr-b-8-x{scale}"] = Recipe(WDSRConfig(block="b", blocks=8, scale=scale))
        wide = WDSRConfig(block="a", blocks=16, expansion=4, scale=scale)
        recipes[f"wdsr-a-16-x{scale}"] = Recipe(wide)
    return recipes


RECIPES = _named()
