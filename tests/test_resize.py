"""Resizing against numbers worked out by hand, a slow transcription, and torch."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wdsr.resize import Kernel, reflect, resize, taps

Floats = NDArray[np.float64]

sides = st.integers(1, 9)
targets = st.integers(1, 14)


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random(shape)


def photo(height: int, width: int) -> NDArray[np.uint8]:
    """Waves of several frequencies, sharp edges and a little noise."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = np.sin(x / 3) * np.cos(y / 5) + np.sin((x + y) / 2) + 2 * ((x // 9 + y // 7) % 2)
    levels = 120 + 30 * waves[..., None] * [1, 0.7, -1] + 20 * noise(height, width, 3)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def slow_axis(line: list[float], length: int, scale: float, kernel: str, antialias: bool) -> Floats:
    """One line resized by a transcription of the definition, pixel by pixel."""

    def weight(x: float) -> float:
        x = abs(x)
        if kernel == "lanczos":
            if x == 0 or x >= 3:
                return float(x == 0)
            return 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0

    def mirrored(k: int) -> float:
        period = line + line[::-1]
        return period[k % len(period)]

    stretch = min(scale, 1) if antialias else 1
    reach = math.ceil(3 / stretch) + 1
    out = []
    for i in range(length):
        centre = (i + 0.5) / scale - 0.5
        near = range(math.floor(centre) - reach, math.floor(centre) + reach + 2)
        weights = [weight((centre - k) * stretch) for k in near]
        out.append(sum(w * mirrored(k) for w, k in zip(weights, near, strict=True)) / sum(weights))
    return np.array(out)


def slow(
    image: Floats, size: tuple[int, int], kernel: str = "bicubic", antialias: bool = True
) -> Floats:
    scales = size[0] / image.shape[0], size[1] / image.shape[1]
    rows = [slow_axis(list(c), size[0], scales[0], kernel, antialias) for c in image.T]
    columns = [slow_axis(list(r), size[1], scales[1], kernel, antialias) for r in np.array(rows).T]
    return np.array(columns)


# Taps and weights


def test_taps_of_halving_by_hand() -> None:
    # Centre 0.5, kernel stretched to 8 pixels: k(0.25), k(0.75), k(1.25), k(1.75), halved.
    index, weight = taps(10, 5, 0.5)
    half = [0.43359375, 0.11328125, -0.03515625, -0.01171875]
    used = weight[2] != 0
    np.testing.assert_array_equal(index[2][used], range(1, 9))
    np.testing.assert_array_equal(weight[2][used], half[::-1] + half)
    np.testing.assert_array_equal(index[0][weight[0] != 0], [2, 1, 0, 0, 1, 2, 3, 4])


def test_taps_of_doubling_by_hand() -> None:
    index, weight = taps(6, 12, 2)
    near = [-0.0234375, 0.2265625, 0.8671875, -0.0703125]  # k(1.75), k(0.75), k(0.25), k(1.25)
    used = weight != 0
    np.testing.assert_array_equal(weight[0][used[0]], near)  # centre -0.25
    np.testing.assert_array_equal(index[0][used[0]], [1, 0, 0, 1])
    np.testing.assert_array_equal(weight[1][used[1]], near[::-1])  # centre 0.25
    np.testing.assert_array_equal(index[1][used[1]], [0, 0, 1, 2])
    np.testing.assert_array_equal(index[11][used[11]], [4, 5, 5, 4])


def test_taps_without_antialiasing_by_hand() -> None:
    index, weight = taps(10, 5, 0.5, antialias=False)
    used = weight[2] != 0
    np.testing.assert_array_equal(index[2][used], [3, 4, 5, 6])
    np.testing.assert_array_equal(weight[2][used], [-0.0625, 0.5625, 0.5625, -0.0625])


@given(source=sides, target=targets, kernel=st.sampled_from(["bicubic", "lanczos"]))
def test_weights_sum_to_one_and_indices_are_inside(
    source: int, target: int, kernel: Kernel
) -> None:
    index, weight = taps(source, target, target / source, kernel=kernel)
    assert index.shape == weight.shape
    assert len(index) == target
    assert index.min() >= 0
    assert index.max() < source
    np.testing.assert_allclose(weight.sum(axis=1), 1, rtol=1e-12)


