from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from numpy.random import Generator

from wdsr.degrade.blur import blur, blur_anisotropic, blur_sinc
from wdsr.degrade.compress import jpeg, webp
from wdsr.degrade.noise import camera, gaussian, poisson
from wdsr.degrade.sizes import RESIZERS, Resizer, detour, focus, shrink
from wdsr.degrade.step import Image, Step, chain, either, levels, sometimes, to_pixels


def rng(seed: int = 0) -> Generator:
    return np.random.default_rng(seed)


def flat(level: float, height: int = 64, width: int = 48) -> Image:
    return np.full((height, width, 3), level, np.float32)


def point() -> Image:
    """One bright pixel in the middle of 65 x 65."""
    image = np.zeros((65, 65, 3), np.float32)
    image[32, 32] = 1
    return image


def spread(image: Image) -> tuple[float, float]:
    """Standard deviations of a spot along its longest and its shortest direction."""
    weights = image[..., 0].astype(np.float64)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    places = np.stack((y.ravel(), x.ravel()))
    covariance = np.cov(places, aweights=np.where(weights > 1e-5, weights, 0).ravel(), ddof=0)
    low, high = np.linalg.eigvalsh(covariance)
    return float(high**0.5), float(low**0.5)


ALL: dict[str, Step] = {
    "blur": blur((0.5, 2)),
    "anisotropic": blur_anisotropic((0.5, 2)),
    "sinc": blur_sinc((0.1, 0.5)),
    "shrink": shrink(2, RESIZERS),
    "focus": focus(2, (0.3, 1), shift=1),
    "detour": detour(2, (0.6, 1.5), blur((0.5, 1))),
    "gaussian": gaussian((1, 5), grey=0.5),
    "poisson": poisson((100, 1000)),
    "camera": camera((1, 5)),
    "jpeg": jpeg((30, 95)),
    "webp": webp((30, 95)),
}


@pytest.mark.parametrize("name", ALL)
def test_a_step_is_a_pure_function_of_image_and_generator(name: str) -> None:
    image = skimage.data.astronaut()[100:140, 200:260].astype(np.float32)
    before = image.copy()
    first, again, other = (ALL[name](image, rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(image, before)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, image)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("gaussian", "poisson")])
def test_flat_colour_keeps_its_level(name: str) -> None:
    for level in (0, 100, 255):
        result = ALL[name](flat(level), rng())
        assert result.mean() == pytest.approx(level, abs=2), level


def test_a_chain_goes_from_left_to_right() -> None:
    def add(n: float) -> Step:
        return lambda image, rng: np.asarray(image * 10 + n, np.float32)

    assert chain(add(1), add(2), add(3))(np.zeros((1, 1, 3), np.float32), rng())[0, 0, 0] == 123


def test_choices_come_as_often_as_their_weights_say() -> None:
    step = either((1, lambda i, r: i), (3, lambda i, r: i + 1), (0, lambda i, r: i + 9))
    random = rng()
    drawn = [step(np.zeros((1, 1, 3), np.float32), random)[0, 0, 0] for _ in range(2000)]
    assert set(drawn) == {0, 1}
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.03)
    half = sometimes(0.2, lambda i, r: i + 1)
    drawn = [half(np.zeros((1, 1, 3), np.float32), random)[0, 0, 0] for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.2, abs=0.03)


def test_blurs_spread_a_point_as_far_as_they_say() -> None:
    assert spread(blur((2, 2))(point(), rng())) == pytest.approx((2, 2), rel=0.02)
    for seed in range(5):  # in any direction
        long, short = spread(blur_anisotropic((3, 3), (0.5, 0.5))(point(), rng(seed)))
        assert (long, short) == pytest.approx((3, 1.5), rel=0.03)


def test_sinc_cuts_stripes_above_the_cutoff_and_rings_at_edges() -> None:
    x = np.arange(96)
    for frequency, kept in ((0.1, 1.0), (0.3, 0.0)):
        stripes = np.broadcast_to(np.sin(2 * np.pi * frequency * x)[None, :, None], (64, 96, 3))
        result = blur_sinc((0.2, 0.2))(stripes.astype(np.float32), rng())
        middle = np.std(result[24:40, 30:66]) / np.std(stripes)
        assert middle == pytest.approx(kept, abs=0.08)
    edge = flat(0)
    edge[:, 24:] = 200
    assert blur_sinc((0.2, 0.2))(edge, rng()).max() > 210


