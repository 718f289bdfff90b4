"""Model files in safetensors: the same model as the ONNX file, for torch only."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import wdsr
from wdsr import backends, zoo
from wdsr.backends.torch import network_from_card, read_weights
from wdsr.card import METADATA_KEY, has_card, read_safetensors_card
from wdsr.errors import BackendError, ModelError, UsageError, WdsrError
from wdsr.train.export import to_safetensors

SHIPPED = zoo.find("wdsr-b-8", 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The shipped x2 model as a safetensors file."""
    network = network_from_card(SHIPPED.card)
    network.load_state_dict(read_weights(SHIPPED))
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_safetensors(network, SHIPPED.card))
    return path


def fails(kind: type[WdsrError], path: Path, *, scale: int = 2, backend: str = "auto") -> str:
    with pytest.raises(kind) as caught:
        backends.create(backend, zoo.find(str(path), scale))
    message = str(caught.value)
    assert message.startswith(f"{path}: ") or kind is UsageError
    assert "\n" not in message
    assert len(message) < 600
    return message


def test_the_file_is_what_others_read(path: Path) -> None:
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()[METADATA_KEY]) == json.loads(SHIPPED.card.to_json())
    tensors = load_file(path)
    assert sum(tensor.numel() for tensor in tensors.values()) == SHIPPED.card.parameters
    for name, tensor in read_weights(SHIPPED).items():
        assert torch.equal(tensors[name], tensor)


def test_load_takes_either(path: Path) -> None:
    lr = np.random.default_rng(0).random((9, 7, 3), np.float32)
    upscaler = wdsr.load(str(path), scale=2)
    expected = wdsr.load("wdsr-b-8", scale=2, precision="float32").upscale(lr)
    np.testing.assert_allclose(upscaler.upscale(lr), expected, atol=2e-5)
    model = zoo.find(str(path), 2)
    assert model.card == SHIPPED.card
    assert zoo.scales(str(path)) == [2]
    assert model.sha256 != SHIPPED.sha256


def test_engines_that_want_a_graph_say_so(path: Path) -> None:
    for engine in ("openvino", "onnxruntime"):
        message = fails(BackendError, path, backend=engine)
        assert f"{engine} does not read safetensors" in message
        assert f"wdsr import {path}" in message


@pytest.mark.parametrize("missing", ["torch", "safetensors"])
def test_without_the_extra(path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find(name)
    )
    message = fails(BackendError, path)
    assert f"needs {missing}: pip install 'wdsr[import]'" in message


def test_only_the_header_is_needed_for_a_card(path: Path) -> None:
    content = path.read_bytes()
    assert has_card(content, "x")
    assert read_safetensors_card(content, "x") == SHIPPED.card


def test_a_file_without_a_card(tmp_path: Path) -> None:
    for metadata in (None, {"format": "pt"}):
        save_file({"a": torch.ones(3)}, tmp_path / "x.safetensors", metadata)
        assert "without a wdsr card" in fails(ModelError, tmp_path / "x.safetensors")
        assert not has_card((tmp_path / "x.safetensors").read_bytes(), "x")


def test_another_scale(path: Path) -> None:
    assert "has no x3, only x2" in fails(UsageError, path, scale=3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"head.bias": None}, "head.bias is missing"),
        ({"more": torch.ones(3)}, "more (3,) is too many"),
        ({"head.bias": torch.ones(31)}, "head.bias is (31,), not (32,)"),
    ],
)
def test_weights_that_are_not_the_cards(
    path: Path, change: dict[str, torch.Tensor | None], says: str
) -> None:
    tensors = {name: t for name, t in {**load_file(path), **change}.items() if t is not None}
    save_file(tensors, path, {METADATA_KEY: SHIPPED.card.to_json()})
    assert says in fails(ModelError, path)


def test_a_card_that_claims_a_huge_network(path: Path) -> None:
    architecture = {**SHIPPED.card.architecture, "filters": 10_000}
    card = dataclasses.replace(SHIPPED.card, architecture=architecture)
    save_file(load_file(path), path, {METADATA_KEY: card.to_json()})
    message = fails(ModelError, path)
    assert "head.weight is (32, 3, 3, 3), not (10000, 3, 3, 3)" in message
    assert "and 47 more" in message


def lying(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"12345678",
        lying(b"{", 2**62),
        lying(b"[]"),
        lying(b"\xff\xfe{}"),
        lying(b'{"__metadata__":' * 50_000),
        lying(b'{"__metadata__": [1]}'),
        lying(b'{"__metadata__": {"wdsr": 5}}'),
        lying(b'{"__metadata__": {"wdsr": "{}"}}'),
        lying(b'{"__metadata__": {"wdsr": "no"}}'),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_headers_that_lie_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    fails(ModelError, tmp_path / "x.safetensors")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_a_file_cut_short_is_refused(path: Path, part: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(WdsrError, match="damaged") as caught:
        backends.create("auto", zoo.read_model(path))
    assert "\n" not in str(caught.value)
