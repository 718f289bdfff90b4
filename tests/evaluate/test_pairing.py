"""HR and LR, found by name, and one clear line when they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wdsr.errors import PictureError, UsageError
from wdsr.evaluate.pairing import match, pairs
from wdsr.resize import resize

Array = NDArray[Any]


def picture(height: int, width: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, array: Array) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)


def test_lr_is_made_when_none_is_given(tmp_path: Path) -> None:
    hr = picture(43, 46)
    save(tmp_path / "a.png", hr)
    (pair,) = pairs(tmp_path, 4)
    np.testing.assert_array_equal(pair.hr, hr[:40, :44])
    np.testing.assert_array_equal(pair.lr, resize(hr[:40, :44], scale=1 / 4))
    assert (pair.name, pair.scale, pair.given) == ("a.png", 4, False)
    (one,) = pairs(tmp_path / "a.png", 4)  # a single file will do
    np.testing.assert_array_equal(one.hr, pair.hr)


def test_given_lr_is_used_as_it_is(tmp_path: Path) -> None:
    save(tmp_path / "hr" / "0801.png", picture(43, 46))
    lr = picture(10, 11, seed=1)
    save(tmp_path / "lr" / "0801x4.png", lr)
    (pair,) = pairs(tmp_path / "hr", 4, lr=tmp_path / "lr")
    np.testing.assert_array_equal(pair.lr, lr)
    assert pair.given


@pytest.mark.parametrize(
    ("hr", "partner"),
    [
        ("0801.png", "0801.bmp"),
        ("0801.png", "0801x4.png"),
        ("0801.png", "0801_x4.png"),
        ("0801.png", "0801-x4.png"),
        ("0801.png", "0801x4_x4.png"),  # DIV2K's LR, enlarged by `wdsr upscale`
        ("baby.png", "baby_LR.png"),
        ("img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png"),
        ("baby_HR.png", "baby_SR.png"),
    ],
)
def test_names_that_belong_together(tmp_path: Path, hr: str, partner: str) -> None:
    save(tmp_path / "hr" / hr, picture(4, 4))
    save(tmp_path / "other" / partner, picture(4, 4))
    found, faults = match(tmp_path / "hr", tmp_path / "other", 4)
    assert (found, faults) == ({tmp_path / "hr" / hr: tmp_path / "other" / partner}, {})


def test_the_plainest_name_wins_and_no_file_is_used_twice(tmp_path: Path) -> None:
    for name in ("hr/box.png", "hr/boxx4.png", "lr/box.png", "lr/boxx4.png"):
        save(tmp_path / name, picture(4, 4))
    found, faults = match(tmp_path / "hr", tmp_path / "lr", 4)
    assert {hr.name: path.name for hr, path in found.items()} == {
        "box.png": "box.png",
        "boxx4.png": "boxx4.png",
    }
    assert faults == {}


def test_who_stays_alone_is_named(tmp_path: Path) -> None:
    for name in (
        "hr/a.png",
        "hr/b.png",
        "hr/c.png",
        "lr/a.png",
        "lr/x.png",
        "lr/b.png",
        "lr/b.bmp",
    ):
        save(tmp_path / name, picture(4, 4))
    found, faults = match(tmp_path / "hr", tmp_path / "lr", 4)
    assert list(found) == [tmp_path / "hr" / "a.png"]
    both, missing, alone = map(str, faults.values())
    assert "b.bmp and b.png both belong to" in both
    assert missing.startswith(f"{tmp_path / 'hr' / 'c.png'}: has no partner in")
    assert "cx4.png" in missing
    assert alone.startswith(f"{tmp_path / 'lr' / 'x.png'}: has no HR")
    # For one HR file, a folder with partners of others will do.
    found, faults = match(tmp_path / "hr" / "a.png", tmp_path / "lr", 4)
    assert (len(found), faults) == (1, {})


def grey(height: int, width: int) -> Array:
    return picture(height, width)[..., 0]


BAD = {
    "another size": (picture(11, 11), ["a.png: is 11 x 11", "44 x 40", "11 x 10"]),
    "another scale": (picture(20, 22), ["a.png: is 22 x 20", "they fit at x2"]),
    "grey of colour": (grey(10, 11), ["a.png: is grey", "is colour"]),
    "16 bits": (grey(10, 11).astype(np.uint16) * 257, ["a.png: has 16-bit"]),
    "transparent": (np.dstack([picture(10, 11), grey(10, 11)]), ["a.png: is transparent"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_lr_that_does_not_fit(tmp_path: Path, kind: str) -> None:
    array, words = BAD[kind]
    save(tmp_path / "hr" / "a.png", picture(40, 44))
    save(tmp_path / "lr" / "a.png", array)
    with pytest.raises(PictureError) as error:
        list(pairs(tmp_path / "hr", 4, lr=tmp_path / "lr"))
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_grey_may_be_stored_as_colour_with_a_little_noise(tmp_path: Path) -> None:
    save(tmp_path / "hr" / "a.png", grey(40, 44))
    lr = np.repeat(grey(10, 11)[..., None] // 2, 3, axis=2)
    lr[..., 1] += 2  # as a network leaves it
    save(tmp_path / "lr" / "a.png", lr)
    (pair,) = pairs(tmp_path / "hr", 4, lr=tmp_path / "lr")
    assert pair.lr.shape == (10, 11, 3)


def test_bad_pictures_can_be_left_out(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        save(tmp_path / "hr" / f"{name}.png", picture(40, 44))
        save(tmp_path / "lr" / f"{name}.png", picture(10, 11))
    (tmp_path / "hr" / "a.png").write_bytes(b"no picture")
    save(tmp_path / "lr" / "b.png", picture(9, 11))
    (tmp_path / "lr" / "d.png").rename(tmp_path / "lr" / "e.png")
    told: list[PictureError] = []
    left = list(pairs(tmp_path / "hr", 4, lr=tmp_path / "lr", on_bad=told.append))
    assert [pair.name for pair in left] == ["c.png"]
    assert [Path(str(fault).split(":")[0]).name for fault in told] == [
        "d.png",  # what is missing is told first, before the long work
        "e.png",
        "a.png",
        "b.png",
    ]


def test_scales_and_pictures_too_small(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture(3, 44))
    with pytest.raises(PictureError, match=r"a.png: too small for x4: 44 x 3"):
        list(pairs(tmp_path, 4))
    with pytest.raises(UsageError, match="at least 2, not 1"):
        list(pairs(tmp_path, 1))
