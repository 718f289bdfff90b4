"""8-bit pixels into an OpenVINO graph and out of it; and bf16 that keeps whites white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr.backends.library import ops, ov

Floats = NDArray[np.float32]


def with_levels(
    network: ov.Model, value_range: tuple[float, float], *, bf16: bool = False
) -> tuple[ov.Model, bool]:
    """The network with uint8 (N, H, W, C) in and out; rounding and clipping compiled in.

    network: float32 (N, C, H, W), of a fixed shape; is taken apart.
    bf16: prepare the convolutions that see the picture for bf16, if they can be.

    Returns the model, and whether they were prepared.
    """
    low, high = value_range
    scale = np.float32(255 / (high - low))
    black = np.float32(-low * scale)  # in levels: the network sees (level - black) / scale
    value = network.get_parameters()[0].output(0)
    n, channels, height, width = value.shape
    picture = ops.parameter([n, height, width, channels], np.uint8, name="levels")
    levels = ops.transpose(ops.convert(picture, "f32"), np.array([0, 3, 1, 2]))
    prepared = bf16 and _prepare(value, levels, scale, black)
    if not prepared:
        value.replace(ops.divide(ops.subtract(levels, black), scale).output(0))
    sr, plus, shuffle = _end(network.get_results()[0].input_value(0))
    made = ops.multiply(ops.subtract(sr, np.float32(low - plus)), scale)
    made = ops.convert(ops.clamp(ops.round(made, "half_to_even"), 0.0, 255.0), "u8")
    if shuffle > 1:
        made = ops.depth_to_space(made, "depth_first", shuffle)
    made = ops.transpose(made, np.array([0, 2, 3, 1]))
    return ov.Model([made], [picture], "levels"), prepared


def _end(sr: Any) -> tuple[Any, float, int]:
    """What comes before a final pixel shuffle, what is added after it, and its scale.

    So that the shuffle can be left for the end, where it moves bytes and not floats. If
    the network ends otherwise: its result, 0, and 1.
    """
    before, plus = sr.get_node(), 0.0
    if before.get_type_name() == "Add":
        constant = before.input_value(1).get_node()
        if constant.get_type_name() == "Constant" and constant.get_data().size == 1:
            before, plus = before.input_value(0).get_node(), constant.get_data().item()
    if before.get_type_name() == "DepthToSpace":
        facts = before.get_attributes()
        if facts["mode"] == "depth_first":
            return before.input_value(0), plus, facts["block_size"]
    return sr, 0.0, 1


def _prepare(value: Any, levels: Any, scale: np.float32, black: np.float32) -> bool:
    """Let the convolutions that see the picture read whole levels, which bf16 holds exactly.

    With its 8 bits, (level - mean) / 255 would be half a level off, and so would be the
    branch that makes the base image. What the mean has of a fraction comes in by a plane
    of ones, so that the zeros around a picture still stand for the mean. False, and nothing
    is changed, if something else than convolutions, or a mean and convolutions, sees it.
    """
    mean: Floats = np.zeros((1, 1, 1, 1), np.float32)
    users = [port.get_node() for port in value.get_target_inputs()]
    if len(users) == 1 and users[0].get_type_name() == "Subtract":
        by = users[0].input_value(1).get_node()
        if by.get_type_name() != "Constant":
            return False
        mean = by.get_data()
        users = [port.get_node() for port in users[0].output(0).get_target_inputs()]
    for user in users:
        if user.get_type_name() != "Convolution":
            return False
        if user.input_value(1).get_node().get_type_name() != "Constant":
            return False
    n, channels, height, width = value.shape
    zero = np.broadcast_to(mean * scale + black, (1, channels, 1, 1))  # the level that means 0
    whole = np.round(zero)
    ones = np.ones((n, 1, height, width), np.float32)
    seen = ops.concat([ops.subtract(levels, whole), ones], 1)
    for user in users:
        for_level = user.input_value(1).get_node().get_data() / scale
        for_ones = (for_level * (whole - zero)).sum(1, keepdims=True)
        weights = ops.constant(rounded(np.concatenate([for_level, for_ones], 1)))
        user.input(0).replace_source_output(seen.output(0))
        user.input(1).replace_source_output(weights.output(0))
    return True


def rounded(weights: Floats) -> Floats:
    """Kernels (out, in, height, width) in bf16's numbers, each with the sum it had.

    A flat picture sees nothing but the sum, which rounding each weight to the nearest
    would change by 0.1 percent: a fifth of a level. So the largest is rounded first, what
    it lost is given to the next one, and the smallest has the finest steps.
    """
    kernels = weights.reshape(-1, weights.shape[2] * weights.shape[3]).astype(np.float32)
    rows, lost = np.arange(len(kernels)), np.zeros(len(kernels), np.float32)
    for column in np.argsort(-np.abs(kernels), axis=1).T:
        wanted = kernels[rows, column] + lost
        bits = wanted.view(np.uint32) + np.uint32(0x8000) & np.uint32(0xFFFF0000)
        kernels[rows, column] = bits.view(np.float32)
        lost = wanted - kernels[rows, column]
    return kernels.reshape(weights.shape)
