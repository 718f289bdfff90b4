"""Perceptual losses against plain transcriptions; weights are made here, none are fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from wdsr.errors import TrainingError
from wdsr.train import perceptual
from wdsr.train.perceptual import FILES, LOSSES, VGG, content, lpips, read_vgg

State = dict[str, torch.Tensor]


def random_weights(depth: int, last: tuple[int, int]) -> State:
    torch.manual_seed(depth)
    state = VGG(depth, last).state_dict()
    return {**state, "classifier.0.weight": torch.zeros(2, 2)}  # which nobody needs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    torch.save(random_weights(19, (5, 4)), folder / FILES[19])
    torch.save(random_weights(16, (5, 3)), folder / FILES[16])
    return folder


def pair(seed: int = 0, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.rand(2, 3, size, size), torch.rand(2, 3, size, size)


def convolve(state: State, index: int, x: torch.Tensor) -> torch.Tensor:
    weight, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
    return functional.conv2d(x, weight, bias, padding=1).clamp(min=0)


def test_layers_are_where_torchvision_has_them() -> None:
    """Convolutions of VGG19 by their place in its `features`; every ReLU, every pool counted."""
    names = [name for name in VGG(19, (5, 4)).state_dict() if name.endswith("weight")]
    places = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert names == [f"features.{place}.weight" for place in places]
    names = [name for name in VGG(16, (5, 3)).state_dict() if name.endswith("weight")]
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert names == [f"features.{place}.weight" for place in places]
    assert sum(p.numel() for p in VGG(19, (5, 4)).parameters()) == 20_024_384  # known


def test_content_is_the_formula(folder: Path) -> None:
    sr, hr = pair()
    state = torch.load(folder / FILES[19], weights_only=True)

    def features(x: torch.Tensor) -> torch.Tensor:
        x = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]
        ).view(3, 1, 1)
        x = functional.max_pool2d(convolve(state, 2, convolve(state, 0, x)), 2)
        return convolve(state, 7, convolve(state, 5, x))  # block 2, convolution 2, after its ReLU

    expected = (features(sr) / 12.75 - features(hr) / 12.75).square().mean()
    torch.testing.assert_close(content(2, 2, folder)(sr, hr), expected)


def test_lpips_is_the_formula(folder: Path) -> None:
    sr, hr = pair(3)
    state = torch.load(folder / FILES[16], weights_only=True)
    weights = perceptual._judgement()
    blocks = [[0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28]]

    def features(x: torch.Tensor) -> list[torch.Tensor]:
        x = 2 * x - 1
        x = (x - torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)) / torch.tensor(
            [0.458, 0.448, 0.450]
        ).view(3, 1, 1)
        found = []
        for number, block in enumerate(blocks):
            x = functional.max_pool2d(x, 2) if number else x
            for index in block:
                x = convolve(state, index, x)
            found.append(x / (x.norm(dim=1, keepdim=True) + 1e-10))
        return found

    expected = torch.zeros(())
    for weight, a, b in zip(weights, features(sr), features(hr), strict=True):
        expected += functional.conv2d((a - b) ** 2, weight).mean(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(lpips(folder)(sr, hr), expected, rtol=1e-3, atol=1e-6)
    assert all((weight >= 0).all() for weight in weights)  # a distance needs that


@pytest.mark.parametrize("name", LOSSES)
def test_distances(name: str, folder: Path) -> None:
    loss = LOSSES[name](folder)
    sr, hr = pair(1)
    assert float(loss(hr, hr)) == 0
    assert float(loss(sr, hr)) > 0
    torch.testing.assert_close(loss(sr, hr), loss(hr, sr))
    near = hr + 0.02 * (sr - hr)
    assert float(loss(near, hr)) < float(loss(sr, hr))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_reach_the_picture_and_nothing_else(name: str, folder: Path) -> None:
    sr, hr = pair(2)
    sr.requires_grad_()
    hr.requires_grad_()
    torch.autograd.backward(LOSSES[name](folder)(sr, hr))
    assert sr.grad is not None
    assert sr.grad.abs().max() > 0
    assert hr.grad is None
    assert not any(p.requires_grad for p in read_vgg(19, (2, 2), folder).parameters())


@pytest.mark.parametrize("name", LOSSES)
def test_missing_weights_are_one_line_with_the_way_to_get_them(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"no weights of VGG1\d here.*torchvision.*--pretrained"
    ):
        LOSSES[name](tmp_path)


def test_the_cache_is_where_they_are_looked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(TrainingError, match=str(tmp_path)):
        content(2, 2)
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / FILES[19]).symlink_to(folder / FILES[19])
    sr, hr = pair()
    assert content(2, 2)(sr, hr) == content(2, 2, folder)(sr, hr)


@pytest.mark.parametrize("damage", ["text", "torn", "other", "shape"])
def test_damaged_weights_are_one_line(damage: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / FILES[19]
    state = random_weights(19, (2, 2))
    if damage == "text":
        path.write_text("I am a letter.")
    elif damage == "torn":
        path.write_bytes((folder / FILES[19]).read_bytes()[:100_000])
    elif damage == "other":
        torch.save({"features.0.weight": state["features.0.weight"]}, path)
    else:
        torch.save({**state, "features.5.bias": torch.zeros(3)}, path)
    with pytest.raises(TrainingError, match=r"vgg19.*damaged, or not the weights") as caught:
        content(2, 2, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="VGG16 has no layer"):
        VGG(16, (5, 4))
