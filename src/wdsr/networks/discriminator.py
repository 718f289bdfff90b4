"""Discriminators: networks that tell real pictures from made ones, on one page.

Both give logits (above 0: real) and the features they were judged by, which
feature matching compares.

    vgg     one verdict for a patch of a fixed size.
            Source: Ledig et al., SRGAN, 2017, arXiv 1609.04802, figure 4.
    unet    a verdict for every pixel, for patches of any size: it can say where.
            Source: Schoenfeld et al., "A U-Net Based Discriminator", 2020, arXiv
            2002.12655; as built by Wang et al., Real-ESRGAN, 2021, arXiv 2107.10833.
            Spectral norm (Miyato et al., 2018, arXiv 1802.05957) bounds its slope.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from wdsr.networks.base import check

DiscriminatorKind = Literal["vgg", "unet"]


class Verdict(NamedTuple):
    """What a discriminator says of a batch."""

    logits: torch.Tensor  # vgg: (N, 1); unet: (N, 1, H, W)
    features: list[torch.Tensor]  # of its hidden layers, first to last


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Everything that fixes a discriminator; the defaults are SRGAN's."""

    kind: DiscriminatorKind = "vgg"
    patch: int = 96  # side of the HR patches it judges; a multiple of 16 (vgg) or 8 (unet)
    channels: int = 3  # of the image
    filters: int = 64  # of its first layer
    unshuffle: int = 1  # unet: its layers see squares of this side as one pixel of many channels

    def __post_init__(self) -> None:
        step = 16 if self.kind == "vgg" else 8 * max(self.unshuffle, 1)
        check(
            self,
            kind=(self.kind in DISCRIMINATORS, f"one of {', '.join(DISCRIMINATORS)}"),
            patch=(
                self.patch >= 16 and self.patch % step == 0,
                f"a multiple of {step} HR pixels for {self.kind}, and at least 16",
            ),
            channels=(self.channels >= 1, "at least 1"),
            filters=(self.filters >= 1, "at least 1"),
            unshuffle=(
                self.unshuffle == 1 or (self.kind == "unet" and self.unshuffle > 1),
                "at least 1, and 1 for vgg",
            ),
        )


class VGGDiscriminator(nn.Module):
    """Eight 3x3 convolutions, every second of them halving the size, then two dense layers."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        n = config.filters
        layers: list[nn.Sequential] = []
        inputs = config.channels
        for outputs in (n, 2 * n, 4 * n, 8 * n):
            for source, stride in ((inputs, 1), (outputs, 2)):
                # The first layer sees the image itself, which is not normalised away.
                norm = [nn.BatchNorm2d(outputs)] if layers else []
                conv = nn.Conv2d(source, outputs, 3, stride, padding=1)
                layers.append(nn.Sequential(conv, *norm, nn.LeakyReLU(0.2)))
            inputs = outputs
        self.layers = nn.ModuleList(layers)
        side = config.patch // 16
        self.dense = nn.Linear(8 * n * side * side, 1024)
        self.verdict = nn.Linear(1024, 1)

    def forward(self, image: torch.Tensor) -> Verdict:
        """(N, C, patch, patch) in [0, 1] -> logits (N, 1)."""
        features = []
        x = 2 * image - 1
        for layer in self.layers:
            x = layer(x)  # in the end (N, 8n, patch / 16, patch / 16)
            features.append(x)
        hidden = functional.leaky_relu(self.dense(x.flatten(1)), 0.2)  # (N, 1024)
        return Verdict(self.verdict(hidden), features)


class UNetDiscriminator(nn.Module):
    """Down three times by half, up again, each size's features added on the way back."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        n = config.filters
        # Fewer and wider pixels suit a processor: 24 filters of squares of 2 take 60 percent of
        # the time of 16 filters of pixels.
        self.unshuffle = nn.PixelUnshuffle(config.unshuffle)
        self.shuffle = nn.PixelShuffle(config.unshuffle)
        self.head = nn.Conv2d(config.channels * config.unshuffle**2, n, 3, padding=1)
        widths = (n, 2 * n, 4 * n, 8 * n)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False))
            for a, b in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(_plain(2 * width, width) for width in (4 * n, 2 * n, n))
        self.end = nn.ModuleList(_plain(n, n) for _ in range(2))
        self.verdict = nn.Conv2d(n, config.unshuffle**2, 3, padding=1)

    def forward(self, image: torch.Tensor) -> Verdict:
        """(N, C, H, W) in [0, 1], sides multiples of 8 x unshuffle -> logits (N, 1, H, W)."""
        x = self.unshuffle(2 * image - 1)  # with unshuffle u: (N, C u^2, h, w), h = H / u
        sizes = [_bend(self.head(x))]  # (N, n, h, w)
        for down in self.down:
            sizes.append(_bend(down(sizes[-1])))  # ... (N, 8n, h/8, w/8)
        x = sizes.pop()
        features = [*sizes, x]
        for up in self.up:
            x = functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = _bend(up(x)) + sizes.pop()  # ... (N, n, h, w)
            features.append(x)
        for conv in self.end:
            x = _bend(conv(x))
        return Verdict(self.shuffle(self.verdict(x)), features)


Discriminator = VGGDiscriminator | UNetDiscriminator
DISCRIMINATORS: dict[str, type[VGGDiscriminator] | type[UNetDiscriminator]] = {
    "vgg": VGGDiscriminator,
    "unet": UNetDiscriminator,
}


def build_discriminator(config: DiscriminatorConfig) -> Discriminator:
    """The discriminator of a configuration, freshly initialised."""
    return DISCRIMINATORS[config.kind](config)


def _plain(inputs: int, outputs: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))


def _bend(x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(x, 0.2)
