"""What tests of engines need: models, inputs, and one that only repeats pixels."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from wdsr import backends, zoo
from wdsr.backends import Backend, Batch
from wdsr.card import METADATA_KEY, ModelCard, read_card
from wdsr.errors import WdsrError
from wdsr.zoo import Model

MODELS = zoo.shipped()
ENGINES = backends.installed()

each_engine = pytest.mark.parametrize("engine", ENGINES)


def golden(model: Model) -> tuple[Batch, Batch]:
    with np.load(io.BytesIO(zoo.golden_tile(model.card.title))) as tile:
        return tile["lr"], tile["sr"]


def float32(engine: str, model: Model, threads: int | None = None) -> Backend:
    return backends.create(engine, model, precision="float32", threads=threads)


def noise(height: int, width: int, seed: int = 0) -> Batch:
    return np.random.default_rng(seed).random((1, 3, height, width), np.float32)


def fails(kind: type[WdsrError], call: Callable[[], object], match: str | None = None) -> str:
    """The one line with which a call fails."""
    with pytest.raises(kind, match=match) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


def nearest(low: float, high: float, scale: int = 2) -> Model:
    """A WDSR network that repeats each pixel: only the middle of its 5x5 skip is not 0."""
    out = 3 * scale**2
    skip = np.zeros((out, 3, 5, 5), np.float32)
    skip[np.arange(out), np.arange(out) // scale**2, 2, 2] = 1
    weights = {
        "head.weight": np.zeros((1, 3, 3, 3), np.float32),
        "head.bias": np.zeros(1, np.float32),
        "tail.weight": np.zeros((out, 1, 3, 3), np.float32),
        "tail.bias": np.zeros(out, np.float32),
        "skip.weight": skip,
        "skip.bias": np.zeros(out, np.float32),
    }

    def conv(name: str, source: str, pad: int) -> Any:
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return helper.make_node("Conv", inputs, [name], pads=[pad] * 4)

    nodes = [
        conv("head", "lr", 1),
        conv("tail", "head", 1),
        conv("skip", "lr", 2),
        helper.make_node("Add", ["skip", "tail"], ["planes"]),
        helper.make_node("DepthToSpace", ["planes"], ["sr"], blocksize=scale, mode="CRD"),
    ]
    lr = helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", 3, "h", "w"])
    sr = helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "H", "W"])
    initialisers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "nearest", [lr], [sr], initialisers)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    architecture = {
        "family": "wdsr", "block": "b", "scale": scale, "filters": 1, "blocks": 0,
        "linear_ratio": 1, "mean": 0.0,
    }  # fmt: skip
    card = ModelCard("nearest", scale, 2, architecture, value_range=(low, high))
    helper.set_model_props(file, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(file, full_check=True)
    content = file.SerializeToString()
    return Model(read_card(content, "nearest"), content, "nearest.onnx")
