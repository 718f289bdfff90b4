"""Tiled passes: the same pixels whatever the tile, to the very edge, and as plain numpy says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.tiled import MODELS, each_model, enlarge, pad, photograph, shipped

from wdsr.backends import Batch, Precision, by_floats
from wdsr.card import ModelCard
from wdsr.errors import ModelError, UsageError
from wdsr.inference import AUTO_SIDE, plan_tiles, quantise, run_tiles
from wdsr.zoo import Model

Image = NDArray[Any]


class Fake:
    """A backend made of one function: float32 (N, C, h, w) -> (N, C, s*h, s*w)."""

    precision: Precision = "float32"

    def __init__(
        self,
        function: Callable[[Batch], Batch],
        *,
        scale: int = 2,
        halo: int = 0,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.card = ModelCard("fake", scale, halo, {}, value_range=value_range)
        self.function = function
        self.seen: list[Batch] = []

    def run(self, batch: Batch) -> Batch:
        if batch.dtype == np.uint8:
            self.seen.append(batch.transpose(0, 3, 1, 2).copy())
            return by_floats(batch, self.card, lambda lr: self.function(lr))
        assert batch.dtype == np.float32
        self.seen.append(batch.copy())
        return self.function(batch)


def nearest(scale: int) -> Callable[[Batch], Batch]:
    return lambda lr: lr.repeat(scale, axis=2).repeat(scale, axis=3)


def repeated(image: Image, scale: int) -> Image:
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def mean_around(radius: int, scale: int) -> Callable[[Batch], Batch]:
    """Mean of a neighbourhood; like a network's, its borders see zero padding."""

    def run(lr: Batch) -> Batch:
        height, width = lr.shape[2:]
        around = np.pad(lr, ((0, 0), (0, 0), (radius, radius), (radius, radius)))
        total = np.zeros_like(lr)
        for y in range(2 * radius + 1):
            for x in range(2 * radius + 1):
                total += around[..., y : y + height, x : x + width]
        return nearest(scale)(total / np.float32((2 * radius + 1) ** 2))

    return run


SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3), (13, 40), (64, 64), (65, 63)]


# With fakes: what the network is shown, and where its output goes


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tile", [1, 5, 16, 64, None])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_nearest_neighbour_comes_out_as_repeated(
    size: tuple[int, int], tile: int | None, dtype: Any
) -> None:
    if tile == 1 and max(size) > 40:
        pytest.skip("thousands of tiles")
    image = photograph(*size)
    for scale, halo in ((1, 0), (2, 3), (3, 10)):
        result = enlarge(image, Fake(nearest(scale), scale=scale, halo=halo), dtype, tile=tile)
        assert result.dtype == dtype
        expected = repeated(image, scale)
        if dtype == np.float32:
            np.testing.assert_allclose(result, expected / 255, atol=1e-6)
        else:
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tile", [7, 16, None])
def test_the_network_sees_the_picture_and_its_reflection_only(
    size: tuple[int, int], tile: int | None
) -> None:
    height, width, halo = *size, 9
    # Every value names its pixel, so a wrong place cannot go unseen.
    image = np.arange(height * width * 3, dtype=np.float32).reshape(height, width, 3)
    fake = Fake(nearest(2), halo=halo)
    run_tiles(image, fake, white=1.0, dtype=np.float32, tile=tile)
    core = plan_tiles(height, width, fake, tile).core
    far = pad(image, halo + max(core))  # the picture, continued as far as any tile can reach
    expected = []
    for top in range(0, height, core[0]):
        for left in range(0, width, core[1]):
            y, x = top + max(core), left + max(core)
            window = far[y : y + core[0] + 2 * halo, x : x + core[1] + 2 * halo]
            expected.append(window.transpose(2, 0, 1)[None])
    np.testing.assert_array_equal(np.stack(fake.seen), np.stack(expected))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tile", [7, 30, None])
@pytest.mark.parametrize(("radius", "scale"), [(1, 2), (4, 3)])
def test_a_neighbourhood_is_averaged_as_if_the_picture_went_on(
    size: tuple[int, int], tile: int | None, radius: int, scale: int
) -> None:
    image = photograph(*size)
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(
        pad(image / 255.0, radius), (side, side), axis=(0, 1)
    )
    expected = repeated(windows.mean(axis=(3, 4)), scale)
    fake = Fake(mean_around(radius, scale), scale=scale, halo=radius)
    result = enlarge(image, fake, np.float32, tile=tile)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    levels = enlarge(image, fake, np.uint8, tile=tile)
    assert np.abs(levels - expected * 255).max() < 0.5 + 1e-3


def test_a_halo_that_is_too_small_shows() -> None:
    """The test above can fail: the fake's border is as wrong as a network's."""
    image = np.full((20, 20, 3), 255, np.uint8)
    too_small = Fake(mean_around(4, 2), halo=3)
    enough = Fake(mean_around(4, 2), halo=4)
    assert enlarge(image, too_small, tile=10).min() < 250
    assert enlarge(image, enough, tile=10).min() == 255


