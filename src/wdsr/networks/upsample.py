"""From features at LR to features at HR, one stage at a time: a convolution, then a pixel shuffle.

Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an
Efficient Sub-Pixel Convolutional Neural Network", 2016, arXiv 1609.05158.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

# Scale -> scales of its stages, in order.
STAGES = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}


def upsampler(
    filters: int, scale: int, activation: Callable[[], nn.Module] | None = None
) -> nn.Sequential:
    """(N, n, H, W) -> (N, n, s*H, s*W), with an activation after each stage if one is given."""
    layers: list[nn.Module] = []
    for s in STAGES[scale]:
        layers += [nn.Conv2d(filters, filters * s * s, 3, padding=1), nn.PixelShuffle(s)]
        layers += [activation()] if activation else []
    return nn.Sequential(*layers)


def reach(scale: int, tail: int) -> int:
    """Halo in LR pixels of an upsampler and, after it, a convolution of `tail` HR pixels radius.

    Counted backwards from the outermost HR pixels of one LR pixel: a shuffle by s
    turns r pixels past them into ceil(r / s), and each stage's 3x3 adds one.
    """
    pixels = tail
    for s in reversed(STAGES[scale]):
        pixels = -(-pixels // s) + 1
    return pixels
