"""Small games to train: networks, discriminators, and recipes with both."""

from __future__ import annotations

from typing import Any

import torch
from tests.train.helpers import short, trained

from wdsr import networks
from wdsr.networks import Config
from wdsr.networks.edsr import EDSRConfig
from wdsr.networks.srresnet import SRResNetConfig
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train.gan import Adversary
from wdsr.train.recipe import Recipe
from wdsr.train.warm import plain_weights

WDSR_B = WDSRConfig(scale=2, filters=6, blocks=1, expansion=2)
EDSR = EDSRConfig(scale=2, filters=6, blocks=1)
SRRESNET = SRResNetConfig(scale=2, filters=6, blocks=1)
UNET = Adversary(discriminator="unet", filters=2, game="relativistic", weight=0.1, features=0.1)
VGG = Adversary(discriminator="vgg", filters=2, game="vanilla", weight=0.1)


def duel(network: Config = WDSR_B, adversary: Adversary = UNET, **changes: Any) -> Recipe:
    settings = {"network": network, "adversary": adversary, "patch": 8, "steps": 8, **changes}
    return short(**settings)


def pixel_model(config: Config = WDSR_B) -> dict[str, torch.Tensor]:
    """Weights to begin from."""
    if isinstance(config, WDSRConfig):
        return plain_weights(trained(config))
    torch.manual_seed(5)
    return plain_weights(networks.build(config))
