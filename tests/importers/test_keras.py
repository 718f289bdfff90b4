"""The Keras files: built as `save_weights` of TensorFlow 2.0 lays them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from wdsr.errors import ModelError
from wdsr.importers import Imported, import_file

Array = NDArray[Any]
Conv = Callable[[Array, Array, Array], Array]
Agrees = Callable[..., Imported]
Layers = dict[str, dict[str, Array]]  # layer -> weight -> values, in the file's order

MEAN = np.array([0.4488, 0.4371, 0.4040]) * 255


def write(path: Path, layers: Layers, *, whole: bool = False) -> Path:
    """Layers without weights are in `layer_names` too, as Keras has it."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole else file
        root.attrs["layer_names"] = [b"input_1", b"lambda", *(n.encode() for n in layers), b"add"]
        root.attrs["backend"] = b"tensorflow"
        root.attrs["keras_version"] = b"2.2.4-tf"
        for name in ("input_1", "lambda", "add"):
            root.create_group(name).attrs["weight_names"] = np.zeros(0)
        for name, weights in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{w}:0".encode() for w in weights]
            for weight, values in weights.items():
                group.create_dataset(f"{name}/{weight}:0", data=values)
    return path


def normed(layers: Layers, outputs: int, inputs: int, size: int, initialized: bool = True) -> None:
    number = len(layers)
    rng = np.random.default_rng(number)
    # A second model of one session goes on counting, so the first number may be any.
    layers[f"weight_normalization_{number + 7}"] = {
        "g": rng.random(outputs, np.float32) + np.float32(0.3),
        "kernel": rng.standard_normal((size, size, inputs, outputs), np.float32) * np.float32(0.2),
        "bias": rng.standard_normal(outputs, np.float32) / np.float32(5),
        "initialized": np.asarray(initialized),
    }


def depth_to_space(channels: Array, scale: int) -> Array:
    """TensorFlow's: channel (row * s + column) * colours + colour."""
    height, width, count = channels.shape
    colours = count // scale**2
    cells = channels.reshape(height, width, scale, scale, colours)
    return cells.transpose(0, 2, 1, 3, 4).reshape(height * scale, width * scale, colours)


def wdsr(block: str, scale: int, blocks: int, *, skip_first: bool, n: int = 10) -> Layers:
    layers: Layers = {}
    normed(layers, n, 3, 3)
    for _ in range(blocks):
        if block == "a":
            normed(layers, n * 4, n, 3)
            normed(layers, n, n * 4, 3)
        else:
            normed(layers, n * 6, n, 1)
            normed(layers, int(n * 0.8), n * 6, 1)
            normed(layers, n, int(n * 0.8), 3)
    # Main and skip end at one depth: Keras may list them either way round.
    ends = [(3 * scale**2, 3, 5), (3 * scale**2, n, 3)]
    for end in ends if skip_first else reversed(ends):
        normed(layers, *end)
    return layers


def wdsr_forward(
    layers: Layers, block: str, scale: int, scaling: float | None, conv: Conv, mean: Array = MEAN
) -> Any:
    def apply(layer: dict[str, Array], x: Array) -> Array:
        v = layer["kernel"].astype(np.float64)
        kernel = v
        if layer["initialized"]:
            kernel = layer["g"] * v / np.sqrt(np.sum(v * v, axis=(0, 1, 2)))
        return conv(x, kernel, layer["bias"])

    def forward(image: Array) -> Array:
        convs = list(layers.values())
        x = (image * 255 - mean) / 127.5
        (skip,) = (layer for layer in convs if layer["kernel"].shape[0] == 5)
        main = [layer for layer in convs if layer["kernel"].shape[0] != 5]
        m = apply(main[0], x)
        each = 2 if block == "a" else 3
        for start in range(1, len(main) - 1, each):
            y = np.maximum(apply(main[start], m), 0)
            for layer in main[start + 1 : start + each]:
                y = apply(layer, y)
            m = m + (y * scaling if scaling else y)
        s = depth_to_space(apply(skip, x), scale)
        x = depth_to_space(apply(main[-1], m), scale) + s
        sr: Array = (x * 127.5 + mean) / 255
        return sr

    return forward


@pytest.mark.parametrize(
    ("engine", "block", "scale", "blocks", "scaling", "skip_first"),
    [
        ("openvino", "b", 4, 2, None, True),
        ("torch", "b", 2, 1, 0.2, False),
        ("torch", "a", 3, 2, None, True),
        ("torch", "a", 4, 1, 1.0, False),
    ],
)
def test_wdsr(
    tmp_path: Path,
    agrees: Agrees,
    conv: Conv,
    engine: str,
    block: str,
    scale: int,
    blocks: int,
    scaling: float | None,
    skip_first: bool,
) -> None:
    layers = wdsr(block, scale, blocks, skip_first=skip_first)
    path = write(tmp_path / "weights.h5", layers)
    forward = wdsr_forward(layers, block, scale, scaling, conv)
    imported = agrees(path, forward, scale, engine, residual_scale=scaling)
    assert imported.layout == "Keras WDSR"
    assert imported.guessed_scale == (scaling is None)
    architecture = imported.card.architecture
    assert (architecture["block"], architecture["blocks"]) == (block, blocks)
    assert architecture["expansion"] == {"a": 4, "b": 6}[block]


def test_the_pretrained_size_is_recognised(tmp_path: Path) -> None:
    """wdsr-b-32-x4, of which only the layout is known here: 606,992 parameters once fused."""
    layers = wdsr("b", 4, 32, skip_first=False, n=32)
    card = import_file(write(tmp_path / "wdsr-b-32-x4.h5", layers)).card
    assert card.parameters == 606_992
    assert card.title == "wdsr-b-32-x4"
    assert card.architecture["linear_ratio"] == 0.8


