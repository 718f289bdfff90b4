"""WDSR: its size, initialisation and arithmetic. (test_families.py has what all families keep.)"""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from wdsr.networks.wdsr import WDSR, WDSRConfig

VARIANTS = [
    WDSRConfig(block="plain", scale=2, filters=6, blocks=2),
    WDSRConfig(block="a", scale=2, filters=6, blocks=1, expansion=3),
    WDSRConfig(block="a", scale=3, filters=6, blocks=3, expansion=2),
    WDSRConfig(block="b", scale=2, filters=6, blocks=1),
    WDSRConfig(block="b", scale=4, filters=6, blocks=4),
    WDSRConfig(block="b", scale=3, filters=6, blocks=2, weight_norm=False),
    WDSRConfig(block="b", scale=2, filters=6, blocks=0),
]


def build(config: WDSRConfig) -> WDSR:
    """A network with random biases and gains, so that nothing is hidden by a zero or a one."""
    torch.manual_seed(1)
    network = WDSR(config).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network.eval()


def count(network: WDSR) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("config", "normed", "fused"),
    [
        # The figure the authors publish for WDSR-A.
        (WDSRConfig(block="a", blocks=16, expansion=4, scale=2), 1_190_100, None),
        (WDSRConfig(scale=2), None, 152_420),
        (WDSRConfig(scale=3), None, 157_895),
        (WDSRConfig(scale=4), None, 165_560),
        (WDSRConfig(blocks=32), None, 606_992),
        # The authors' WDSR-B rows: 0.08M, 0.23M, 0.37M, 0.60M.
        (WDSRConfig(scale=2, filters=64, blocks=1), None, 83_663),
        (WDSRConfig(scale=2, filters=64, blocks=3), None, 231_733),
        (WDSRConfig(scale=2, filters=64, blocks=5), None, 379_803),
        (WDSRConfig(scale=2, filters=64, blocks=8), None, 601_908),
    ],
)
def test_parameter_counts_are_the_published_ones(
    config: WDSRConfig, normed: int | None, fused: int | None
) -> None:
    network = WDSR(config)
    if normed is not None:
        assert count(network) == normed
    if fused is not None:
        assert count(network.fuse()) == fused


def test_default_is_the_b8_of_the_seed() -> None:
    config = WDSRConfig()
    assert (config.block, config.blocks, config.filters, config.expansion) == ("b", 8, 32, 6)
    assert config.weight_norm


def test_fused_names_are_the_ones_files_use() -> None:
    network = WDSR(WDSRConfig(blocks=1)).fuse()
    layers = ["head", "body.0.body.0", "body.0.body.2", "body.0.body.3", "tail", "skip"]
    assert set(network.state_dict()) == {f"{n}.{p}" for n in layers for p in ("weight", "bias")}


@pytest.mark.parametrize("config", VARIANTS[:5], ids=str)
def test_forward_is_the_formula(config: WDSRConfig) -> None:
    """Against a plain transcription: w = g v / |v|, ReLU after the expansion only."""
    network = build(config)
    values = network.state_dict()

    def conv(name: str, x: torch.Tensor) -> torch.Tensor:
        gain = values[f"{name}.parametrizations.weight.original0"]
        direction = values[f"{name}.parametrizations.weight.original1"]
        norm = direction.flatten(1).norm(dim=1)[:, None, None, None]
        weight = gain * direction / norm
        return functional.conv2d(x, weight, values[f"{name}.bias"], padding=weight.shape[-1] // 2)

    lr = torch.rand(1, 3, 11, 8, dtype=torch.float64)
    x = conv("head", lr - 0.5)
    for i in range(config.blocks):
        y = conv(f"body.{i}.body.2", conv(f"body.{i}.body.0", x).clamp(min=0))
        x = x + (conv(f"body.{i}.body.3", y) if config.block == "b" else y)
    planes = conv("tail", x) + conv("skip", lr - 0.5)
    sr = functional.pixel_shuffle(planes, config.scale) + 0.5
    torch.testing.assert_close(network(lr), sr, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", ["skip", "tail"])
@pytest.mark.parametrize("scale", [2, 3])
def test_pixel_shuffle_orders_channels_colour_row_column(scale: int, layer: str) -> None:
    network = WDSR(WDSRConfig(scale=scale, filters=4, blocks=0, weight_norm=False))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for colour in range(3):
            for row in range(scale):
                for column in range(scale):
                    channel = (colour * scale + row) * scale + column
                    value = 100 * colour + 10 * row + column
                    network.get_parameter(f"{layer}.bias")[channel] = value
    sr = network(torch.zeros(1, 3, 2, 3))[0] - 0.5
    for colour in range(3):
        for y in range(2 * scale):
            for x in range(3 * scale):
                assert sr[colour, y, x] == 100 * colour + 10 * (y % scale) + x % scale


def gains(network: WDSR, layer: str) -> list[float]:
    """The distinct gains of a layer, which are also the lengths of its filters."""
    weight = network.get_submodule(layer).weight
    assert isinstance(weight, torch.Tensor)
    gain = network.get_parameter(f"{layer}.parametrizations.weight.original0").flatten()
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), gain)
    return sorted({round(g, 5) for g in gain.tolist()})


