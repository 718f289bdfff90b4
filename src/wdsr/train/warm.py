"""Beginning from weights that are there: of another scale, or of a shipped model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from wdsr.errors import TrainingError


def warm_start(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Copy plain convolution weights into a (weight-normalised) network where names and shapes fit.

    Returns the names of the network's layers that kept their initialisation.
    Raises TrainingError if nothing fits.
    """
    kept = []
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
        if weight is None or bias is None or weight.shape != module.weight.shape:
            kept.append(name)
            continue
        with torch.no_grad():
            if is_parametrized(module):  # g = |w|; v in its direction, short as it is at the start
                g = module.get_parameter("parametrizations.weight.original0")
                v = module.get_parameter("parametrizations.weight.original1")
                length = weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                g.copy_(length)
                short = weight * (v.flatten(1).norm(dim=1).mean() / length)
                v.copy_(torch.where(length > 0, short, v))  # a zero filter has no direction
            else:
                module.weight.copy_(weight)
            assert module.bias is not None
            module.bias.copy_(bias)
    if len(kept) == sum(isinstance(m, nn.Conv2d) for m in network.modules()):
        raise TrainingError("warm start: not one layer of these weights fits this network")
    return kept
