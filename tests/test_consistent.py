"""Made small again, a result is its input: back-projection and what it reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import wdsr
from wdsr import picture as pictures
from wdsr.consistent import NEAR, back_projected, residual
from wdsr.errors import UsageError
from wdsr.picture import Picture
from wdsr.resize import resize

Array = NDArray[Any]

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


def photograph(name: str) -> Array:
    return pictures.read(PHOTOGRAPHS / name).pixels[60:252, 60:300]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["chelsea.png", "astronaut.png"])
def test_a_result_made_small_is_its_input_and_nearer_to_the_truth(name: str, scale: int) -> None:
    hr = photograph(name)
    lr = resize(hr, scale=1 / scale)
    options: dict[str, Any] = {"scale": scale, "precision": "float32"}
    plain = wdsr.load(**options).upscale(lr)
    sr = wdsr.load(**options, consistent=True).upscale(lr)
    found = residual(sr, lr, white=255, lr_white=255)
    before = residual(plain, lr, white=255, lr_white=255)
    assert found.largest < 0.5 < before.largest
    assert max(map(abs, found.drift)) < 0.01
    against = {"data_range": 255, "shave": scale, "luma": True}
    assert wdsr.psnr(sr, hr, **against) > wdsr.psnr(plain, hr, **against)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2.5, 8])
def test_other_scales_and_kinds_agree_too(scale: float) -> None:
    hr = photograph("astronaut.png")[:96, :96]
    lr = resize(hr, size=(round(96 / scale), round(96 / scale))) * np.uint16(257)
    rgba = np.dstack((lr, np.linspace(1, 65535, lr[..., 0].size).reshape(lr.shape[:2])))
    rgba = rgba.astype(np.uint16)
    sr = wdsr.load(scale=scale, consistent=True).upscale(rgba)
    assert sr.dtype == np.uint16
    colour = residual(sr[..., :3], rgba[..., :3], white=65535, lr_white=65535)
    assert colour.largest < 255 * NEAR
    # Alpha is held between its neighbours afterwards, so that no edge gets a fringe.
    alpha = residual(sr[..., 3:], rgba[..., 3:], white=65535, lr_white=65535)
    assert alpha.mean < 0.1
    assert max(map(abs, (*colour.drift, *alpha.drift))) < 0.1


def test_floats_are_not_clipped() -> None:
    lr = np.random.default_rng(0).uniform(-0.5, 1.5, (12, 14, 1)).astype(np.float32)
    sr = wdsr.load(scale=2, consistent=True).upscale(lr)
    assert np.abs(resize(sr, size=(12, 14)) - lr).max() <= NEAR * 1.01
    assert sr.min() < 0
    assert sr.max() > 1


@given(seed=st.integers(0, 99), scale=st.integers(2, 4), height=st.integers(1, 12))
def test_the_projection_agrees_wherever_that_can_be(seed: int, scale: int, height: int) -> None:
    rng = np.random.default_rng(seed)
    hr = rng.random((height * scale, 9 * scale, 1)).astype(np.float32) * 0.5 + 0.25
    lr = resize(hr, size=(height, 9))
    start = np.clip(hr + rng.normal(0, 0.05, hr.shape), 0, 1).astype(np.float32)
    before = start.copy()
    sr = back_projected(start, lr, dtype=np.uint8)
    np.testing.assert_array_equal(start, before)
    assert np.abs(resize(sr, size=(height, 9)) - lr).max() < 0.5 / 255
    assert sr.min() >= 0
    assert sr.max() <= 1
    assert np.abs(sr - hr).mean() <= np.abs(start - hr).mean()


def test_what_cannot_be_is_come_near_to() -> None:
    """A white pixel beside black ones: what made it small would have been above white."""
    lr = np.zeros((9, 9, 1), np.float32)
    lr[4, 4] = 1
    sr = back_projected(resize(lr, size=(18, 18)), lr, dtype=np.uint8)
    assert (sr.min(), sr.max()) == (0, 1)
    plain = np.clip(resize(lr, size=(18, 18)), 0, 1)
    error = [np.abs(resize(image, size=(9, 9)) - lr).max() for image in (sr, plain)]
    assert NEAR < error[0] < error[1]


def test_a_residual_is_in_grey_levels_and_signed() -> None:
    lr = np.full((6, 7, 3), 100, np.uint8)
    sr = np.full((12, 14, 3), (101, 100, 98), np.uint16) * np.uint16(257)
    found = residual(sr, lr, white=65535, lr_white=255)
    assert found.largest == pytest.approx(2, abs=1e-4)
    assert found.mean == pytest.approx(1, abs=1e-4)
    assert found.drift == pytest.approx((1, 0, -2), abs=1e-4)
    assert str(found) == (
        "residual 2.00 at most, 1.000 on average; drift R +1.000 G +0.000 B -2.000"
    )
    assert "grey" in str(residual(sr[..., :1], lr[..., :1], white=65535, lr_white=255))


@pytest.mark.parametrize(("shape", "words"), [((3, 14, 3), "14 x 3"), ((12, 14, 1), "1 channels")])
def test_what_cannot_be_compared(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        residual(np.zeros(shape), np.zeros((6, 7, 3)), white=1, lr_white=1)


# Colour and depth without it


def test_a_slow_ramp_stays_monotonic_phase_by_phase() -> None:
    """Sixteen bits: each phase of the pixel shuffle rises as the input does."""
    ramp = np.arange(0, 65536, 4, dtype=np.uint16).reshape(64, 256)  # row after row
    sr = wdsr.load(scale=4).upscale(ramp)
    assert len(np.unique(sr)) > 60_000
    inner = sr[:, 64:-64].astype(int)  # at its sides the ramp is reflected, and turns back
    for phase in range(4):
        assert (np.diff(inner[:, phase::4]) >= 0).all()


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (255, 0, 255)])
@pytest.mark.parametrize("colour", [(180, 120, 90), (20, 90, 200), (255, 255, 255)])
def test_a_disc_has_no_fringe_over_any_background(
    colour: tuple[int, int, int], background: tuple[int, int, int]
) -> None:
    y, x = np.mgrid[0:40, 0:40]
    alpha = np.rint(np.clip((14 - np.hypot(y - 20, x - 20)) / 3, 0, 1) * 255).astype(np.uint8)
    pixels = np.where(alpha[..., None] > 0, colour, (0, 255, 0)).astype(np.uint8)  # green: hidden
    result = wdsr.load(scale=2).upscale_picture(Picture(pixels, alpha))
    assert result.alpha is not None
    seen = result.alpha > 0
    assert np.abs(result.pixels.astype(int) - colour)[seen].max() <= 1
    veil = result.alpha[..., None] / 255
    composed = result.pixels * veil + np.array(background) * (1 - veil)
    low, high = np.minimum(colour, background), np.maximum(colour, background)
    assert (composed >= low - 1).all()
    assert (composed <= high + 1).all()


def test_print_size_is_kept() -> None:
    picture = Picture(np.zeros((10, 20, 3), np.uint8), dpi=(300, 150))
    target = wdsr.Target(width=50, height=20)
    large = wdsr.Upscaler(target=target).upscale_picture(picture)
    assert large.dpi == (750, 300)
    assert (large.width / 750, large.height / 300) == (20 / 300, 10 / 150)
