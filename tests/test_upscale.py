"""From a picture to a larger one: size, kinds, alpha, grey, depth; with the shipped models."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

import wdsr
from wdsr import backends, zoo
from wdsr import picture as pictures
from wdsr.backends import Batch
from wdsr.card import ModelCard
from wdsr.errors import ModelError, PictureError, UsageError
from wdsr.picture import Picture
from wdsr.resize import resize
from wdsr.target import Target, chain
from wdsr.upscale import Upscaler

Array = NDArray[Any]

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
SCALES = zoo.scales(zoo.DEFAULT_MODEL)


class Nearest:
    """An engine that repeats pixels: at whole scales the right result is `np.repeat`."""

    precision = "float32"

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def run(self, batch: Batch) -> Batch:
        for axis in (1, 2) if batch.dtype == np.uint8 else (2, 3):
            batch = batch.repeat(self.card.scale, axis)
        return batch


@pytest.fixture
def nearest(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The fake in place of every engine; lists with which options each was made."""
    made = []

    def create(name: str, model: zoo.Model, **options: Any) -> Nearest:
        made.append({"name": name, "scale": model.card.scale, **options})
        return Nearest(model.card)

    monkeypatch.setattr(backends, "create", create)
    return made


@pytest.fixture(scope="module")
def x2() -> Upscaler:
    """The shipped x2 model on the default engine, in float32, which every machine has."""
    return wdsr.load(scale=2, precision="float32")


def photograph(height: int = 48, width: int = 64) -> Array:
    """A cat's face, uint8 RGB."""
    return pictures.read(PHOTOGRAPHS / "chelsea.png").pixels[90 : 90 + height, 120 : 120 + width]


def repeated(array: Array, times: int) -> Array:
    return array.repeat(times, 0).repeat(times, 1)


# How large


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(1, 64))
def test_a_scale_gives_the_rounded_size(height: int, width: int, scale: float) -> None:
    assert Target(scale=scale).size(height, width) == (round(height * scale), round(width * scale))


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(1, 60))
def test_sides_are_exact_and_the_other_side_keeps_the_shape(
    height: int, width: int, times: float
) -> None:
    wide, high = math.ceil(width * times), math.ceil(height * times)
    h, w = Target(width=wide).size(height, width)
    assert w == wide
    assert abs(h - height * wide / width) <= 0.5
    h, w = Target(height=high).size(height, width)
    assert h == high
    assert abs(w - width * high / height) <= 0.5
    assert Target(width=wide, height=high).size(height, width) == (high, wide)
    longest = max(wide, high)
    assert max(Target(max_side=longest).size(height, width)) == longest


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0},
        {"scale": 0.99},
        {"scale": -1},
        {"scale": math.nan},
        {"scale": math.inf},
        {"scale": 64.1},
        {"width": 0},
        {"height": -1},
        {"max_side": 0},
        {"scale": 2, "width": 9},
        {"scale": 2, "max_side": 9},
        {"max_side": 9, "height": 9},
    ],
)
def test_targets_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        Target(**options)
    for name in options:
        assert name.replace("_", "-") in str(error.value)


@pytest.mark.parametrize(
    "target",
    [
        Target(width=9),
        Target(height=7),
        Target(width=100, height=7),
        Target(width=9, height=100),
        Target(max_side=9),
        Target(max_side=641),
        Target(width=10, height=513),
    ],
)
def test_a_smaller_or_a_huge_result_is_refused(target: Target) -> None:
    with pytest.raises(UsageError, match="10 x 8"):
        target.size(height=8, width=10)


def test_suffixes_say_the_target() -> None:
    targets = {
        "_x4": Target(scale=4),
        "_x2.5": Target(scale=2.5),
        "_w9": Target(width=9),
        "_h9": Target(height=9),
        "_8x9": Target(width=8, height=9),
        "_max9": Target(max_side=9),
    }
    assert [target.suffix for target in targets.values()] == list(targets)


