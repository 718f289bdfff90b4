from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
import skimage.data

from wdsr.degrade import MARGIN, PRESETS, Preset
from wdsr.degrade.sheet import sheet
from wdsr.errors import UsageError
from wdsr.metrics import psnr
from wdsr.resize import resize


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_gives_lr_of_the_right_size(name: str, scale: int) -> None:
    hr = skimage.data.astronaut()[:122, :150]
    before = hr.copy()
    make = Preset(name, scale)
    first, again = (make(hr, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (122 // scale, 150 // scale, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.array_equal(hr, before)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_classical_is_the_fields_own_lr_to_the_last_bit(scale: int) -> None:
    hr = skimage.data.chelsea()[: 296 // scale * scale, : 448 // scale * scale]
    lr = resize(hr, scale=1 / scale)
    assert np.array_equal(Preset("classical", scale)(hr, np.random.default_rng()), lr)
    # A patch with its margin is as good as the whole picture.
    wide = hr[10 * scale : 50 * scale, 20 * scale : 60 * scale]
    cut = Preset("classical", scale)(wide, np.random.default_rng())[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.array_equal(cut, lr[10 + MARGIN : 50 - MARGIN, 20 + MARGIN : 60 - MARGIN])


def test_the_presets_grow_worse_from_mild_to_harsh() -> None:
    hr = skimage.data.coffee()[:160, :160]
    lr = resize(hr, scale=1 / 4)

    def score(name: str) -> float:
        made = (Preset(name, 4)(hr, np.random.default_rng(seed)) for seed in range(40))
        return float(np.median([min(psnr(image, lr, data_range=255), 60) for image in made]))

    scores = [score(name) for name in ("mild", "photo", "harsh")]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] > 26  # most of what `photo` makes is lightly damaged


@pytest.mark.parametrize(("scale", "share"), [(2, 0.33), (4, 0.12)])
def test_a_part_of_photo_is_without_damage(scale: int, share: float) -> None:
    hr = skimage.data.coffee()[:64, :64]
    lr = resize(hr, scale=1 / scale)
    make, random = Preset("photo", scale), np.random.default_rng(0)
    clean = [np.array_equal(make(hr, random), lr) for _ in range(600)]
    assert np.mean(clean) == pytest.approx(share, abs=0.06)  # three deviations


def test_what_cannot_be_degraded_is_refused() -> None:
    with pytest.raises(UsageError, match="no degradation 'foto': choose classical, table, mild"):
        Preset("foto", 4)
    with pytest.raises(UsageError, match="scale must be at least 1, not 0"):
        Preset("photo", 0)
    random = np.random.default_rng()
    with pytest.raises(UsageError, match="2 x 8 is too small for x4"):
        Preset("photo", 4)(np.zeros((8, 2, 3), np.uint8), random)
    for image in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)):
        with pytest.raises(UsageError, match="must be"):
            Preset("photo", 4)(image, random)  # type: ignore[arg-type]


def test_photo_does_not_starve_training() -> None:
    """A step of 8 patches takes 200 ms on one core; degrading them at most a tenth of it."""
    hr = skimage.data.astronaut()[: (32 + 2 * MARGIN) * 4, : (32 + 2 * MARGIN) * 4]
    make, random = Preset("photo", 4), np.random.default_rng(0)
    times = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(8 * 8):
            make(hr, random)
        times.append((time.process_time() - began) / 8)
    assert min(times) < 0.020


def test_degrading_needs_numpy_and_pillow_only() -> None:
    code = (
        "import sys, wdsr.degrade, wdsr.degrade.sheet; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'pyvips', 'torch', 'scipy', 'openvino', 'rich', 'typer'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_sheet_shows_the_picture_and_its_lrs() -> None:
    hr = skimage.data.coffee()
    drawn = sheet(hr, presets=("classical", "harsh"), scale=4, columns=3, side=64, seed=1)
    assert np.array_equal(
        drawn, sheet(hr, presets=("classical", "harsh"), columns=3, side=64, seed=1)
    )
    top, left = 26, 118
    middle = hr[200 - 32 : 200 + 32, 300 - 32 : 300 + 32]
    assert np.array_equal(drawn[top : top + 64, left : left + 64], middle)
    lr = resize(middle, scale=1 / 4).repeat(4, axis=0).repeat(4, axis=1)
    assert np.array_equal(drawn[top : top + 64, left + 70 : left + 134], lr)
    first, second = (drawn[top + 70 : top + 134, left + n : left + n + 64] for n in (70, 140))
    assert not np.array_equal(first, second)
    with pytest.raises(UsageError, match="20 x 31 is too small for a sheet at x4"):
        sheet(hr[:31, :20], presets=("mild",))
