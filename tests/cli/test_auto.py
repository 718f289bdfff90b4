"""`-n auto`: the model chosen for each picture, and the line that says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from wdsr import backends, picture, zoo
from wdsr.picture import Picture
from wdsr.resize import resize
from wdsr.target import Target
from wdsr.upscale import Upscaler

Wdsr = Callable[..., Any]  # see conftest.py


@pytest.fixture
def photo(nearest: type, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A photo model at x2 and x4, as if it were shipped; lists the models that get an engine."""
    find, scales, create = zoo.find, zoo.scales, backends.create
    made = []

    def find_both(name: str, scale: int) -> zoo.Model:
        model = find(zoo.DEFAULT_MODEL if name == zoo.PHOTO_MODEL else name, scale)
        return dataclasses.replace(model, card=dataclasses.replace(model.card, name=name))

    def create_noted(name: str, model: zoo.Model, **options: Any) -> Any:
        made.append(model.card.title)
        return create(name, model, **options)

    monkeypatch.setattr(zoo, "is_shipped", lambda name: True)
    monkeypatch.setattr(zoo, "scales", lambda n: [2, 4] if n == zoo.PHOTO_MODEL else scales(n))
    monkeypatch.setattr(zoo, "find", find_both)
    monkeypatch.setattr(backends, "create", create_noted)
    return made


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A clean and a damaged picture of a cat."""
    cat = Image.fromarray(resize(skimage.data.chelsea(), scale=1 / 2))
    cat.save(tmp_path / "clean.png")
    cat.save(tmp_path / "damaged.jpg", quality=60)
    return tmp_path


def test_each_picture_gets_the_model_that_suits_it(
    wdsr: Wdsr, pictures: Path, photo: list[str]
) -> None:
    ran = wdsr("upscale", "clean.png", "damaged.jpg", "-s", "2")
    assert ran.code == 0
    assert ran.lines[0].endswith("; wdsr-b-8: clean")
    assert ran.lines[1].endswith("; wdsr-photo: JPEG quality 60")
    assert photo == ["wdsr-b-8-x2", "wdsr-photo-x2"]


def test_verbose_adds_the_figures(wdsr: Wdsr, pictures: Path, photo: list[str]) -> None:
    (line,) = wdsr("upscale", "damaged.jpg", "-s", "2", "-v").lines
    assert "; wdsr-photo: JPEG quality 60 (JPEG quality 60, blocks 0." in line
    assert "(wdsr-photo-x2, Nearest, float32)" in line


def test_a_model_asked_for_is_taken_without_a_look(
    wdsr: Wdsr, pictures: Path, photo: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wdsr.choose.look", None)  # would fail if called
    for name in ("wdsr-b-8", "wdsr-photo"):
        ran = wdsr("upscale", "damaged.jpg", "-s", "2", "-n", name, "-o", f"{name}.png")
        assert (ran.code, len(ran.lines)) == (0, 1)
        assert "JPEG" not in ran.err
    assert photo == ["wdsr-b-8-x2", "wdsr-photo-x2"]


def test_with_classical_models_only_nothing_is_said(
    wdsr: Wdsr, pictures: Path, nearest: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "is_shipped", lambda name: name == zoo.DEFAULT_MODEL)
    (line,) = wdsr("upscale", "damaged.jpg", "-s", "2").lines
    assert line.endswith(" s")


def test_the_photo_model_reaches_other_scales_by_its_own(pictures: Path, photo: list[str]) -> None:
    damaged = picture.read(pictures / "damaged.jpg")
    for scale, titles in ((3, ["wdsr-photo-x4"]), (8, ["wdsr-photo-x2"])):
        photo.clear()
        upscaler = Upscaler(zoo.AUTO, Target(scale=scale), tile=200)
        small = dataclasses.replace(damaged, pixels=damaged.pixels[:16, :24])
        result = upscaler.upscale_picture(small)
        assert (result.height, result.width) == (16 * scale, 24 * scale)
        assert set(titles) <= set(photo)
        assert all(title.startswith(zoo.PHOTO_MODEL) for title in photo)


def test_more_than_8_bits_stay_with_the_classical_model(photo: list[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), np.uint16)
    choice = Upscaler(zoo.AUTO).choice(Picture(noise))
    assert choice.tell() == "wdsr-b-8: not of 8 bits: values are kept, not cleaned"