@pytest.mark.parametrize("resizer", RESIZERS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_resizers_keep_everything_in_its_place(resizer: Resizer, scale: int) -> None:
    ramp = np.broadcast_to(np.arange(96)[:, None, None], (96, 60, 3)).astype(np.float32)
    result = shrink(scale, (resizer,))(ramp, rng())
    assert result.shape == (96 // scale, 60 // scale, 3)
    centres = (np.arange(96 // scale) + 0.5) * scale - 0.5
    inside = slice(6, -6)
    assert np.abs(result[inside, 4, 0] - centres[inside]).max() <= 0.51  # rounding


def test_focus_has_a_spot_of_its_size_and_shifts_as_far_as_it_may() -> None:
    image = np.zeros((130, 130, 3), np.float32)
    image[64:66, 64:66] = 1
    assert spread(focus(2, (1.5, 1.5))(image, rng())) == pytest.approx((1.5, 1.5), rel=0.05)
    ramp = np.broadcast_to(np.arange(96)[:, None, None], (96, 60, 3)).astype(np.float32)
    still = focus(4, (0.5, 0.5))(ramp, rng())[6:-6, 0, 0]
    moved = [focus(4, (0.5, 0.5), shift=1)(ramp, rng(n))[6:-6, 0, 0] - still for n in range(20)]
    shifts = np.mean(moved, axis=1) / 4  # in pixels of the result
    assert np.ptp(moved, axis=1).max() < 0.01
    assert -1 <= shifts.min() < -0.5
    assert 0.5 < shifts.max() <= 1


def test_a_detour_passes_through_the_other_size() -> None:
    seen = []

    def note(image: Image, random: Generator) -> Image:
        seen.append(image.shape)
        return image

    result = detour(4, (1.5, 1.5), note)(flat(9, 80, 160), rng())
    assert (seen, result.shape) == ([(30, 60, 3)], (20, 40, 3))


def test_noise_is_as_strong_as_it_says() -> None:
    grey = flat(128, 200, 200)
    added = gaussian((4, 4))(grey, rng()) - grey
    assert added.std() == pytest.approx(4, rel=0.02)
    assert abs(np.corrcoef(added[..., 0].ravel(), added[..., 1].ravel())[0, 1]) < 0.02
    alike = gaussian((4, 4), grey=1)(grey, rng())
    assert np.array_equal(alike[..., 0], alike[..., 2])
    for level in (40, 160):  # variance of n photons is n
        shot = poisson((500, 500))(flat(level, 200, 200), rng())
        photons = 500 * level / 255
        assert shot.std() / level == pytest.approx(photons**-0.5, rel=0.03)
    brightness = (camera((4, 4))(grey, rng()) - grey).mean(axis=2)
    assert 4 < brightness.std() < 5  # of colour, a third is brightness


def test_camera_noise_is_coarser_in_colour_than_in_brightness() -> None:
    noise = camera((4, 4))(flat(128, 200, 200), rng()) - 128
    colour, brightness = noise[..., 0] - noise[..., 2], noise.mean(axis=2)

    def neighbours(n: Image) -> float:
        return float(np.corrcoef(n[:, :-1].ravel(), n[:, 1:].ravel())[0, 1])

    assert neighbours(colour) > 0.45
    assert neighbours(brightness) < 0.2


def test_jpeg_blocks_begin_anywhere() -> None:
    image = skimage.data.coffee()[:160, :160].astype(np.float32)
    starts = set()
    for seed in range(24):
        result = jpeg((10, 10), colour_halved=0)(image, rng(seed))[..., 1]
        steps = np.abs(np.diff(result, axis=1)).mean(axis=0)[:152].reshape(19, 8).mean(axis=0)
        starts.add(int(np.argmax(steps)))
    assert len(starts) >= 6


def test_jpeg_loses_more_at_a_lower_quality_and_halves_colour_when_told() -> None:
    image = skimage.data.coffee()[:160, :160].astype(np.float32)
    errors = [np.abs(jpeg((q, q))(image, rng()) - image).mean() for q in (95, 70, 30)]
    assert errors == sorted(errors)
    stripes = flat(128)
    stripes[:, ::2, 0], stripes[:, ::2, 2] = 220, 40  # of colour, a pixel wide
    whole, halved = (jpeg((95, 95), colour_halved=c)(stripes, rng()) for c in (0, 1))
    assert np.ptp(whole[:, 10:20, 0]) > 50
    assert np.ptp(halved[:, 10:20, 0]) < 50


def test_levels_are_rounded_not_cut() -> None:
    image = np.array([[[-3, 0.5, 1.49], [254.6, 300, 7.5]]], np.float32)
    assert levels(image).tolist() == [[[0, 1, 1], [255, 255, 8]]]
    assert to_pixels(image).dtype == np.uint8
