"""Smooth slopes stay smooth in int8: there, the network's answer gives way to interpolation.

On a slope of a level or two per pixel, the grain of 8-bit sums is as large as the steps
between pixels of the result, some of which then fall where they should rise. Whether there
is anything but a slope around a pixel, two differences of neighbours tell; if there is not,
linear interpolation between four pixels is right, and rises wherever the picture does.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Kernels = NDArray[np.float32]  # (out, in, 3, 3)


def keep_slopes(model: onnx.ModelProto, scale: int, level: float) -> bool:
    """Put interpolation in front of the pixel shuffle, chosen where a picture is a slope.

    model: ONNX of a network that ends with its pixel shuffle, and perhaps an addition; is
    changed. level: what a level of 8 bits is worth in the network's input.

    Returns whether it could be done.
    """
    graph = model.graph
    shuffles = [one for one in graph.node if one.op_type == "DepthToSpace"]
    ends = [one for one in graph.node if graph.output[0].name in one.output]
    if len(shuffles) != 1 or not {*shuffles[0].output} & {*ends[0].input, *ends[0].output}:
        return False
    seen = graph.input[0].name
    for first in graph.node:  # less the mean, which the result gets back after the shuffle
        if first.op_type == "Sub" and first.input[0] == seen and first.input[1] in ends[0].input:
            seen = first.output[0]
    made = shuffles[0].input[0]
    channels = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    constants = {
        "bends.weight": _alike(bends() / np.float32(level), channels),
        "bends.most": np.float32(1.5),
        "near.weight": np.full((1, 2 * channels, 3, 3), 2, np.float32),
        "between.weight": _alike(between(scale), channels),
        "none": np.float32(0),
        "all": np.float32(1),
    }
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    node = helper.make_node  # only operators that `wdsr.graph` trusts
    nodes = [
        _conv(seen, "bends"),
        node("Abs", ["bends"], ["bends.size"]),
        node("Sub", ["bends.size", "bends.most"], ["bends.less"]),
        node("Relu", ["bends.less"], ["bends.rest"]),  # 0, or 0.5 and more
        _conv("bends.rest", "near"),
        node("Clip", ["near", "none", "all"], ["rough"]),
        node("Sub", ["all", "rough"], ["slope"]),
        _conv(seen, "between"),
        node("Mul", ["between", "slope"], ["of_slopes"]),
        node("Mul", [made, "rough"], ["of_network"]),
        node("Add", ["of_slopes", "of_network"], ["with_slopes"]),
    ]
    shuffles[0].input[0] = "with_slopes"
    at = list(graph.node).index(shuffles[0])
    for new in reversed(nodes):
        graph.node.insert(at, new)
    return True


def bends() -> Kernels:
    """How much a slope changes from one pixel to the next, across and down: (2, 3, 3).

    On a slope that is rounded to whole levels: -1, 0 or 1.
    """
    kernels = np.zeros((2, 3, 3), np.float32)
    kernels[0, 1] = kernels[1, :, 1] = 1, -2, 1
    return kernels


def between(scale: int) -> Kernels:
    """Linear interpolation to each of the `scale` x `scale` places in a pixel, row by row."""
    centres = (np.arange(scale) + 0.5) / scale - 0.5  # from the pixel's own, in pixels
    weights = np.maximum(0, 1 - np.abs(np.arange(-1, 2) - centres[:, None]))
    both: NDArray[np.float64] = weights[:, None, :, None] * weights[None, :, None, :]
    return both.reshape(-1, 3, 3).astype(np.float32)


def _alike(kernels: Kernels, channels: int) -> Kernels:
    """The same kernels for every channel, which sees no other; dense, as engines like it."""
    spread = np.zeros((channels, len(kernels), channels, 3, 3), np.float32)
    for channel in range(channels):
        spread[channel, :, channel] = kernels
    return spread.reshape(-1, channels, 3, 3)


def _conv(source: str, name: str) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, f"{name}.weight"], [name], name=name, pads=[1] * 4)