@given(st.floats(1, 64), st.lists(st.integers(2, 8), min_size=1, max_size=4, unique=True))
def test_the_chain_is_the_smallest_product_that_reaches_the_scale(
    scale: float, available: list[int]
) -> None:
    got = chain(scale, available)
    assert set(got) <= set(available)
    assert math.prod(got) >= scale - 1e-9
    # By search: no smaller product does, and no shorter chain gives the same.
    products: dict[int, int] = {1: 0}
    for _ in range(6):
        products |= {
            p * s: n + 1 for p, n in products.items() for s in available if p * s not in products
        }
    enough = min(p for p in products if p >= scale - 1e-9)
    assert math.prod(got) == enough
    assert len(got) == products[enough]
    assert all(a >= b for a, b in pairwise(got))


@pytest.mark.parametrize(
    "target",
    [
        Target(scale=1),
        Target(scale=2.5),
        Target(scale=3),
        Target(scale=4.5),
        Target(scale=8),
        Target(scale=17.3),
        Target(width=37),
        Target(width=19, height=60),
        Target(max_side=40),
    ],
    ids=lambda target: target.suffix,
)
@pytest.mark.parametrize("shape", [(7, 9, 3), (5, 5), (2, 1, 4)])
def test_every_target_is_met_exactly(
    nearest: object, target: Target, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    result = Upscaler(target=target).upscale(array)
    assert result.shape == (*target.size(*shape[:2]), *shape[2:])
    assert result.dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_chained_passes_are_exact_where_no_reduction_follows(
    nearest: object, dtype: str, channels: int
) -> None:
    array = noise((6, 5, channels), dtype)
    np.testing.assert_allclose(
        wdsr.load(scale=8).upscale(array), repeated(array, 8), rtol=1e-6 if "f" in dtype else 0
    )


def noise(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if "float" in dtype:
        return rng.random(shape).astype(dtype)
    # Alpha is above zero, or the colour under it would be replaced.
    return rng.integers(1, np.iinfo(dtype).max + 1, shape, dtype)


def test_a_reduction_is_made_from_unrounded_values(nearest: object) -> None:
    array = noise((6, 20, 3), "uint8") // 2 + 50
    expected = resize(repeated(array.astype(float), 4), size=(21, 70))
    result = wdsr.load(scale=3.5).upscale(array)
    assert np.abs(result - expected).max() < 0.501  # rounded once, not after each axis


# Better than what everyone has


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", ["chelsea.png", "astronaut.png"])
def test_better_than_bicubic_by_a_clear_margin(name: str, scale: int) -> None:
    hr = pictures.read(PHOTOGRAPHS / name).pixels[40:200, 80:320]
    lr = resize(hr, scale=1 / scale)
    sr = wdsr.load(scale=scale).upscale(lr)
    against = {"data_range": 255, "shave": scale, "luma": True}
    gain = wdsr.psnr(sr, hr, **against) - wdsr.psnr(resize(lr, scale=scale), hr, **against)  # type: ignore[arg-type]
    assert gain > 0.4


def test_three_times_and_the_ensemble_are_better_too() -> None:
    hr = photograph(180, 240)
    lr = resize(hr, scale=1 / 3)
    scores = [
        wdsr.psnr(sr, hr, data_range=255, shave=3, luma=True)
        for sr in (
            resize(lr, scale=3),
            wdsr.load(scale=3).upscale(lr),
            wdsr.load(scale=3, self_ensemble=True).upscale(lr),
        )
    ]
    assert scores[0] + 0.3 < scores[1] < scores[2]


def test_white_stays_white_and_black_black(x2: Upscaler) -> None:
    for level in (0, 255):
        flat = np.full((48, 64, 3), level, np.uint8)
        np.testing.assert_array_equal(x2.upscale(flat), np.full((96, 128, 3), level))


# Kinds


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1), (48, 64, 2), (48, 64, 3), (48, 64, 4)])
def test_arrays_keep_type_and_axes(x2: Upscaler, dtype: str, shape: tuple[int, ...]) -> None:
    colour = photograph() / 255
    channels = shape[2] if len(shape) == 3 else 1
    image = np.concatenate([colour, colour[..., :1]], axis=2)[..., -channels:].reshape(shape)
    if channels == 3:
        image = colour
    white = 1 if "float" in dtype else np.iinfo(dtype).max
    array = (image * white).round(0 if white > 1 else 16).astype(dtype)
    before = array.copy()
    result = x2.upscale(array)
    assert isinstance(result, np.ndarray)
    assert result.dtype == array.dtype
    assert result.shape == (96, 128, *shape[2:])
    np.testing.assert_array_equal(array, before)
    # All types tell of the same picture.
    reference = x2.upscale(image.astype(np.float32))
    step = {"uint8": 0.51 / 255, "uint16": 1e-4, "float16": 2e-3}.get(dtype, 1e-5)
    lr_step = 0.5 / 255 if dtype == "uint8" else 0
    np.testing.assert_allclose(
        (result / white)[4:-4, 4:-4],
        np.clip(reference, 0, 1)[4:-4, 4:-4] if white > 1 else reference[4:-4, 4:-4],
        atol=step + 4 * lr_step,
    )


