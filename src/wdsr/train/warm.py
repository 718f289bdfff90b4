"""Beginning from weights that are there: of another scale, a shipped model, or a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from wdsr.errors import TrainingError
from wdsr.networks.srresnet import PReLU
from wdsr.train import checkpoint
from wdsr.train.recipe import Recipe
from wdsr.train.trainee import averaged

_STATISTICS = ("running_mean", "running_var")  # of batch norm


def run_weights(run: Path) -> dict[str, torch.Tensor]:
    """A run's averaged weights, as `warm_start` takes them, batch norm and all.

    Raises TrainingError if the folder has no checkpoint.
    """
    state = checkpoint.newest(run)
    if state is None:
        raise TrainingError(f"{run}: no checkpoint here to begin from")
    return plain_weights(averaged(Recipe.from_dict(state["recipe"]).network, state["average"]))


def plain_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """A network's weights by name, its weight-normalised convolutions as plain ones."""
    found = {}
    for name, module in network.named_modules():
        for key in ("weight", "bias", *_STATISTICS):
            value = getattr(module, key, None)
            if isinstance(value, torch.Tensor):
                found[f"{name}.{key}"] = value.detach()
    return found


def warm_start(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Copy plain weights into a (weight-normalised) network where names and shapes fit.

    Returns the names of the network's layers that kept their initialisation.
    Raises TrainingError if nothing fits, or if the network has batch norm and the
    weights have it folded: training would normalise them once more.
    """
    kept = []
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and f"{name}.running_mean" not in weights:
            raise TrainingError(
                "warm start: these weights have no batch norm, or have it folded as model files "
                "do: begin from a run folder of this network, or set network.batch_norm to false"
            )
        if isinstance(module, nn.BatchNorm2d | PReLU):
            for key in ("weight", "bias", *_STATISTICS):
                mine, given = getattr(module, key, None), weights.get(f"{name}.{key}")
                if mine is not None and given is not None and given.shape == mine.shape:
                    mine.data.copy_(given)
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
