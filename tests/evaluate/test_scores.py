"""Rows of scores, against numbers worked out another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from wdsr import backends, zoo
from wdsr import picture as pictures
from wdsr.errors import PictureError, UsageError
from wdsr.evaluate import (
    ANCESTOR,
    CLASSICAL,
    NTIRE,
    Protocol,
    bicubic,
    evaluate,
    lanczos,
    mean,
    model,
    pairs,
)
from wdsr.evaluate.scores import Finished, Row, side_by_side, timed
from wdsr.resize import resize

Array = NDArray[Any]

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


def photograph(name: str, height: int, width: int) -> Array:
    return pictures.read(PHOTOGRAPHS / name).pixels[80 : 80 + height, 60 : 60 + width]


def save(path: Path, array: Array) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path)


def luma(image: Array) -> Array:
    """Rec. 601 from its definition: weights of the primaries, then 219 steps above 16."""
    red, green, blue = (image[..., c] / 255 for c in range(3))
    return np.asarray(16 + 219 * (0.299 * red + 0.587 * green + 0.114 * blue))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_bicubic_row_is_what_the_protocol_defines(tmp_path: Path, scale: int) -> None:
    hr = photograph("chelsea.png", 101, 134)  # no multiple of any scale
    save(tmp_path / "cat.png", hr)
    (row,) = evaluate(tmp_path, scale, bicubic)

    hr = hr[: 101 - 101 % scale, : 134 - 134 % scale]
    lr = resize(hr, size=(hr.shape[0] // scale, hr.shape[1] // scale))
    sr = resize(lr, size=hr.shape[:2])
    inner = slice(scale, -scale), slice(scale, -scale)
    ours, true = luma(sr)[inner], luma(hr)[inner]
    assert row.name == "cat.png"
    assert row.psnr == pytest.approx(10 * np.log10(255**2 / np.mean((ours - true) ** 2)), abs=1e-3)
    similarity = structural_similarity(
        ours,
        true,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert row.ssim == pytest.approx(similarity, abs=1e-5)
    assert row.seconds is not None
    assert 0 < row.seconds < 60


def test_a_row_for_each_picture_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "c.bmp", "a.png"):
        save(tmp_path / name, photograph("coffee.png", 40, 40))
    (tmp_path / "notes.txt").write_text("not a picture")
    save(tmp_path / "deeper" / "d.png", photograph("coffee.png", 40, 40))
    rows = list(evaluate(tmp_path, 2, bicubic))
    assert [row.name for row in rows] == ["a.png", "b.png", "c.bmp"]
    assert len({row.psnr for row in rows}) == 1


def test_the_method_gets_eight_bit_rgb_and_the_scale(tmp_path: Path) -> None:
    save(tmp_path / "cat.png", photograph("chelsea.png", 62, 83))
    seen = []

    def method(lr: Array, scale: int) -> Array:
        seen.append((lr.shape, lr.dtype.name, scale))
        return bicubic(lr, scale)

    list(evaluate(tmp_path, 3, method))
    assert seen == [((20, 27, 3), "uint8", 3)]


@pytest.mark.parametrize("scale", [2, 4])
def test_the_shipped_models_beat_bicubic(tmp_path: Path, scale: int) -> None:
    save(tmp_path / "cat.png", photograph("chelsea.png", 128, 160))
    save(tmp_path / "cup.png", photograph("coffee.png", 128, 160))
    backend = backends.create("auto", zoo.find(zoo.DEFAULT_MODEL, scale), precision="float32")
    scored = zip(
        evaluate(tmp_path, scale, model(backend)), evaluate(tmp_path, scale, bicubic), strict=True
    )
    for ours, baseline in scored:
        assert ours.psnr > baseline.psnr + 0.3
        assert ours.ssim > baseline.ssim


def test_grey_is_scored_as_its_equal_in_rgb(tmp_path: Path) -> None:
    grey = photograph("camera.png", 60, 60)
    assert grey.shape[2] == 1
    save(tmp_path / "grey.png", grey)
    save(tmp_path / "rgb.png", np.repeat(grey, 3, axis=2))
    first, second = evaluate(tmp_path, 2, bicubic)
    assert (first.psnr, first.ssim) == (second.psnr, second.ssim)


def bad_picture(kind: str) -> Array:
    if kind == "16 bits":
        return np.full((40, 40), 999, np.uint16)
    if kind == "transparent":
        return np.full((40, 40, 4), 99, np.uint8)
    return np.full((14, 40, 3), 99, np.uint8)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("16 bits", "16-bit"), ("transparent", "transparent"), ("too small", "too small")],
)
def test_pictures_the_protocol_is_not_for(tmp_path: Path, kind: str, words: str) -> None:
    save(tmp_path / "bad.png", bad_picture(kind))
    with pytest.raises(PictureError, match=words) as error:
        list(evaluate(tmp_path, 2, bicubic))
    assert str(tmp_path / "bad.png") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("protocol", "shave", "scored"),
    [(CLASSICAL, 2, luma), (NTIRE, 8, np.asarray), (ANCESTOR, 0, np.asarray)],
)
def test_what_each_protocol_scores(
    tmp_path: Path, protocol: Protocol, shave: int, scored: Any
) -> None:
    hr = photograph("chelsea.png", 60, 84)
    save(tmp_path / "cat.png", hr)
    (row,) = evaluate(tmp_path, 2, bicubic, protocol)
    sr = resize(resize(hr, scale=1 / 2), scale=2)
    inner = slice(shave, 60 - shave), slice(shave, 84 - shave)
    ours, true = (np.asarray(scored(image.astype(float))[inner]) for image in (sr, hr))
    assert row.psnr == pytest.approx(10 * np.log10(255**2 / np.mean((ours - true) ** 2)), abs=1e-3)
    similarity = structural_similarity(
        ours,
        true,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2 if ours.ndim == 3 else None,
    )
    assert row.ssim == pytest.approx(similarity, abs=1e-5)
    assert row.ms_ssim is None  # 60 rows are too few for five scales


def test_the_rows_of_several_methods_on_one_picture(tmp_path: Path) -> None:
    save(tmp_path / "cat.png", photograph("chelsea.png", 180, 200))
    (pair,) = pairs(tmp_path, 2)

    def different(sr: Array, hr: Array) -> float:
        assert sr.shape == hr.shape == (176, 196, 3)
        return float((sr != hr).mean())

    makers = {"bicubic": timed(bicubic), "lanczos": timed(lanczos)}
    first, second = side_by_side(pair, makers, extra={"lpips": different})
    assert (first.method, second.method) == ("bicubic", "lanczos")
    assert first.psnr < second.psnr  # lanczos undoes more of the blur
    assert first.ms_ssim is not None
    assert second.ms_ssim is not None
    assert first.ssim < first.ms_ssim < second.ms_ssim < 1
    assert first.lpips is not None
    assert 0.3 < first.lpips < 1
    assert first.dists is None


def test_the_score_of_a_set_is_the_mean_of_its_rows() -> None:
    rows = [Row("a", 30, 0.8, None, 40, 0.5, method="m"), Row("b", 20, 0.6, 0.9, 50, 0.25)]
    assert mean(rows) == Row("mean of 2", 25, 0.7, None, 45, 0.375, method="m")
    with pytest.raises(ValueError, match="no rows"):
        mean([])


def test_finished_pictures_are_scored_as_if_made_here(tmp_path: Path) -> None:
    for name in ("chelsea", "coffee"):
        hr = photograph(f"{name}.png", 60, 61)  # SR has 60 x 60
        save(tmp_path / "hr" / f"{name}.png", hr)
        sr = resize(resize(hr[:60, :60], scale=1 / 2), scale=2)
        save(tmp_path / "sr" / f"{name}_x2.bmp", sr)
    finished = Finished(tmp_path / "sr", tmp_path / "hr", 2)
    for pair in pairs(tmp_path / "hr", 2):
        made, given = side_by_side(pair, {"made": timed(bicubic), "given": finished})
        assert (given.psnr, given.ssim, given.lr_psnr) == (made.psnr, made.ssim, made.lr_psnr)
        assert given.seconds is None
    save(tmp_path / "sr" / "coffee_x2.bmp", photograph("coffee.png", 58, 60))
    with pytest.raises(PictureError, match=r"coffee_x2.bmp: is 60 x 58, .*coffee.png.* 60 x 60"):
        finished(pair)
    (tmp_path / "sr" / "coffee_x2.bmp").unlink()
    with pytest.raises(PictureError, match=r"coffee.png: has no partner in .*sr"):
        Finished(tmp_path / "sr", tmp_path / "hr", 2)
    save(tmp_path / "sr" / "zebra.png", photograph("coffee.png", 60, 60))
    told: list[PictureError] = []
    fewer = Finished(tmp_path / "sr", tmp_path / "hr", 2, on_bad=told.append)
    assert ["zebra.png" in str(fault) for fault in told] == [True]
    with pytest.raises(PictureError, match=r"coffee.png: has no partner"):  # told but once
        fewer(pair)


def test_scores_do_not_depend_on_the_engine(tmp_path: Path) -> None:
    save(tmp_path / "cat.png", photograph("chelsea.png", 120, 160))
    save(tmp_path / "cup.png", photograph("coffee.png", 120, 160))
    found = []
    for name in backends.installed():
        backend = backends.create(name, zoo.find(zoo.DEFAULT_MODEL, 4), precision="float32")
        found.append(mean(evaluate(tmp_path, 4, model(backend))))
    assert len(found) == 3  # all engines are installed where tests run
    for other in found[1:]:
        assert other.psnr == pytest.approx(found[0].psnr, abs=0.001)
        assert other.ssim == pytest.approx(found[0].ssim, abs=1e-5)
        assert other.lr_psnr == pytest.approx(found[0].lr_psnr, abs=0.01)


def test_the_smallest_picture_that_can_be_scored(tmp_path: Path) -> None:
    save(tmp_path / "small.png", photograph("chelsea.png", 16, 16))  # 12 are left, SSIM needs 11
    assert len(list(evaluate(tmp_path, 2, bicubic))) == 1


def test_folders_without_pictures(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(PictureError, match=folder.name):
            list(evaluate(folder, 2, bicubic))


@pytest.mark.parametrize("scale", [1, 0, -2])
def test_scales_that_make_no_lr(tmp_path: Path, scale: int) -> None:
    with pytest.raises(UsageError, match="scale"):
        list(evaluate(tmp_path, scale, bicubic))
