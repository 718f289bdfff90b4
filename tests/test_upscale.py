"""From a picture to a larger one: size, kinds, alpha, grey, depth; with the shipped models."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from tests.helpers import PHOTOGRAPHS, Array, photograph, repeated, unpacked

import wdsr
from wdsr import picture as pictures
from wdsr.errors import PictureError, UsageError
from wdsr.picture import Picture
from wdsr.resize import resize
from wdsr.upscale import Upscaler

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
    made = [(tmp_path / name).read_bytes() for name in ("o.png", "photo_x2.png")]
    assert unpacked(made[0]) == unpacked(made[1])
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
