"""The game of a generator and a discriminator: what each of them loses, as plain functions.

Logits say how real a discriminator finds something: above 0 real, below 0 made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch.nn import functional

from wdsr.networks.discriminator import DiscriminatorConfig, DiscriminatorKind

GameName = Literal["vanilla", "relativistic", "hinge"]
# (logits of real pictures, logits of made ones) -> loss
Side = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Game(NamedTuple):
    """Both sides of a GAN loss."""

    discriminator: Side
    generator: Side  # with logits of real pictures too: only relativistic looks at them
    floor: float  # a discriminator loss below this means it is sure of everything


def vanilla_discriminator(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, mean of both halves. Source: Goodfellow et al., 2014, arXiv 1406.2661."""
    return (functional.softplus(-real).mean() + functional.softplus(made).mean()) / 2


def vanilla_generator(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """-log D(made), the form that does not saturate, which SRGAN takes too (eq. 6)."""
    return functional.softplus(-made).mean()


def relativistic_discriminator(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Real more real than the mean of made, and the reverse.

    Source: Jolicoeur-Martineau, 2018, arXiv 1807.00734 (average); used by ESRGAN.
    """
    return vanilla_discriminator(real - made.mean(), made - real.mean())


def relativistic_generator(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss with the parts exchanged."""
    return relativistic_discriminator(made, real)


def hinge_discriminator(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Beyond 1 and -1 nothing is gained. Source: Lim and Ye, 2017, arXiv 1705.02894."""
    return (functional.relu(1 - real).mean() + functional.relu(1 + made).mean()) / 2


def hinge_generator(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """The mean logit, to be raised."""
    return -made.mean()


# A coin toss costs log 2 = 0.69 (vanilla, relativistic) or 1 (hinge).
GAMES: dict[str, Game] = {
    "vanilla": Game(vanilla_discriminator, vanilla_generator, 0.02),
    "relativistic": Game(relativistic_discriminator, relativistic_generator, 0.02),
    "hinge": Game(hinge_discriminator, hinge_generator, 0.02),
}


@dataclass(frozen=True)
class Adversary:
    """Whom a generator is trained against, and how much that counts beside the other losses."""

    discriminator: DiscriminatorKind = "unet"
    filters: int = 64  # of the discriminator's first layer
    unshuffle: int = 1  # unet: see `DiscriminatorConfig`
    game: GameName = "vanilla"
    weight: float = 1e-3  # of the generator's side of the game
    features: float = 0.0  # of feature matching
    pace: float = 1.0  # the discriminator's learning rate, in the generator's

    def problems(self) -> Iterator[str]:
        """What is impossible in these settings."""
        for name, ok, rule in (
            ("filters", self.filters >= 1, "at least 1"),
            ("unshuffle", self.unshuffle >= 1, "at least 1"),
            ("weight", 0 <= self.weight < math.inf, "at least 0"),
            ("features", 0 <= self.features < math.inf, "at least 0"),
            ("pace", 0 < self.pace < math.inf, "above 0"),
        ):
            if not ok:
                yield f"{name} must be {rule}, not {getattr(self, name)}"

    def against(self, patch: int, channels: int) -> DiscriminatorConfig:
        """The discriminator of HR patches of this side. Raises ValueError if there can be none."""
        return DiscriminatorConfig(
            self.discriminator, patch, channels, self.filters, self.unshuffle
        )


def feature_matching(real: Sequence[torch.Tensor], made: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean over layers of the L1 distance of a discriminator's features.

    real: of HR, taken as given. made: of SR. Needs no outside weights.
    Source: Salimans et al., 2016, arXiv 1606.03498; as Wang et al., pix2pixHD, 2018,
    arXiv 1711.11585, eq. 4, have it.
    """
    distances = [functional.l1_loss(m, r.detach()) for r, m in zip(real, made, strict=True)]
    return torch.stack(distances).mean()
