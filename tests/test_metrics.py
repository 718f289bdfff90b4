"""PSNR and SSIM against scikit-image and numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import correlate, gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from wdsr.color import luma
from wdsr.metrics import fits_ms_ssim, lr_psnr, ms_ssim, psnr, ssim
from wdsr.resize import resize


def pair(
    height: int, width: int, *channels: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A smooth random image and a disturbed copy of it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    clean = 128 + 60 * np.sin(x / 4 + rng.random() * 6) + 50 * np.cos(y / 6)
    clean = clean.reshape(height, width, *(1 for _ in channels)) + rng.normal(
        0, 9, (height, width, *channels)
    )
    noisy = clean * 0.9 + rng.normal(4, 12, clean.shape)
    return tuple(np.clip(a, 0, 255).astype(np.uint8) for a in (clean, noisy))


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_psnr_equals_scikit_image(channels: tuple[int, ...]) -> None:
    a, b = pair(23, 31, *channels)
    expected = peak_signal_noise_ratio(b, a, data_range=255)
    assert psnr(a, b, data_range=255) == pytest.approx(expected, abs=1e-6)


@given(
    height=st.integers(11, 40),
    width=st.integers(11, 40),
    channels=st.sampled_from([(), (3,)]),
    seed=st.integers(0, 1000),
)
def test_ssim_equals_scikit_image(
    height: int, width: int, channels: tuple[int, ...], seed: int
) -> None:
    a, b = pair(height, width, *channels, seed=seed)
    expected = structural_similarity(
        a.astype(np.float64),
        b.astype(np.float64),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1 if channels else None,
    )
    assert ssim(a, b, data_range=255) == pytest.approx(expected, abs=1e-6)
    assert 0.05 < expected < 0.99  # a comparison of ones would prove nothing


def test_psnr_by_hand() -> None:
    a = np.zeros((4, 5), np.uint8)
    b = a.copy()
    b[0, 0], b[3, 4] = 10, 20  # MSE = (100 + 400) / 20
    assert psnr(a, b, data_range=255) == pytest.approx(10 * math.log10(255**2 / 25), abs=1e-12)
    assert psnr(a, a + 1, data_range=1) == pytest.approx(0, abs=1e-12)


def test_ssim_of_constants_by_hand() -> None:
    a, b = np.full((11, 11), 100.0), np.full((11, 11), 150.0)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)  # no variance: luminance alone
    assert ssim(a, b, data_range=255) == pytest.approx(expected, abs=1e-9)


def test_unsigned_integers_do_not_wrap_around() -> None:
    a, b = np.full((12, 12), 1, np.uint8), np.full((12, 12), 3, np.uint8)
    expected = 10 * math.log10(255**2 / 4)
    assert psnr(a, b, data_range=255) == pytest.approx(expected)
    assert psnr(b, a, data_range=255) == pytest.approx(expected)


def test_equal_images() -> None:
    a, _ = pair(16, 16, 3)
    assert psnr(a, a, data_range=255) == math.inf
    assert ssim(a, a, data_range=255) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("score", [psnr, ssim])
def test_order_and_units_do_not_matter(score: Any) -> None:
    a, b = pair(20, 17, 3)
    value = score(a, b, data_range=255)
    assert score(b, a, data_range=255) == pytest.approx(value, abs=1e-12)
    assert score(a / 255, b / 255, data_range=1) == pytest.approx(value, abs=1e-9)
    wide = a.astype(np.uint16) * 257, b.astype(np.uint16) * 257
    assert score(*wide, data_range=65535) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("score", [psnr, ssim])
def test_shave_leaves_the_border_out(score: Any) -> None:
    a, b = pair(24, 30, 3)
    inside = score(a[4:-4, 4:-4], b[4:-4, 4:-4], data_range=255)
    assert score(a, b, data_range=255, shave=4) == inside
    assert score(a, b, data_range=255, shave=3) != inside
    b[:4], b[-4:], b[:, :4], b[:, -4:] = 0, 0, 0, 0
    assert score(a, b, data_range=255, shave=4) == inside
    assert score(a, b, data_range=255) != inside


@pytest.mark.parametrize("score", [psnr, ssim])
def test_luma_scores_luma_only(score: Any) -> None:
    a, b = pair(24, 30, 3)
    of_luma = score(luma(a, data_range=255), luma(b, data_range=255), data_range=255)
    assert score(a, b, data_range=255, luma=True) == pytest.approx(of_luma, abs=1e-9)
    assert score(a, b, data_range=255) != pytest.approx(of_luma, abs=1e-3)
    fractions = score(a / 255, b / 255, data_range=1, luma=True)
    assert fractions == pytest.approx(of_luma, abs=1e-9)


def test_luma_lowers_a_grey_error_by_the_studio_range() -> None:
    a = np.full((5, 5, 3), 100, np.uint8)
    gain = 20 * math.log10(255 / 219)
    rgb, y = (psnr(a, a + 7, data_range=255, luma=on) for on in (False, True))
    assert y - rgb == pytest.approx(gain, abs=1e-9)


def test_nan_shows() -> None:
    a, b = np.zeros((12, 12)), np.zeros((12, 12))
    a[5, 5] = np.nan
    assert math.isnan(psnr(a, b, data_range=1))
    assert math.isnan(ssim(a, b, data_range=1))


def test_inputs_are_not_modified() -> None:
    a, b = (x.astype(np.float64) for x in pair(16, 16, 3))
    kept = a.copy(), b.copy()
    for luma_only in (False, True):
        psnr(a, b, data_range=255, luma=luma_only)
        ssim(a, b, data_range=255, luma=luma_only)
    np.testing.assert_array_equal((a, b), kept)


@pytest.mark.parametrize("score", [psnr, ssim])
@pytest.mark.parametrize(
    ("shapes", "arguments", "says"),
    [
        (((20, 20), (20, 21)), {}, "differ in shape"),
        (((20, 20, 3), (20, 20)), {}, "differ in shape"),
        (((20,), (20,)), {}, "of shape"),
        (((20, 20), (20, 20)), {"shave": 10}, "nothing is left of 20 x 20 pixels"),
        (((20, 20), (20, 20)), {"shave": -1}, "nothing is left"),
        (((0, 20), (0, 20)), {}, "nothing is left"),
        (((20, 20, 2), (20, 20, 2)), {"luma": True}, "luma needs"),
        (((20, 20), (20, 20)), {"data_range": 0}, "data_range"),
        (((20, 20), (20, 20)), {"data_range": -255}, "data_range"),
    ],
)
def test_wrong_calls_are_refused(
    score: Any,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    arguments: dict[str, Any],
    says: str,
) -> None:
    with pytest.raises(ValueError, match=says):
        score(np.zeros(shapes[0]), np.ones(shapes[1]), **{"data_range": 255, **arguments})


def test_ssim_needs_a_whole_window() -> None:
    a, b = pair(12, 12)
    ssim(a[:11, :11], b[:11, :11], data_range=255)
    with pytest.raises(ValueError, match="11 x 11 pixels, 12 x 10 are left"):
        ssim(a[:10], b[:10], data_range=255)
    with pytest.raises(ValueError, match="10 x 10 are left"):
        ssim(a, b, data_range=255, shave=1)


def by_definition(a: NDArray[Any], b: NDArray[Any]) -> float:
    """MS-SSIM of one channel as Wang et al. write it, with scipy's filters."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = 2.55**2, 7.65**2

    def window(image: NDArray[Any]) -> Any:
        return gaussian_filter(image, 1.5, truncate=3.5)[5:-5, 5:-5]  # 11 pixels across

    result = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        mean_a, mean_b = window(a), window(b)
        var_a, var_b = window(a * a) - mean_a**2, window(b * b) - mean_b**2
        structure = (2 * (window(a * b) - mean_a * mean_b) + c2) / (var_a + var_b + c2)
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        factor = (structure * (luminance if weight == 0.1333 else 1)).mean()
        result *= factor**weight
        low = np.full((2, 2), 0.25)
        a, b = (correlate(x, low, mode="reflect", origin=-1)[::2, ::2] for x in (a, b))
    return float(result)


