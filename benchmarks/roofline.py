"""How fast this machine multiplies matrices, and how long a network would take at that rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from wdsr.backends.library import ops, ov
from wdsr.processor import processor
from wdsr.zoo import Model

CHANNELS, SIDE = 512, 64  # a product of (4096, 512) and (512, 512)
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
    """A matrix product as the engine does it in networks: a 1x1 convolution, by its own clock."""
    rng = np.random.default_rng(0)
    image = ops.parameter([1, CHANNELS, SIDE, SIDE], np.float32)
    kernels = rng.integers(-63, 64, (CHANNELS, CHANNELS, 1, 1)).astype(np.float32)
    a, b = image, ops.constant(kernels)
    if kind == "int8":
        black, white, least, most = map(np.float32, (0, 255, -127, 127))
        a = ops.fake_quantize(a, black, white, black, white, 256)
        b = ops.fake_quantize(b, least, most, least, most, 255)
    product = ops.relu(ops.convolution(a, b, [1, 1], [0, 0], [0, 0], [1, 1]))
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if kind == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": str(threads),
        "PERF_COUNT": True,
    }
    model = ov.Model([product], [image], "product")
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    values = rng.integers(0, 256, (1, CHANNELS, SIDE, SIDE)).astype(np.float32)
    best = float("inf")
    for _ in range(4 * rounds):
        request.infer([values], share_inputs=True, share_outputs=True)
        # The longest step is the product; the others turn the layout and quantise.
        steps = [step.real_time.total_seconds() for step in request.get_profiling_info()]
        best = min(best, max(steps))
    return 2 * CHANNELS**2 * SIDE**2 / best / 1e9


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
    """LR pixels a second if every layer ran at the matrix rate of its own precision.

    Layers that an int8 model keeps in float run in bf16 where the processor does that well.
    """
    rest = "bf16" if processor().runs_bf16_well else "float32"
    low = rest if precision == "int8" else precision
    seconds = sum(
        2 * layer.padded / (rates["int8" if layer.int8 else low] * 1e9) for layer in layers(model)
    )
    return 1 / seconds
