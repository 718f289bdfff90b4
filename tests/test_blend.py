"""A model between two others: the weights, the picture, the way to its partner."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import wdsr
from wdsr import backends, networks, zoo
from wdsr.blend import blend, softened
from wdsr.errors import ModelError, UsageError
from wdsr.networks import Config, Network
from wdsr.networks.srresnet import SRResNetConfig
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train.export import card_of, to_onnx
from wdsr.train.recipe import Recipe
from wdsr.zoo import Model

CONFIG = SRResNetConfig(scale=2, filters=5, blocks=1, batch_norm=False)


def network_of(seed: int, config: Config = CONFIG) -> Network:
    torch.manual_seed(seed)
    return networks.build(config).eval()


def export(network: Network, name: str, softer: str = "") -> Model:
    card = card_of(name, Recipe(network=network.config), {}, {"softer": softer})
    return Model(card, to_onnx(network, card), f"{name}.onnx")


@pytest.fixture(scope="module")
def sharp() -> Model:
    return export(network_of(1), "gan", softer="pixel-x2")


@pytest.fixture(scope="module")
def soft() -> Model:
    return export(network_of(2), "pixel")


@pytest.fixture
def files(tmp_path: Path, sharp: Model, soft: Model) -> Path:
    """The two side by side, as export leaves them."""
    for model in (sharp, soft):
        (tmp_path / f"{model.card.title}.onnx").write_bytes(model.onnx)
    return tmp_path


def output(model: Model, engine: str = "onnxruntime") -> torch.Tensor:
    lr = np.random.default_rng(0).random((1, 3, 9, 8), np.float32)
    return torch.from_numpy(backends.create(engine, model, precision="float32").run(lr))


@pytest.mark.parametrize("engine", backends.installed())
@pytest.mark.parametrize("sharpness", [0.0, 0.3, 1.0])
def test_a_blend_is_the_network_with_weights_between(
    sharp: Model, soft: Model, sharpness: float, engine: str
) -> None:
    between = network_of(1)
    with torch.no_grad():
        for mine, other in zip(between.parameters(), network_of(2).parameters(), strict=True):
            mine.copy_(other.lerp(mine, sharpness))
        lr = torch.from_numpy(np.random.default_rng(0).random((1, 3, 9, 8), np.float32))
        expected = between(lr)
    found = output(blend(sharp, soft, sharpness), engine)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_the_ends_are_the_two_models_to_the_bit(sharp: Model, soft: Model) -> None:
    assert blend(sharp, soft, 1).onnx == sharp.onnx
    assert torch.equal(output(blend(sharp, soft, 0)), output(soft))


def test_neither_model_is_changed(sharp: Model, soft: Model) -> None:
    before = sharp.onnx, soft.onnx, sharp.card
    mixed = blend(sharp, soft, 0.5)
    assert (sharp.onnx, soft.onnx, sharp.card) == before
    assert mixed.card.name == "gan-0.5"
    assert mixed.card.halo == sharp.card.halo


def test_the_softer_model_is_found_beside(files: Path, sharp: Model, soft: Model) -> None:
    found = softened(zoo.read_model(files / "gan-x2.onnx"), 0.25)
    assert found.onnx == blend(sharp, soft, 0.25).onnx


def test_the_softer_model_may_be_a_shipped_one() -> None:
    shipped = zoo.find("wdsr-b-8", 2)
    card = dataclasses.replace(shipped.card, name="mine", softer="wdsr-b-8-x2")
    found = softened(Model(card, shipped.onnx, "elsewhere/mine-x2.onnx"), 0.5)
    assert found.onnx == shipped.onnx  # halfway between equal weights


def test_sharpness_of_a_picture(files: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (12, 10, 3), np.uint8)
    name = str(files / "gan-x2.onnx")
    sharp, half, soft, plain = (
        wdsr.load(name, scale=2, sharpness=s).upscale(pixels).astype(int) for s in (1, 0.5, 0, None)
    )
    assert (sharp == plain).all()
    assert (soft == wdsr.load(str(files / "pixel-x2.onnx"), scale=2).upscale(pixels)).all()
    assert np.abs(half - sharp).max() > 0
    assert np.abs(half - soft).max() > 0


@pytest.mark.parametrize("sharpness", [-0.1, 1.1, float("nan")])
def test_sharpness_out_of_range(sharp: Model, sharpness: float) -> None:
    with pytest.raises(UsageError, match="sharpness must be from 0 to 1"):
        softened(sharp, sharpness)


def test_a_model_without_a_softer_one_is_refused_before_any_work(files: Path) -> None:
    with pytest.raises(UsageError, match=r"wdsr-b-8: has no softer model to blend with"):
        wdsr.load(sharpness=0.5)
    with pytest.raises(UsageError, match="pixel: has no softer"):
        wdsr.load(str(files / "pixel-x2.onnx"), scale=2, sharpness=0.5)


def test_a_softer_model_that_is_not_there(files: Path) -> None:
    (files / "pixel-x2.onnx").unlink()
    with pytest.raises(ModelError, match=r"pixel-x2 is neither shipped nor beside it"):
        wdsr.load(str(files / "gan-x2.onnx"), scale=2, sharpness=0.5)


@pytest.mark.parametrize(
    "config",
    [dataclasses.replace(CONFIG, filters=6), dataclasses.replace(CONFIG, scale=3), WDSRConfig()],
    ids=str,
)
def test_different_networks_are_refused(sharp: Model, config: Config) -> None:
    other = export(network_of(3, config), "other")
    with pytest.raises(ModelError, match=r"gan-x2 and other-x\d are different networks"):
        blend(sharp, other, 0.5)


def test_files_whose_weights_are_not_the_card_s(sharp: Model) -> None:
    other = export(network_of(3, dataclasses.replace(CONFIG, filters=6)), "pixel")
    with pytest.raises(ModelError, match="their weights do not fit each other"):
        blend(sharp, Model(sharp.card, other.onnx, "pixel-x2.onnx"), 0.5)


@pytest.mark.parametrize("onnx", [b"", b"\x3a\x04\x2a\x02\x10\x01", b"\x3a\x05\x2a"])
def test_files_without_readable_weights(sharp: Model, onnx: bytes) -> None:
    with pytest.raises(ModelError, match=r"pixel-x2.onnx: (no ONNX file|its weights cannot)"):
        blend(sharp, Model(sharp.card, onnx, "pixel-x2.onnx"), 0.5)
