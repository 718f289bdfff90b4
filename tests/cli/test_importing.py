"""`wdsr import`, and files in safetensors in the other commands."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from wdsr import zoo

Wdsr = Callable[..., Any]  # see conftest.py


def checkpoint(path: str, scale: int = 2) -> None:
    """The authors' first release, without blocks."""
    state = {}
    for name, shape in {
        "head.0": (4, 3, 3, 3),
        "tail.0": (3 * scale**2, 4, 3, 3),
        "skip.0": (3 * scale**2, 3, 5, 5),
    }.items():
        state[f"{name}.weight_g"] = torch.ones(shape[0], 1, 1, 1)
        state[f"{name}.weight_v"] = torch.rand(shape)
        state[f"{name}.bias"] = torch.zeros(shape[0])
    torch.save(state, path)


def one_line(ran: Any, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert len(ran.lines) == 1, ran.err
    for word in words:
        assert word in ran.lines[0]


def test_from_a_checkpoint_to_a_larger_picture(wdsr: Wdsr) -> None:
    checkpoint("theirs_x2.pt")
    ran = wdsr("import", "theirs_x2.pt", "--licence", "MIT")
    assert (ran.code, ran.err) == (0, "")
    said = ran.out.decode()
    assert "theirs_x2.pt: the authors' first release, theirs-x2" in said
    assert "residual scale is taken as 1" in said
    assert "wdsr upscale -n theirs_x2.onnx -s 2" in said
    card = json.loads(wdsr("info", "theirs_x2.onnx").out)
    assert (card["name"], card["scale"], card["licence"]) == ("theirs", 2, "MIT")
    assert card["training"]["imported"]["file"] == "theirs_x2.pt"
    Image.new("RGB", (6, 5), "teal").save("a.png")
    assert wdsr("upscale", "a.png", "-s", "2", "-n", "theirs_x2.onnx", "-o", "b.png").code == 0
    with Image.open("b.png") as image:
        assert image.size == (12, 10)

    # Back and forth, and nothing replaced unasked.
    ran = wdsr("import", "theirs_x2.onnx", "-o", "new/a.safetensors", "--name", "other")
    assert ran.code == 0
    assert json.loads(wdsr("info", "new/a.safetensors").out)["name"] == "other"
    again = ["import", "new/a.safetensors", "-o", "theirs_x2.onnx"]
    before = Path("theirs_x2.onnx").read_bytes()
    one_line(wdsr(*again), 1, "theirs_x2.onnx", "-y")
    assert Path("theirs_x2.onnx").read_bytes() == before
    assert wdsr(*again, "-y").code == 0
    assert json.loads(wdsr("info", "theirs_x2.onnx").out)["name"] == "other"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, ["wdsr import --help"]),
        (["missing.pth"], 1, ["missing.pth", "does not exist"]),
        (["missing.onnx", "-o", "x.onnx"], 1, ["missing.onnx"]),
        (["letter.h5"], 1, ["letter.h5", "Keras"]),
        (["x.pt", "-o", "x.npz"], 2, ["x.npz", ".safetensors"]),
        (["x.pt", "--mean", "grey"], 2, ["mean", "'grey'"]),
        (["x.pt", "--mean", "127"], 2, ["mean", "127"]),
        (["x.pt", "--residual-scale", "-1"], 2, ["residual scale"]),
        (["x.pt", "--name", "../x"], 1, ["name"]),
        (["x.pt", "-o", "letter.h5/x.onnx"], 1, ["letter.h5"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_imports_that_cannot_be(
    wdsr: Wdsr, arguments: list[str], code: int, words: list[str]
) -> None:
    Path("letter.h5").write_text("I am a letter.")
    checkpoint("x.pt")
    before = sorted(Path().rglob("*"))
    one_line(wdsr("import", *arguments), code, *words)
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("package", ["torch", "onnx", "safetensors", "h5py"])
def test_without_the_extra(wdsr: Wdsr, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    one_line(wdsr("import", "x.pth"), 1, package, "pip install 'wdsr[import]'")


def test_a_model_file_can_be_the_start_of_training(wdsr: Wdsr) -> None:
    title = f"{zoo.DEFAULT_MODEL}-x2"
    Path("x.onnx").write_bytes(zoo.find(zoo.DEFAULT_MODEL, 2).onnx)
    assert wdsr("import", "x.onnx", "-o", f"{title}.safetensors").code == 0
    Path("hr").mkdir()
    Image.effect_noise((48, 48), 60).convert("RGB").save("hr/a.png")
    Path("wide.toml").write_text("steps = 1\nbatch = 1\npatch = 8\n[network]\nscale = 2\n")
    call = ["train", "wide.toml", "--data", "hr", "--precision", "float32", "-o", "runs/x"]
    assert wdsr(*call, "--start", f"{title}.safetensors").code == 0
    export = ["export", "runs/x", "--safetensors", "-o", "models", "--name", "mine"]
    assert wdsr(*export).code == 0
    made = sorted(path.name for path in Path("models").iterdir())
    assert made == ["mine-x2.onnx", "mine-x2.safetensors"]  # and nothing that nobody asked for
    Path("models/SHA256SUMS").write_text(f"{'1' * 64}  another.zip\n")
    assert wdsr(*export, "--golden").code == 0
    made = sorted(path.name for path in Path("models").iterdir())
    assert made == ["SHA256SUMS", "mine-x2.npz", "mine-x2.onnx", "mine-x2.safetensors"]
    listed = [line[66:] for line in Path("models/SHA256SUMS").read_text().splitlines()]
    assert listed == ["another.zip", *made[1:]]
    cards = [wdsr("info", f"models/mine-x2.{kind}").out for kind in ("onnx", "safetensors")]
    both = [{**json.loads(card), "sha256": ""} for card in cards]
    assert both[0] == both[1]
    assert both[0]["licence"] == f"CC-BY-SA-4.0 (of {title}, from which training began)"
