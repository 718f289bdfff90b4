"""How fast this machine multiplies matrices, and how long a network would take at that rate."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import onnx

from wdsr.backends.openvino import ops, ov
from wdsr.zoo import Model

SIZE = 2048  # of the square matrices
LANES = 8  # channels are padded to this many (the least that processors compute at once)


@dataclass(frozen=True)
class Layer:
    """A convolution: multiply-adds for each LR pixel, and whether its inputs are int8."""

    name: str
    macs: int
    padded: int  # with channels rounded up to LANES
    int8: bool


def gemm_rates(threads: int, rounds: int = 5) -> dict[str, float]:
    """GOP/s of matrix products in each precision that the engine computes natively, by itself."""
    kinds = ["float32", "int8"]
    if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        kinds.insert(1, "bf16")
    return {kind: _gemm_rate(kind, threads, rounds) for kind in kinds}


def _gemm_rate(kind: str, threads: int, rounds: int) -> float:
    rng = np.random.default_rng(0)
    left = ops.parameter([SIZE, SIZE], np.float32)
    right = ops.constant(rng.integers(-63, 64, (SIZE, SIZE)).astype(np.float32))
    a, b = left, right
    if kind == "int8":
        a = ops.fake_quantize(
            left, np.float32(0), np.float32(255), np.float32(0), np.float32(255), 256
        )
        low, high = np.float32(-128), np.float32(127)
        b = ops.fake_quantize(right, low, high, low, high, 256)
    model = ov.Model([ops.matmul(a, b, False, True)], [left], "gemm")
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if kind == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    values = rng.integers(0, 256, (SIZE, SIZE)).astype(np.float32)
    best = float("inf")
    for _ in range(rounds + 1):
        began = time.perf_counter()
        request.infer([values], share_inputs=True, share_outputs=True)
        best = min(best, time.perf_counter() - began)
    return 2 * SIZE**3 / best / 1e9


def layers(model: Model) -> list[Layer]:
    """The convolutions of a model file, float32 or quantised."""
    graph = onnx.load_model_from_string(model.onnx).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    found = []
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        weight = node.input[1]
        quantised = weight in makers
        if quantised:
            weight = makers[weight].input[0]
        out, into, height, width = shapes[weight]
        up = [-(-n // LANES) * LANES for n in (out, into)]
        taps = height * width
        found.append(Layer(node.name, out * into * taps, up[0] * up[1] * taps, quantised))
    return found


def roofline(model: Model, rates: dict[str, float], precision: str) -> float:
    """LR pixels a second if every layer ran at the matrix rate of its own precision."""
    low = "float32" if precision == "int8" else precision
    seconds = sum(
        2 * layer.padded / (rates["int8" if layer.int8 else low] * 1e9) for layer in layers(model)
    )
    return 1 / seconds
