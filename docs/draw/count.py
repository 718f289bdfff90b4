"""Counting on the real network, so that no drawing can disagree with the code."""

from __future__ import annotations

from torch import nn


def parameters(module: nn.Module) -> int:
    """Weights and biases, all of them."""
    return sum(p.numel() for p in module.parameters())


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """In the order of a forward pass."""
    return [m for m in module.modules() if isinstance(m, nn.Conv2d)]


def multiply_adds(module: nn.Module) -> int:
    """Per pixel of the resolution a module works at."""
    return sum(layer.weight.numel() for layer in convolutions(module))
