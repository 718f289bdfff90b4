"""Interpolation where a picture is a slope, put into an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from wdsr.resize import resize
from wdsr.train.smooth import between, keep_slopes

LEVEL = 1 / 255


def network(scale: int, *, mean: float | None = 0.5, after: str = "") -> onnx.ModelProto:
    """A model that repeats pixels and makes everything a level too dark."""
    channels = 3 * scale**2
    weight = np.zeros((channels, 3, 1, 1), np.float32)
    weight[np.arange(channels), np.arange(channels) // scale**2] = 1
    bias = np.full(channels, -LEVEL, np.float32)
    nodes, seen = [], "lr"
    values: dict[str, Any] = {"weight": weight, "bias": bias}
    if mean is not None:
        values["mean"] = np.float32(mean)
        nodes.append(helper.make_node("Sub", ["lr", "mean"], ["less"]))
        seen = "less"
    nodes.append(helper.make_node("Conv", [seen, "weight", "bias"], ["made"]))
    last = "sr" if mean is None and not after else "shuffled"
    nodes.append(helper.make_node("DepthToSpace", ["made"], [last], blocksize=scale, mode="CRD"))
    if mean is not None:
        plus = "plus" if after else "sr"
        nodes.append(helper.make_node("Add", ["shuffled", "mean"], [plus]))
        last = plus
    if after:
        nodes.append(helper.make_node(after, [last], ["sr"]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "y", "x"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto, lr: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    session = pytest.importorskip("onnxruntime").InferenceSession(model.SerializeToString())
    chw = lr.transpose(2, 0, 1)[None].astype(np.float32) * np.float32(LEVEL)
    sr: Any = session.run(None, {"lr": chw})[0]
    return sr[0].transpose(1, 2, 0) / LEVEL


@pytest.mark.parametrize("mean", [0.5, None])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_slopes_are_interpolated_and_nothing_else_is_touched(
    scale: int, mean: float | None
) -> None:
    model = network(scale, mean=mean)
    y, x = np.mgrid[:24, :60]
    lr = np.repeat((7 * y + 3 * x)[..., None] // 4, 3, axis=2).astype(np.uint8)
    lr[:, 40:] = np.random.default_rng(0).integers(0, 256, (24, 20, 3))
    before = run(model, lr)
    assert keep_slopes(model, scale, LEVEL)
    after = run(model, lr)
    noisy = slice(41 * scale, -2 * scale)  # what the edges see of outside is black
    np.testing.assert_allclose(after[2 * scale :, noisy], before[2 * scale :, noisy], atol=1e-3)
    inside = np.s_[3 * scale : -3 * scale, 3 * scale : 37 * scale]
    linear = resize(lr.astype(np.float32) / 255, scale=scale, kernel="linear")[inside] * 255
    np.testing.assert_allclose(after[inside], linear, atol=2e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_weights_between_pixels_add_up_and_are_at_their_places(scale: int) -> None:
    kernels = between(scale).reshape(scale, scale, 3, 3)
    np.testing.assert_allclose(kernels.sum((2, 3)), 1)
    places = (np.arange(scale) + 0.5) / scale - 0.5
    np.testing.assert_allclose((kernels * [-1, 0, 1]).sum((2, 3))[0], places, atol=1e-7)
    np.testing.assert_allclose((kernels.swapaxes(2, 3) * [-1, 0, 1]).sum((2, 3))[:, 0], places)


def test_a_network_that_ends_otherwise_is_left_alone() -> None:
    model = network(2, after="Tanh")
    before = model.SerializeToString()
    assert not keep_slopes(model, 2, LEVEL)
    assert model.SerializeToString() == before
