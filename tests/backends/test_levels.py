"""8-bit pixels compiled into a graph, and layers prepared for bf16."""

from __future__ import annotations

import numpy as np
import pytest

from wdsr import backends, zoo
from wdsr.backends import openvino
from wdsr.backends.levels import rounded, with_levels
from wdsr.backends.library import ops, ov
from wdsr.inference import run_tiles
from wdsr.processor import Processor
from wdsr.zoo import Model

LR = np.random.default_rng(3).integers(0, 256, (1, 19, 23, 3), np.uint8)


def run(network: ov.Model, lr: np.ndarray = LR) -> np.ndarray:
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(network, "CPU", settings).create_infer_request()
    sr: np.ndarray = request.infer([lr])[0].copy()
    return sr


def read(model: Model) -> ov.Model:
    network = ov.Core().read_model(model.onnx)
    network.reshape([1, 3, *LR.shape[1:3]])
    return network


@pytest.mark.parametrize(("name", "scale"), [("wdsr-b-8", 2), ("wdsr-photo", 4)])
def test_a_network_prepared_for_bf16_computes_nearly_the_same(name: str, scale: int) -> None:
    model = zoo.find(name, scale)
    plain, prepared = (
        with_levels(read(model), model.card.value_range, bf16=bf16) for bf16 in (False, True)
    )
    assert (plain[1], prepared[1]) == (False, True)
    one, other = (run(network).astype(int) for network, _ in (plain, prepared))
    assert np.abs(one - other).max() <= 1  # its weights are rounded to bf16, and this is noise
    assert (one != other).mean() < 0.2


def test_zeros_around_a_picture_still_mean_the_mean() -> None:
    """Whose fraction of a level comes in by a plane of ones: without it, edges change."""
    model = zoo.find("wdsr-b-8", 2)
    plain, prepared = (
        with_levels(read(model), model.card.value_range, bf16=bf16)[0] for bf16 in (False, True)
    )
    for level in (0, 100, 128, 255):
        one, other = (run(network, np.full_like(LR, level)) for network in (plain, prepared))
        assert (one != other).mean() < 0.02


def test_what_cannot_be_prepared_is_left_as_it_is() -> None:
    lr = ops.parameter([1, 3, 8, 8], np.float32)
    network = ov.Model([ops.relu(lr)], [lr], "no convolution")
    network, prepared = with_levels(network, (0, 1), bf16=True)
    assert not prepared
    assert np.array_equal(run(network, LR[:, :8, :8]), LR[:, :8, :8])


def test_rounded_kernels_keep_their_sums() -> None:
    weights = np.random.default_rng(0).normal(0, 1, (5, 4, 5, 5)).astype(np.float32)
    kernels = rounded(weights)
    assert not (kernels.view(np.uint32) & 0xFFFF).any()  # bf16
    assert np.abs(kernels - weights).max() < 0.02
    nearest = (weights.view(np.uint32) + 0x8000 & 0xFFFF0000).astype(np.uint32).view(np.float32)
    sums, wanted = kernels.sum((2, 3)), weights.sum((2, 3))
    assert np.abs(sums - wanted).max() < 0.05 * np.abs(nearest.sum((2, 3)) - wanted).max()


@pytest.mark.parametrize(("name", "scale"), [("wdsr-b-8", 4), ("wdsr-photo", 2)])
def test_int8_with_bf16_keeps_flats(name: str, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed in bf16 where the processor can; elsewhere the prepared network in float32."""
    able = Processor("AMD", ("avx2", "avx512_bf16"), 2, 0, 0)
    monkeypatch.setattr(openvino, "processor", lambda: able)
    backend = backends.create("openvino", zoo.find(name, scale), precision="int8")
    flats = (np.full((8, 8, 3), level, np.uint8) for level in range(256))
    off = [
        np.abs(run_tiles(flat, backend, white=255, dtype=np.uint8).astype(int) - flat[0, 0]).max()
        for flat in flats
    ]
    assert off[0] == off[255] == 0
    assert max(off) <= 1