def test_reflection_repeats_the_edge_pixel() -> None:
    np.testing.assert_array_equal(
        reflect(np.arange(-7, 8), 3), [0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]
    )
    np.testing.assert_array_equal(reflect(np.arange(-3, 4), 1), np.zeros(7))


# Whole images


@given(
    height=sides,
    width=sides,
    size=st.tuples(targets, targets),
    kernel=st.sampled_from(["bicubic", "lanczos"]),
    antialias=st.booleans(),
)
def test_equals_the_definition(
    height: int, width: int, size: tuple[int, int], kernel: Kernel, antialias: bool
) -> None:
    image = noise(height, width)
    result = resize(image, size=size, kernel=kernel, antialias=antialias)
    np.testing.assert_allclose(result, slow(image, size, kernel, antialias), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 0.37, 0.97, 1.7, 3])
def test_scale_equals_the_definition_where_the_size_is_rounded_up(scale: float) -> None:
    image = noise(11, 7)
    shape = math.ceil(11 * scale), math.ceil(7 * scale)
    rows = np.array([slow_axis(list(c), shape[0], scale, "bicubic", True) for c in image.T]).T
    both = np.array([slow_axis(list(r), shape[1], scale, "bicubic", True) for r in rows])
    np.testing.assert_allclose(resize(image, scale=scale), both, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_torch_in_the_interior(scale: int) -> None:
    hr = photo(40 * scale, 32 * scale)
    ours = resize(hr, scale=1 / scale)
    tensor = torch.from_numpy(hr).permute(2, 0, 1)[None].float()
    theirs = torch.nn.functional.interpolate(
        tensor, size=(40, 32), mode="bicubic", antialias=True, align_corners=False
    )
    levels = theirs[0].permute(1, 2, 0).round().clamp(0, 255).numpy()
    difference = np.abs(ours.astype(np.float64) - levels)[4:-4, 4:-4]
    assert difference.max() <= 1
    assert difference.mean() < 0.2
    # Without antialiasing the difference is plain to see.
    aliased = resize(hr, scale=1 / scale, antialias=False)
    assert np.abs(aliased.astype(np.float64) - levels)[4:-4, 4:-4].max() > 8


@given(
    value=st.integers(0, 255),
    height=sides,
    width=sides,
    size=st.tuples(targets, targets),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]),
    kernel=st.sampled_from(["bicubic", "lanczos"]),
)
def test_constant_stays_constant(
    value: int, height: int, width: int, size: tuple[int, int], dtype: Any, kernel: Kernel
) -> None:
    result = resize(np.full((height, width, 3), value, dtype), size=size, kernel=kernel)
    assert result.shape == (*size, 3)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, value, rtol=1e-6 if result.dtype.kind == "f" else 0)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    ratio=st.fractions(Fraction(1, 8), 3, max_denominator=12),
)
def test_scaled_size_is_rounded_up(height: int, width: int, ratio: Fraction) -> None:
    result = resize(np.zeros((height, width), np.uint8), scale=float(ratio))
    assert result.shape == (math.ceil(height * ratio), math.ceil(width * ratio))


def test_rounding_errors_do_not_add_a_pixel() -> None:
    assert 110 * 1.1 > 121  # in binary
    assert resize(np.zeros((110, 49)), scale=1.1).shape == (121, 54)


@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 2, 3])
def test_picture_is_continued_by_symmetric_reflection(scale: float) -> None:
    image = noise(12, 24)
    pad = 12
    extended = resize(np.pad(image, pad, mode="symmetric"), scale=scale)
    cut = round(pad * scale)
    expected = extended[cut:-cut, cut:-cut]
    np.testing.assert_allclose(resize(image, scale=scale), expected, rtol=0, atol=1e-12)


