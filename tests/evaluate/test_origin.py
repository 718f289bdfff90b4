"""Which resizer made an LR: each is told from the protocol's own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import rescale

from wdsr import picture as pictures
from wdsr.evaluate.origin import SUSPECTS, Origin, origin, warning
from wdsr.resize import resize

Array = NDArray[Any]

HR = pictures.read(Path(skimage.__file__).parent / "data" / "coffee.png").pixels[20:260, 40:400]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_our_own_downscale_fits(scale: int) -> None:
    assert origin(HR, resize(HR, scale=1 / scale), scale).fits


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_same_resizer_in_another_program_fits(scale: int) -> None:
    """torch with antialiasing is MATLAB's bicubic inside the border (another rounding)."""
    found = origin(HR, by_torch(HR, scale, "bicubic", antialias=True), scale)
    assert found == Origin(True, "", found.distance)
    assert found.distance > 50


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", SUSPECTS)
def test_every_suspect_is_found(scale: int, name: str) -> None:
    found = origin(HR, SUSPECTS[name](HR, scale), scale)
    assert not found.fits
    assert name in found.likely


def test_programs_themselves_are_named() -> None:
    """Not our imitation of a resizer, but the library that users have."""
    assert "INTER_CUBIC" in origin(HR, by_torch(HR, 4, "bicubic"), 4).likely
    assert "INTER_LINEAR" in origin(HR, by_torch(HR, 4, "bilinear"), 4).likely
    blurred = rescale(HR, 1 / 4, order=1, anti_aliasing=True, channel_axis=2, preserve_range=True)
    assert "scikit-image" in origin(HR, np.rint(blurred).astype(np.uint8), 4).likely


def test_an_lr_from_elsewhere_has_no_name() -> None:
    buffer = io.BytesIO()
    Image.fromarray(resize(HR, scale=1 / 4)).save(buffer, "JPEG", quality=40)
    found = origin(HR, np.asarray(Image.open(buffer)), 4)
    assert not found.fits
    assert found.likely == ""
    assert 25 < found.distance < 45


def test_the_lr_of_another_picture_is_suspected() -> None:
    found = origin(HR, resize(HR[::-1, ::-1].copy(), scale=1 / 4), 4)
    assert not found.fits
    assert "of the same picture?" in str(warning([found]))


def test_a_flat_picture_proves_nothing() -> None:
    flat = np.full((80, 80, 3), 99, np.uint8)
    assert origin(flat, flat[::4, ::4], 4).fits


def test_one_line_of_warning() -> None:
    good, bad, unknown = (
        Origin(True, "", 99),
        Origin(False, "Pillow BOX", 40.26),
        Origin(False, "", 31),
    )
    assert warning([]) is None
    assert warning([good, good]) is None
    told = warning([good, bad, bad])
    assert told is not None
    assert told.startswith("2 of 3 LR pictures")
    assert "40.3 dB" in told
    assert "most likely by Pillow BOX" in told
    assert "do not compare" in told
    assert "nor by any resizer known here (compressed?)" in str(warning([unknown]))
    kin = Origin(False, "Pillow BICUBIC", 55)
    assert (kin.harmful, bad.harmful, good.harmful) == (False, True, False)
    assert "differ a little" in str(warning([kin, good]))


def by_torch(hr: Array, scale: int, mode: str, **options: Any) -> Array:
    batch = torch.from_numpy(hr.transpose(2, 0, 1)[None].copy()).double()
    small = torch.nn.functional.interpolate(batch, scale_factor=1 / scale, mode=mode, **options)
    array: Array = small[0].round().clamp(0, 255).byte().numpy().transpose(1, 2, 0)
    return array