def test_data_range_scales_and_nothing_else(x2: Upscaler) -> None:
    image = (photograph() / 255).astype(np.float32)
    expected = x2.upscale(image)
    np.testing.assert_allclose(x2.upscale(image * 255, data_range=255) / 255, expected, atol=1e-5)
    twelve = (image * 4095).round().astype(np.uint16)
    result = x2.upscale(twelve, data_range=4095)
    assert result.dtype == np.uint16
    assert result.max() <= 4095
    np.testing.assert_allclose(result / 4095, np.clip(expected, 0, 1), atol=1 / 1000)
    with pytest.raises(UsageError, match="data_range"):
        x2.upscale(image * 255)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(4, 4, 3), (4, 4), (4, 4, 4)])
def test_values_that_are_no_numbers(x2: Upscaler, value: float, shape: tuple[int, ...]) -> None:
    array = np.full(shape, 0.5)
    array[1, 2, ...] = value
    with pytest.raises(PictureError, match="NaN or infinite") as error:
        x2.upscale(array)
    assert "\n" not in str(error.value)


def test_a_float_file_whose_white_is_not_1(x2: Upscaler, tmp_path: Path) -> None:
    source = tmp_path / "in.tif"
    tifffile.imwrite(source, photograph().astype(np.float32), photometric="rgb")
    with pytest.raises(PictureError, match=r"these reach 2\d\d: divide"):
        x2.upscale(source)
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_paths(nearest: object, tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    Image.fromarray(photograph()).save(source)
    before = source.read_bytes()
    upscaler = wdsr.load(scale=2)
    assert upscaler.upscale(source) == tmp_path / "photo_x2.png"
    with pytest.raises(PictureError, match="exists already"):
        upscaler.upscale(str(source))
    (tmp_path / "photo_x2.png").write_bytes(b"an older one")
    assert upscaler.upscale(str(source), overwrite=True) == tmp_path / "photo_x2.png"
    assert upscaler.upscale(str(source), output=str(tmp_path / "o.png")) == tmp_path / "o.png"
    assert (tmp_path / "o.png").read_bytes() == (tmp_path / "photo_x2.png").read_bytes()
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "o.png")), repeated(photograph(), 2)
    )
    assert source.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(PictureError, match="does not exist"):
        upscaler.upscale(tmp_path / "missing.png")
    with pytest.raises(PictureError, match="cannot be written"):
        upscaler.upscale(source, output=tmp_path / "no" / "such" / "folder.png")