@given(height=sides, width=sides, size=st.tuples(targets, targets))
def test_axes_are_separable_and_alike(height: int, width: int, size: tuple[int, int]) -> None:
    column, row = noise(height, 1, seed=1), noise(1, width, seed=2)
    both = resize(column * row, size=size)
    apart = resize(column, size=(size[0], 1)) * resize(row, size=(1, size[1]))
    np.testing.assert_allclose(both, apart, rtol=0, atol=1e-12)
    turned = resize((column * row).T, size=size[::-1]).T
    np.testing.assert_allclose(both, turned, rtol=0, atol=1e-12)


@given(height=sides, width=sides, size=st.tuples(targets, targets))
def test_a_mirrored_image_gives_the_mirrored_result(
    height: int, width: int, size: tuple[int, int]
) -> None:
    image = noise(height, width, 2)
    mirrored = resize(image[::-1, ::-1], size=size)[::-1, ::-1]
    np.testing.assert_allclose(resize(image, size=size), mirrored, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
def test_linear_ramp_is_reproduced_inside(scale: float) -> None:
    y, x = np.mgrid[:48, :60].astype(np.float64)
    result = resize(3 * x - 2 * y, scale=scale)
    rows, columns = (np.arange(n) for n in result.shape)
    at_y, at_x = (rows + 0.5) / scale - 0.5, (columns + 0.5) / scale - 0.5
    expected = 3 * at_x - 2 * at_y[:, None]
    edge = math.ceil(4 * max(scale, 1))
    inside = slice(edge, -edge), slice(edge, -edge)
    np.testing.assert_allclose(result[inside], expected[inside], rtol=0, atol=1e-10)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_channels_do_not_mix(channels: int) -> None:
    image = noise(9, 8, channels)
    result = resize(image, size=(5, 13))
    for c in range(channels):
        np.testing.assert_array_equal(result[..., c], resize(image[..., c], size=(5, 13)))


def test_each_axis_may_have_its_own_scale() -> None:
    image = noise(8, 12)
    rows = resize(image, size=(16, 12))
    np.testing.assert_allclose(resize(rows, size=(16, 4)), resize(image, size=(16, 4)), atol=1e-12)


# Types


def half_up(values: Floats) -> NDArray[np.uint8]:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def test_halves_round_up() -> None:
    np.testing.assert_array_equal(resize(np.array([[2, 3]], np.uint8), size=(1, 1)), [[3]])
    np.testing.assert_array_equal(resize(np.array([[0], [1]], np.uint16), size=(1, 1)), [[1]])


def test_integers_are_rounded_after_each_axis_rows_first() -> None:
    image = photo(64, 64)[..., 0]
    floats = image.astype(np.float64)
    rows = resize(half_up(resize(floats, size=(32, 64))).astype(np.float64), size=(32, 32))
    columns = resize(half_up(resize(floats, size=(64, 32))).astype(np.float64), size=(32, 32))
    once = half_up(resize(floats, size=(32, 32)))
    result = resize(image, scale=0.5)
    np.testing.assert_array_equal(result, half_up(rows))
    assert (result != half_up(columns)).any()
    assert (result != once).any()


def test_the_axis_that_shrinks_more_comes_first() -> None:
    image = photo(64, 64)[..., 0]
    floats = image.astype(np.float64)
    columns = resize(half_up(resize(floats, size=(64, 16))).astype(np.float64), size=(32, 16))
    rows = resize(half_up(resize(floats, size=(32, 64))).astype(np.float64), size=(32, 16))
    result = resize(image, size=(32, 16))
    np.testing.assert_array_equal(result, half_up(columns))
    assert (result != half_up(rows)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_clipped_and_floats_are_not(dtype: type[np.unsignedinteger[Any]]) -> None:
    white = np.iinfo(dtype).max
    edge = np.repeat(np.array([[0, white]], dtype), 8, axis=1)
    result, floats = resize(edge, scale=2), resize(edge.astype(np.float64), scale=2)
    assert floats.min() < 0
    assert floats.max() > white
    np.testing.assert_array_equal(result, np.clip(np.rint(floats), 0, white))


def test_uint16_keeps_its_levels() -> None:
    image = np.round(20000 + noise(16, 16) * 20000).astype(np.uint16)
    result = resize(image, size=(12, 20))
    exact = resize(image.astype(np.float64), size=(12, 20))
    assert result.dtype == np.uint16
    assert np.abs(result - exact).max() <= 1.5  # two roundings


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">u2", "i2", "i4", "u1"])
def test_dtype_is_kept(dtype: str) -> None:
    image = (noise(8, 8, 3) * 100).astype(dtype)
    result = resize(image, scale=0.5)
    assert result.dtype == np.dtype(dtype)
    assert np.abs(result - resize(image.astype(np.float64), scale=0.5)).max() < 1.6


