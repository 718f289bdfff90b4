"""The shipped models: whole, named in messages, refused when damaged."""

from __future__ import annotations

import hashlib
import io
import math
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from wdsr import zoo
from wdsr.card import ModelCard
from wdsr.errors import ModelError, UsageError, WdsrError
from wdsr.zoo import Model

WEIGHTS = Path(zoo.__file__).parent / "weights"
MODELS = zoo.shipped()
CARDS = [model.card for model in MODELS]

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.card.title)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the weights folder, which zoo reads instead of its own."""
    copy = tmp_path / "weights"
    shutil.copytree(WEIGHTS, copy)
    monkeypatch.setattr(zoo, "_WEIGHTS", copy)
    return copy


def fails(kind: type[WdsrError], message: str, name: str, scale: int | None = None) -> str:
    """What `find` says (or `scales`, without a scale): one line that holds `message`."""
    with pytest.raises(kind, match=message) as caught:
        zoo.scales(name) if scale is None else zoo.find(name, scale)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_default_model_is_shipped() -> None:
    assert zoo.DEFAULT_MODEL in {card.name for card in CARDS}


def test_checksums_are_those_of_the_files_there() -> None:
    files = {path.name for path in WEIGHTS.iterdir()} - {"SHA256SUMS"}
    assert set(zoo.checksums()) == files
    for name, digest in zoo.checksums().items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest


@each_model
def test_a_shipped_model_is_the_file_of_its_title(model: Model) -> None:
    assert model.source == f"{model.card.title}.onnx"
    assert model.onnx == (WEIGHTS / model.source).read_bytes()
    assert model.sha256 == zoo.checksums()[model.source]
    assert zoo.find(model.card.name, model.card.scale) == model


@each_model
def test_a_shipped_card_tells_the_truth(model: Model) -> None:
    graph = onnx.load_model_from_string(model.onnx).graph
    sizes = {i.name: math.prod(i.dims) for i in graph.initializer}
    assert model.card.parameters == sum(sizes.values())
    assert model.card.channels == 3
    assert model.card.scale == model.card.architecture["scale"]
    assert model.card.licence


@each_model
def test_a_golden_tile_travels_with_each_model(model: Model) -> None:
    with np.load(io.BytesIO(zoo.golden_tile(model.card.title))) as tile:
        lr, sr = tile["lr"], tile["sr"]
    s, margin = model.card.scale, 2 * model.card.halo
    assert lr.dtype == sr.dtype == np.float32
    assert sr.shape == (*lr.shape[:2], lr.shape[2] * s, lr.shape[3] * s)
    assert min(lr.shape[2:]) > margin  # there are pixels that zero padding cannot reach
    assert sr.std() > 0.05


def test_shipped_is_in_order_and_complete() -> None:
    assert [card.title for card in CARDS] == sorted(card.title for card in CARDS)
    names = [name for name in zoo.checksums() if name.endswith(".onnx")]
    assert len(MODELS) == len([name for name in names if not name.endswith(".int8.onnx")])


def test_scales_of_a_name_are_those_of_its_files() -> None:
    for name in {card.name for card in CARDS}:
        assert zoo.scales(name) == sorted(card.scale for card in CARDS if card.name == name)


@each_model
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_one_changed_byte_is_refused(folder: Path, model: Model, where: float) -> None:
    path = folder / model.source
    damaged = bytearray(model.onnx)
    damaged[int(where * (len(damaged) - 1))] ^= 1
    path.write_bytes(damaged)
    fails(ModelError, f"{model.source}: damaged .*; install", model.card.name, model.card.scale)
    with pytest.raises(ModelError, match="damaged"):
        zoo.shipped()


def test_other_damage_to_the_folder_is_refused(folder: Path) -> None:
    card, source = MODELS[0].card, MODELS[0].source
    (folder / source).write_bytes(MODELS[0].onnx[:-1])
    fails(ModelError, f"{source}: damaged", card.name, card.scale)
    (folder / source).unlink()
    fails(ModelError, f"{source}: not there .*; install", card.name, card.scale)
    tile = folder / f"{card.title}.npz"
    tile.write_bytes(tile.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"npz: damaged"):
        zoo.golden_tile(card.title)
    with pytest.raises(ModelError, match=r"nothing-x2.npz: not there"):
        zoo.golden_tile("nothing-x2")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\n\n", b"word\n"])
def test_a_list_of_checksums_that_is_no_list_finds_nothing(
    folder: Path, content: bytes | None
) -> None:
    sums = folder / "SHA256SUMS"
    sums.unlink()
    if content is not None:
        sums.write_bytes(content)
    with pytest.raises(WdsrError):
        zoo.find(MODELS[0].card.name, MODELS[0].card.scale)


def test_a_file_dropped_into_the_folder_is_no_shipped_model(folder: Path) -> None:
    (folder / "evil-x2.onnx").write_bytes(MODELS[0].onnx)
    assert zoo.shipped() == MODELS
    fails(UsageError, "no model 'evil'", "evil", 2)


def test_two_digit_scales_and_names_with_x_are_told_apart(folder: Path) -> None:
    names = ["a-x-x2.onnx", "a-x10.onnx", "a-x4.onnx", "a-xy.onnx", "a-x4.npz", "x.onnx"]
    (folder / "SHA256SUMS").write_text("".join(f"{'0' * 64}  {name}\n" for name in names))
    assert zoo.scales("a") == [4, 10]
    assert zoo.scales("a-x") == [2]


@pytest.mark.parametrize("name", ["wdsr-c-9", "", "wdsr", "../wdsr-b-8", "WDSR-B-8", "photo.jpg"])
def test_an_unknown_name_is_told_what_exists(name: str) -> None:
    for scale in (None, 2):
        message = fails(UsageError, f"no model '{name}': give ", name, scale)
        assert zoo.DEFAULT_MODEL in message
        assert ".onnx" in message


def test_a_checkpoint_of_another_program_is_told_how_to_become_a_model() -> None:
    fails(UsageError, "wdsr import a/latest.pth", "a/latest.pth", 2)


@pytest.mark.parametrize("scale", [0, -2, 1, 5, 99])
def test_an_unknown_scale_is_told_what_exists(scale: int) -> None:
    message = fails(UsageError, f"has no x{scale}, only", zoo.DEFAULT_MODEL, scale)
    for have in zoo.scales(zoo.DEFAULT_MODEL):
        assert f"x{have}" in message


@each_model
def test_a_path_works_like_a_name(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "größer 写真.onnx"
    path.write_bytes(model.onnx)
    card: ModelCard = model.card
    assert zoo.scales(str(path)) == [card.scale]
    found = zoo.find(str(path), card.scale)
    assert (found.card, found.onnx, found.source) == (card, model.onnx, str(path))
    assert found.sha256 == model.sha256
    message = fails(
        UsageError, f"no x{card.scale + 7}, only x{card.scale}", str(path), card.scale + 7
    )
    assert path.name in message


def test_a_path_with_no_model_behind_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model\n")
    (tmp_path / "folder.onnx").mkdir()
    for name, why in (
        ("gone.onnx", "cannot read this model: No such file"),
        ("folder.onnx", "cannot read this model: Is a directory"),
        ("text.onnx", "not an ONNX file"),
    ):
        for scale in (None, 2):
            fails(ModelError, f"{name}: {why}", str(tmp_path / name), scale)


@pytest.mark.parametrize("title", [card.title for card in CARDS])
def test_a_title_names_one_model(title: str) -> None:
    base, _, scale = title.rpartition("-x")
    assert zoo.split_title(title) == (base, int(scale))
    assert zoo.split_title(base) == (base, None)
    assert zoo.scales(title) == [int(scale)]
    assert zoo.find(title, int(scale)) == zoo.find(base, int(scale))
    fails(UsageError, f"only x{scale}", title, int(scale) + 1)
    have = " or ".join(f"{base}-x{scale}" for scale in zoo.scales(base))
    fails(UsageError, f"give {have}", f"{base}-x7")
