"""Validation is the classical protocol, whatever the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.train.helpers import TINY, waves

from wdsr.errors import TrainingError
from wdsr.metrics import psnr
from wdsr.networks.wdsr import WDSR, WDSRConfig
from wdsr.train.pictures import make_pair
from wdsr.train.validate import validate, validation_pairs

# Validation


def linear(taps: dict[tuple[int, int], float], scale: int) -> WDSR:
    """Each HR pixel is this weighted sum of the LR pixels around its own, colour by colour."""
    network = WDSR(WDSRConfig(scale=scale, filters=1, block="a", blocks=0, weight_norm=False))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        weight = network.get_parameter("skip.weight")
        for colour in range(3):
            for (y, x), value in taps.items():
                weight[colour * scale**2 : (colour + 1) * scale**2, colour, 2 + y, 2 + x] = value
    return network


@pytest.mark.parametrize("scale", [2, 3])
def test_validation_is_the_classical_protocol(scale: int) -> None:
    pictures = [make_pair(waves(30, 36, seed), scale) for seed in (1, 2)]
    scores = [
        psnr(
            lr.repeat(scale, axis=0).repeat(scale, axis=1),
            hr,
            data_range=255,
            shave=scale,
            luma=True,
        )
        for lr, hr in pictures
    ]
    assert scores[0] != scores[1]
    mean = validate(linear({(0, 0): 1}, scale), pictures)
    assert mean == pytest.approx(sum(scores) / 2, abs=1e-9)  # of scores, not of errors


@pytest.mark.parametrize("size", [(20, 30), (3, 5)])
def test_validation_continues_the_picture_symmetrically(size: tuple[int, int]) -> None:
    class Recorder(WDSR):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            seen.append(lr)
            return super().forward(lr)

    seen: list[torch.Tensor] = []
    network = Recorder(dataclasses.replace(TINY, blocks=4))
    lr, hr = make_pair(waves(2 * size[0], 2 * size[1], 3), 2)
    validate(network, [(lr, hr)])
    halo = network.config.radius
    assert halo == 6
    expected = np.pad(lr, ((halo, halo), (halo, halo), (0, 0)), mode="symmetric") / 255
    (given,) = seen
    np.testing.assert_allclose(given[0].permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_validation_rounds_and_clips_to_8_bits() -> None:
    lr = np.full((8, 8, 3), 200, np.uint8)
    white, rounded = (np.full((16, 16, 3), v, np.uint8) for v in (255, 200))
    assert (
        validate(linear({(0, 0): 2}, 2), [(lr, white)]) == 100
    )  # no error; a mean has to be a number
    assert validate(linear({(0, 0): 1.004}, 2), [(lr, rounded)]) == 100
    assert validate(linear({(0, 0): 1.02}, 2), [(lr, rounded)]) < 60


def test_validation_pictures_are_the_middles(tmp_path: Path) -> None:
    picture = waves(50, 61, 0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture[:20, :21]).save(tmp_path / "b.png")
    (lr, hr), (_, small) = validation_pairs(tmp_path, 3, side=31)
    np.testing.assert_array_equal(hr, picture[9:39, 15:45])
    np.testing.assert_array_equal(lr, make_pair(hr, 3)[0])
    np.testing.assert_array_equal(small, picture[:18, :21])
    Image.new("RGB", (40, 2)).save(tmp_path / "c.png")
    with pytest.raises(TrainingError, match=r"c\.png: too small .* x3: 40 x 2, at least 12 x 12"):
        validation_pairs(tmp_path, 3)


def test_the_smallest_picture_can_be_scored(tmp_path: Path) -> None:
    Image.fromarray(waves(8, 8, 0)).save(tmp_path / "a.png")
    assert 0 < validate(linear({(0, 0): 1}, 2), validation_pairs(tmp_path, 2)) < 100
