"""What a training is made from: recipe, weights, teacher and pictures."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wdsr.cli.common import need
from wdsr.errors import TrainingError, UsageError

if TYPE_CHECKING:
    from wdsr.train.data import Source
    from wdsr.train.recipe import Recipe
    from wdsr.train.validate import Pair


def recipe_named(name: str) -> Recipe:
    """A named recipe, or one from a .toml file."""
    from wdsr.train.recipe import Recipe
    from wdsr.train.recipes import RECIPES

    if name.endswith(".toml"):
        return Recipe.read(Path(name))
    if Path(name).is_dir():
        raise UsageError(
            f"{name}: is a folder; a recipe is a name or a file, as recipe.toml in runs"
        )
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.8)
        choices = f"did you mean {' or '.join(near)}?" if near else f"choose {_grouped(RECIPES)}"
        raise UsageError(f"no recipe {name!r}: {choices} (or give a .toml file)")
    return RECIPES[name]


def _grouped(names: Iterable[str]) -> str:
    """Names that differ in their scale alone in one: `wdsr-b-8-x2`, `wdsr-b-8-x3` -> `-x2/x3`."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(re.sub(r"x\d(?=-|$)", "x*", name), []).append(name)
    together = []
    for pattern, members in groups.items():
        scales = "/".join(re.findall(r"x\d(?=-|$)", " ".join(members).replace(" ", "-")))
        together.append(pattern.replace("x*", scales))
    return ", ".join(together)


def look(folder: Path, lr: Path | None, recipe: Recipe | None) -> None:
    """Raise TrainingError if folders hold no pictures, or none that suit the recipe."""
    from wdsr.degrade import MARGIN
    from wdsr.train.pack import inspect, is_pack
    from wdsr.train.pictures import list_pictures

    if is_pack(folder):
        if lr is not None:
            raise UsageError(f"{folder} is a pack and has its LR: leave out {lr}")
        return
    if packs := [inner for inner in _folders(folder) if is_pack(inner)]:
        try:
            list_pictures(folder)
        except TrainingError:
            raise TrainingError(f"{folder}: holds packs, and is none: give {packs[0]}") from None
    if recipe is None:
        for pictures in filter(None, (folder, lr)):
            list_pictures(pictures)
    else:
        patch = max(stage.patch for stage in recipe.stages)
        patch += 2 * MARGIN if recipe.degradation else 0
        inspect(folder, recipe.network.scale, lr=lr, patch=patch)


def _folders(folder: Path) -> list[Path]:
    """Those inside this one; none if it cannot be read, of which others speak."""
    try:
        return sorted(inner for inner in folder.iterdir() if inner.is_dir())
    except OSError:
        return []


def look_held_out(folder: Path, lr: Path | None, recipe: Recipe | None) -> None:
    """Raise TrainingError if folders hold no pictures, or LR pictures that do not fit."""
    from wdsr.train.pack import is_pack

    if is_pack(folder):
        raise UsageError(f"{folder} is a pack, which data takes: give valid a folder of pictures")
    if recipe is not None:
        from wdsr.train.pack import inspect

        inspect(folder, recipe.network.scale, lr=lr)
    else:
        look(folder, lr, None)


def check_writable(run: Path, *pictures: Path | None) -> None:
    """Raise TrainingError if a run folder cannot be made or written, or is one of pictures."""
    for folder in filter(None, pictures):
        if run.resolve() == folder.resolve():
            raise TrainingError(f"{run}: holds the pictures; choose a run folder with -o")
    there = next((p for p in (run, *run.parents) if p.exists()), Path())
    if not there.is_dir():
        raise TrainingError(f"{there}: is a file; choose another run folder with -o")
    if not os.access(there, os.W_OK):
        raise TrainingError(f"{there}: no permission to write; choose a run folder with -o")


def pictures(
    recipe: Recipe,
    data: Path,
    lr: Path | None,
    valid: Path | None,
    valid_lr: Path | None,
    cache: Path,
    shown: Any,
) -> tuple[Source, list[Pair] | None]:
    """The source of patches and the held-out pairs, packed if need be, with a bar in `shown`."""
    from wdsr.degrade import MARGIN, Preset
    from wdsr.train.data import Degraded, Pairs
    from wdsr.train.pack import is_pack, pack
    from wdsr.train.validate import validation_pairs

    scale, name = recipe.network.scale, recipe.degradation
    degrade = Preset(name, scale) if name else None

    def source(packed: Path) -> Source:
        return Degraded(packed, scale, degrade, MARGIN) if degrade else Pairs(packed, scale)

    held_out = validation_pairs(valid, scale, lr=valid_lr, degrade=degrade) if valid else None
    if is_pack(data):
        return source(data), held_out
    task = shown.add_task("reading pictures", total=None, text="")
    packed = pack(
        data,
        cache,
        scale,
        lr=lr,
        progress=lambda done, total: shown.update(task, completed=done, total=total),
    )
    shown.remove_task(task)
    return source(packed), held_out


def summary(recipe: Recipe, source: Source, precision: Any, devices: int) -> str:
    """What is about to be done with what, in a line."""
    from wdsr.train.device import described

    stages = f" in {len(recipe.stages)} stages" if recipe.then else ""
    return (
        f"{recipe.total} steps{stages}, of {recipe.batch} patches of {recipe.patch} x "
        f"{recipe.patch} LR pixels of {len(source.names)} pictures; {described(precision)}"
        f"{f', {devices} processes' if devices > 1 else ''}"
    )


def weights(title: str | None, role: str) -> Any:
    """The weights of MODEL-xSCALE, of a model file or of a run folder, by name.

    role: what messages call them.
    """
    from wdsr import zoo

    if title is None:
        return None
    if Path(title).is_dir() and not zoo.is_shipped(zoo.split_title(title)[0]):
        from wdsr.train.warm import run_weights

        return run_weights(Path(title))
    return _read(_model(title, role))


def teacher(recipe: Recipe) -> Any:
    """The network that a recipe's distillation imitates."""
    if recipe.teacher is None:
        return None
    from wdsr.backends.torch import network_from_card

    model = _model(recipe.teacher, "teacher")
    if model.card.scale != recipe.network.scale:
        raise UsageError(f"teacher: {recipe.teacher} is not for x{recipe.network.scale}")
    network = network_from_card(model.card)
    network.load_state_dict(_read(model))
    return network


def _read(model: Any) -> Any:
    if model.onnx:
        need("onnx")
    from wdsr.backends.torch import read_weights

    return read_weights(model)


def _model(title: str, role: str) -> Any:
    from wdsr import zoo

    if title.endswith(zoo.SUFFIXES):
        return zoo.read_model(Path(title))
    name, _, scale = title.rpartition("-x")
    if not name or not scale.isdecimal() or Path(name).name != name:
        choices = "MODEL-xSCALE or a model file"
        if role == "start":
            choices = "MODEL-xSCALE, a model file or a run folder that is there"
        raise UsageError(f"{role} must be {choices}, not {title!r}")
    return zoo.find(name, int(scale))
