"""Losses that compare what a classifier sees in two pictures, not their pixels.

    vgg22, vgg54    mean squared distance of VGG19's features after the ReLU of the 2nd
                    convolution of its 2nd block (fine texture), or the 4th of its 5th
                    (content). Source: Ledig et al., SRGAN, 2017, arXiv 1609.04802, eq. 5.
    lpips           distance of VGG16's normalised features, weighted to agree with
                    people's judgement. Source: Zhang et al., "The Unreasonable
                    Effectiveness of Deep Features", 2018, arXiv 1801.03924.

All need a classifier's weights, half a gigabyte, that are not ours to ship. They are
looked for in a folder, by default torch's own cache, and never fetched.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from wdsr.errors import TrainingError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Depth -> file, as torchvision names it; convolutions in each block, and their features.
FILES = {16: "vgg16-397923af.pth", 19: "vgg19-dcbb9e9d.pth"}
_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_FEATURES = (64, 128, 256, 512, 512)

# What the classifiers were trained on: (x - mean) / deviation, for x in [0, 1].
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The same for LPIPS, which says it for 2x - 1 and in fewer digits.
_LPIPS_MEAN, _LPIPS_DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

# SRGAN's factor on the features. Theirs may have been of other weights than torchvision's: the
# balance with the other terms is a matter of trial.
_CONTENT_SCALE = 1 / 12.75


class VGG(nn.Module):
    """The convolutions of a VGG classifier, up to one of its layers; never trained."""

    def __init__(self, depth: int, last: tuple[int, int]) -> None:
        """last: (block, convolution) to end with, both counted from 1."""
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        self.taps: dict[int, tuple[int, int]] = {}  # index of a ReLU -> (block, convolution)
        for block, (number, outputs) in enumerate(
            zip(_CONVOLUTIONS[depth], _FEATURES, strict=True), 1
        ):
            for convolution in range(1, number + 1):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                self.taps[len(layers) - 1] = block, convolution
                inputs = outputs
                if (block, convolution) == last:
                    self.features = nn.Sequential(*layers)
                    self.requires_grad_(False)
                    return
            layers.append(nn.MaxPool2d(2))
        raise ValueError(f"VGG{depth} has no layer {last}")

    def forward(self, image: torch.Tensor) -> dict[tuple[int, int], torch.Tensor]:
        """(N, 3, H, W), normalised -> features after each ReLU, by (block, convolution)."""
        found = {}
        for i, layer in enumerate(self.features):
            image = layer(image)
            if i in self.taps:
                found[self.taps[i]] = image
        return found


def content(block: int, convolution: int, folder: Path | None = None) -> Loss:
    """Mean squared distance of VGG19's features at one layer, for (N, 3, H, W) in [0, 1].

    Raises TrainingError if the weights are not in the folder.
    """
    vgg = read_vgg(19, (block, convolution), folder)

    def loss(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        vgg.to(sr.device)
        with torch.no_grad():
            real = vgg(_normalised(hr, _MEAN, _DEVIATION))[block, convolution]
        made = vgg(_normalised(sr, _MEAN, _DEVIATION))[block, convolution]
        return functional.mse_loss(made * _CONTENT_SCALE, real * _CONTENT_SCALE)

    return loss


def lpips(folder: Path | None = None) -> Loss:
    """LPIPS, version 0.1, on VGG16: mean over the batch, for (N, 3, H, W) in [0, 1].

    Raises TrainingError if the weights are not in the folder.
    """
    vgg = read_vgg(16, (5, 3), folder)
    layers = list(zip(range(1, 6), _CONVOLUTIONS[16], strict=True))  # the last of each block
    given = _judgement()

    @functools.cache
    def weights(device: torch.device) -> list[torch.Tensor]:
        return [weight.to(device) for weight in given]

    def features(image: torch.Tensor) -> list[torch.Tensor]:
        found = vgg(_normalised(2 * image - 1, _LPIPS_MEAN, _LPIPS_DEVIATION))
        return [_unit(found[layer]) for layer in layers]

    def loss(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        vgg.to(sr.device)
        with torch.no_grad():
            real = features(hr)
        total = sr.new_zeros(())
        for weight, a, b in zip(weights(sr.device), features(sr), real, strict=True):
            squared = (a - b) ** 2  # (N, F, h, w)
            total = total + (squared * weight).sum(1).mean()
        return total

    return loss


LEAST = {"vgg22": 2, "vgg54": 16, "lpips": 16}  # pixels a side of HR that leave a feature

# Name in a recipe -> what makes the loss, given the folder with weights.
LOSSES: dict[str, Callable[[Path | None], Loss]] = {
    "vgg22": lambda folder: content(2, 2, folder),
    "vgg54": lambda folder: content(5, 4, folder),
    "lpips": lpips,
}


def read_vgg(depth: int, last: tuple[int, int], folder: Path | None = None) -> VGG:
    """A VGG with the weights in `folder`, or in torch's cache.

    Raises TrainingError, saying how to get them, if they are not there or not these.
    """
    path = (folder or Path(torch.hub.get_dir()) / "checkpoints") / FILES[depth]
    if not path.is_file():
        raise TrainingError(
            f"{path}: no weights of VGG{depth} here, and nothing is downloaded unasked: "
            f"torchvision.models.vgg{depth}(weights='IMAGENET1K_V1') fetches them, "
            "or name the folder that has them with --pretrained"
        )
    network = VGG(depth, last)
    try:
        weights = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        network.load_state_dict({name: weights[name] for name in network.state_dict()})
    except Exception as error:  # torch raises many kinds for a damaged file
        raise TrainingError(
            f"{path}: damaged, or not the weights of torchvision's VGG{depth}"
        ) from error
    return network.eval()


def _judgement() -> list[torch.Tensor]:
    """LPIPS' own weights of VGG16's features, from torchmetrics, which ships them."""
    found = importlib.util.find_spec("torchmetrics")
    path = Path(found.origin if found and found.origin else "torchmetrics").parent
    path = path / "functional" / "image" / "lpips_models" / "vgg.pth"
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        return [weights[f"lin{i}.model.1.weight"] for i in range(5)]  # (1, F, 1, 1) each
    except Exception as error:
        raise TrainingError(f"{path}: cannot read LPIPS' weights: install torchmetrics") from error


def _normalised(
    image: torch.Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> torch.Tensor:
    offset, spread = (_constant(v, image.dtype, image.device) for v in (mean, deviation))
    return (image - offset) / spread


@functools.cache  # a CUDA graph cannot hold copies to the device: its rehearsal makes them
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype, device=device)[:, None, None]


def _unit(features: torch.Tensor) -> torch.Tensor:
    """(N, F, h, w) with vectors of length 1 at each pixel."""
    return features / torch.sqrt(features.square().sum(1, keepdim=True) + 1e-8)
