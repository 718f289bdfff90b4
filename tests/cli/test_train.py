"""`wdsr train` and `wdsr export`, from pictures to a model that enlarges one."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wdsr import zoo

Wdsr = Callable[..., Any]  # see conftest.py

TINY = """
steps = 4
batch = 2
patch = 8
warmup = 1

[network]
block = "b"
scale = 2
filters = 8
blocks = 1
expansion = 2
"""


def make_pictures(folder: str, side: int = 32) -> None:
    Path(folder).mkdir()
    for seed in range(2):
        waves = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(waves).resize((side, side), Image.Resampling.BICUBIC).save(
            f"{folder}/{seed}.png"
        )


@pytest.fixture
def data(wdsr: Wdsr) -> None:
    """A folder `hr` of pictures and a recipe `tiny.toml`."""
    make_pictures("hr")
    Path("tiny.toml").write_text(TINY)


def one_line(ran: Any, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert len(ran.lines) == 1, ran.err
    for word in words:
        assert word in ran.lines[0]


def test_train_export_upscale(wdsr: Wdsr, data: None) -> None:
    train = ["train", "tiny.toml", "--data", "hr", "--valid", "hr", "--precision", "float32"]
    ran = wdsr(*train, "-o", "runs/first")
    assert ran.code == 0
    assert "wdsr export runs/first" in ran.out.decode()
    log = Path("runs/first/log.csv").read_text().splitlines()
    assert log[-1].startswith("4,")
    # The same command again has nothing left to do, and spoils nothing.
    assert wdsr(*train, "-o", "runs/first").code == 0
    assert Path("runs/first/log.csv").read_text().splitlines() == log

    Path("facts.json").write_text(json.dumps({"licence": "CC0-1.0", "data": "noise"}))
    one_line(wdsr("export", "runs/first", "-o", "facts.json"), 1, "facts.json", "be written")
    export = ["export", "runs/first", "-o", "models", "--name", "tiny-x2-tune"]
    ran = wdsr(*export, "--facts", "facts.json", "--score", "noise=hr", "--valid", "hr")
    assert ran.code == 0
    assert "models/tiny-tune-x2.onnx" in ran.out.decode()
    card = json.loads(wdsr("info", "models/tiny-tune-x2.onnx").out)
    assert (card["name"], card["scale"], card["licence"]) == ("tiny-tune", 2, "CC0-1.0")
    assert card["training"]["recipe"]["network"]["filters"] == 8
    assert card["training"]["steps_done"] == 4
    assert set(card["training"]["parity_db"]) == {"openvino", "onnxruntime", "torch"}
    assert max(card["training"]["parity_db"].values()) <= 0.001
    assert card["scores"]["classical"]["noise"]["pictures"] == 2

    ran = wdsr(
        "upscale", "-v", "hr/0.png", "-s", "3", "-n", "models/tiny-tune-x2.onnx", "-o", "0.png"
    )
    assert ran.code == 0
    assert ran.err.count("tiny-tune-x2, ") == 2  # x2 twice, then down to x3
    with Image.open("0.png") as image:
        assert image.size == (96, 96)

    # What becomes of a run folder is said where a model or picture was meant.
    checkpoint = next(Path("runs/first").glob("*.ckpt"))
    for call in (["info"], ["upscale", "hr/0.png", "-n"]):
        for given in ("runs/first", str(checkpoint)):
            one_line(wdsr(*call, given), 2, given, "wdsr export runs/first")

    # What is there can be begun from.
    more = [*train, "-o", "runs/more", "--steps", "1", "--start", "models/tiny-tune-x2.onnx"]
    assert wdsr(*more).code == 0
    # A run folder holds one recipe.
    ran = wdsr(*train, "-o", "runs/first", "--learning-rate", "0.5")
    one_line(ran, 1, "runs/first", "another recipe")


def test_defaults_of_the_run_folder(wdsr: Wdsr, data: None) -> None:
    call = ["train", "tiny.toml", "--data", "hr", "--precision", "float32", "--steps", "1"]
    ran = wdsr(*call)
    assert ran.code == 0
    assert "outlasts" not in ran.out.decode() + ran.err
    assert (Path("runs") / "tiny" / "run.json").exists()
    assert (Path("runs") / "cache").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["recipe", "wdsr train --help"]),
        (["tiny.toml"], 2, ["--data"]),
        (["nix", "--data", "hr"], 2, ["'nix'", "wdsr-b-8-x2/x3/x4,", "srgan-x2/x3/x4"]),
        (["wdsr-b-8-x4-tunes", "--data", "hr"], 2, ["did you mean wdsr-b-8-x4-tune or "]),
        (["tiny.toml", "--data", "hr", "--patch", "-3"], 2, ["patch must be at least 4"]),
        (["wdsr-b-8-x4-tunes", "--data", "no", "--patch", "-3"], 2, ["-tune", "no:", "patch must"]),
        (["hr", "--data", "hr"], 2, ["hr: is a folder", "recipe.toml"]),
        (["tiny.toml", "--data", "hr", "-o", "hr"], 1, ["hr: holds the pictures"]),
        (["missing.toml", "--data", "hr"], 1, ["missing.toml"]),
        (["typo.toml", "--data", "hr"], 2, ["stepz"]),
        (["torn.toml", "--data", "hr"], 1, ["torn.toml"]),
        (["tiny.toml", "--data", "missing"], 1, ["missing"]),
        (["tiny.toml", "--data", "."], 1, ["no pictures"]),
        (["tiny.toml", "--data", "broken"], 1, ["letter.png"]),
        (
            ["tiny.toml", "--data", "hr", "--patch", "99"],
            1,
            ["smaller than a patch", "has 99 and the smallest picture "],
        ),
        (["tiny.toml", "--data", "hr", "--valid", "missing"], 1, ["missing"]),
        (["tiny.toml", "--data", "hr", "--steps", "0"], 2, ["steps"]),
        (["tiny.toml", "--data", "hr", "--batch", "-1"], 2, ["batch"]),
        (["tiny.toml", "--data", "hr", "--learning-rate", "nan"], 2, ["learning_rate"]),
        (["tiny.toml", "--data", "hr", "--threads", "0"], 2, ["threads"]),
        (["tiny.toml", "--data", "hr", "--max-minutes", "-1"], 2, ["max-minutes"]),
        (["tiny.toml", "--data", "hr", "--max-minutes", "nan"], 2, ["max-minutes"]),
        (["tiny.toml", "--data", "hr", "--precision", "int8"], 2, ["precision"]),
        (["tiny.toml", "--data", "hr", "--start", "nix"], 2, ["start", "nix"]),
        (["tiny.toml", "--data", "hr", "--start", "missing.onnx"], 1, ["missing.onnx"]),
        (["tiny.toml", "--data", "hr", "-o", "tiny.toml"], 1, ["tiny.toml"]),
        (["tiny.toml", "--data", "hr", "--cache", "tiny.toml"], 1, ["tiny.toml"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_training_that_cannot_be(
    wdsr: Wdsr, data: None, arguments: list[str], code: int, words: list[str]
) -> None:
    Path("typo.toml").write_text("stepz = 4")
    Path("torn.toml").write_text("steps = ")
    Path("broken").mkdir()
    Path("broken/letter.png").write_text("I am a letter.")
    one_line(wdsr("train", *arguments), code, *words)


def test_everything_wrong_is_said_at_once(wdsr: Wdsr, data: None) -> None:
    call = ["train", "tiny.toml", "--data", "missing", "--valid", "gone", "--steps", "0"]
    ran = wdsr(*call, "--start", "nix", "--precision", "int8", "--devices", "0")
    words = ["missing", "gone", "steps must be at least 1", "int8", "devices must be at least 1"]
    one_line(ran, 2, *words)
    assert not Path("runs").exists()
    call = ["train", "tiny.toml", "--data", "hr"]
    make_pictures("small", side=20)
    ran = wdsr(*call, "--valid", "hr", "--valid-lr", "small", "--patch", "90", "--devices", "0")
    one_line(ran, 2, "patch", "small/0.png", "not 1/2 of", "devices must be")
    one_line(wdsr(*call, "--lr", "small", "--valid-lr", "small"), 2, "valid-lr goes with valid")
    one_line(wdsr(*call, "--valid", "hr/0.png"), 1, "hr/0.png")
    make_pictures("dots", side=4)
    one_line(wdsr(*call, "--valid", "dots"), 1, "dots/0.png", "at least 8 x 8 wanted")
    ran = wdsr("train", "tiny.toml", "--data", "hr", "--start", "nix", "--valid", "gone")
    one_line(ran, 2, "start must be", "gone")
    Path("typo.toml").write_text('stepz = 4\nnetwork = "big"\n[then]\nsteps = 3\n')
    ran = wdsr("train", "typo.toml", "--data", "missing", "--lr", "none", "--start", "nix")
    one_line(ran, 2, "stepz", "network must", "[[then]]", "missing", "none", "start must be")


def test_pack_and_train_from_it(wdsr: Wdsr, data: None) -> None:
    ran = wdsr("data", "pack", "hr", "-s", "2", "-s", "4", "-o", "packs")
    assert ran.code == 0
    (pack,) = Path("packs").iterdir()
    assert str(pack) in ran.out.decode()
    assert {p.name for p in pack.iterdir()} == {"index.json", "hr.bin", "lr_x2.bin", "lr_x4.bin"}
    call = ["train", "tiny.toml", "--precision", "float32", "--steps", "1"]
    assert wdsr(*call, "--data", pack, "-o", "runs/a").code == 0
    assert not Path("runs/cache").exists()
    one_line(wdsr(*call, "--data", pack, "--lr", "hr"), 2, "is a pack and has its LR")
    one_line(wdsr(*call, "--data", "packs"), 1, f"packs: holds packs, and is none: give {pack}")
    # Given LR is used: the same pictures as LR of themselves are twice too large.
    one_line(wdsr(*call, "--data", "hr", "--lr", "hr", "-o", "runs/b"), 1, "not 1/2 of")
    make_pictures("small", side=16)
    assert wdsr(*call, "--data", "hr", "--lr", "small", "-o", "runs/c").code == 0


def test_lr_is_degraded_on_the_fly(wdsr: Wdsr, data: None) -> None:
    Path("photo.toml").write_text('degradation = "photo"\n' + TINY)
    call = ["train", "photo.toml", "--data", "hr", "--precision", "float32", "--steps", "2"]
    assert wdsr(*call, "--valid", "hr", "-o", "runs/photo", "--log-every", "1").code == 0
    plain = ["train", "tiny.toml", *call[2:], "--valid", "hr", "-o", "runs/plain"]
    assert wdsr(*plain, "--log-every", "1").code == 0
    logs = [Path(f"runs/{name}/log.csv").read_text() for name in ("photo", "plain")]
    assert logs[0] != logs[1]
    one_line(wdsr(*call, "--lr", "hr"), 2, "exclude each other")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["command"]),
        (["pack", "hr"], 2, ["--out"]),
        (["pack", "missing", "-o", "packs"], 1, ["missing"]),
        (["pack", "hr", "-o", "packs", "-s", "5"], 2, ["scale must be"]),
        (["pack", "hr", "-o", "packs", "-s", "2", "-s", "4", "--lr", "hr"], 2, ["one --scale"]),
        (["pack", "hr", "-o", "tiny.toml"], 1, ["tiny.toml"]),
        (["div2k", "--kind", "wild"], 2, ["kind must be one of"]),
        (["div2k", "-s", "8"], 2, ["bicubic at scale 2, 3, 4"]),
        (["div2k", "-o", "d", "--url", "http://127.0.0.1:1"], 1, ["cannot be reached"]),
        (["div2k", "-o", "tiny.toml", "--url", "http://127.0.0.1:1"], 1, ["tiny.toml: is a file"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_data_that_cannot_be(
    wdsr: Wdsr,
    data: None,
    arguments: list[str],
    code: int,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    one_line(wdsr("data", *arguments), code, *words)


def test_threads_are_set_before_torch_loads(
    wdsr: Wdsr, data: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    call = ["train", "tiny.toml", "--data", "missing", "--threads", "1"]
    assert wdsr(*call).code == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")  # who knows better is not overruled
    assert wdsr(*call).code == 1
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["run", "wdsr export --help"]),
        (["missing"], 1, ["missing", "no checkpoint"]),
        (["hr"], 1, ["hr", "no checkpoint"]),
        (["hr", "--facts", "missing.json"], 1, ["missing.json"]),
        (["hr", "--facts", "torn.json"], 1, ["torn.json"]),
        (["hr", "--facts", "list.json"], 1, ["list.json", "licence"]),
        (["hr", "--facts", "typo.json"], 1, ["typo.json", "licence"]),
        (["hr", "--score", "nix"], 2, ["NAME=FOLDER"]),
        (["hr", "-o", "model.onnx"], 2, ["model.onnx: --out takes a folder"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_exports_that_cannot_be(
    wdsr: Wdsr, data: None, arguments: list[str], code: int, words: list[str]
) -> None:
    Path("torn.json").write_text("{")
    Path("list.json").write_text("[]")
    Path("typo.json").write_text('{"license": "CC0-1.0"}')
    one_line(wdsr("export", *arguments), code, *words)


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("torch", ["train", "tiny.toml", "--data", "hr"]),
        ("lightning", ["train", "tiny.toml", "--data", "hr"]),
        ("onnx", ["train", "tiny.toml", "--data", "hr", "--start", "wdsr-b-8-x2"]),
        ("torch", ["export", "hr"]),
        ("lightning", ["export", "hr"]),
        ("onnx", ["export", "hr"]),
    ],
)
def test_without_the_extra(
    wdsr: Wdsr, data: None, package: str, call: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    one_line(wdsr(*call), 1, package, "pip install 'wdsr[train]'")


def test_a_shipped_model_can_be_the_start(wdsr: Wdsr, data: None) -> None:
    title = f"{zoo.DEFAULT_MODEL}-x2"
    Path("wide.toml").write_text("steps = 1\nbatch = 1\npatch = 8\n[network]\nscale = 2\n")
    call = ["train", "wide.toml", "--data", "hr", "--precision", "float32", "--start", title]
    assert wdsr(*call, "-o", "r[x]").code == 0
    Path(title).mkdir()  # does not stand before the model of that name
    assert wdsr(*call, "-o", "r[y]").code == 0
    checkpoint = next(Path("r[x]").glob("*-00000001-*.ckpt"))
    checkpoint.write_bytes(b"torn")
    assert f"{checkpoint}: damaged" in wdsr(*call, "-o", "r[x]").err  # no words lost as markup
    one_line(wdsr(*call[:-1], f"{zoo.DEFAULT_MODEL}-x99"), 2, "x99")


def test_pixel_model_then_gan_model_then_between(wdsr: Wdsr, data: None) -> None:
    """SRResNet, SRGAN begun from its run, and a picture at half sharpness."""
    pixel = "steps = 2\nbatch = 2\npatch = 8\nwarmup = 0\n"
    network = '[network]\nfamily = "srresnet"\nscale = 2\nfilters = 4\nblocks = 1\n'
    game = '[adversary]\ndiscriminator = "vgg"\nfilters = 2\n'
    Path("soft.toml").write_text(pixel + network)
    Path("sharp.toml").write_text(pixel + network + game)
    train = ["--data", "hr", "--precision", "float32"]
    assert wdsr("train", "soft.toml", *train).code == 0
    ran = wdsr("train", "sharp.toml", *train, "--start", "runs/soft")
    assert ran.code == 0, ran.err
    assert Path("runs/sharp/adversarial.csv").read_text().splitlines()[-1].startswith("2,")
    for name in ("soft", "sharp"):
        assert wdsr("export", f"runs/{name}", "-o", "models").code == 0
    card = json.loads(wdsr("info", "models/sharp-x2.onnx").out)
    assert card["softer"] == "soft-x2"
    assert card["training"]["recipe"]["adversary"]["discriminator"] == "vgg"
    pictures = []
    for sharpness in ("0", "0.5", "1"):
        call = ["hr/0.png", "-s", "2", "-n", "models/sharp-x2.onnx", "--sharpness", sharpness]
        assert wdsr("upscale", *call, "-y", "-o", "out.png").code == 0
        with Image.open("out.png") as image:
            pictures.append(np.asarray(image))
    assert wdsr("upscale", *call[:3], "-n", "models/soft-x2.onnx", "-o", "soft.png").code == 0
    with Image.open("soft.png") as image:
        assert (np.asarray(image) == pictures[0]).all()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("losses = {vgg22 = 1.0}", ["no weights of VGG19 here", "--pretrained"]),
        ("losses = {lpips = 1.0}", ["no weights of VGG16 here"]),
        ("[adversary]\nfilters = 0", ["adversary.filters"]),
        ('[adversary]\ndiscriminator = "gan"', ["adversary.discriminator", "'gan'"]),
        ("patch = 9\n[adversary]\n", ["adversary: patch must be a multiple of 8", "18"]),
    ],
)
def test_games_that_cannot_be(wdsr: Wdsr, data: None, lines: str, words: list[str]) -> None:
    Path("empty").mkdir()
    Path("game.toml").write_text(f"patch = 8\n{lines}\n" if "patch" not in lines else lines)
    with Path("game.toml").open("a") as stream:
        stream.write("[network]\nscale = 2\n")
    ran = wdsr("train", "game.toml", "--data", "hr", "--pretrained", "empty")
    assert ran.code in (1, 2)
    assert len(ran.lines) == 1
    assert all(word in ran.lines[0] for word in words), ran.lines
    assert not Path("runs").exists()
