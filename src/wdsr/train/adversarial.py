"""Training against a discriminator: the same loop, with an opponent that learns beside.

A step is the generator's move, then the discriminator's on the same pictures. What
can go wrong in such a game does not show in the generator's loss, so it is watched:

    sure        the discriminator's loss is at its floor: it tells all pictures apart,
                and the generator learns nothing from it any more
    adrift      the generator's pictures are no longer like those of the pixel model
                it began from: it has left the picture for the discriminator's sake

Both are said once when they begin, and stand in `adversarial.csv`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from wdsr.errors import TrainingError
from wdsr.metrics import ssim
from wdsr.networks import Network
from wdsr.networks.discriminator import Verdict, build_discriminator
from wdsr.train.gan import GAMES, feature_matching
from wdsr.train.journal import rewind_table
from wdsr.train.losses import weighted
from wdsr.train.recipe import Recipe
from wdsr.train.trainee import Trainee, averaged

COLUMNS = ["step", "discriminator", "game", "features", "similarity", "trouble"]
WATCH_EVERY = 100  # steps from one look to the next
LEAST_SIMILARITY = 0.6  # SSIM to the pixel model; a healthy GAN model keeps about 0.9


class Duel:
    """Takes the steps of a recipe with an adversary, as `Stepper` does of one without.

    learner: the generator. reference: the pixel model it began from, None if from nothing.
    run: folder for `adversarial.csv`. notice: is told of a game that goes wrong.
    pretrained: folder of the weights that perceptual losses need.
    """

    def __init__(
        self,
        fabric: Fabric,
        learner: Trainee,
        recipe: Recipe,
        reference: Network | None,
        run: Path,
        *,
        pretrained: Path | None = None,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        assert recipe.adversary is not None
        self._learner, self._recipe, self._adversary = learner, recipe, recipe.adversary
        self._reference = reference
        self._watch = _Watch(run / "adversarial.csv", notice)
        self._pretrained = pretrained
        patch = recipe.patch * recipe.network.scale
        network = build_discriminator(self._adversary.against(patch, recipe.network.channels))
        self.opponent = Trainee(
            fabric, network, optimizer=recipe.optimizer, clip=recipe.clip, ema=0.0
        )
        self._losses: dict[int, Any] = {}  # by number of stage

    def take(self, step: int, lr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        """Take step number `step` with these patches; returns the generator's loss."""
        learner, opponent = self._learner, self.opponent
        opponent.set_rate(learner.rate * self._adversary.pace)
        learner.before()
        opponent.before()
        real = self._judge(hr)  # once, for both moves
        sr = learner.network(lr)
        loss, parts = self._generator_loss(step, sr, hr, real)
        learner.update(loss)
        opponent.bare.requires_grad_(True)

        made = self._judge(sr.detach())
        game = GAMES[self._adversary.game]
        discriminator = game.discriminator(real.logits, made.logits)
        opponent.update(discriminator)

        self._watch.follow(step, {"discriminator": discriminator.detach(), **parts})
        if (step + 1) % WATCH_EVERY == 0 or step + 1 == self._recipe.total:
            self._watch.look(step + 1, game.floor, self._similarity(lr, sr.detach()))
        return loss.detach()

    @property
    def in_a_row(self) -> torch.Tensor:
        """Of the player that is worse off, see `Stepper.in_a_row`."""
        mine, other = self._learner.in_a_row, self.opponent.in_a_row
        return other if other > mine else mine

    def forgive(self) -> None:
        """Count both anew."""
        self._learner.in_a_row.zero_()
        self.opponent.in_a_row.zero_()

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold beside the learner's state."""
        reference = self._reference.state_dict() if self._reference else None
        return {"opponent": self.opponent.state(), "reference": reference}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave. Raises TrainingError if it is another discriminator's."""
        shapes = {name: value.shape for name, value in self.opponent.bare.state_dict().items()}
        saved = state["opponent"]["network"]
        if {name: value.shape for name, value in saved.items()} != shapes:
            raise TrainingError(
                "the checkpoint's discriminator is of another kind, width or patch size: "
                "use another run folder"
            )
        self.opponent.load(state["opponent"])
        if state["reference"] is not None:
            self._reference = averaged(self._recipe.network, state["reference"])

    def _generator_loss(
        self, step: int, sr: torch.Tensor, hr: torch.Tensor, real: Verdict
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and the parts of it that the opponent made, which learns nothing from it."""
        adversary = self._adversary
        self.opponent.bare.requires_grad_(False)
        made = self._judge(sr)
        game = GAMES[adversary.game].generator(real.logits.detach(), made.logits)
        loss = self._loss_of(step)(sr, hr) + adversary.weight * game
        features = torch.zeros_like(game)
        if adversary.features:
            features = feature_matching(real.features, made.features)
            loss = loss + adversary.features * features
        return loss, {"game": game.detach(), "features": features.detach()}

    def _judge(self, image: torch.Tensor) -> Verdict:
        verdict: Verdict = self.opponent.network(image)
        return verdict

    def _loss_of(self, step: int) -> Any:
        stage, _ = self._recipe.stage_at(step)
        number = next(n for n, other in enumerate(self._recipe.stages) if other is stage)
        if number not in self._losses:
            self._losses = {number: weighted(stage.losses, self._pretrained)}
        return self._losses[number]

    def _similarity(self, lr: torch.Tensor, sr: torch.Tensor) -> float | None:
        """SSIM of this batch to the pixel model's, None without one."""
        if self._reference is None:
            return None
        with torch.inference_mode():
            wanted = self._reference.to(lr.device)(lr)
        scores = [
            ssim(*(_pixels(image) for image in pair), data_range=255, luma=True)
            for pair in zip(sr, wanted, strict=True)
        ]
        return float(np.mean(scores))


class _Watch:
    """Follows the game, says what goes wrong, and keeps the table."""

    def __init__(self, path: Path, notice: Callable[[str], None]) -> None:
        self._path, self._notice = path, notice
        self._sums: dict[str, torch.Tensor] = {}
        self._count = 0
        self._next: int | None = None  # the step that would follow; None before the first
        self._said: set[str] = set()

    def follow(self, step: int, values: Mapping[str, torch.Tensor]) -> None:
        """Add the values of a step, without waiting for the device."""
        if step != self._next:  # begun, resumed or rolled back
            rewind_table(self._path, COLUMNS, step)
            self._sums, self._count = {}, 0
        for name, value in values.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._count += 1
        self._next = step + 1

    def look(self, step: int, floor: float, similarity: float | None) -> None:
        """Write a row of means since the last, and speak of troubles that have begun."""
        means = {name: float(total) / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        found = {}
        if not means["discriminator"] >= floor:  # nor is a loss that is no number
            found["sure"] = (
                f"the discriminator is sure of everything (loss {means['discriminator']:.4f}) "
                "and teaches nothing: lower adversary.pace, or end the run here"
            )
        if similarity is not None and similarity < LEAST_SIMILARITY:
            found["adrift"] = (
                f"SSIM to the pixel model is down to {similarity:.2f}: lower adversary.weight, "
                "or raise the weight of the pixel loss"
            )
        for name, text in found.items():
            if name not in self._said:
                self._notice(f"step {step}: collapse: {text}")
        self._said = set(found)
        row: dict[str, Any] = {"step": step, **means, "trouble": " ".join(found)}
        row["similarity"] = "" if similarity is None else similarity
        new = not self._path.exists()
        with self._path.open("a", newline="") as stream:
            writer = csv.writer(stream)
            if new:
                writer.writerow(COLUMNS)
            writer.writerow([row[name] for name in COLUMNS])


def _pixels(image: torch.Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(3, H, W) around [0, 1] -> (H, W, 3) uint8."""
    return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
