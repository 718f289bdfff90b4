"""Discriminators: size, shape of the verdict, and what bounds them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from wdsr.networks.discriminator import (
    DiscriminatorConfig,
    UNetDiscriminator,
    build_discriminator,
)

KINDS = ["vgg", "unet"]


def tiny(kind: Any, patch: int = 32) -> DiscriminatorConfig:
    return DiscriminatorConfig(kind, patch=patch, filters=4)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_size_of_srgan_s_is_the_known_one() -> None:
    """As a well-known Keras implementation counts its trainable parameters for 96 x 96."""
    convolutions = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    convolutions += [(256, 512), (512, 512)]
    derived = sum(9 * a * b + b for a, b in convolutions)
    derived += sum(2 * b for _, b in convolutions[1:])  # batch norm
    derived += (512 * 6 * 6 * 1024 + 1024) + (1024 + 1)
    assert count(build_discriminator(DiscriminatorConfig())) == derived == 23_565_505


def test_size_of_the_u_net_is_the_known_one() -> None:
    """As Real-ESRGAN's: 4.38M."""
    down = 16 * (64 * 128 + 128 * 256 + 256 * 512)
    up = 9 * (512 * 256 + 256 * 128 + 128 * 64)
    derived = (9 * 3 * 64 + 64) + down + up + 2 * 9 * 64 * 64 + (9 * 64 + 1)
    network = build_discriminator(DiscriminatorConfig("unet"))
    assert count(network) == derived == 4_376_897


def test_vgg_gives_one_verdict_a_patch() -> None:
    verdict = build_discriminator(tiny("vgg"))(torch.rand(2, 3, 32, 32))
    assert verdict.logits.shape == (2, 1)
    assert [f.shape[2] for f in verdict.features] == [32, 16, 16, 8, 8, 4, 4, 2]


def test_the_u_net_gives_one_a_pixel_of_any_size() -> None:
    network = build_discriminator(tiny("unet"))
    for height, width in ((32, 32), (8, 24)):
        verdict = network(torch.rand(2, 3, height, width))
        assert verdict.logits.shape == (2, 1, height, width)
    assert [f.shape[1] for f in verdict.features] == [4, 8, 16, 32, 16, 8, 4]


def test_the_u_net_may_see_squares_as_pixels_and_still_judges_every_pixel() -> None:
    network = build_discriminator(DiscriminatorConfig("unet", patch=32, filters=4, unshuffle=2))
    verdict = network(torch.rand(2, 3, 16, 48))
    assert verdict.logits.shape == (2, 1, 16, 48)
    assert [f.shape[2] for f in verdict.features] == [8, 4, 2, 1, 2, 4, 8]
    image = torch.rand(1, 3, 64, 64)
    changed = image.clone()
    changed[..., 33, 31] = 1 - changed[..., 33, 31]
    moved = (network(changed).logits - network(image).logits).abs()[0, 0]
    assert moved[33, 31] > 100 * moved[0, 63]  # each logit is of its own place


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_trained(kind: str) -> None:
    network = build_discriminator(tiny(kind))
    network(torch.rand(3, 3, 32, 32)).logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_spectral_norm_bounds_all_but_the_ends() -> None:
    network = build_discriminator(tiny("unet"))
    assert isinstance(network, UNetDiscriminator)
    for module in [*network.down, *network.up, *network.end]:
        for _ in range(60):
            module(torch.rand(1, module.weight.shape[1], 8, 8))
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        assert float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2)) == pytest.approx(
            1, abs=0.02
        )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "patchgan"}, "kind must be one of vgg, unet, not 'patchgan'"),
        (
            {"patch": 100},
            "patch must be a multiple of 16 HR pixels for vgg, and at least 16, not 100",
        ),
        ({"patch": 0}, "patch must be"),
        ({"kind": "unet", "patch": 8}, "at least 16, not 8"),
        ({"kind": "unet", "patch": 12}, "a multiple of 8 HR pixels for unet, .* not 12"),
        ({"kind": "unet", "patch": 24, "unshuffle": 2}, "a multiple of 16 HR pixels for unet"),
        ({"unshuffle": 2}, "unshuffle must be at least 1, and 1 for vgg, not 2"),
        ({"kind": "unet", "unshuffle": 0}, "unshuffle must be at least 1"),
        ({"filters": 0, "channels": 0}, "channels must be at least 1, not 0; filters"),
    ],
)
def test_impossible_discriminators_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DiscriminatorConfig(**wrong)