def test_a_layer_that_was_never_run_has_no_gain_yet(
    tmp_path: Path, agrees: Agrees, conv: Conv
) -> None:
    layers = wdsr("b", 2, 1, skip_first=False)
    for layer in layers.values():
        layer["initialized"] = np.asarray(False)
        layer["g"][:] = 1
    path = write(tmp_path / "weights.h5", layers)
    agrees(path, wdsr_forward(layers, "b", 2, None, conv), 2, "torch")


def test_a_whole_model_and_another_mean(tmp_path: Path, agrees: Agrees, conv: Conv) -> None:
    layers = wdsr("a", 2, 1, skip_first=True)
    path = write(tmp_path / "model.h5", layers, whole=True)
    grey = np.full(3, 127.5)
    agrees(path, wdsr_forward(layers, "a", 2, None, conv, grey), 2, "torch", mean=(0.5,))


def edsr(scale: int, blocks: int, n: int = 6) -> Layers:
    layers: Layers = {}

    def plain(outputs: int, inputs: int, name: str = "") -> None:
        rng = np.random.default_rng(len(layers))
        kernel = rng.standard_normal((3, 3, inputs, outputs), np.float32)
        layers[name or f"conv2d_{len(layers) + 3}"] = {
            "kernel": kernel / np.float32(np.sqrt(9 * inputs)),
            "bias": rng.standard_normal(outputs, np.float32) / np.float32(5),
        }

    plain(n, 3)
    for _ in range(2 * blocks + 1):
        plain(n, n)
    for number, s in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale], 1):
        plain(n * s * s, n, f"conv2d_{number}_scale_{s}")
    plain(3, n)
    return layers


def edsr_forward(layers: Layers, scale: int, blocks: int, scaling: float | None, conv: Conv) -> Any:
    def forward(image: Array) -> Array:
        convs = iter(layers.values())

        def apply(x: Array) -> Array:
            layer = next(convs)
            return conv(x, layer["kernel"].astype(np.float64), layer["bias"])

        x = b = apply((image * 255 - MEAN) / 127.5)
        for _ in range(blocks):
            y = apply(np.maximum(apply(b), 0))
            b = b + (y * scaling if scaling else y)
        x = x + apply(b)
        for s in {2: [2], 3: [3], 4: [2, 2]}[scale]:
            x = depth_to_space(apply(x), s)
        sr: Array = (apply(x) * 127.5 + MEAN) / 255
        return sr

    return forward


@pytest.mark.parametrize(
    ("engine", "scale", "blocks", "scaling"),
    [("torch", 2, 1, None), ("torch", 3, 2, 0.1), ("openvino", 4, 2, None), ("torch", 4, 0, None)],
)
def test_edsr(
    tmp_path: Path,
    agrees: Agrees,
    conv: Conv,
    engine: str,
    scale: int,
    blocks: int,
    scaling: float | None,
) -> None:
    layers = edsr(scale, blocks)
    path = write(tmp_path / "edsr.h5", layers)
    forward = edsr_forward(layers, scale, blocks, scaling, conv)
    imported = agrees(path, forward, scale, engine, residual_scale=scaling)
    assert imported.layout == "Keras EDSR"
    assert imported.card.architecture["family"] == "edsr"
    assert imported.card.architecture["blocks"] == blocks


def test_the_edsr_baseline_is_recognised(tmp_path: Path) -> None:
    card = import_file(write(tmp_path / "x.h5", edsr(4, 16, n=64))).card
    assert card.parameters == 1_517_571  # published as 1.52M


# What does not fit


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        import_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 700
    return message


def test_a_mismatch_names_layers_and_shapes(tmp_path: Path) -> None:
    layers = wdsr("b", 2, 2, skip_first=False)
    names = list(layers)
    layers[names[5]]["kernel"] = np.ones((1, 1, 59, 8), np.float32)
    message = refused(write(tmp_path / "x.h5", layers))
    assert f"{names[5]} weight is (8, 59, 1, 1), not (8, 60, 1, 1)" in message


@pytest.mark.parametrize(
    ("layer", "weight", "values", "says"),
    [
        (3, "bias", None, "has no 'weight_normalization_10.bias'"),
        (3, "g", None, "has no 'weight_normalization_10.g'"),
        (3, "g", np.ones(11), "gain (11,) does not go with"),
        (3, "extra", np.ones(11), "no such layers: weight_normalization_10.extra (11,)"),
        (3, "kernel", np.zeros((3, 3, 8, 10)), "without length"),
        (3, "kernel", np.ones((9, 10)), "(9, 10) is no convolution's"),
        (0, "bias", np.full(10, np.nan), "NaN"),
        (0, "bias", np.ones(10, np.int64), "holds int64"),
        (5, "kernel", np.ones((7, 7, 3, 12)), "0 of its 6 convolutions are 5x5"),
        (5, "kernel", np.ones((5, 5, 3, 13)), "no convolution"),
    ],
)
def test_nothing_is_loaded_in_part(
    tmp_path: Path, layer: int, weight: str, values: Array | None, says: str
) -> None:
    layers = wdsr("b", 2, 1, skip_first=False)
    changed = layers[list(layers)[layer]]
    if values is None:
        del changed[weight]
    else:
        changed[weight] = values
    assert says in refused(write(tmp_path / "x.h5", layers))


@pytest.mark.parametrize("layer", range(6))
def test_a_missing_layer_is_noticed(tmp_path: Path, layer: int) -> None:
    layers = wdsr("b", 2, 1, skip_first=False)
    del layers[list(layers)[layer]]
    refused(write(tmp_path / "x.h5", layers))
