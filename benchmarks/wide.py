"""A larger WDSR in int8 against a plain network of half its size at the best float precision.

Time does not depend on what a network has learnt, so both have the weights they were
born with: WDSR-A with 16 blocks (1.2 M parameters), and 18 plain residual blocks of 3x3
convolutions with 40 filters (0.54 M, the size of RLFN), both x4, on the same engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks import alternatives, roofline

from wdsr import backends, networks
from wdsr.card import ModelCard
from wdsr.inference import plan_tiles, run_tiles
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train.export import to_onnx
from wdsr.train.quantise import FLOAT_ENDS, quantised_graph
from wdsr.zoo import Model

WIDE = WDSRConfig(block="a", blocks=16, expansion=4, scale=4)
PLAIN = WDSRConfig(block="plain", blocks=18, filters=40, scale=4)
SIZE = 640, 480


def wide(threads: int, rounds: int) -> dict[str, Any]:
    """LR megapixels a second of both, and what the matrix rates of the same minutes allow."""
    rates = roofline.gemm_rates(threads)
    low = "bf16" if "bf16" in rates else "float32"
    int8, plain = _quantised(_born("wdsr-a-16", WIDE)), _born("plain-18-40", PLAIN)
    racers = {
        f"wdsr-a-16, int8 ({int8.card.parameters / 1e6:.2f} M)": (int8, "int8"),
        f"18 plain blocks of 40, {low} ({plain.card.parameters / 1e6:.2f} M)": (plain, low),
    }
    runs, bounds = {}, []
    for name, (model, precision) in racers.items():
        backend = backends.create("openvino", model, precision=precision, threads=threads)
        runs[name] = _runner(backend)
        plan = plan_tiles(SIZE[1], SIZE[0], backend)
        useful = SIZE[0] * SIZE[1] / (len(plan) * plan.shape[0] * plan.shape[1])
        bounds.append(useful * roofline.roofline(model, rates, precision) / 1e6)
    times = alternatives.race(runs, SIZE, rounds)
    rows = [
        {"network": name, "lr_mp_per_second": SIZE[0] * SIZE[1] / 1e6 / seconds, "bound": bound}
        for (name, seconds), bound in zip(times.items(), bounds, strict=True)
    ]
    return {"gemm_gops": rates, "rows": rows}


def _runner(backend: backends.Backend) -> alternatives.Run:
    return lambda image: run_tiles(image, backend, white=255, dtype=np.uint8)


def _born(name: str, config: WDSRConfig) -> Model:
    network = networks.build(config).eval()
    parameters = sum(p.numel() for p in networks.build(config).fuse().parameters())
    card = ModelCard(
        name, config.scale, config.radius, networks.describe(config), parameters=parameters
    )
    return Model(card, to_onnx(network, card), f"{card.title}.onnx")


def _quantised(model: Model) -> Model:
    """As the shipped ones are, its ranges found on one photograph."""
    image = alternatives.photograph(*SIZE)
    content, _ = quantised_graph(model, [image[:64, :64], image[-64:, -64:]], FLOAT_ENDS[0])
    # Marked as what it is, with nothing to be said of its quality.
    card = ModelCard(**{**vars(model.card), "quantised": {"method": "untrained, for timing"}})
    return Model(card, content, "untrained.int8.onnx")