@pytest.mark.parametrize(
    ("config", "first", "last"),
    [
        (WDSRConfig(block="plain", blocks=4), (0, 1), 2),
        (WDSRConfig(block="a", blocks=4), (0, 2), 2),
        (WDSRConfig(block="b", blocks=4), (0, 2), 3),
    ],
    ids=["plain", "a", "b"],
)
def test_initial_gains_and_biases(config: WDSRConfig, first: tuple[int, float], last: int) -> None:
    network = WDSR(config)
    for layer in ("head", "tail", "skip"):
        assert gains(network, layer) == [1]
    for block in range(4):
        assert gains(network, f"body.{block}.body.{first[0]}") == [first[1]]
        assert gains(network, f"body.{block}.body.{last}") == [1 / math.sqrt(4)]
    if config.block == "b":
        assert gains(network, "body.0.body.2") == [1]
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    assert len(biases) == 3 + 4 * (last if config.block == "b" else 2)
    assert not any(b.any() for b in biases)


def test_directions_are_short() -> None:
    """|v| stays PyTorch's, 1 / sqrt(3) on average: v as long as g learns measurably worse."""
    for name, parameter in WDSR(WDSRConfig(blocks=2)).named_parameters():
        if name.endswith("original1"):
            length = parameter.detach().flatten(1).norm(dim=1).mean()
            assert float(length) == pytest.approx(3**-0.5, rel=0.1), name


def test_residual_scale_sets_the_last_gain() -> None:
    network = WDSR(WDSRConfig(blocks=4, residual_scale=0.125))
    assert gains(network, "body.3.body.3") == [0.125]
    assert gains(network, "body.3.body.0") == [2]


def test_same_initial_filters_with_and_without_weight_norm() -> None:
    torch.manual_seed(3)
    normed = WDSR(WDSRConfig(scale=2, filters=8, blocks=2)).fuse()
    torch.manual_seed(3)
    bare = WDSR(WDSRConfig(scale=2, filters=8, blocks=2, weight_norm=False))
    assert normed.state_dict().keys() == bare.state_dict().keys()
    for name, value in bare.state_dict().items():
        torch.testing.assert_close(normed.state_dict()[name], value)


def test_radius_is_the_formula() -> None:
    assert WDSRConfig(block="b", blocks=8).radius == 2 + 8
    assert WDSRConfig(block="a", blocks=16).radius == 2 + 2 * 16
    assert WDSRConfig(block="plain", blocks=5).radius == 2 + 2 * 5
    assert WDSRConfig(blocks=0).radius == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"block": "c"}, "block must be one of plain, a, b, not 'c'"),
        ({"scale": 5}, "scale must be 2, 3, 4 or 8, not 5"),
        ({"scale": 0}, "scale"),
        ({"channels": 0}, "channels"),
        ({"filters": 0}, "filters"),
        ({"blocks": -1}, "blocks"),
        ({"expansion": 0.5}, "expansion"),
        ({"filters": 4, "linear_ratio": 0.2}, "linear_ratio"),
        ({"residual_scale": 0.0}, "residual_scale must be above 0, not 0.0"),
        ({"residual_scale": -1.0}, "residual_scale"),
    ],
)
def test_impossible_networks_are_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        WDSRConfig(**wrong)  # type: ignore[arg-type]


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"scale .* 7; filters .* 0; blocks .* -2$"):
        WDSRConfig(block="a", scale=7, filters=0, blocks=-2)


def test_smallest_possible_networks_work() -> None:
    for config in (WDSRConfig(block="a", filters=1, expansion=1, blocks=1), WDSRConfig(filters=2)):
        assert WDSR(config)(torch.zeros(1, 3, 1, 1)).shape == (1, 3, 4, 4)


def test_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WDSRConfig().scale = 2  # type: ignore[misc]
