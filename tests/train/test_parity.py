"""The gate before export: engines that score otherwise than the network keep a file from being."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wdsr import backends, networks
from wdsr.backends import Batch
from wdsr.card import ModelCard
from wdsr.errors import ModelError
from wdsr.networks import Network
from wdsr.networks.wdsr import WDSR, WDSRConfig
from wdsr.train.export import to_safetensors, write_model
from wdsr.train.parity import NetworkItself, check_parity, drawn_pairs
from wdsr.zoo import Model

CONFIG = WDSRConfig(scale=2, filters=6, blocks=1, expansion=2, weight_norm=False)
CARD = ModelCard("tiny", 2, CONFIG.radius, networks.describe(CONFIG))


@pytest.fixture
def network() -> Network:
    """One that passes the picture through its skip, so that its scores are those of a picture."""
    torch.manual_seed(0)
    network = WDSR(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.05)
        middle = network.get_parameter("skip.weight")[:, :, 2, 2]
        middle += torch.eye(3).repeat_interleave(4, dim=0)
    return network


@pytest.fixture
def model(network: Network) -> Model:
    """For torch only, so that nothing has to be exported."""
    return Model(CARD, b"", "tiny-x2", safetensors=to_safetensors(network, CARD))


def test_the_same_weights_pass(network: Network, model: Model) -> None:
    worst = check_parity(network, model)
    assert set(worst) == {"torch"}
    assert worst["torch"] <= 0.001


@pytest.mark.parametrize(
    ("error", "says"), [(1e-2, r"torch is \S+ dB from .* not written"), (np.nan, "makes NaN")]
)
def test_other_weights_do_not(network: Network, model: Model, error: float, says: str) -> None:
    with torch.no_grad():
        network.get_parameter("skip.bias").add_(error)
    with pytest.raises(ModelError, match=f"tiny-x2: .*{says}"):
        check_parity(network, model)


def test_an_engine_of_another_mind_is_named(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slanted(NetworkItself):
        def run(self, batch: Batch) -> Batch:
            if batch.dtype == np.uint8:
                return np.maximum(super().run(batch), 40)
            return super().run(batch)

    honest = NetworkItself(network, CARD)
    engines = {"openvino": honest, "onnxruntime": Slanted(network, CARD), "torch": honest}
    monkeypatch.setattr(backends, "create", lambda name, *_, **__: engines[name])
    with pytest.raises(ModelError, match="onnxruntime is"):
        write_model(tmp_path / "x.onnx", network, CARD)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_drawn_pairs_are_pictures(scale: int) -> None:
    for lr, hr in drawn_pairs(scale):
        assert lr.shape == (40, 56, 3)
        assert hr.shape == (40 * scale, 56 * scale, 3)
        assert lr.dtype == hr.dtype == np.uint8
        assert hr.std() > 30
