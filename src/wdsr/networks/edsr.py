"""EDSR: plain residual blocks without normalisation, on one page.

Source: Lim et al., "Enhanced Deep Residual Networks for Single Image
Super-Resolution", 2017, arXiv 1707.02921.

    LR ─ head 3x3 ─┬─ block ─ block ─ ... ─ block ─ last 3x3 ─(+)─ upsample ─ tail 3x3 ─ HR
                   └───────────────────────────────────────────┘

Unlike WDSR it has no skip from the image itself, as many features before the
ReLU as on the identity path, and its last convolutions at HR.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn

from wdsr.networks.base import Network, check
from wdsr.networks.upsample import STAGES, reach, upsampler


@dataclass(frozen=True)
class EDSRConfig:
    """Everything that fixes an EDSR network; the defaults are the paper's baseline at x4."""

    scale: int = 4  # 2, 3, 4 or 8
    channels: int = 3  # of the image
    filters: int = 64  # width, n; the paper's large network has 256
    blocks: int = 16  # residual blocks; the large network has 32
    residual_scale: float = 1.0  # gain of each block; 0.1 keeps the large network stable
    mean: float = 0.5  # subtracted from the [0, 1] input, added back at the end

    def __post_init__(self) -> None:
        check(
            self,
            scale=(self.scale in STAGES, "2, 3, 4 or 8"),
            channels=(self.channels >= 1, "at least 1"),
            filters=(self.filters >= 1, "at least 1"),
            blocks=(self.blocks >= 0, "at least 0"),
            residual_scale=(self.residual_scale > 0, "above 0"),
        )

    @property
    def radius(self) -> int:
        """The halo: how many LR pixels around a pixel its result depends on."""
        return 1 + 2 * self.blocks + 1 + reach(self.scale, tail=1)  # head, blocks, last


class Block(nn.Module):
    """`features + scale * body(features)`, (N, n, H, W) -> (N, n, H, W)."""

    def __init__(self, filters: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(_conv(filters, filters), nn.ReLU(), _conv(filters, filters))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Add the body's correction to the identity path."""
        correction = self.body(features)
        if self.scale != 1:
            correction = correction * self.scale
        return features + correction  # type: ignore[no-any-return]


class EDSR(Network):
    """Super-resolution by `config.scale`.

    >>> network = EDSR(EDSRConfig(scale=2))
    >>> network(torch.zeros(1, 3, 24, 24)).shape
    torch.Size([1, 3, 48, 48])
    """

    config: EDSRConfig

    def __init__(self, config: EDSRConfig) -> None:
        super().__init__()
        self.config = config
        n = config.filters
        self.head = _conv(config.channels, n)
        self.body = nn.Sequential(*(Block(n, config.residual_scale) for _ in range(config.blocks)))
        self.last = _conv(n, n)
        self.upsample = upsampler(n, config.scale)
        self.tail = _conv(n, config.channels)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) in [0, 1] -> (N, C, s*H, s*W), about [0, 1], not clipped."""
        features = self.head(lr - self.config.mean)  # (N, n, H, W)
        features = features + self.last(self.body(features))
        sr = self.tail(self.upsample(features))  # (N, n, s*H, s*W) -> (N, C, s*H, s*W)
        return sr + self.config.mean  # type: ignore[no-any-return]

    def fuse(self) -> Self:
        """Multiply the residual scale into the blocks' last convolutions, in place."""
        for module in self.modules():
            if isinstance(module, Block):
                with torch.no_grad():
                    for parameter in module.body[-1].parameters():
                        parameter.mul_(module.scale)
                module.scale = 1
        self.config = dataclasses.replace(self.config, residual_scale=1.0)
        return self


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