def test_bytes(x2: Upscaler) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photograph()).save(buffer, "PNG")
    result = x2.upscale(buffer.getvalue())
    assert isinstance(result, bytes)
    with Image.open(io.BytesIO(result)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), x2.upscale(photograph()))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pil_images(x2: Upscaler, mode: str) -> None:
    image = Image.fromarray(photograph()).convert(mode)
    result = x2.upscale(image)
    assert (result.mode, result.size) == (mode, (128, 96))
    np.testing.assert_array_equal(np.asarray(result), x2.upscale(np.asarray(image)))
    assert image.size == (64, 48)


def test_a_pil_image_keeps_its_profile_and_is_turned_upright(nearest: object) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 8
    buffer = io.BytesIO()
    Image.fromarray(photograph()).save(buffer, "PNG", exif=exif, icc_profile=icc)
    result = wdsr.load(scale=2).upscale(Image.open(buffer))
    assert result.info["icc_profile"] == icc
    assert result.getexif().get(0x0112, 1) == 1
    np.testing.assert_array_equal(np.asarray(result), repeated(np.rot90(photograph()), 2))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_orientation_and_profile_of_files(nearest: object, kind: str, orientation: int) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = orientation
    sent = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    # One corner is white: where it ends up tells all eight apart, with the sides.
    corner = np.zeros((16, 24, 3), np.uint8)
    corner[:8, :8] = 255
    Image.fromarray(corner).save(sent, kind, exif=exif.tobytes(), icc_profile=icc, **options)
    result = Image.open(io.BytesIO(wdsr.load(scale=2).upscale(sent.getvalue())))
    assert result.info["icc_profile"] == icc
    assert result.getexif().get(0x0112, 1) == 1
    turns: dict[int, Callable[[Array], Array]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: np.rot90(a),
    }
    expected = repeated(turns[orientation](corner), 2)
    np.testing.assert_array_equal(np.asarray(result) > 127, expected > 127)


def test_sixteen_bits_stay_sixteen_bits(x2: Upscaler, tmp_path: Path) -> None:
    y, x = np.mgrid[0:48, 0:64]
    ramp = (20000 + 37 * x + 11 * y).astype(np.uint16)  # neighbours closer than one 8-bit level
    source = tmp_path / "ramp.png"
    pictures.write(Picture(np.stack([ramp, ramp + 500, ramp + 900], axis=2)), source)
    result = pictures.read(x2.upscale(source)).pixels
    assert result.dtype == np.uint16
    assert len(np.unique(result)) > 3000
    assert len(np.unique(result % 257)) > 200  # not 8 bits, stretched
    smooth = resize(ramp, scale=2)
    assert np.abs(result[8:-8, 8:-8, 0].astype(int) - smooth[8:-8, 8:-8]).max() < 12 * 257


def test_grey_is_the_grey_of_the_colours(x2: Upscaler) -> None:
    grey = photograph()[..., 1]
    result = x2.upscale(grey)
    colour = x2.upscale(np.repeat(grey[..., None], 3, axis=2))
    assert np.abs(result - colour.mean(axis=2)).max() <= 1
    with_axis = x2.upscale(grey[..., None])
    np.testing.assert_array_equal(with_axis[..., 0], result)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_what_is_neutral_everywhere_stays_so(x2: Upscaler, dtype: str) -> None:
    """A black and white photograph in a file of colours: the network alone tints it."""
    grey = photograph()[..., :1].astype(dtype)
    if dtype == "float32":
        grey /= 255
    result = x2.upscale(grey.repeat(3, 2))
    np.testing.assert_array_equal(result, x2.upscale(grey).repeat(3, 2))
    alpha = np.full_like(grey, np.iinfo(np.uint8).max if dtype == "uint8" else 1)
    alpha[:9] = 0
    veiled = np.concatenate([grey.repeat(3, 2), alpha], axis=2)
    veiled[:9, :, :3] = np.random.default_rng(0).random((9, grey.shape[1], 3))  # hidden colour
    assert np.ptp(x2.upscale(veiled)[..., :3].astype(float), axis=2).max() == 0
    coloured = grey.repeat(3, 2)
    coloured[-1, -1, 2] = 0
    assert np.ptp(x2.upscale(coloured).astype(float), axis=2)[:40].max() > 0


