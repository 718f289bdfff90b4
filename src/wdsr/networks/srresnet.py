"""SRResNet, the generator of SRGAN, on one page.

Source: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a
Generative Adversarial Network", 2017, arXiv 1609.04802, figure 4.

    LR ─ head 9x9, PReLU ─┬─ block ─ ... ─ block ─ last 3x3, BN ─(+)─ upsample ─ tail 9x9 ─ HR
                          └───────────────────────────────────────┘

A block is 3x3, BN, PReLU, 3x3, BN. Batch normalisation uses the statistics of
the batch in training and remembered ones afterwards, where it is no more than a
gain and an offset: `fuse` folds it into the convolution before it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from wdsr.networks.base import Network, check
from wdsr.networks.upsample import STAGES, reach, upsampler


@dataclass(frozen=True)
class SRResNetConfig:
    """Everything that fixes an SRResNet; the defaults are the paper's, at x4."""

    scale: int = 4  # 2, 3, 4 or 8
    channels: int = 3  # of the image
    filters: int = 64  # width, n
    blocks: int = 16  # residual blocks
    batch_norm: bool = True  # False: without, as ESRGAN later found better; and once fused
    tanh: bool = False  # bound the output to [0, 1], as some implementations do

    def __post_init__(self) -> None:
        check(
            self,
            scale=(self.scale in STAGES, "2, 3, 4 or 8"),
            channels=(self.channels >= 1, "at least 1"),
            filters=(self.filters >= 1, "at least 1"),
            blocks=(self.blocks >= 0, "at least 0"),
        )

    @property
    def radius(self) -> int:
        """The halo: how many LR pixels around a pixel its result depends on."""
        return 4 + 2 * self.blocks + 1 + reach(self.scale, tail=4)  # head, blocks, last


class PReLU(nn.Module):
    """ReLU with a slope for negative values that is learnt, one a channel.

    Source: He et al., 2015, arXiv 1502.01852. torch's own is exported with a Reshape of
    the slopes, which has no place in a network of convolutions.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), 0.25))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, n, H, W) -> (N, n, H, W)."""
        return functional.relu(features) - self.weight * functional.relu(-features)


class Block(nn.Module):
    """`features + body(features)`, (N, n, H, W) -> (N, n, H, W)."""

    def __init__(self, config: SRResNetConfig) -> None:
        super().__init__()
        n = config.filters
        self.body = nn.Sequential(
            *_normed(config), PReLU(n), *_normed(config)
        )  # named as in the paper: 0 conv, 1 norm, 2 PReLU, 3 conv, 4 norm

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Add the body's correction to the identity path."""
        return features + self.body(features)  # type: ignore[no-any-return]


class SRResNet(Network):
    """Super-resolution by `config.scale`.

    >>> network = SRResNet(SRResNetConfig(scale=2))
    >>> network(torch.zeros(1, 3, 24, 24)).shape
    torch.Size([1, 3, 48, 48])
    """

    config: SRResNetConfig

    def __init__(self, config: SRResNetConfig) -> None:
        super().__init__()
        self.config = config
        n = config.filters
        self.head = nn.Conv2d(config.channels, n, 9, padding=4)
        self.bend = PReLU(n)
        self.body = nn.Sequential(*(Block(config) for _ in range(config.blocks)))
        self.last = nn.Sequential(*_normed(config))
        self.upsample = upsampler(n, config.scale, lambda: PReLU(n))
        self.tail = nn.Conv2d(n, config.channels, 9, padding=4)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) in [0, 1] -> (N, C, s*H, s*W), about [0, 1], not clipped."""
        features = self.bend(self.head(lr))  # (N, n, H, W)
        features = features + self.last(self.body(features))
        sr = self.tail(self.upsample(features))  # (N, C, s*H, s*W), in [-1, 1] as in the paper
        if self.config.tanh:
            sr = torch.tanh(sr)
        return 0.5 * sr + 0.5  # type: ignore[no-any-return]

    def fuse(self) -> Self:
        """Fold each batch normalisation into the convolution before it, in place."""
        for sequence in [self.last, *(m.body for m in self.body if isinstance(m, Block))]:
            for i, norm in enumerate(sequence):
                if isinstance(norm, nn.BatchNorm2d):
                    conv = sequence[i - 1]
                    assert isinstance(conv, nn.Conv2d)
                    assert norm.running_mean is not None
                    assert norm.running_var is not None
                    conv.weight, bias = fuse_conv_bn_weights(
                        conv.weight,
                        conv.bias,
                        norm.running_mean,
                        norm.running_var,
                        norm.eps,
                        norm.weight,
                        norm.bias,
                    )
                    conv.bias = bias
                    sequence[i] = nn.Identity()
        self.config = dataclasses.replace(self.config, batch_norm=False)
        return self


def _normed(config: SRResNetConfig) -> tuple[nn.Module, nn.Module]:
    """A 3x3 and its normalisation, or what stands in its place once folded."""
    n = config.filters
    norm = nn.BatchNorm2d(n) if config.batch_norm else nn.Identity()
    return nn.Conv2d(n, n, 3, padding=1), norm
