"""Both PyTorch layouts of the authors, and our own names without a card."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from wdsr.errors import ModelError, UsageError
from wdsr.importers import Imported, import_file

Array = NDArray[Any]
Conv = Callable[[Array, Array, Array], Array]
Agrees = Callable[..., Imported]
State = dict[str, torch.Tensor]

MEAN = np.array([0.4488, 0.4371, 0.4040])


def layer(state: State, name: str, outputs: int, inputs: int, size: int, kind: str) -> None:
    """A convolution in a state_dict, as a kind of weight normalisation names its tensors."""
    generator = torch.Generator().manual_seed(len(state))
    gain = torch.rand(outputs, 1, 1, 1, generator=generator) + 0.3
    direction = torch.randn(outputs, inputs, size, size, generator=generator)
    if kind == "old":
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) / 5
        state[f"{name}.weight_g"] = gain
        state[f"{name}.weight_v"] = direction
        return
    state[f"{name}.bias"] = torch.randn(outputs, generator=generator) / 5
    if kind == "new":
        state[f"{name}.parametrizations.weight.original0"] = gain
        state[f"{name}.parametrizations.weight.original1"] = direction
    else:
        state[f"{name}.weight"] = direction * 0.1


def kernel(state: State, name: str) -> Array:
    """A layer's filters worked out, (h, w, in, out)."""
    if f"{name}.weight" in state:
        return state[f"{name}.weight"].double().numpy().transpose(2, 3, 1, 0)
    names = (f"{name}.weight_g", f"{name}.weight_v")
    if names[0] not in state:
        names = tuple(f"{name}.parametrizations.weight.original{i}" for i in (0, 1))  # type: ignore[assignment]
    g, v = (state[n].double().numpy() for n in names)
    w = np.stack([g[i].item() * v[i] / np.sqrt(np.sum(v[i] ** 2)) for i in range(len(v))])
    return w.transpose(2, 3, 1, 0)


def shuffled(channels: Array, scale: int) -> Array:
    """PyTorch's pixel shuffle: channel (colour * s + row) * s + column."""
    height, width, count = channels.shape
    image = np.zeros((height * scale, width * scale, count // scale**2))
    for channel in range(count):
        colour, place = divmod(channel, scale * scale)
        row, column = divmod(place, scale)
        image[row::scale, column::scale, colour] = channels[..., channel]
    return image


def authors(scale: int, blocks: int, kind: str = "old", channels: int = 3) -> State:
    state: State = {}
    layer(state, "body.0", 6, channels, 3, kind)
    for block in range(1, blocks + 1):
        layer(state, f"body.{block}.body.0", 18, 6, 3, kind)
        layer(state, f"body.{block}.body.2", 6, 18, 3, kind)
    layer(state, f"body.{blocks + 1}", channels * scale**2, 6, 3, kind)
    layer(state, "skip.0", channels * scale**2, channels, 5, kind)
    return state


def authors_forward(state: State, scale: int, blocks: int, mean: float, conv: Conv) -> Any:
    def apply(name: str, x: Array) -> Array:
        return conv(x, kernel(state, name), state[f"{name}.bias"].numpy())

    def forward(image: Array) -> Array:
        x = image - mean
        y = apply("body.0", x)
        for block in range(1, blocks + 1):
            wide = np.maximum(apply(f"body.{block}.body.0", y), 0)
            y = y + apply(f"body.{block}.body.2", wide)
        return shuffled(apply(f"body.{blocks + 1}", y) + apply("skip.0", x), scale) + mean

    return forward


def authors_file(state: State, path: Path, **options: Any) -> Path:
    """As their trainer saves it, optimiser and schedule included."""
    network = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(2)).sum().backward()
    optimiser.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, (20, 25), 0.2)
    assert isinstance(schedule.state_dict()["milestones"], Counter)
    checkpoint = {
        "model_state_dict": OrderedDict(state),
        "optimizer_state_dict": optimiser.state_dict(),
        "lr_scheduler_state_dict": schedule.state_dict(),
        "epoch": 30,
    }
    torch.save(checkpoint, path, **options)
    return path


@pytest.mark.parametrize(
    ("engine", "scale", "blocks", "kind"),
    [("torch", 2, 2, "old"), ("torch", 3, 1, "new"), ("openvino", 4, 3, "old")],
)
def test_authors(
    tmp_path: Path, agrees: Agrees, conv: Conv, engine: str, scale: int, blocks: int, kind: str
) -> None:
    state = authors(scale, blocks, kind)
    path = authors_file(state, tmp_path / "epoch_30.pth")
    forward = authors_forward(state, scale, blocks, 0.5, conv)
    imported = agrees(path, forward, scale, engine)
    assert imported.layout == "the authors' PyTorch WDSR"
    assert not imported.guessed_scale
    architecture = imported.card.architecture
    assert (architecture["block"], architecture["expansion"]) == ("a", 3)
    assert (architecture["blocks"], architecture["filters"]) == (blocks, 6)
    assert imported.card.training["imported"]["file"] == "epoch_30.pth"


