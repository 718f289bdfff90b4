"""What every family keeps: its halo to the pixel, its output when fused, its way through export."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from wdsr import backends, networks
from wdsr.graph import check_graph
from wdsr.inference import run_tiles
from wdsr.networks import Config, Network
from wdsr.networks.edsr import EDSRConfig
from wdsr.networks.srresnet import PReLU, SRResNetConfig
from wdsr.networks.wdsr import WDSRConfig
from wdsr.train.export import card_of, to_onnx
from wdsr.train.recipe import Recipe
from wdsr.zoo import Model

VARIANTS: list[Config] = [
    WDSRConfig(block="plain", scale=2, filters=6, blocks=2),
    WDSRConfig(block="a", scale=2, filters=6, blocks=1, expansion=3),
    WDSRConfig(block="a", scale=3, filters=6, blocks=3, expansion=2),
    WDSRConfig(block="b", scale=2, filters=6, blocks=1),
    WDSRConfig(block="b", scale=4, filters=6, blocks=4),
    WDSRConfig(block="b", scale=3, filters=6, blocks=2, weight_norm=False),
    WDSRConfig(block="b", scale=2, filters=6, blocks=0),
    *(EDSRConfig(scale=scale, filters=6, blocks=2, residual_scale=0.5) for scale in (2, 3, 4, 8)),
    EDSRConfig(scale=3, filters=4, blocks=0),
    *(SRResNetConfig(scale=scale, filters=6, blocks=2) for scale in (2, 3, 4, 8)),
    SRResNetConfig(scale=2, filters=4, blocks=1, tanh=True),
    SRResNetConfig(scale=4, filters=4, blocks=0, batch_norm=False),
]
OF_EACH_FAMILY = [VARIANTS[3], VARIANTS[9], VARIANTS[14]]

each_variant = pytest.mark.parametrize("config", VARIANTS, ids=str)
each_family = pytest.mark.parametrize("config", OF_EACH_FAMILY, ids=str)


def build(config: Config) -> Network:
    """A network whose every learned value is random, so that no zero or one hides anything."""
    torch.manual_seed(1)
    network = networks.build(config).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        for buffer in network.buffers():
            if buffer.is_floating_point():  # running statistics; a variance must stay above 0
                buffer.add_(torch.rand_like(buffer))
    return network.eval()


def count(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


# Sizes. A 3x3 from a to b features has 9ab weights and b biases.
BLOCKS_16 = 16 * 2 * (9 * 64 * 64 + 64)
LAST = 9 * 64 * 64 + 64
STAGE_2, STAGE_3 = 9 * 64 * 256 + 256, 9 * 64 * 576 + 576
EDSR_ENDS = (9 * 3 * 64 + 64) + (9 * 64 * 3 + 3)  # head and tail
SRRESNET_ENDS = (81 * 3 * 64 + 64) + 64 + (81 * 64 * 3 + 3)  # with the head's PReLU
NORMS, SLOPES = 33 * 2 * 64, 16 * 64  # two BN a block and one at the end; a PReLU a block


@pytest.mark.parametrize(
    ("config", "expected", "derived"),
    [
        # The paper's 1.37M and 1.52M.
        (EDSRConfig(scale=2), 1_369_859, EDSR_ENDS + BLOCKS_16 + LAST + STAGE_2),
        (EDSRConfig(scale=3), 1_554_499, EDSR_ENDS + BLOCKS_16 + LAST + STAGE_3),
        (EDSRConfig(scale=4), 1_517_571, EDSR_ENDS + BLOCKS_16 + LAST + 2 * STAGE_2),
        # About 1.55M, as a well-known Keras implementation counts its trainable parameters.
        (
            SRResNetConfig(scale=4),
            1_550_659,
            SRRESNET_ENDS + BLOCKS_16 + LAST + NORMS + SLOPES + 2 * (STAGE_2 + 64),
        ),
        (
            SRResNetConfig(scale=4, batch_norm=False),
            1_546_435,
            SRRESNET_ENDS + BLOCKS_16 + LAST + SLOPES + 2 * (STAGE_2 + 64),
        ),
        (
            SRResNetConfig(scale=3),
            1_587_523,
            SRRESNET_ENDS + BLOCKS_16 + LAST + NORMS + SLOPES + STAGE_3 + 64,
        ),
    ],
    ids=str,
)
def test_parameter_counts(config: Config, expected: int, derived: int) -> None:
    assert count(networks.build(config)) == expected == derived


def test_folded_batch_norm_costs_no_parameters() -> None:
    assert count(networks.build(SRResNetConfig()).fuse()) == 1_546_435


@pytest.mark.parametrize(
    ("config", "radius"),
    [
        # Past the outermost HR pixel: a tail of 1 is ceil(1/2) = 1 at half size, the stage adds 1.
        (EDSRConfig(scale=2), 1 + 2 * 16 + 1 + 2),
        (EDSRConfig(scale=3), 1 + 2 * 16 + 1 + 2),
        (EDSRConfig(scale=4), 1 + 2 * 16 + 1 + 2),
        # A tail of 4 is 2 at half size, 3 with the stage; ceil(3/2) + 1 = 3 again.
        (SRResNetConfig(scale=2), 4 + 2 * 16 + 1 + 3),
        (SRResNetConfig(scale=3), 4 + 2 * 16 + 1 + 3),
        (SRResNetConfig(scale=4), 4 + 2 * 16 + 1 + 3),
        (EDSRConfig(blocks=0), 4),
    ],
    ids=str,
)
def test_radius_by_hand(config: Config, radius: int) -> None:
    assert config.radius == radius


@each_variant
def test_nan_probe_measures_the_halo(config: Config) -> None:
    network = build(config)
    radius, scale = config.radius, config.scale
    size = 2 * radius + 5
    at = radius + 2  # of the middle pixel, so that two rings around stay clean
    lr = torch.rand(1, 3, size, size, dtype=torch.float64)
    lr[0, 1, at, at] = torch.nan
    with torch.inference_mode():
        touched = network(lr).isnan()[0].reshape(3, size, scale, size, scale)
    expected = torch.zeros(3, size, size, dtype=torch.bool)
    expected[:, at - radius : at + radius + 1, at - radius : at + radius + 1] = True
    # A convolution at HR may reach only a part of its farthest LR pixels.
    assert torch.equal(touched.any(4).any(2), expected)
    if isinstance(config, WDSRConfig):
        assert torch.equal(touched.all(4).all(2), expected)


@each_variant
def test_tile_with_halo_equals_the_whole(config: Config) -> None:
    network = build(config)
    radius, scale = config.radius, config.scale
    lr = torch.rand(1, 3, 2 * radius + 9, 2 * radius + 9, dtype=torch.float64)
    start, stop = radius + 3, radius + 6  # the tile's core

    def core(halo: int) -> torch.Tensor:
        cut = slice(start - halo, stop + halo)
        keep = slice(halo * scale, (halo + stop - start) * scale)
        sr: torch.Tensor = network(lr[..., cut, cut])
        return sr[..., keep, keep]

    with torch.inference_mode():
        whole = network(lr)[..., start * scale : stop * scale, start * scale : stop * scale]
        torch.testing.assert_close(core(radius), whole, rtol=0, atol=1e-12)
        assert (core(radius - 1) - whole).abs().max() > 1e-9  # one pixel less is too few


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_variant
def test_fused_equals_unfused(config: Config, dtype: torch.dtype) -> None:
    network = build(config).to(dtype)
    lr = torch.rand(2, 3, 9, 7, dtype=dtype)
    with torch.inference_mode():
        before = network(lr)
    fused = network.fuse()
    assert fused is network
    with torch.inference_mode():
        tolerance = 1e-6 * float(before.abs().max().clamp(min=1))
        torch.testing.assert_close(fused(lr), before, rtol=0, atol=tolerance)
    # Its configuration now is that of the plain network: the same names, nothing left over.
    plain = networks.build(fused.config)
    assert plain.state_dict().keys() == fused.state_dict().keys()
    plain.to(dtype).load_state_dict(fused.state_dict())
    with torch.inference_mode():
        assert torch.equal(plain.eval()(lr), fused(lr))


@each_variant
def test_fusing_twice_changes_nothing(config: Config) -> None:
    once = build(config).fuse()
    values = {name: value.clone() for name, value in once.state_dict().items()}
    again = once.fuse().state_dict()
    assert all(torch.equal(again[name], value) for name, value in values.items())


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("family", networks.FAMILIES)
def test_output_shape(family: str, scale: int, channels: int) -> None:
    config = networks.configure(
        {"family": family, "scale": scale, "channels": channels, "filters": 4, "blocks": 1}
    )
    network = networks.build(config)
    assert network(torch.zeros(2, channels, 5, 7)).shape == (2, channels, 5 * scale, 7 * scale)


@each_family
def test_every_parameter_is_trained(config: Config) -> None:
    network = networks.build(config)
    network(torch.rand(2, 3, 12, 12)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@each_family
def test_a_description_is_plain_and_leads_back(config: Config) -> None:
    described = networks.describe(config)
    assert all(type(value) in (str, int, float, bool, type(None)) for value in described.values())
    assert networks.configure(described) == config


@each_family
def test_exported_models_give_the_same_on_every_engine_and_any_tiling(config: Config) -> None:
    network = build(config).float()
    card = card_of("tiny", Recipe(network=config), {}, {})
    assert (card.halo, card.scale) == (config.radius, config.scale)
    model = Model(card, to_onnx(network, card), "tiny")
    check_graph(model.onnx, card, "tiny")  # it is trusted, and its halo is what the graph says
    pixels = np.random.default_rng(0).integers(0, 256, (21, 30, 3), np.uint8)

    def tiled(engine: str, tile: int | None, dtype: Any) -> Any:
        backend = backends.create(engine, model, precision="float32")
        return run_tiles(pixels, backend, white=255, dtype=dtype, tile=tile)

    halo, scale = config.radius, config.scale
    extended = np.pad(pixels, ((halo, halo), (halo, halo), (0, 0)), mode="symmetric")
    lr = torch.from_numpy(extended).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        edge = halo * scale
        exact = network(lr)[0, :, edge:-edge, edge:-edge].permute(1, 2, 0).numpy()
    tolerance = 1e-5 * max(np.abs(exact).max(), 1)
    for engine in backends.installed():
        np.testing.assert_allclose(tiled(engine, None, np.float32), exact, rtol=0, atol=tolerance)
        np.testing.assert_allclose(tiled(engine, 8, np.float32), exact, rtol=0, atol=tolerance)
        near = np.abs(tiled(engine, 8, np.uint8).astype(int) - tiled(engine, None, np.uint8))
        assert near.max() <= 1


def test_batch_norm_needs_its_statistics_and_fusing_keeps_them() -> None:
    torch.manual_seed(0)
    network = networks.build(SRResNetConfig(scale=2, filters=6, blocks=1))
    for _ in range(30):
        network(torch.rand(4, 3, 8, 8))
    lr = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        seen = network.eval()(lr)
        fresh = networks.build(network.config)
        fresh.load_state_dict(dict(network.named_parameters()), strict=False)
        assert (fresh.eval()(lr) - seen).abs().max() > 1e-3
        torch.testing.assert_close(network.fuse()(lr), seen, rtol=0, atol=1e-5)


def test_prelu_is_torch_s() -> None:
    ours, theirs = PReLU(5), torch.nn.PReLU(5)
    with torch.no_grad():
        theirs.weight.copy_(torch.randn(5))
        ours.weight.copy_(theirs.weight.view(5, 1, 1))
    features = torch.randn(2, 5, 4, 3)
    assert torch.equal(ours(features), theirs(features))


def test_tanh_bounds_the_output() -> None:
    config = SRResNetConfig(scale=2, filters=4, blocks=0, tanh=True)
    network = networks.build(config).eval()
    with torch.no_grad():
        network.get_parameter("tail.weight").mul_(1000)
        sr = network(torch.rand(1, 3, 9, 9))
        assert sr.min() >= 0
        assert sr.max() <= 1
        bare = networks.build(dataclasses.replace(config, tanh=False)).eval()
        bare.load_state_dict(network.state_dict())
        assert bare(torch.rand(1, 3, 9, 9)).abs().max() > 1


@pytest.mark.parametrize("kind", [EDSRConfig, SRResNetConfig])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"scale": 5}, "scale must be 2, 3, 4 or 8, not 5"),
        ({"channels": 0}, "channels must be at least 1, not 0"),
        ({"filters": 0, "blocks": -1}, "filters .* 0; blocks must be at least 0, not -1$"),
    ],
)
def test_impossible_networks_are_refused(kind: Any, wrong: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        kind(**wrong)


def test_a_residual_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="residual_scale must be above 0"):
        EDSRConfig(residual_scale=0)
