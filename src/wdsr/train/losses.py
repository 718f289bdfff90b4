"""Losses: plain functions of (sr, hr), float32 (N, C, H, W) in [0, 1], to a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from wdsr.errors import UsageError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


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


LOSSES: dict[str, Loss] = {"l1": l1, "mse": mse, "charbonnier": charbonnier, "frequency": frequency}


def weighted(weights: dict[str, float]) -> Loss:
    """The sum of named losses, each times its weight. Raises UsageError for unknown names."""
    unknown = [name for name in weights if name not in LOSSES]
    if unknown or not weights:
        raise UsageError(
            f"losses must be some of {', '.join(LOSSES)}, not {', '.join(unknown) or 'none at all'}"
        )
    terms = [(LOSSES[name], weight) for name, weight in weights.items()]

    def total(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        return torch.stack([weight * loss(sr, hr) for loss, weight in terms]).sum()

    return total
