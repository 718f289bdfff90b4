"""Luma against MATLAB's numbers; colour under transparency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr

from wdsr.color import extend_under_alpha, luma, within_neighbours


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), 235),
        ((0, 0, 0), 16),
        ((255, 0, 0), 16 + 65.481),
        ((0, 255, 0), 16 + 128.553),
        ((0, 0, 255), 16 + 24.966),
        ((128, 128, 128), 16 + 219 * 128 / 255),
    ],
)
def test_luma_is_bt601_studio_range(rgb: tuple[int, int, int], expected: float) -> None:
    image = np.full((2, 3, 3), rgb, np.uint8)
    result = luma(image, data_range=255)
    assert result.shape == (2, 3)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9)


def test_luma_equals_scikit_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    expected = rgb2ycbcr(image)[..., 0]
    np.testing.assert_allclose(luma(image, data_range=255), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("data_range", "dtype"), [(1.0, np.float32), (65535.0, np.uint16)])
def test_luma_is_on_the_scale_of_the_image(data_range: float, dtype: Any) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3)) / 255
    scaled = (image * data_range).astype(dtype)
    expected = luma(image * 255, data_range=255) / 255 * data_range
    np.testing.assert_allclose(luma(scaled, data_range=data_range), expected, rtol=2e-5)


def test_grey_is_scaled_like_equal_colours() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = luma(np.repeat(grey[..., None], 3, axis=2), data_range=255)
    for image in (grey, grey[..., None]):
        result = luma(image, data_range=255)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 4, 2), (4, 4, 4), (4, 4, 0), (4,), (1, 4, 4, 3)])
def test_luma_of_other_shapes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="grey or RGB"):
        luma(np.zeros(shape), data_range=255)


def test_a_disc_of_one_colour_fills_the_plane() -> None:
    y, x = np.mgrid[:37, :50]
    alpha = ((y - 18) ** 2 + (x - 20) ** 2 < 80).astype(np.uint8) * 255
    image = np.where(alpha[..., None] > 0, [200, 30, 90], [0, 255, 0]).astype(np.uint8)
    np.testing.assert_array_equal(
        extend_under_alpha(image, alpha), np.full_like(image, [200, 30, 90])
    )


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]),
)
def test_visible_pixels_stay_and_hidden_ones_lie_between(
    height: int, width: int, channels: int, seed: int, dtype: Any
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.uniform(50, 200, (height, width, channels)).astype(dtype)
    alpha = rng.integers(0, 3, (height, width)).astype(np.uint8)  # a third is hidden
    visible = alpha > 0
    image[~visible] = 255
    before = image.copy()
    result = extend_under_alpha(image, alpha)
    np.testing.assert_array_equal(image, before)
    assert result.dtype == dtype
    assert result.shape == image.shape
    np.testing.assert_array_equal(result[visible], image[visible])
    if visible.any():
        low, high = image[visible].min(axis=0), image[visible].max(axis=0)
        assert (result >= low - 1e-3).all()
        assert (result <= high + 1e-3).all()


def test_the_nearest_colour_wins() -> None:
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, :4], image[:, 12:] = 10, 250
    alpha = np.zeros((8, 16), np.uint8)
    alpha[:, :4] = alpha[:, 12:] = 1
    result = extend_under_alpha(image, alpha)
    assert (result[:, 4:6] == 10).all()
    assert (result[:, 10:12] == 250).all()


def test_filled_integers_are_rounded() -> None:
    image = np.array([[[10], [10]], [[12], [0]]], np.uint8)
    alpha = np.array([[1, 1], [1, 0]])
    assert extend_under_alpha(image, alpha)[1, 1, 0] == 11  # 32 / 3


def test_nothing_or_everything_transparent_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    for level in (0, 1, 255):
        alpha = np.full((5, 7), level, np.uint8)
        np.testing.assert_array_equal(extend_under_alpha(image, alpha), image)


def test_what_is_hidden_cannot_show_not_even_nan() -> None:
    image = np.full((6, 6, 3), 0.25, np.float32)
    image[2:4, 2:4] = np.nan
    alpha = np.ones((6, 6), np.float32)
    alpha[2:4, 2:4] = 0
    np.testing.assert_array_equal(extend_under_alpha(image, alpha), np.full_like(image, 0.25))


def test_alpha_has_no_echo_beyond_its_neighbours() -> None:
    lr = np.zeros((8, 9), np.uint8)
    lr[:, 4:] = 255
    ringing = lr.repeat(3, 0).repeat(3, 1).astype(int)
    ringing[:, :9] += 3  # far from the edge, on its transparent side
    ringing[:, -9:] -= 3
    ringing[:, 9:15] = 128  # within a pixel of the edge
    result = within_neighbours(ringing.astype(np.uint8), lr)
    assert set(result[:, :9].flat) == {0}
    assert set(result[:, -9:].flat) == {255}
    assert set(result[:, 9:15].flat) == {128}
    assert result.dtype == np.uint8


@given(st.integers(1, 9), st.integers(1, 9), st.floats(1, 4), st.integers(0, 99))
def test_clipped_alpha_stays_within_the_input_at_any_size(
    height: int, width: int, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    lr = rng.random((height, width), np.float32)
    size = round(height * scale), round(width * scale)
    result = within_neighbours(rng.uniform(-1, 2, size).astype(np.float32), lr)
    assert result.shape == size
    assert lr.min() <= result.min()
    assert result.max() <= lr.max()
