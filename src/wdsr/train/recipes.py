"""The recipes that have a name."""

from __future__ import annotations

import math
from typing import Any, Literal

from wdsr.networks.edsr import EDSRConfig
from wdsr.networks.srresnet import SRResNetConfig
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train.gan import Adversary
from wdsr.train.recipe import Recipe


def _ours(scale: int) -> dict[str, Recipe]:
    b = Recipe(
        network=WDSRConfig(block="b", blocks=8, scale=scale),
        learning_rate=3e-3,  # more pays in short runs only: benchmarks/records/claim-norms-*
        candidates=4,  # most photographs are mostly sky and blur
    )
    a = Recipe(network=WDSRConfig(block="a", blocks=16, expansion=4, scale=scale))
    tune = Recipe(
        network=b.network,
        steps=1500,
        batch=8,
        patch=32,
        learning_rate=2e-4,  # the first weights' third stage gained at 4e-4 to 7e-4
        warmup=100,
        start=f"wdsr-b-8-x{scale}",
    )
    photo = Recipe(
        network=b.network,
        steps=24_000,
        batch=8,
        patch=32,
        learning_rate=3e-3,
        warmup=300,
        # Of damaged pictures the mean of what may have been scores best; L1 gives the median.
        # And by PSNR: by MSE, damaged pictures would drown clean ones.
        losses={"psnr": 1e-3},
        degradation="photo",
        start=f"wdsr-b-8-x{scale}",
    )
    return {
        f"wdsr-b-8-x{scale}-photo": photo,
        f"wdsr-b-8-x{scale}": b,
        f"wdsr-a-16-x{scale}": a,
        f"wdsr-b-8-x{scale}-tune": tune,
    }


# Without what came later: no averaging, no clipping, no warm-up.
_PLAIN: dict[str, Any] = {"warmup": 0, "schedule": "multistep", "ema": 0.0, "clip": math.inf}


def _ancestor(block: Literal["a", "b"], blocks: int, scale: int) -> Recipe:
    """krasserm/super-resolution: HR crops of 96, L1, Adam, 300,000 steps, halved at 200,000."""
    return Recipe(
        network=WDSRConfig(
            block=block, blocks=blocks, expansion={"a": 4, "b": 6}[block], scale=scale
        ),
        batch=16,
        patch=96 // scale,
        steps=300_000,
        learning_rate=1e-3,
        milestones=[200_000],
        decay=0.5,
        **_PLAIN,
    )


def _authors(scale: int) -> Recipe:
    """ychfan/wdsr: 30 epochs of 50,000 steps, LR patch 48, a fifth of the rate at 20 and at 25."""
    return Recipe(
        network=WDSRConfig(block="a", blocks=16, expansion=4, scale=scale),
        batch=16,
        patch=48,
        steps=1_500_000,
        learning_rate=1e-3,
        milestones=[1_000_000, 1_250_000],
        decay=0.2,
        **_PLAIN,
    )


def _siblings(scale: int) -> dict[str, Recipe]:
    """EDSR's baseline (x3 and x4 from nothing, not from x2) and SRResNet, as their papers train."""
    edsr = Recipe(
        network=EDSRConfig(scale=scale),
        batch=16,
        patch=48,
        steps=600_000,
        learning_rate=1e-4,
        milestones=[200_000, 400_000],
        decay=0.5,
        **_PLAIN,
    )
    srresnet = Recipe(
        network=SRResNetConfig(scale=scale),
        batch=16,
        patch=96 // scale,
        steps=1_000_000,
        learning_rate=1e-4,
        losses={"mse": 1.0},
        **{**_PLAIN, "schedule": "constant"},
    )
    return {f"edsr-x{scale}": edsr, f"srresnet-x{scale}": srresnet}


def _srgan(scale: int) -> Recipe:
    """krasserm/super-resolution's SRGAN, to be started from a run of srresnet.

    Content (VGG19, 5_4) + 0.001 adversarial, 1e-4, a tenth of it from half way on.
    """
    return Recipe(
        network=SRResNetConfig(scale=scale),
        batch=16,
        patch=96 // scale,
        steps=200_000,
        learning_rate=1e-4,
        milestones=[100_000],
        decay=0.1,
        losses={"vgg54": 1.0},
        adversary=Adversary(discriminator="vgg", game="vanilla", weight=1e-3),
        **_PLAIN,
    )


def _sharper(pixel: Recipe, start: str | None) -> Recipe:
    """A pixel model made sharper: L1, a U-Net discriminator and its features; no outside weights.

    The discriminator is small and looks at squares of 2 pixels: a processor trains it, and
    the generator is small. Hinge, with the discriminator's rate above the generator's: by
    relativistic logits, which nothing bounds, both losses rose above a coin toss within
    500 steps and swung.
    """
    return Recipe(
        network=pixel.network,
        batch=8,
        patch=24 if pixel.network.scale == 4 else 32,
        steps=40_000,
        learning_rate=2e-4,
        warmup=200,
        losses={"l1": 1.0},
        adversary=Adversary(
            discriminator="unet",
            filters=24,
            unshuffle=2,
            game="hinge",
            weight=0.01,
            features=0.2,
            pace=2.0,
        ),
        degradation=pixel.degradation,
        start=start,
    )


def _named() -> dict[str, Recipe]:
    recipes: dict[str, Recipe] = {}
    for scale in (2, 3, 4):
        recipes |= _ours(scale)
    for scale in (2, 3, 4):
        for block in ("a", "b"):
            for blocks in (8, 32):
                name = f"ancestor-{block}-{blocks}-x{scale}"
                recipes[name] = _ancestor(block, blocks, scale)
        recipes[f"authors-a-16-x{scale}"] = _authors(scale)
        recipes |= _siblings(scale)
        recipes[f"srgan-x{scale}"] = _srgan(scale)
        b, edsr = f"wdsr-b-8-x{scale}", f"edsr-x{scale}"
        recipes[f"wdsr-b-8-gan-x{scale}"] = _sharper(recipes[b], b)
        if scale != 3:  # the photo model has none
            recipes[f"{b}-photo-gan"] = _sharper(recipes[f"{b}-photo"], f"wdsr-photo-x{scale}")
        recipes[f"edsr-gan-x{scale}"] = _sharper(recipes[edsr], None)
    return recipes


RECIPES = _named()