def test_signed_integers_may_be_negative() -> None:
    result = resize(np.full((4, 4), -1000, np.int16), scale=2)
    np.testing.assert_array_equal(result, np.full((8, 8), -1000))


# The caller's array


def test_identity_is_a_copy() -> None:
    image = photo(6, 7)
    for result in (resize(image, scale=1), resize(image, size=(6, 7))):
        np.testing.assert_array_equal(result, image)
        assert not np.shares_memory(result, image)


def test_input_is_not_modified() -> None:
    image = noise(8, 8)
    before = image.copy()
    image.flags.writeable = False
    resize(image, scale=0.5)
    resize(image, size=(8, 3))
    np.testing.assert_array_equal(image, before)


def test_memory_layout_does_not_matter() -> None:
    image = photo(20, 24)
    expected = resize(np.ascontiguousarray(image[::2, ::-1]), scale=0.5)
    np.testing.assert_array_equal(resize(image[::2, ::-1], scale=0.5), expected)
    np.testing.assert_array_equal(resize(np.asfortranarray(image[::2, ::-1]), scale=0.5), expected)


# Kernels of other programs


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("kernel", "mode"), [("linear", "bilinear"), ("bicubic-0.75", "bicubic")])
@pytest.mark.parametrize("shrink", [True, False])
def test_kernels_of_torch(kernel: Kernel, mode: str, scale: int, shrink: bool) -> None:
    """Equal inside the border, beyond which torch repeats the edge."""
    image = photo(48, 60).astype(np.float64)
    factor = 1 / scale if shrink else scale
    ours = resize(image, scale=factor, kernel=kernel, antialias=False)
    batch = torch.from_numpy(image.transpose(2, 0, 1)[None])
    theirs = torch.nn.functional.interpolate(batch, scale_factor=factor, mode=mode)
    border = 3 if shrink else 3 * scale
    inside = slice(border, -border), slice(border, -border)
    expected = theirs[0].numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(ours[inside], expected[inside], atol=1e-6)


# Wrong calls


@pytest.mark.parametrize(
    ("shape", "dtype", "arguments", "says"),
    [
        ((4, 4), "f8", {}, "either scale or size"),
        ((4, 4), "f8", {"scale": 2, "size": (8, 8)}, "either scale or size"),
        ((0, 4), "f8", {"scale": 2}, "empty"),
        ((4, 0, 3), "f8", {"scale": 2}, "empty"),
        ((4,), "f8", {"scale": 2}, "shape"),
        ((1, 4, 4, 3), "f8", {"scale": 2}, "shape"),
        ((4, 4), "f8", {"scale": 0}, "scale must be a number above 0"),
        ((4, 4), "f8", {"scale": -1}, "scale"),
        ((4, 4), "f8", {"scale": math.nan}, "scale"),
        ((4, 4), "f8", {"scale": math.inf}, "scale"),
        ((4, 4), "f8", {"size": (0, 4)}, "cannot resize to 4 x 0 pixels"),
        ((4, 4), "f8", {"size": (4, -1)}, "cannot resize to"),
        ((4, 4), "?", {"scale": 2}, "bool"),
        ((4, 4), "c8", {"scale": 2}, "complex"),
        ((4, 4), "f8", {"scale": 2, "kernel": "nix"}, "bicubic, lanczos"),
    ],
)
def test_wrong_calls_are_refused(
    shape: tuple[int, ...], dtype: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        resize(np.zeros(shape, dtype), **arguments)
