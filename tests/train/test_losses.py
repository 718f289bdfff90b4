"""Each loss against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wdsr.errors import UsageError
from wdsr.train.losses import (
    LOSSES,
    charbonnier,
    frequency,
    l1,
    luma,
    luma_mse,
    mse,
    psnr,
    total_variation,
    weighted,
)

SR = torch.tensor([[[[0.5, 0.25], [1.0, 0.0]]]])
HR = torch.tensor([[[[0.25, 0.75], [1.0, 1.0]]]])  # differences 1/4, -1/2, 0, -1


def test_l1_by_hand() -> None:
    assert l1(SR, HR).item() == pytest.approx(1.75 / 4)


def test_mse_by_hand() -> None:
    assert mse(SR, HR).item() == pytest.approx((1 / 16 + 1 / 4 + 1) / 4)


def test_charbonnier_by_hand() -> None:
    expected = sum(math.sqrt(d * d + 1e-6) for d in (0.25, 0.5, 0, 1)) / 4
    assert charbonnier(SR, HR).item() == pytest.approx(expected)
    assert charbonnier(HR, HR).item() == pytest.approx(1e-3)


def test_total_variation_by_hand() -> None:
    down, right = (0.5 + 0.25) / 2, (0.25 + 1.0) / 2
    assert total_variation(SR, HR).item() == pytest.approx(down + right)
    assert total_variation(torch.full((1, 3, 4, 4), 0.3), HR).item() == 0


def test_frequency_of_a_constant_by_hand() -> None:
    # Only the zero frequency differs, by 0.5 * sqrt(16); 4 x 3 complex numbers are kept.
    sr = torch.full((2, 3, 4, 4), 0.75)
    assert frequency(sr, sr - 0.5).item() == pytest.approx(0.5 * 4 / 24)


def test_frequency_is_the_mean_over_both_parts() -> None:
    rng = np.random.default_rng(0)
    sr, hr = rng.random((2, 2, 3, 6, 8)).astype(np.float32)
    spectrum = np.fft.fft2(sr.astype(np.float64) - hr)[..., :5] / math.sqrt(6 * 8)
    expected = (np.abs(spectrum.real) + np.abs(spectrum.imag)).mean() / 2
    value = frequency(torch.from_numpy(sr), torch.from_numpy(hr)).item()
    assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"total_variation"}))
def test_equal_images_have_the_least_loss_and_a_finite_gradient(name: str) -> None:
    hr = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    least = LOSSES[name](hr, hr).item()
    for sr in (hr.clone(), hr + 0.1, hr * 0):
        sr.requires_grad_()
        loss = LOSSES[name](sr, hr)
        loss.backward()  # type: ignore[no-untyped-call]
        assert sr.grad is not None
        assert sr.grad.isfinite().all()
        if loss.item() != least:
            assert loss.item() > least
            assert sr.grad.any()
    assert least < 2e-3


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_down_the_gradient_helps(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(1, 3, 8, 8, generator=generator)
    sr = torch.rand(1, 3, 8, 8, generator=generator).requires_grad_()
    loss = LOSSES[name](sr, hr)
    (gradient,) = torch.autograd.grad(loss, sr)
    assert LOSSES[name](sr - 0.1 * gradient, hr) < loss


def test_weighted_sum() -> None:
    total = weighted({"l1": 2.0, "mse": 0.5, "frequency": 0.0})(SR, HR)
    assert total.shape == ()
    assert total.item() == pytest.approx(2 * 1.75 / 4 + 0.5 * (1 / 16 + 1 / 4 + 1) / 4)


def test_unknown_losses_are_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"l1, mse, .*, not l2, ssim"):
        weighted({"l2": 1.0, "l1": 1.0, "ssim": 0.1})


def test_no_losses_are_zero() -> None:
    """As where a teacher alone is followed."""
    assert weighted({})(SR, HR).item() == 0


def test_luma_by_hand() -> None:
    sr, hr = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
    sr[0, :, 0, 0] = torch.tensor([0.1, -0.2, 0.3])  # one of two pixels differs
    difference = (65.481 * 0.1 - 128.553 * 0.2 + 24.966 * 0.3) / 219
    assert luma(sr, hr).item() == pytest.approx(abs(difference) / 2)
    assert luma_mse(sr, hr).item() == pytest.approx(difference**2 / 2)


def test_luma_of_grey_is_l1() -> None:
    grey = torch.full((2, 3, 4, 4), 0.25)
    assert luma(grey, grey * 0).item() == pytest.approx(0.25)


def test_psnr_is_the_mean_of_the_pictures() -> None:
    hr = torch.rand(2, 3, 8, 8)
    sr = hr + torch.tensor([0.1, 0.01]).reshape(2, 1, 1, 1)  # 20 and 40 dB, luma alike
    assert psnr(sr[:1], hr[:1]).item() == pytest.approx(-20, abs=0.1)
    floor = -10 * math.log10(2e-4)  # the floor is as much again at 40 dB
    assert psnr(sr[1:], hr[1:]).item() == pytest.approx(-floor, abs=0.01)
    assert psnr(sr, hr).item() == pytest.approx((-20 - floor) / 2, abs=0.1)


def test_psnr_pulls_at_clean_pictures_as_hard_as_at_damaged_ones() -> None:
    hr = torch.zeros(2, 3, 8, 8)
    sr = (hr + torch.tensor([0.2, 0.05]).reshape(2, 1, 1, 1)).requires_grad_()
    (pull,) = torch.autograd.grad(psnr(sr, hr), sr)
    damaged, clean = pull.flatten(1).norm(dim=1)
    assert clean > 3 * damaged  # of MSE it is a quarter
