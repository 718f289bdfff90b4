"""Models that are damaged, or lie: each engine says so in one line."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tests.backends.helpers import MODELS, each_engine, fails, float32, golden, nearest, noise

from wdsr import backends
from wdsr.card import ModelCard
from wdsr.errors import BackendError, ModelError


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
