"""Beginning from weights that are there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from tests.train.helpers import TINY, assert_same_bits, newest, run_of, short

from wdsr import networks
from wdsr.errors import TrainingError
from wdsr.networks import Config
from wdsr.networks.edsr import EDSRConfig
from wdsr.networks.srresnet import SRResNetConfig
from wdsr.networks.wdsr import WDSR, WDSRConfig
from wdsr.train.data import Pairs
from wdsr.train.trainee import averaged
from wdsr.train.warm import plain_weights, run_weights, warm_start

EDSR = EDSRConfig(scale=2, filters=6, blocks=1)
SRRESNET = SRResNetConfig(scale=2, filters=6, blocks=1)

# Warm start


def trained(config: WDSRConfig) -> WDSR:
    """A network whose gains, directions and biases are all off their initial values."""
    torch.manual_seed(5)
    network = WDSR(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return network


def test_warm_start_across_scales_copies_head_and_body_and_keeps_the_rest() -> None:
    weights = trained(TINY).fuse().state_dict()
    network = WDSR(dataclasses.replace(TINY, scale=4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert warm_start(network, weights) == ["tail", "skip"]
    for name, value in network.state_dict().items():
        if name.startswith(("tail", "skip")):
            assert torch.equal(value, before[name])
        elif name.endswith("bias"):
            assert torch.equal(value, weights[name])
        elif name.endswith("original1"):  # the direction keeps its short initial length
            length = value.flatten(1).norm(dim=1)
            assert length.tolist() == pytest.approx([length[0].item()] * len(length), rel=1e-5)
            assert length[0].item() == pytest.approx(3**-0.5, rel=0.2)
    network.fuse()
    for name, value in network.state_dict().items():
        if not name.startswith(("tail", "skip")):
            torch.testing.assert_close(value, weights[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("weight_norm", [True, False])
def test_warm_start_at_the_same_scale_gives_the_same_network(weight_norm: bool) -> None:
    # In double precision: in single, processors differ by more than an error of ours could hide.
    source = trained(TINY).double()
    network = WDSR(dataclasses.replace(TINY, weight_norm=weight_norm)).double()
    lr = torch.rand(1, 3, 9, 9, dtype=torch.float64)
    expected = source(lr)
    weights = source.fuse().state_dict()
    kept = {name: value.clone() for name, value in weights.items()}
    assert warm_start(network, weights) == []
    torch.testing.assert_close(network(lr), expected, rtol=0, atol=1e-12)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.requires_grad
            parameter.zero_()
    assert_same_bits(dict(weights), kept)  # the source is not shared


def test_warm_start_from_a_filter_of_zeros_is_no_nan() -> None:
    weights = trained(TINY).fuse().state_dict()
    weights["head.weight"][3] = 0
    network = WDSR(TINY)
    warm_start(network, weights)
    lr = torch.rand(1, 3, 9, 9)
    expected = WDSR(TINY).fuse()
    expected.load_state_dict(weights)
    torch.testing.assert_close(network(lr), expected(lr), rtol=0, atol=1e-6)


def test_warm_start_from_another_architecture_is_refused() -> None:
    weights = trained(dataclasses.replace(TINY, filters=10)).fuse().state_dict()
    network = WDSR(dataclasses.replace(TINY, scale=4))
    with pytest.raises(TrainingError, match="not one layer"):
        warm_start(network, weights)
    with pytest.raises(TrainingError, match="not one layer"):
        warm_start(network, trained(TINY).state_dict())  # not fused: other names


def test_training_begins_from_the_start_weights(pairs: Pairs, tmp_path: Path) -> None:
    weights = trained(TINY).fuse().state_dict()
    still = short(steps=1, learning_rate=1e-12)
    result = run_of(still, pairs, tmp_path, start=weights)
    assert isinstance(result, WDSR)
    for name, value in result.fuse().state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=1e-5, atol=1e-6)


# Other families


@pytest.mark.parametrize("config", [TINY, EDSR, SRRESNET], ids=str)
def test_a_run_gives_the_next_all_it_has_learned(
    pairs: Pairs, tmp_path: Path, config: Config
) -> None:
    """Weight norm, PReLU and running statistics too: the new network gives the same picture."""
    run_of(short(network=config, learning_rate=0.01), pairs, tmp_path)
    network = networks.build(config)
    assert warm_start(network, run_weights(tmp_path)) == []
    lr = torch.rand(1, 3, 9, 9)
    before = averaged(config, newest(tmp_path)["average"])
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(lr), before(lr), rtol=0, atol=1e-5)


def test_statistics_are_averaged_as_weights_are(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(network=SRRESNET, ema=0.9), pairs, tmp_path)
    state = newest(tmp_path)
    for key in ("last.1.running_mean", "last.1.running_var", "last.0.weight"):
        assert (state["average"][key] - state["network"][key]).abs().max() > 1e-6


def test_folded_batch_norm_is_no_beginning_for_batch_norm(pairs: Pairs) -> None:
    folded = plain_weights(networks.build(SRRESNET).fuse())
    with pytest.raises(TrainingError, match="folded as model files do: begin from a run folder"):
        warm_start(networks.build(SRRESNET), folded)
    bare = dataclasses.replace(SRRESNET, batch_norm=False)
    assert warm_start(networks.build(bare), folded) == []


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint here to begin from"):
        run_weights(tmp_path)
