"""WDSR: wide activation for efficient super-resolution, on one page.

Source: Yu et al., "Wide Activation for Efficient and Accurate Image
Super-Resolution", 2018, arXiv 1808.08718.

    LR ─┬─ skip: one 5x5 convolution ──────────────────────┬─(+)─ pixel shuffle ─ HR
        └─ head 3x3 ─ block ─ block ─ ... ─ block ─ tail 3x3 ┘

The skip branch paints a plain base image, the main branch adds the detail.
Everything happens at LR resolution; one pixel shuffle at the very end turns
channels into pixels. (The shuffle is linear, so shuffling the sum once is the
same as shuffling each branch.)
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from wdsr.networks.base import Network, check

BlockName = Literal["plain", "a", "b"]


@dataclass(frozen=True)
class WDSRConfig:
    """Everything that fixes a WDSR network; the defaults are `wdsr-b-8` at x4."""

    block: BlockName = "b"  # residual block: plain (EDSR's), a, or b
    scale: int = 4  # 2, 3, 4 or 8
    channels: int = 3  # of the image
    filters: int = 32  # width of the identity path, n
    blocks: int = 8  # depth of the main branch
    expansion: float = 6  # features before the ReLU are n * expansion (a: 2-4, b: 6-9)
    linear_ratio: float = 0.8  # b only: the low-rank 1x1 keeps int(0.8 n) features
    residual_scale: float | None = None  # initial gain of a block; None: 1 / sqrt(blocks)
    weight_norm: bool = True  # train direction and length of each filter apart
    mean: float = 0.5  # subtracted from the [0, 1] input, added back at the end

    def __post_init__(self) -> None:
        gain = self.residual_scale
        low_rank = self.filters * self.linear_ratio
        check(
            self,
            block=(self.block in BLOCKS, f"one of {', '.join(BLOCKS)}"),
            scale=(self.scale in (2, 3, 4, 8), "2, 3, 4 or 8"),
            channels=(self.channels >= 1, "at least 1"),
            filters=(self.filters >= 1, "at least 1"),
            blocks=(self.blocks >= 0, "at least 0"),
            expansion=(1 <= self.expansion < math.inf, "at least 1"),
            linear_ratio=(self.block != "b" or low_rank >= 1, "1 / filters or more"),
            residual_scale=(gain is None or 0 < gain < math.inf, "above 0"),
            mean=(math.isfinite(self.mean), "finite"),
        )

    @property
    def radius(self) -> int:
        """The halo: how many LR pixels around a pixel its result depends on."""
        main = 1 + self.blocks * BLOCKS[self.block].radius + 1  # head, blocks, tail
        return max(main, 2)  # 2: the 5x5 skip


class Block(nn.Module):
    """A residual block: `features + body(features)`, (N, n, H, W) -> (N, n, H, W)."""

    radius = 2  # of its convolutions, in pixels
    body: nn.Sequential

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Add the body's correction to the identity path."""
        return features + self.body(features)  # type: ignore[no-any-return]


class PlainBlock(Block):
    """EDSR's block, the one WDSR is compared with: ReLU between two n -> n."""

    def __init__(self, config: WDSRConfig, gain: float) -> None:
        super().__init__()
        n = config.filters
        self.body = nn.Sequential(_conv(config, n, n, 3), nn.ReLU(), _conv(config, n, n, 3, gain))


class WideBlockA(Block):
    """WDSR-A: wide before the ReLU, slim identity path."""

    def __init__(self, config: WDSRConfig, gain: float) -> None:
        super().__init__()
        n, wide = config.filters, int(config.filters * config.expansion)
        self.body = nn.Sequential(
            _conv(config, n, wide, 3, gain=2), nn.ReLU(), _conv(config, wide, n, 3, gain)
        )


class WideBlockB(Block):
    """WDSR-B: wider still, as the expansion is a 1x1 and the way back low-rank."""

    radius = 1

    def __init__(self, config: WDSRConfig, gain: float) -> None:
        super().__init__()
        n, wide = config.filters, int(config.filters * config.expansion)
        low = int(n * config.linear_ratio)
        self.body = nn.Sequential(
            _conv(config, n, wide, 1, gain=2),
            nn.ReLU(),
            _conv(config, wide, low, 1),
            _conv(config, low, n, 3, gain),
        )


BLOCKS: dict[str, type[PlainBlock] | type[WideBlockA] | type[WideBlockB]] = {
    "plain": PlainBlock,
    "a": WideBlockA,
    "b": WideBlockB,
}


class WDSR(Network):
    """Super-resolution by `config.scale`.

    >>> network = WDSR(WDSRConfig(scale=2))
    >>> network(torch.zeros(1, 3, 24, 24)).shape
    torch.Size([1, 3, 48, 48])
    """

    config: WDSRConfig

    def __init__(self, config: WDSRConfig) -> None:
        super().__init__()
        self.config = config
        out = config.channels * config.scale**2
        gain = config.residual_scale or 1 / math.sqrt(max(config.blocks, 1))
        block = BLOCKS[config.block]
        self.head = _conv(config, config.channels, config.filters, 3)
        self.body = nn.Sequential(*(block(config, gain) for _ in range(config.blocks)))
        self.tail = _conv(config, config.filters, out, 3)
        self.skip = _conv(config, config.channels, out, 5)
        self.shuffle = nn.PixelShuffle(config.scale)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) in [0, 1] -> (N, C, s*H, s*W), about [0, 1], not clipped."""
        centred = lr - self.config.mean
        detail = self.tail(self.body(self.head(centred)))
        sr = self.shuffle(self.skip(centred) + detail)  # (N, C*s*s, H, W) -> (N, C, s*H, s*W)
        return sr + self.config.mean  # type: ignore[no-any-return]

    def fuse(self) -> Self:
        """Turn weight-normalised convolutions into plain ones, in place: same output, faster."""
        for module in self.modules():
            if is_parametrized(module, "weight"):
                remove_parametrizations(module, "weight")
        self.config = dataclasses.replace(self.config, weight_norm=False)
        return self


def _conv(config: WDSRConfig, inputs: int, outputs: int, size: int, gain: float = 1) -> nn.Conv2d:
    """A same-size convolution with filters of length `gain`, weight-normalised (w = g v/|v|)."""
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    if config.weight_norm:
        conv = weight_norm(conv)
        # Only g: v keeps PyTorch's short default, as a longer v turns more slowly at the same
        # learning rate. (v as long as g cost 0.4 dB after 8,000 steps.)
        nn.init.constant_(conv.get_parameter("parametrizations.weight.original0"), gain)
    else:
        with torch.no_grad():
            conv.weight.mul_(gain / conv.weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
    return conv
