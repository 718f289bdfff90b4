"""What depends on the machine: precision, memory, quicker kernels, steps that can be rehearsed."""

from __future__ import annotations

import sys

import pytest
import torch
from lightning.fabric import Fabric
from tests.train.helpers import TINY, assert_same_bits, trained
from torch import nn

from wdsr import networks
from wdsr.networks.wdsr import WDSRConfig
from wdsr.processor import Processor
from wdsr.train import device
from wdsr.train.device import keep_base, keep_memory, quicken, uses_bf16
from wdsr.train.losses import l1
from wdsr.train.trainee import Trainee


@pytest.mark.parametrize("features", [("avx2", "amx_bf16"), ("avx2", "avx512f"), ()])
def test_bf16_is_chosen_where_it_pays(
    features: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "processor", lambda: Processor("x", features, 2, 0, 0))
    assert uses_bf16("auto") is ("amx_bf16" in features)
    assert uses_bf16("bf16")
    assert not uses_bf16("float32")


def test_memory_is_kept_on_linux_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_memory()


def test_quicker_kernels_change_nothing_but_rounding() -> None:
    lr = torch.rand(2, 3, 9, 7).contiguous(memory_format=torch.channels_last)
    plain, quick = trained(TINY), trained(TINY)
    quicken(quick)
    changed = [m for m in quick.modules() if "_conv_forward" in vars(m)]
    assert len(changed) == 2  # of a B block
    for network in (plain, quick):
        network(lr).square().sum().backward()
    torch.testing.assert_close(quick(lr), plain(lr), rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(quick.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)
    assert_same_bits(dict(quick.state_dict()), dict(plain.state_dict()))


def test_other_convolutions_are_left_alone() -> None:
    layers = nn.Sequential(
        nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 1, padding=1)
    )
    layers.append(nn.Conv2d(4, 4, 1, groups=2))
    quicken(layers)
    assert not any("_conv_forward" in vars(layer) for layer in layers)


class WithNorm(nn.Module):
    """A network with something that changes as it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        return self.norm(self.conv(lr))  # type: ignore[no-any-return]


def learner() -> Trainee:
    torch.manual_seed(0)
    learner = Trainee(Fabric(accelerator="cpu", devices=1), WithNorm(), ema=0.5)
    learner.set_rate(0.1)
    return learner


def take(learner: Trainee, seed: int, agreed: torch.Tensor | None = None) -> None:
    lr, hr = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    learner.before()
    learner.update(l1(learner.network(lr), hr), agreed)


def test_the_base_image_stays_float32_under_autocast() -> None:
    torch.manual_seed(0)
    network = networks.build(WDSRConfig(scale=2, filters=4, blocks=1))
    lengths = "tail.parametrizations.weight.original0"
    torch.nn.init.zeros_(network.get_parameter(lengths))  # no detail
    lr = torch.rand(1, 3, 9, 8)
    exact = network(lr)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(lr)
        keep_base(network)
        kept = network(lr)
    assert (rough.float() - exact).abs().max() > 1e-3  # a quarter of a level
    assert kept.dtype == torch.float32
    torch.testing.assert_close(kept, exact)


def test_a_rehearsal_changes_nothing() -> None:
    """On a GPU a step is run a few times before it is captured."""
    rehearsed, plain = learner(), learner()
    for step in range(3):
        with rehearsed.rehearsal() as nothing:
            for seed in (7, 8):
                take(rehearsed, seed, nothing)
        for each in (rehearsed, plain):
            take(each, step)
    ours, theirs = rehearsed.state(), plain.state()
    for state in (ours, theirs):  # counts batches, good or not, and is not used
        for part in ("network", "average"):
            state[part] = {k: v for k, v in state[part].items() if "num_batches" not in k}
    assert_same_bits(ours, theirs)


def test_buffers_are_kept_from_what_is_not_finite() -> None:
    ours = learner()
    take(ours, 1)
    before = ours.bare.state_dict()["norm.running_mean"].clone()
    lr = torch.full((2, 3, 8, 8), float("nan"))
    ours.before()
    ours.update(l1(ours.network(lr), lr))
    assert torch.equal(ours.bare.state_dict()["norm.running_mean"], before)
    assert ours.skipped == ours.in_a_row == 1
    take(ours, 2)
    assert not torch.equal(ours.bare.state_dict()["norm.running_mean"], before)
    assert ours.skipped == 1
    assert ours.in_a_row == 0
