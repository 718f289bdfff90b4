"""Losses: plain functions of (sr, hr), float32 (N, C, H, W) in [0, 1], to a scalar.

Those that need a classifier's weights are in `perceptual`, those of a game in `gan`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from wdsr.errors import UsageError
from wdsr.train import perceptual

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# BT.601 weights of R, G and B, over their sum: what a Y-PSNR looks at.
_LUMA = (65.481 / 219, 128.553 / 219, 24.966 / 219)


def l1(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean absolute error (MAE)."""
    return functional.l1_loss(sr, hr)


def mse(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean squared error: what PSNR measures; smoother, slower to start."""
    return functional.mse_loss(sr, hr)


def charbonnier(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """A smooth L1: sqrt(d^2 + 1e-6). Source: Lai et al., LapSRN, 2017."""
    return torch.sqrt((sr - hr) ** 2 + 1e-6).mean()


def frequency(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """L1 between the orthonormal 2-D Fourier transforms. Source: Cho et al., MIMO-UNet, 2021."""
    difference = torch.fft.rfft2(sr - hr, norm="ortho")
    return torch.view_as_real(difference).abs().mean()


def luma(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of the BT.601 luma, (N, 3, H, W) only."""
    return _luma_difference(sr, hr).abs().mean()


def luma_mse(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the BT.601 luma, (N, 3, H, W) only: what a Y-PSNR measures."""
    return _luma_difference(sr, hr).square().mean()


def psnr(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Minus the mean over the pictures of their PSNR in dB, over RGB and luma: (N, 3, H, W) only.

    A picture counts by how many dB it can gain, so clean ones are not drowned by damaged ones.
    Above 40 dB it counts ever less: flat patches have no detail to teach.
    Source: Chen et al., NAFNet, 2022 (the logarithm); the floor is ours.
    """
    colour = (sr - hr).square().mean(dim=(1, 2, 3))
    grey = _luma_difference(sr, hr).square().mean(dim=(1, 2))
    return 10 * torch.log10((colour + grey) / 2 + 1e-4).mean()


def total_variation(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbours in SR, whatever HR is: flat is best.

    Source: Rudin et al., 1992, in the anisotropic form.
    """
    down, right = sr.diff(dim=2), sr.diff(dim=3)
    return down.abs().mean() + right.abs().mean()


def _luma_difference(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    red, green, blue = (sr - hr).unbind(1)  # (N, 3, H, W) -> 3 x (N, H, W)
    return red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]


LOSSES: dict[str, Loss] = {
    "l1": l1,
    "mse": mse,
    "charbonnier": charbonnier,
    "frequency": frequency,
    "luma": luma,
    "luma_mse": luma_mse,
    "psnr": psnr,
    "total_variation": total_variation,
}
KNOWN = (*LOSSES, *perceptual.LOSSES)
COLOUR_LOSSES = {"luma", "luma_mse", "psnr", *perceptual.LOSSES}  # need red, green and blue


def weighted(weights: dict[str, float], pretrained: Path | None = None) -> Loss:
    """The sum of named losses, each times its weight.

    pretrained: the folder with a classifier's weights, for those of `perceptual`.
    Raises UsageError for unknown names, TrainingError if such weights are not there.
    """
    unknown = [name for name in weights if name not in KNOWN]
    if unknown:
        raise UsageError(f"losses must be some of {', '.join(KNOWN)}, not {', '.join(unknown)}")
    terms = [
        (LOSSES[name] if name in LOSSES else perceptual.LOSSES[name](pretrained), weight)
        for name, weight in weights.items()
        if weight
    ]

    def total(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        values = [weight * loss(sr, hr) for loss, weight in terms]
        return torch.stack(values).sum() if values else sr.new_zeros(())

    return total