# Alpha


def disc(colour: tuple[int, int, int], garbage: int | None) -> Array:
    """RGBA: a disc of one colour with a soft edge, and anything under full transparency."""
    y, x = np.mgrid[0:48, 0:64]
    alpha = np.clip((16 - np.hypot(y - 24, x - 32)) / 4, 0, 1)
    array = np.empty((48, 64, 4), np.uint8)
    array[..., :3] = colour
    array[..., 3] = np.rint(alpha * 255)
    hidden = array[..., 3] == 0
    if garbage is not None:
        array[hidden, :3] = noise((48, 64, 3), "uint8", garbage)[hidden]
    return array


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (180, 120, 90), (20, 90, 200)])
def test_a_disc_keeps_its_colour_up_to_its_edge(x2: Upscaler, colour: tuple[int, int, int]) -> None:
    result = x2.upscale(disc(colour, garbage=0))
    # What the network makes of that colour alone, without any edge.
    flat = x2.upscale(disc(colour, garbage=None)[..., :3])
    seen = result[..., 3] > 0
    assert 0.1 < seen.mean() < 0.5
    difference = np.abs(result[..., :3].astype(int) - flat)[seen]
    assert difference.max() <= 1
    # The edge is that of the input, not softer and not rimmed by opacity.
    expected = resize(disc(colour, None)[..., 3], scale=2)
    assert np.abs(result[..., 3].astype(int) - expected).mean() < 2


