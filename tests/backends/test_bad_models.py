"""Models that are damaged, or lie: each engine says so in one line."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from wdsr import backends, zoo
from wdsr.backends import Backend, Batch
from wdsr.card import METADATA_KEY, ModelCard, read_card
from wdsr.errors import BackendError, ModelError, WdsrError
from wdsr.zoo import Model

MODELS = zoo.shipped()
ENGINES = backends.installed()

each_engine = pytest.mark.parametrize("engine", ENGINES)


def golden(model: Model) -> tuple[Batch, Batch]:
    with np.load(io.BytesIO(zoo.golden_tile(model.card.title))) as tile:
        return tile["lr"], tile["sr"]


def float32(engine: str, model: Model, threads: int | None = None) -> Backend:
    return backends.create(engine, model, precision="float32", threads=threads)


def noise(height: int, width: int, seed: int = 0) -> Batch:
    return np.random.default_rng(seed).random((1, 3, height, width), np.float32)


def fails(kind: type[WdsrError], call: Callable[[], object], match: str | None = None) -> str:
    """The one line with which a call fails."""
    with pytest.raises(kind, match=match) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


def nearest(low: float, high: float, scale: int = 2) -> Model:
    """A WDSR network that repeats each pixel: only the middle of its 5x5 skip is not 0."""
    out = 3 * scale**2
    skip = np.zeros((out, 3, 5, 5), np.float32)
    skip[np.arange(out), np.arange(out) // scale**2, 2, 2] = 1
    weights = {
        "head.weight": np.zeros((1, 3, 3, 3), np.float32),
        "head.bias": np.zeros(1, np.float32),
        "tail.weight": np.zeros((out, 1, 3, 3), np.float32),
        "tail.bias": np.zeros(out, np.float32),
        "skip.weight": skip,
        "skip.bias": np.zeros(out, np.float32),
    }

    def conv(name: str, source: str, pad: int) -> Any:
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return helper.make_node("Conv", inputs, [name], pads=[pad] * 4)

    nodes = [
        conv("head", "lr", 1),
        conv("tail", "head", 1),
        conv("skip", "lr", 2),
        helper.make_node("Add", ["skip", "tail"], ["planes"]),
        helper.make_node("DepthToSpace", ["planes"], ["sr"], blocksize=scale, mode="CRD"),
    ]
    lr = helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", 3, "h", "w"])
    sr = helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "H", "W"])
    initialisers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "nearest", [lr], [sr], initialisers)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    architecture = {
        "family": "wdsr", "block": "b", "scale": scale, "filters": 1, "blocks": 0,
        "linear_ratio": 1, "mean": 0.0,
    }  # fmt: skip
    card = ModelCard("nearest", scale, 2, architecture, value_range=(low, high))
    helper.set_model_props(file, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(file, full_check=True)
    content = file.SerializeToString()
    return Model(read_card(content, "nearest"), content, "nearest.onnx")


def damaged(onnx_file: bytes) -> dict[str, bytes]:
    """A model's file, damaged so that no engine can run it."""
    before, _, after = onnx_file.rpartition(b"tail.weight")  # the initialiser's name
    return {
        "empty": b"",
        "text": b"hello world\n",
        "binary": bytes(range(256)) * 10,
        "cut": onnx_file[: len(onnx_file) // 2],
        "unknown operator": onnx_file.replace(b"Conv", b"Cxnv"),
        "operator not in utf-8": onnx_file.replace(b"Conv", b"C\xf3nv"),
        "unknown weight": before + b"tail.we\xffght" + after,
        "wrong weight": before + b"skip.weight" + after,
        "no file": b"\x08\x0a",
    }


@each_engine
@pytest.mark.parametrize("damage", damaged(b""))
def test_a_damaged_model_is_one_line_and_nothing_on_the_terminal(
    engine: str, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = MODELS[0]
    content = damaged(model.onnx)[damage]
    assert content != model.onnx
    if engine == "torch" and "operator" in damage:
        pytest.skip("torch reads the weights only")
    spoiled = dataclasses.replace(model, onnx=content)
    with pytest.raises((BackendError, ModelError)) as caught:
        float32(engine, spoiled).run(noise(5, 6))
    assert "\n" not in str(caught.value)
    assert model.card.title in str(caught.value)
    assert capfd.readouterr() == ("", "")  # stdout may be where the picture goes


@each_engine
def test_mutated_graphs_run_or_fail_in_one_line(
    engine: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model, lr = nearest(0, 1), noise(5, 6)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        content = bytearray(model.onnx)
        for where in rng.integers(len(content), size=4):
            content[where] = int(rng.integers(256))
        try:
            float32(engine, dataclasses.replace(model, onnx=bytes(content))).run(lr)
        except (BackendError, ModelError) as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "lie",
    [
        {"scale": 7},
        {"halo": 3},
        {"halo": 30},
        {"channels": 1},
        {"architecture": {}},
        {"architecture": {"family": "edsr"}},
        {"architecture": {"family": "a\nb" * 1000}},
        {"block": "z" * 10_000},
        {"filters": 16},
        {"filters": 10**6},
        {"filters": 10**30},
        {"filters": "32"},
        {"filters": 32.5},
        {"blocks": 7},
        {"blocks": 10**9},
        {"blocks": -1},
        {"block": "z"},
        {"block": ["b"]},
        {"expansion": 3},
        {"expansion": float("nan")},
        {"expansion": 1e300},
        {"linear_ratio": "x"},
        {"scale ": 2},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_torch_refuses_a_card_that_lies(lie: dict[str, Any]) -> None:
    model, facts = MODELS[0], {field.name for field in dataclasses.fields(ModelCard)}
    if not lie.keys() <= facts:  # then it is about the architecture
        lie = {"architecture": {**model.card.architecture, **lie}}
    liar = dataclasses.replace(model, card=dataclasses.replace(model.card, **lie))
    fails(ModelError, lambda: backends.create("torch", liar), model.card.name)


def test_a_card_that_claims_a_huge_network_takes_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from wdsr.networks import FAMILIES
    from wdsr.networks.wdsr import WDSR, WDSRConfig

    devices = []

    class Watched(WDSR):
        def __init__(self, config: WDSRConfig) -> None:
            devices.append(torch.empty(0).device.type)
            super().__init__(config)

    monkeypatch.setitem(FAMILIES, "wdsr", (WDSRConfig, Watched))
    architecture = {**MODELS[0].card.architecture, "filters": 1000}
    card = dataclasses.replace(MODELS[0].card, architecture=architecture)
    liar = dataclasses.replace(MODELS[0], card=card)
    fails(ModelError, lambda: backends.create("torch", liar), "not those of the network")
    assert devices == ["meta"]  # shapes only


def test_torch_reads_a_card_that_was_written_before_fusing() -> None:
    model, (lr, expected) = MODELS[0], golden(MODELS[0])
    architecture = {**model.card.architecture, "weight_norm": True}
    card = dataclasses.replace(model.card, architecture=architecture)
    sr = float32("torch", dataclasses.replace(model, card=card)).run(lr)
    np.testing.assert_allclose(sr, expected, atol=2e-5)


def test_torch_without_onnx_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import wdsr.backends.torch  # noqa: F401

    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    fails(BackendError, lambda: backends.create("torch", MODELS[0]), "pip install onnx$")


def test_errors_keep_their_cause_and_stay_short() -> None:
    cause = RuntimeError(
        "Exception from a.cpp:1:\nCheck 'x' failed\n\n  the reason  \n" + "x " * 999
    )
    with pytest.raises(BackendError) as caught, backends.engine_errors("file"):
        raise cause
    assert caught.value.__cause__ is cause
    assert str(caught.value).startswith("file: the reason x x")
    assert len(str(caught.value)) < 320


@pytest.mark.parametrize("error", [ModelError("a"), MemoryError(), KeyboardInterrupt()])
def test_what_is_no_engines_error_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, backends.engine_errors("file"):
        raise error
    assert caught.value is error


def test_a_silent_error_is_named() -> None:
    with (
        pytest.raises(BackendError, match=r"^file: AssertionError$"),
        backends.engine_errors("file"),
    ):
        raise AssertionError