@pytest.mark.parametrize("shape", [(176, 192), (161, 215)])
def test_ms_ssim_by_its_definition(shape: tuple[int, int]) -> None:
    a, b = pair(*shape)
    expected = by_definition(a, b)
    assert 0.3 < expected < 0.99
    assert ms_ssim(a, b, data_range=255) == pytest.approx(expected, abs=1e-9)
    colour = np.stack([a, b, a], axis=2), np.stack([b, b, a], axis=2)
    expected = (expected + 2) / 3  # the channels' mean; two of them are equal
    assert ms_ssim(*colour, data_range=255) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_of_constants_by_hand() -> None:
    a, b = np.full((161, 161), 100.0), np.full((161, 161), 150.0)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ms_ssim(a, b, data_range=255) == pytest.approx(luminance**0.1333, abs=1e-9)


def test_ms_ssim_of_opposites_is_no_complex_number() -> None:
    a = pair(161, 161)[0]
    assert ms_ssim(a, 255 - a, data_range=255) == 0


def test_ms_ssim_needs_five_scales() -> None:
    a, b = pair(170, 161)
    assert 0 < ms_ssim(a, b, data_range=255) < 1
    assert fits_ms_ssim(161, 161)
    assert not fits_ms_ssim(200, 160)
    with pytest.raises(ValueError, match="161 x 161 pixels, 160 x 169 are left"):
        ms_ssim(a[1:, 1:], b[1:, 1:], data_range=255)
    with pytest.raises(ValueError, match="159 x 168 are left"):
        ms_ssim(a, b, data_range=255, shave=1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_psnr_measures_sr_shrunk_again(scale: int) -> None:
    lr, _ = pair(20, 24, 3)
    sr = resize(lr, scale=scale)
    shrunk = resize(sr.astype(np.float64), scale=1 / scale)
    expected = 10 * math.log10(255**2 / np.mean((shrunk - lr) ** 2))
    assert lr_psnr(sr, lr, data_range=255) == pytest.approx(expected, abs=1e-3)


def test_lr_psnr_by_hand() -> None:
    lr = np.full((6, 8), 100, np.uint8)
    sr = np.full((24, 32), 104, np.uint8)
    expected = 20 * math.log10(255 / 4)
    assert lr_psnr(sr, lr, data_range=255) == pytest.approx(expected, abs=1e-5)
    assert lr_psnr(sr / 255, lr / 255, data_range=1) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("shape", [(24, 33), (23, 32), (24, 24), (24, 32, 3), (3, 4)])
def test_lr_psnr_refuses_what_is_no_sr_of_it(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no whole multiple"):
        lr_psnr(np.zeros(shape), np.zeros((6, 8)), data_range=255)
