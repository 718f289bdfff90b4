"""Before training: can it be, and is there a checkpoint to go on from?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from wdsr import networks
from wdsr.errors import TrainingError, UsageError
from wdsr.train import checkpoint
from wdsr.train.data import Source
from wdsr.train.losses import weighted
from wdsr.train.recipe import Recipe

Notice = Callable[[str], None]


def check(recipe: Recipe, source: Source, processes: int, pretrained: Path | None = None) -> None:
    """Raise UsageError or TrainingError, with all that makes this training impossible."""
    network = recipe.network
    problems = []
    if network.scale != source.scale:
        problems.append(f"the recipe is for x{network.scale}, the pictures for x{source.scale}")
    if network.channels != 3:
        problems.append(f"pictures have 3 channels, the network {network.channels}")
    for batch in sorted({stage.batch for stage in recipe.stages}):
        if batch % processes:
            problems.append(f"a batch of {batch} cannot be shared evenly by {processes} processes")
    if recipe.adversary is not None and processes > 1:
        problems.append("training against a discriminator takes one process: leave out devices")
    if recipe.adversary is not None and recipe.teacher is not None:
        problems.append("a recipe has an adversary or a teacher, not both")
    if processes > 1 and _normalises_batches(network):
        problems.append(
            "batch norm needs the whole batch in one process: leave out devices, or train a "
            "network without it"
        )
    if problems:
        raise UsageError("; ".join(problems))
    source.check(max(stage.patch for stage in recipe.stages))
    for stage in recipe.stages:
        weighted(stage.losses, pretrained)  # a classifier's weights may be missing


def resumable(
    run: Path, recipe: Recipe, notice: Notice = lambda text: None
) -> checkpoint.State | None:
    """The checkpoint of a run folder to go on from, None if it has none.

    A run may be extended: by a recipe that would have done the same until the
    newest checkpoint, or until the one kept from before the cooldown.
    Raises TrainingError if it is another recipe's.
    """
    done = None
    for number, state in enumerate(checkpoint.whole(run, notice)):
        done = Recipe.from_dict(state["recipe"])
        if done == recipe or (state["step"] and done.agrees(recipe, state["step"])):
            if number:
                notice(
                    f"the run is extended from step {state['step']}, before its cooldown; "
                    "what came after is dropped"
                )
            return state
    if done is not None:
        unlike = recipe.differences(done)
        hint = ""
        if unlike == ["steps"] and recipe.schedule == "constant":
            hint = "; more steps later: of the last stage"
        elif unlike == ["steps"]:
            hint = "; more steps later: with schedule constant"
        raise TrainingError(
            f"{run}: holds a run of another recipe ({', '.join(unlike)}); use another run "
            f"folder{hint}"
        )
    return None


def _normalises_batches(config: networks.Config) -> bool:
    """Whether what a network makes of a patch depends, in training, on the others of its batch."""
    return any(isinstance(module, nn.BatchNorm2d) for module in networks.build(config).modules())
