"""Folders of LR and HR pictures: matched by name, checked before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.train.helpers import waves

from wdsr.errors import TrainingError
from wdsr.train.data import Pairs
from wdsr.train.pack import inspect, is_pack, pack
from wdsr.train.pictures import fits, match
from wdsr.train.validate import validation_pairs


def make(folder: Path, names: dict[str, tuple[int, int]]) -> Path:
    folder.mkdir()
    for seed, (name, (height, width)) in enumerate(names.items()):
        Image.fromarray(waves(height, width, seed)).save(folder / name)
    return folder


def paths(*names: str) -> list[Path]:
    return [Path("folder") / name for name in names]


@pytest.mark.parametrize(
    ("scale", "mark"), [(2, "x2"), (3, "x3"), (4, "x4"), (8, "x8"), (4, "x4m"), (4, "x4d"), (4, "")]
)
def test_names_as_div2k_has_them(scale: int, mark: str) -> None:
    hr, lr = paths("0001.png", "0002.png"), paths(f"0001{mark}.png", f"0002{mark}.jpg")
    assert match(hr, lr, scale) == lr


@pytest.mark.parametrize(
    ("lr", "says"),
    [
        (["a.png"], r"1 pictures without a partner: b\.png"),
        (["a.png", "b.png", "c.png"], r"1 pictures without a partner: c\.png"),
        (["a.png", "bx2.png"], r"2 pictures without a partner: b\.png and bx2\.png;.*0001x4m\.png"),
        (["a.png", "ax4.png", "b.png"], r"1 pictures two for one: ax4\.png"),
    ],
)
def test_names_that_do_not_match(lr: list[str], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        match(paths("a.png", "b.png"), paths(*lr), 4)


def test_a_name_that_ends_like_a_mark_is_taken_as_it_is() -> None:
    hr = paths("matrix4.png", "photo.png")
    for names in (("matrix4.jpg", "photo.jpg"), ("matrix4x4.png", "photox4.png")):
        assert match(hr, paths(*names), 4) == paths(*names)


def test_two_hr_pictures_do_not_share_one_lr() -> None:
    with pytest.raises(TrainingError, match=r"1 pictures two for one: a\.jpg and a\.png;"):
        match(paths("a.jpg", "a.png", "b.png"), paths("a.png", "b.png"), 4)


def test_sizes_are_rounded_down_or_up() -> None:
    assert fits((1404, 2040), (176, 255), 8)
    assert fits((1404, 2040), (175, 255), 8)
    assert not fits((1404, 2040), (174, 255), 8)
    assert not fits((1404, 2040), (177, 255), 8)


def test_given_pairs_are_packed(tmp_path: Path) -> None:
    hr = make(tmp_path / "hr", {"1.png": (40, 60), "2.png": (39, 41)})
    lr = make(tmp_path / "lr", {"1x4.png": (10, 15), "2x4.png": (10, 11)})
    pairs = Pairs(pack(hr, tmp_path / "cache", 4, lr=lr), 4)
    assert is_pack(pairs.folder)
    assert not is_pack(hr)
    assert [image.shape for image in pairs.lr] == [(10, 15, 3), (9, 10, 3)]
    np.testing.assert_array_equal(pairs.lr[0], np.asarray(Image.open(lr / "1x4.png")))
    np.testing.assert_array_equal(pairs.lr[1], np.asarray(Image.open(lr / "2x4.png"))[:9, :10])
    # Another folder of LR is another pack.
    other = make(tmp_path / "other", {"1.png": (10, 15), "2.png": (10, 11)})
    assert pack(hr, tmp_path / "cache", 4, lr=other) != pairs.folder


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    sizes = {"a.png": (40, 40), "b.png": (40, 40), "c.png": (3, 40), "d.png": (40, 40)}
    hr = make(tmp_path / "hr", sizes)
    lr = make(tmp_path / "lr", {"a.png": (9, 10), "b.png": (10, 10), "c.png": (1, 10)})
    (lr / "d.png").write_text("I am a letter.")
    with pytest.raises(TrainingError) as caught:
        pack(hr, tmp_path / "cache", 4, lr=lr)
    message = str(caught.value)
    assert "lr/a.png: 10 x 9 pixels, not 1/4 of 40 x 40 (a.png)" in message
    assert "hr/c.png: 40 x 3 pixels are too few" in message
    assert "lr/d.png: cannot decode" in message
    assert "b.png" not in message
    assert not (tmp_path / "cache").exists()


def test_patches_larger_than_pictures_are_known_from_the_headers(tmp_path: Path) -> None:
    hr = make(tmp_path / "hr", {"a.png": (40, 40), "b.png": (60, 60)})
    inspect(hr, 4, patch=10)
    with pytest.raises(TrainingError, match=r"1 of 2 pictures .* 44 pixels \(a\.png\)"):
        inspect(hr, 4, patch=11)


@pytest.mark.parametrize("scale", [2, 3])
def test_validation_takes_the_lr_that_is_given(tmp_path: Path, scale: int) -> None:
    """LR pixels say where they are, so a shift between the two would show."""
    (tmp_path / "hr").mkdir()
    (tmp_path / "lr").mkdir()
    row, column = np.mgrid[:40, :50]
    lr = np.stack([row, column, row * 0], axis=2).astype(np.uint8)
    Image.fromarray(lr).save(tmp_path / "lr" / f"ax{scale}.png")
    hr = lr.repeat(scale, axis=0).repeat(scale, axis=1)
    Image.fromarray(hr).save(tmp_path / "hr" / "a.png")
    for side in (24, 25, 1000):
        ((small, large),) = validation_pairs(tmp_path / "hr", scale, side=side, lr=tmp_path / "lr")
        np.testing.assert_array_equal(large, small.repeat(scale, axis=0).repeat(scale, axis=1))
        assert small.shape == ((side // scale,) * 2 + (3,) if side < 1000 else lr.shape)
    Image.fromarray(lr[1:]).save(tmp_path / "lr" / f"ax{scale}.png")
    with pytest.raises(TrainingError, match="its size is not that of"):
        validation_pairs(tmp_path / "hr", scale, lr=tmp_path / "lr")