@pytest.mark.parametrize("levels", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-0.5, 0.5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives_any_value_range(levels: tuple[float, float], dtype: Any) -> None:
    count = np.iinfo(dtype).max + 1
    image = np.arange(count * 3, dtype=np.uint32).astype(dtype).reshape(-1, 64, 3)
    fake = Fake(nearest(2), value_range=levels)
    np.testing.assert_array_equal(enlarge(image, fake, dtype), repeated(image, 2))
    fake.seen.clear()
    result = enlarge(image, fake, np.float32)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, repeated(image, 2) / (count - 1), atol=2e-7)
    seen = min(batch.min() for batch in fake.seen), max(batch.max() for batch in fake.seen)
    np.testing.assert_allclose(seen, levels, atol=1e-5)  # what the card promises


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("source", [np.uint8, np.uint16, np.float32])
def test_overshoot_is_clipped_in_integers_and_kept_in_floats(source: Any, dtype: Any) -> None:
    limit = np.iinfo(dtype).max
    image = np.zeros((4, 6, 3), source)
    image[:, 3:] = np.iinfo(source).max if source != np.float32 else 1

    def contrast(lr: Batch) -> Batch:
        return nearest(2)((lr - np.float32(0.5)) * 3)  # black -1.5, white +1.5

    levels = enlarge(image, Fake(contrast), dtype)
    assert levels.dtype == dtype
    assert (levels[:, :6] == 0).all()
    assert (levels[:, 6:] == limit).all()
    floats = enlarge(image, Fake(contrast), np.float32)
    assert (floats[:, :6] == -1.5).all()
    assert (floats[:, 6:] == 1.5).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_integers_are_rounded_not_cut_off(channels: int) -> None:
    image = np.full((3, 3, channels), 100, np.uint8)
    for shift, level in ((0.4, 100), (0.6, 101), (-0.4, 100), (-0.6, 99), (1.4, 101)):

        def shifted(lr: Batch, shift: float = shift) -> Batch:
            return nearest(2)(lr + np.float32(shift / 255))

        assert (enlarge(image, Fake(shifted), np.uint8) == level).all()


def test_quantise() -> None:
    values = np.array([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 0.5, 1.0, 1.7], np.float32)
    before = values.copy()
    assert quantise(values, 255, np.uint8).tolist() == [0, 0, 0, 1, 128, 255, 255]
    assert quantise(values, 65535, np.uint16).tolist() == [0, 0, 103, 154, 32768, 65535, 65535]
    np.testing.assert_array_equal(quantise(values, 1.0, np.float32), values)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_goes_in_as_three_channels_and_their_mean_comes_out(dtype: Any) -> None:
    gains = np.array([0.25, 0.5, 0.9], np.float32)[:, None, None]
    fake = Fake(lambda lr: nearest(2)(lr * gains))
    image = photograph(9, 14, np.uint8, channels=1)
    result = enlarge(image, fake, dtype, tile=8)
    assert result.shape == (18, 28, 1)
    for batch in fake.seen:
        assert batch.shape[1] == 3
        assert (batch == batch[:, :1]).all()
    white = np.iinfo(dtype).max if dtype != np.float32 else 1
    np.testing.assert_allclose(
        result, repeated(image, 2) / 255 * 0.55 * white, atol=0.51 if white > 1 else 1e-6
    )


@pytest.mark.parametrize("tile", [3, 10, 200, None])
@pytest.mark.parametrize("self_ensemble", [False, True])
def test_one_tick_after_each_tile(tile: int | None, self_ensemble: bool) -> None:
    fake, image = Fake(nearest(2), halo=1), photograph(23, 31)
    runs_at_tick: list[int] = []
    enlarge(
        image,
        fake,
        tile=tile,
        self_ensemble=self_ensemble,
        tick=lambda: runs_at_tick.append(len(fake.seen)),
    )
    tiles, runs = len(plan_tiles(23, 31, fake, tile)), 8 if self_ensemble else 1
    assert len(runs_at_tick) == tiles
    assert len(fake.seen) == runs * tiles
    # The tile itself is done by then; the next may have begun.
    assert all(seen >= runs * (i + 1) for i, seen in enumerate(runs_at_tick))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("self_ensemble", [False, True])
