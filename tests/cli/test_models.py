"""`wdsr models` and `wdsr info`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from wdsr import picture as pictures
from wdsr import zoo
from wdsr.picture import Picture
from wdsr.train.export import with_card

Wdsr = Callable[..., Any]  # see conftest.py


def test_models_lists_every_shipped_model_and_scale(wdsr: Wdsr) -> None:
    ran = wdsr("models")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.decode().splitlines()
    cards = [model.card for model in zoo.shipped()]
    assert len(lines) == 1 + len({card.name for card in cards})
    for card in cards:
        (line,) = [line for line in lines if line.split()[0] == card.name]
        assert f"x{card.scale}" in line
        assert f"{card.parameters / 1000:.0f}K" in line
        assert card.licence in line
        if score := card.scores.get("classical", {}).get("Set5"):
            assert f"{score['psnr']:.2f}" in line


@pytest.mark.parametrize("title", [model.card.title for model in zoo.shipped()])
def test_info_of_a_shipped_model_is_its_card(wdsr: Wdsr, title: str) -> None:
    ran = wdsr("info", title)
    assert ran.code == 0
    facts = json.loads(ran.out)
    assert ("a large halo" in ran.err) == (facts["halo"] >= 20)
    name, _, scale = title.rpartition("-x")
    model = zoo.find(name, int(scale))
    assert facts.pop("sha256") == model.sha256
    assert facts == json.loads(model.card.to_json())
    Path("mine.onnx").write_bytes(model.onnx)
    assert wdsr("info", "mine.onnx").out == ran.out


def test_info_of_a_name_without_a_scale_is_all_its_cards(wdsr: Wdsr) -> None:
    ran = wdsr("info", zoo.DEFAULT_MODEL)
    assert (ran.code, ran.err) == (0, "")
    titles = [f"{card['name']}-x{card['scale']}" for card in json.loads(ran.out)]
    assert titles == [f"{zoo.DEFAULT_MODEL}-x{scale}" for scale in zoo.scales(zoo.DEFAULT_MODEL)]
    for title, card in zip(titles, json.loads(ran.out), strict=True):
        assert json.loads(wdsr("info", title).out) == card


def test_info_says_that_a_halo_is_large(wdsr: Wdsr) -> None:
    model = zoo.find("wdsr-b-8", 2)
    card = dataclasses.replace(model.card, halo=36)
    Path("edsr.onnx").write_bytes(with_card(model.onnx, card))
    ran = wdsr("info", "edsr.onnx")
    assert (ran.code, json.loads(ran.out)["halo"]) == (0, 36)
    assert ran.err.count("\n") == 1
    assert "36 pixels around it, a tile of 172 is 2.0 times the work" in ran.err


def test_info_of_a_picture(wdsr: Wdsr) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (40, 30), "red")
    image.save("Ä.jpg", icc_profile=icc, dpi=(300, 300))
    ran = wdsr("info", "Ä.jpg")
    assert (ran.code, ran.err) == (0, "")
    told = [line.split(maxsplit=1) for line in ran.out.decode().splitlines()]
    assert told[0] == ["Ä.jpg"]
    facts = dict(line for line in told[1:])
    assert facts["format"] == "jpeg"
    assert facts["size"] == "40 x 30"
    assert facts["pixels"] == "RGB, uint8"
    assert facts["profile"] == f"ICC, {len(icc)} bytes"
    assert facts["print"] == "300 x 300 dpi"
    deep = np.full((3, 4, 1), 7, np.uint16)
    pictures.write(Picture(deep, deep[..., 0]), Path("deep.png"))
    out = wdsr("info", "deep.png").out.decode()
    assert "grey + alpha, uint16" in out
    assert "sRGB assumed" in out


def test_a_file_called_like_a_model_is_a_file(wdsr: Wdsr) -> None:
    title = zoo.shipped()[0].card.title
    Image.new("L", (4, 3)).save(title, "PNG")
    assert "4 x 3" in wdsr("info", title).out.decode()


@pytest.mark.parametrize(
    ("argument", "code", "words"),
    [
        (f"{zoo.DEFAULT_MODEL}-x7", 2, f"{zoo.DEFAULT_MODEL}-x2 or "),
        ("nope-model", 1, "no such file, and no such model: `wdsr models`"),
        ("missing.png", 1, "missing.png"),
        ("missing.onnx", 1, "missing.onnx"),
        ("letter.png", 1, "letter.png"),
        ("letter.onnx", 1, "letter.onnx"),
        (".", 1, "not a file"),
        ("--nix", 2, "wdsr info --help"),
    ],
)
def test_bad_calls(wdsr: Wdsr, argument: str, code: int, words: str) -> None:
    for name in ("letter.png", "letter.onnx"):
        Path(name).write_text("I am a letter.")
    ran = wdsr("info", argument)
    assert (ran.code, ran.out) == (code, b"")
    assert len(ran.lines) == 1
    assert words in ran.err


def test_info_needs_to_know_of_what(wdsr: Wdsr) -> None:
    ran = wdsr("info")
    assert ran.code == 2
    assert len(ran.lines) == 1