def test_authors_with_another_mean(tmp_path: Path, agrees: Agrees, conv: Conv) -> None:
    state = authors(2, 1)
    path = authors_file(state, tmp_path / "x.pth")
    agrees(path, authors_forward(state, 2, 1, 0.25, conv), 2, "torch", mean=(0.25,))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        agrees(path, authors_forward(state, 2, 1, 0.25, conv), 2, "torch")


def test_authors_of_before_torch_1_6_or_trained_in_parallel(tmp_path: Path) -> None:
    state = authors(2, 1)
    new = import_file(authors_file(state, tmp_path / "new.pth"))
    old = authors_file(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    parallel = authors_file({f"module.{n}": t for n, t in state.items()}, tmp_path / "p.pth")
    save_file(state, tmp_path / "x.safetensors")
    halves = authors_file({n: t.double() for n, t in state.items()}, tmp_path / "double.pth")
    for path in (old, parallel, tmp_path / "x.safetensors", halves):
        for name, weight in import_file(path).network.state_dict().items():
            torch.testing.assert_close(weight, new.network.state_dict()[name], rtol=0, atol=0)


def first_release(block: str, scale: int, blocks: int) -> State:
    state: State = {}
    layer(state, "head.0", 10, 3, 3, "old")
    for i in range(blocks):
        if block == "b":
            layer(state, f"body.{i}.body.0", 60, 10, 1, "old")
            layer(state, f"body.{i}.body.2", 8, 60, 1, "old")
            layer(state, f"body.{i}.body.3", 10, 8, 3, "old")
        else:
            layer(state, f"body.{i}.body.0", 25, 10, 3, "old")
            layer(state, f"body.{i}.body.2", 10, 25, 3, "old")
    layer(state, "tail.0", 3 * scale**2, 10, 3, "old")
    layer(state, "skip.0", 3 * scale**2, 3, 5, "old")
    return state


def first_forward(state: State, scale: int, blocks: int, res_scale: float, conv: Conv) -> Any:
    def apply(name: str, x: Array) -> Array:
        return conv(x, kernel(state, name), state[f"{name}.bias"].numpy())

    def forward(image: Array) -> Array:
        x = (image * 255 - 255 * MEAN) / 127.5
        y = apply("head.0", x)
        for i in range(blocks):
            z = apply(f"body.{i}.body.2", np.maximum(apply(f"body.{i}.body.0", y), 0))
            if f"body.{i}.body.3.bias" in state:
                z = apply(f"body.{i}.body.3", z)
            y = y + z * res_scale
        planes = apply("tail.0", y) + apply("skip.0", x)
        sr: Array = (shuffled(planes, scale) * 127.5 + 255 * MEAN) / 255
        return sr

    return forward


@pytest.mark.parametrize(
    ("engine", "block", "scale", "blocks", "res_scale"),
    [("torch", "a", 2, 2, None), ("openvino", "b", 4, 2, 0.1), ("torch", "b", 3, 1, 1)],
)
def test_first_release(
    tmp_path: Path,
    agrees: Agrees,
    conv: Conv,
    engine: str,
    block: str,
    scale: int,
    blocks: int,
    res_scale: float | None,
) -> None:
    state = first_release(block, scale, blocks)
    path = tmp_path / "model_best.pt"
    torch.save(state, path)
    forward = first_forward(state, scale, blocks, res_scale or 1, conv)
    imported = agrees(path, forward, scale, engine, residual_scale=res_scale)
    assert imported.layout == "the authors' first release"
    assert imported.guessed_scale == (res_scale is None)
    architecture = imported.card.architecture
    assert architecture["block"] == block
    assert architecture["mean"] == pytest.approx(MEAN.mean(), abs=1e-6)
    if block == "b":
        assert (architecture["expansion"], architecture["linear_ratio"]) == (6, 0.8)


@pytest.mark.parametrize("kind", ["new", "plain"])
def test_our_own_names_without_a_card(
    tmp_path: Path, agrees: Agrees, conv: Conv, kind: str
) -> None:
    state: State = {}
    names = {"body.0": "head", "body.2": "tail", "skip.0": "skip"}
    names |= {"body.1.body.0": "body.0.body.0", "body.1.body.2": "body.0.body.2"}
    theirs = authors(2, 1, kind)
    for name, tensor in theirs.items():
        old = max((n for n in names if name.startswith(f"{n}.")), key=len)
        state[names[old] + name.removeprefix(old)] = tensor
    save_file(state, tmp_path / "tiny-x2.safetensors")
    forward = authors_forward(theirs, 2, 1, 0.5, conv)
    imported = agrees(tmp_path / "tiny-x2.safetensors", forward, 2, "torch")
    assert imported.card.title == "tiny-x2"


# What does not fit


def refused(path: Path, state: State, kind: type[Exception] = ModelError, **options: Any) -> str:
    torch.save(state, path)
    with pytest.raises(kind) as caught:
        import_file(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


def test_a_mismatch_names_layers_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    state = first_release("b", 2, 2)
    state["body.1.body.2.weight_v"] = torch.ones(8, 59, 1, 1)
    state["body.1.body.0.weight_v"] = torch.ones(60, 10, 3, 3)
    message = refused(path, state)
    assert message.startswith(f"{path}: ")
    assert "body.1.body.2 weight is (8, 59, 1, 1), not (8, 60, 1, 1)" in message
    assert "body.1.body.0 weight is (60, 10, 3, 3), not (60, 10, 1, 1)" in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"head.0.bias": None}, "no 'head.0.bias'"),
        ({"body.0.body.0.weight_g": None}, "no layer body.0.body.0"),
        ({"body.0.body.2.weight_v": None}, "no 'body.0.body.2.weight_v'"),
        ({"body.5.body.0.weight_g": torch.ones(60, 1, 1, 1)}, "no layer body.2.body.0"),
        ({"extra.0.weight": torch.ones(3)}, "no such layers: extra.0.weight (3,)"),
        ({"body.0.body.5.bias": torch.ones(3)}, "no such layers: body.0.body.5.bias (3,)"),
        ({"tail.0.bias": torch.ones(11)}, "tail.0: weight (12, 10, 3, 3) and bias (11,)"),
        ({"skip.0.weight_g": torch.ones(11, 1, 1, 1)}, "skip.0: gain (11, 1, 1, 1)"),
        ({"head.0.weight_v": torch.zeros(10, 3, 3, 3)}, "head.0: a filter without length"),
        ({"head.0.weight_v": torch.ones(10, 3)}, "head.0: gain (10, 1, 1, 1) does not go with"),
        ({"head.0.bias": torch.ones(10) * torch.inf}, "head.0.bias holds NaN or infinite"),
        ({"head.0.bias": torch.ones(10, dtype=torch.int32)}, "head.0.bias holds int32"),
        ({"skip.0.weight_v": torch.ones(12, 4, 5, 5)}, "skip.0 takes 4 channels, not 3"),
        ({"tail.0.bias": torch.full((12,), 1e39, dtype=torch.float64)}, "too large for float32"),
        ({"skip.0.bias": "text"}, "skip.0.bias is no tensor"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_nothing_is_loaded_in_part(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    state: dict[str, Any] = {**first_release("b", 2, 2), **change}
    state = {name: value for name, value in state.items() if value is not None}
    assert says in refused(tmp_path / "x.pt", state)


def test_networks_we_have_not(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    assert "scale must be 2, 3, 4 or 8, not 5" in refused(path, authors(5, 1))
    burst = authors(2, 1)  # several frames in, one out
    burst["body.0.weight_v"] = torch.ones(6, 9, 3, 3)
    burst["skip.0.weight_v"] = torch.ones(12, 9, 5, 5)
    assert "12 channels from 9: no whole scale" in refused(path, burst)
    assert "no known layout (conv.weight ...)" in refused(path, {"conv.weight": torch.ones(3)})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"residual_scale": 0.1}, "in the weights"),
        ({"mean": (0.5, 0.5)}, "1 value or 3"),
        ({"mean": (127.5,)}, "from 0 to 1"),
        ({"mean": (float("nan"),)}, "from 0 to 1"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    assert says in refused(tmp_path / "x.pt", authors(2, 1), UsageError, **options)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_residual_scales_that_cannot_be(tmp_path: Path, value: float) -> None:
    state = first_release("a", 2, 1)
    assert "above 0" in refused(tmp_path / "x.pt", state, UsageError, residual_scale=value)


def test_one_channel(tmp_path: Path) -> None:
    torch.save(authors(2, 1, channels=1), tmp_path / "grey.pth")
    card = import_file(tmp_path / "grey.pth").card
    assert (card.channels, card.scale) == (1, 2)


@pytest.mark.parametrize("wide", [7, 10, 13, 59])
@pytest.mark.parametrize("low", [1, 5, 7, 8, 9])
def test_any_width_is_found_again(tmp_path: Path, wide: int, low: int) -> None:
    state = {n: t for n, t in first_release("b", 2, 0).items() if not n.startswith("body")}
    layer(state, "body.0.body.0", max(wide, 10), 10, 1, "old")
    layer(state, "body.0.body.2", low, max(wide, 10), 1, "old")
    layer(state, "body.0.body.3", 10, low, 3, "old")
    torch.save(state, tmp_path / "x.pt")
    weights = import_file(tmp_path / "x.pt").network.state_dict()
    assert weights["body.0.body.2.weight"].shape == (low, max(wide, 10), 1, 1)
