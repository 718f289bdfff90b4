"""LPIPS and DISTS: nothing is fetched, and what is missing is said."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.functional.image.dists as torchmetrics_dists
import torchmetrics.functional.image.lpips as torchmetrics_lpips
from torch import nn

from wdsr.errors import BackendError, ModelError, UsageError
from wdsr.evaluate import perceptual

FILES = {"lpips": "alexnet-owt-7be5be79.pth", "dists": "vgg16-397923af.pth"}


def alexnet(weights: Any = None) -> Any:
    """Layers in AlexNet's order, with fixed random weights instead of the user's."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for width, kernel, stride, padding in (
        (64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)
    ):  # fmt: skip
        layers += [nn.Conv2d(channels, width, kernel, stride, padding), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if width in (64, 192) else []
        channels = width
    return types.SimpleNamespace(features=nn.Sequential(*layers))


def vgg16(weights: Any = None) -> Any:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        else:
            layers += [nn.MaxPool2d(2, 2)]
    return types.SimpleNamespace(features=nn.Sequential(*layers))


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A torchvision of these networks, and an empty folder where weights would be."""

    def place(file: str) -> Any:
        default = types.SimpleNamespace(url=f"https://download.example/models/{file}")
        return types.SimpleNamespace(DEFAULT=default)

    models = types.ModuleType("torchvision.models")
    weights = {"AlexNet_Weights": place(FILES["lpips"]), "VGG16_Weights": place(FILES["dists"])}
    models.__dict__.update(weights, alexnet=alexnet, vgg16=vgg16)
    package = types.ModuleType("torchvision")
    package.__dict__.update(models=models, __path__=[])
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name == "torchvision" or find(name)
    )
    for module in (torchmetrics_lpips, torchmetrics_dists):
        monkeypatch.setattr(module, "_TORCHVISION_AVAILABLE", True)
    for kind in ("torchmetrics.image.lpip", "torchmetrics.image.dists"):
        module = importlib.import_module(kind)
        monkeypatch.setattr(module, "_TORCHVISION_AVAILABLE", True, raising=False)
    monkeypatch.setattr(torchmetrics_dists, "vgg16", vgg16, raising=False)
    monkeypatch.setattr(
        torchmetrics_dists, "VGG16_Weights", weights["VGG16_Weights"], raising=False
    )
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", forbidden)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def forbidden(*arguments: Any, **options: Any) -> None:
    raise AssertionError("something was about to be fetched")


def pictures() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    hr = rng.integers(0, 256, (80, 96, 3), dtype=np.uint8)
    return np.clip(hr.astype(int) + rng.integers(-30, 30, hr.shape), 0, 255).astype(np.uint8), hr


@pytest.mark.parametrize("name", perceptual.NAMES)
def test_weights_that_are_not_there_are_asked_for(torchvision: Path, name: str) -> None:
    with pytest.raises(ModelError) as error:
        perceptual.create(name)
    message = str(error.value)
    assert FILES[name] in message
    assert f"https://download.example/models/{FILES[name]}" in message
    assert str(torchvision) in message
    assert "does not fetch" in message


@pytest.mark.parametrize("name", perceptual.NAMES)
def test_what_is_scored(torchvision: Path, name: str) -> None:
    (torchvision / FILES[name]).touch()
    metric = perceptual.create(name)
    sr, hr = pictures()
    assert metric(hr, hr) == pytest.approx(0, abs=1e-5)
    score = metric(sr, hr)
    assert 1e-4 < score < 1
    assert metric(sr, hr) == pytest.approx(score, abs=1e-6)  # no memory of earlier pictures
    x, y = (torch.from_numpy(a.transpose(2, 0, 1)[None].copy()).float() / 255 for a in (sr, hr))
    if name == "lpips":  # by its own function, RGB from 0 to 1
        expected = torchmetrics_lpips.learned_perceptual_image_patch_similarity(
            x, y, net_type="alex", normalize=True
        )
    else:
        expected = torchmetrics_dists.deep_image_structure_and_texture_similarity(x, y)
    assert score == pytest.approx(float(expected.detach().squeeze()), abs=1e-6)


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no metric 'nix': choose lpips or dists"):
        perceptual.create("nix")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"pip install 'wdsr\[perceptual\]'"):
        perceptual.create("lpips")


def test_a_torchvision_for_another_torch(
    torchvision: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = importlib.import_module

    def broken(name: str) -> Any:
        if name == "torchvision.models":
            raise RuntimeError("operator torchvision::nms does not exist\nand more")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(
        BackendError, match=r"does not fit this torch \(operator .* exist\); install"
    ):
        perceptual.create("dists")