def test_what_is_hidden_never_shows(x2: Upscaler) -> None:
    first, second = (x2.upscale(disc((200, 40, 90), garbage)) for garbage in (1, 2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_flat_alpha_stays_exact(x2: Upscaler, dtype: str, level: float) -> None:
    white = 1 if "float" in dtype else np.iinfo(dtype).max
    array = (photograph() / 255 * white).astype(dtype)
    value = np.array(level * white).astype(dtype)
    result = x2.upscale(np.dstack([array, np.full((48, 64), value)]))
    assert (result[..., 3] == value).all()
    if level == 1:
        np.testing.assert_array_equal(result[..., :3], x2.upscale(array))


def test_alpha_and_colour_do_not_mix(nearest: object) -> None:
    array = noise((5, 6, 4), "uint8")
    np.testing.assert_array_equal(wdsr.load(scale=2).upscale(array), repeated(array, 2))


# How it is done


def test_nothing_loads_before_it_is_needed(nearest: list[dict[str, Any]]) -> None:
    upscaler = wdsr.load(scale=4)
    assert nearest == []
    for _ in range(3):
        upscaler.upscale(noise((5, 6, 3), "uint8"))
    assert len(nearest) == 1  # and it is kept


def test_options_reach_the_engine(nearest: list[dict[str, Any]]) -> None:
    upscaler = wdsr.load(scale=2, backend="onnxruntime", precision="bf16", device="GPU", threads=3)
    upscaler.upscale(noise((5, 6, 3), "uint8"))
    upscaler.upscale(noise((5, 6, 3), "uint16"))
    engine = {"name": "onnxruntime", "scale": 2, "device": "GPU", "threads": 3}
    # bf16 has fewer bits than a 16-bit picture.
    assert nearest == [engine | {"precision": "bf16"}, engine | {"precision": "float32"}]


def test_describe(nearest: object) -> None:
    picture = Picture(noise((5, 6, 3), "uint8"))
    assert wdsr.load(scale=4).describe(picture) == "wdsr-b-8-x4, Nearest, float32"
    assert wdsr.load(scale=8).describe(picture).count("Nearest") == len(chain(8, SCALES))
    assert "no model" in wdsr.load(scale=1).describe(picture)


@pytest.mark.parametrize("scale", [2, 2.5, 8])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_progress_counts_every_tile_up_to_the_last(
    nearest: object, scale: float, tile: int | None, channels: int
) -> None:
    told: list[tuple[int, int]] = []
    upscaler = wdsr.load(scale=scale, tile=tile)
    upscaler.upscale(
        noise((20, 30, channels), "uint8"), on_progress=lambda *step: told.append(step)
    )
    total = told[0][1]
    assert told == [(n, total) for n in range(1, total + 1)]
    if tile and scale == 2:
        assert total == 2 * 2 * (2 if channels == 4 else 1)


@pytest.mark.parametrize("scale", [2, 8])
def test_a_tile_larger_than_the_picture_costs_no_more(nearest: object, scale: int) -> None:
    array = noise((5, 6, 3), "uint8")
    result = wdsr.load(scale=scale, tile=10**6).upscale(array)
    np.testing.assert_array_equal(result, repeated(array, scale))


@pytest.mark.parametrize(
    "options",
    [
        {"model": "wdsr-z-99"},
        {"scale": 0},
        {"backend": "cuda"},
        {"precision": "int3"},
        {"tile": 0},
        {"threads": 0},
    ],
)
def test_a_wrong_call_fails_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        wdsr.load(**options)
    assert "\n" not in str(error.value)


def test_models_that_do_not_fit(nearest: object, monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.find(zoo.DEFAULT_MODEL, 2)

    def card(**changes: Any) -> None:
        values = {name: getattr(model.card, name) for name in model.card.__dataclass_fields__}
        odd = zoo.Model(ModelCard(**(values | changes)), model.onnx, "odd.onnx")
        monkeypatch.setattr(zoo, "read_model", lambda path: odd)

    card(channels=1)
    with pytest.raises(ModelError, match=r"odd\.onnx: for pictures of 1 channels"):
        wdsr.load("odd.onnx", scale=2).upscale(noise((4, 4, 3), "uint8"))
    card(scale=1)
    with pytest.raises(ModelError, match=r"odd\.onnx: does not enlarge"):
        wdsr.load("odd.onnx", scale=2)


def test_a_picture_is_not_touched_even_at_scale_1(nearest: object) -> None:
    for dtype in ("uint8", "float32"):
        array = noise((5, 6, 4), dtype)
        before = array.copy()
        result = wdsr.load(scale=1).upscale(array)
        result[:] = 0
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": "4"}, "scale must be a number, not '4'"),
        ({"scale": 4, "tile": "auto"}, "tile must be a whole number or None, not 'auto'"),
        ({"scale": 4, "threads": 1.5}, "threads must be a whole number or None, not 1.5"),
    ],
)
def test_options_of_a_wrong_type(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        wdsr.load(**options)
    with pytest.raises(UsageError, match=r"width must be a whole number, not 9\.5"):
        Target(width=9.5)  # type: ignore[arg-type]
    assert Target(scale=np.float32(2)).suffix == "_x2"  # type: ignore[arg-type]


def test_an_upscaler_tells_what_it_is(nearest: object) -> None:
    upscaler = wdsr.load("wdsr-b-8", scale=2, backend="openvino")
    assert repr(upscaler) == "<Upscaler wdsr-b-8, x2, openvino, auto>"
    upscaler.upscale(np.zeros((4, 4, 3), np.uint8))
    assert repr(upscaler) == "<Upscaler wdsr-b-8, x2, openvino, float32>"


def test_a_models_name_may_say_its_scale() -> None:
    assert wdsr.load("wdsr-b-8-x3").target == Target(scale=3)
    assert wdsr.load("wdsr-b-8").target == wdsr.load("wdsr-b-8-x4", scale=4).target
    with pytest.raises(UsageError, match="wdsr-b-8-x3 enlarges 3 times, not 4: give wdsr-b-8 for"):
        wdsr.load("wdsr-b-8-x3", scale=4)