def test_views_will_do_and_the_input_is_not_changed(dtype: Any, self_ensemble: bool) -> None:
    whole = photograph(24, 40) if dtype == np.uint8 else photograph(24, 40, np.uint16)
    whole = whole.astype(dtype) / dtype(65535) if dtype == np.float32 else whole
    fake = Fake(mean_around(1, 2), halo=1)

    for view in (
        whole[:, ::-1],
        whole.transpose(1, 0, 2),
        whole[3:-2, ::2],
        whole[..., ::-1],
        np.asfortranarray(whole),
        np.broadcast_to(whole[:1, :1], whole.shape),
    ):
        before = view.copy()
        for tile in (7, None):
            of_view, of_copy = (
                enlarge(x, fake, dtype, tile=tile, self_ensemble=self_ensemble)
                for x in (view, before.copy())
            )
            np.testing.assert_array_equal(of_view, of_copy)
            np.testing.assert_array_equal(view, before)


def test_a_read_only_image_will_do() -> None:
    image = photograph(12, 9)
    image.setflags(write=False)
    enlarge(image, shipped(MODELS[0].card.title), np.uint8)
    enlarge(image, shipped(MODELS[0].card.title), np.uint16)


def test_all_tiles_of_a_pass_have_one_shape() -> None:
    fake = Fake(nearest(2), halo=3)
    height, width = AUTO_SIDE + 9, 2 * AUTO_SIDE + 5
    enlarge(photograph(height, width), fake)
    assert {batch.shape[2:] for batch in fake.seen} == {plan_tiles(height, width, fake).shape}
    assert len(fake.seen) == 6
    assert max(fake.seen[0].shape[2:]) <= AUTO_SIDE + 6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_card_that_lies_about_its_scale_is_found_out(dtype: Any) -> None:
    with pytest.raises(ModelError, match=r"fake-x2: its card is wrong") as caught:
        enlarge(photograph(9, 9), Fake(nearest(3), scale=2), dtype)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_an_empty_image_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="cannot cover"):
        enlarge(np.zeros((*size, 3), np.uint8), Fake(nearest(2)))


@pytest.mark.parametrize("tile", [0, -4])
def test_an_impossible_tile_is_refused(tile: int) -> None:
    with pytest.raises(UsageError, match="cannot cover"):
        enlarge(photograph(5, 5), Fake(nearest(2)), tile=tile)


# The self-ensemble


def lopsided(lr: Batch) -> Batch:
    """Depends on direction and on handedness, as trained networks slightly do."""
    height, width = lr.shape[2:]
    y, x = np.mgrid[: 2 * height, : 2 * width].astype(np.float32)
    bent = nearest(2)(lr**2 + np.roll(lr, (2, 1), axis=(2, 3)) / 2)
    return np.asarray(bent + y / 50 + x**2 / 900 + x * y / 700)


def dihedral(image: Image, transpose: bool, up: bool, left: bool) -> Image:
    image = image.transpose(1, 0, 2) if transpose else image
    image = image[::-1] if up else image
    return image[:, ::-1] if left else image


ALL_EIGHT = [(t, u, left) for t in (False, True) for u in (False, True) for left in (False, True)]


@pytest.mark.parametrize("size", [(16, 16), (16, 32), (48, 16)])
def test_the_ensemble_is_the_mean_of_all_eight(size: tuple[int, int]) -> None:
    image = photograph(*size)
    variants = []
    for transpose, up, left in ALL_EIGHT:
        seen = dihedral(image / np.float32(255), transpose, up, left).astype(np.float32)
        sr = lopsided(seen.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
        undone = dihedral(sr, False, up, left)
        variants.append(dihedral(undone, transpose, False, False))
    assert np.ptp(variants, axis=0).max() > 0.1  # the eight do differ
    result = enlarge(image, Fake(lopsided), np.float32, self_ensemble=True)
    np.testing.assert_allclose(result, np.mean(variants, axis=0), atol=2e-6)


@pytest.mark.parametrize("variant", ALL_EIGHT, ids=str)
def test_the_ensemble_turns_and_flips_with_the_picture(variant: tuple[bool, bool, bool]) -> None:
    image = photograph(16, 32)
    straight = enlarge(image, Fake(lopsided), np.float32, self_ensemble=True)
    turned = enlarge(dihedral(image, *variant), Fake(lopsided), np.float32, self_ensemble=True)
    np.testing.assert_allclose(turned, dihedral(straight, *variant), atol=2e-6)
    plain = enlarge(dihedral(image, *variant), Fake(lopsided), np.float32)
    if any(variant):  # without the ensemble it does not
        assert np.abs(plain - dihedral(straight, *variant)).max() > 0.05


@each_model
def test_a_real_ensemble_turns_with_the_picture_and_helps_to_round(model: Model) -> None:
    backend, image = shipped(model.card.title), photograph(14, 23)
    straight = enlarge(image, backend, np.float32, self_ensemble=True)
    for variant in ((True, False, False), (False, True, True), (True, False, True)):
        turned = enlarge(dihedral(image, *variant), backend, np.float32, self_ensemble=True)
        np.testing.assert_allclose(turned, dihedral(straight, *variant), atol=2e-5)
    single = enlarge(image, backend, np.float32)
    assert 0 < np.abs(single - straight).mean() < 0.1  # another result, of the same picture
