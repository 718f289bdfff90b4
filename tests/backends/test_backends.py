"""Every installed engine gives what the network gives, and fails in one clear line."""

from __future__ import annotations

import importlib.util
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.backends.helpers import (
    ENGINES,
    MODELS,
    each_engine,
    fails,
    float32,
    golden,
    nearest,
    noise,
)

from wdsr import backends
from wdsr.backends import Batch
from wdsr.errors import BackendError, UsageError
from wdsr.zoo import Model

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.card.title)


# What engines compute


@each_engine
@each_model
def test_golden_tile(engine: str, model: Model) -> None:
    lr, expected = golden(model)
    sr = float32(engine, model).run(lr)
    assert sr.dtype == np.float32
    assert sr.shape == expected.shape
    error = np.abs(sr - expected)
    assert error.max() < 1 / 255  # the promise
    assert error.max() < 2e-5  # what float32 really gives
    # Where zero padding does not reach, which is all that is ever kept.
    margin = model.card.halo * model.card.scale
    inside = error[..., margin:-margin, margin:-margin]
    assert inside.size
    assert inside.max() < 2e-5


@each_model
def test_engines_agree_pairwise(model: Model) -> None:
    lr = noise(23, 29)
    results = {engine: float32(engine, model).run(lr) for engine in ENGINES}
    for one, other in itertools.combinations(results, 2):
        assert np.abs(results[one] - results[other]).max() < 2e-5, (one, other)


@pytest.mark.parametrize("engine", [e for e in ENGINES if e != "onnxruntime"])
@each_model
def test_bf16_is_within_three_levels(engine: str, model: Model) -> None:
    lr, expected = golden(model)
    backend = backends.create(engine, model, precision="bf16")
    assert backend.precision == "bf16"
    error = np.abs(backend.run(lr) - expected) * 255
    assert error.mean() < 0.5  # measured: 0.14 (OpenVINO), 0.26 (torch)
    assert error.max() < 3  # measured: 0.8, 1.4


@each_engine
@each_model
def test_bytes_are_the_rounded_floats(engine: str, model: Model) -> None:
    backend = float32(engine, model)
    lr = np.random.default_rng(1).integers(0, 256, (1, 18, 21, 3), np.uint8)
    floats = backend.run((lr / np.float32(255)).transpose(0, 3, 1, 2).copy())
    exact = floats.transpose(0, 2, 3, 1).astype(np.float64) * 255
    sr = backend.run(lr)
    assert sr.dtype == np.uint8
    assert sr.shape == exact.shape
    assert exact.min() < 0 < 255 < exact.max()  # noise overshoots, so clipping is tried
    assert np.abs(sr - exact.clip(0, 255)).max() < 0.5 + 1e-2


@each_engine
@pytest.mark.parametrize("levels", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-0.5, 0.5)])
def test_all_bytes_survive_any_value_range(engine: str, levels: tuple[float, float]) -> None:
    lr = np.arange(256 * 3).reshape(1, 16, 16, 3).astype(np.uint8)
    sr = float32(engine, nearest(*levels)).run(lr)
    np.testing.assert_array_equal(sr, lr.repeat(2, axis=1).repeat(2, axis=2))


@each_engine
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_floats_pass_unclipped(engine: str, scale: int) -> None:
    lr = (noise(7, 5) - 0.5) * 8
    sr = float32(engine, nearest(0, 1, scale)).run(lr)
    np.testing.assert_allclose(sr, lr.repeat(scale, axis=2).repeat(scale, axis=3), atol=1e-6)


# How they may be called


@each_engine
def test_a_batch_is_its_parts(engine: str) -> None:
    backend, lr = float32(engine, MODELS[0]), np.concatenate([noise(12, 17, 1), noise(12, 17, 2)])
    both = backend.run(lr)
    for part in (0, 1):
        np.testing.assert_allclose(backend.run(lr[part : part + 1])[0], both[part], atol=2e-6)


@each_engine
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_any_order_of_shapes_and_no_state_between(engine: str, kind: Any) -> None:
    backend = float32(engine, MODELS[0])

    def batch(height: int, width: int) -> Batch:
        lr = noise(height, width, height)
        return lr if kind is np.float32 else (lr * 255).astype(kind).transpose(0, 2, 3, 1).copy()

    shapes = [(9, 14), (14, 9), (1, 1), (9, 14)]
    results = [backend.run(batch(*shape)) for shape in shapes]
    for shape, result in zip(shapes, results, strict=True):
        # Kept results are not overwritten by later runs, and order does not matter.
        np.testing.assert_array_equal(float32(engine, MODELS[0]).run(batch(*shape)), result)


@each_engine
def test_the_two_kinds_are_told_apart_even_by_the_same_shape(engine: str) -> None:
    backend = float32(engine, nearest(0, 1))
    floats, levels = noise(5, 3), np.full((1, 3, 5, 3), 7, np.uint8)
    for _ in range(2):
        assert backend.run(floats).shape == (1, 3, 10, 6)
        assert (backend.run(levels) == np.full((1, 6, 10, 3), 7)).all()


@each_engine
def test_input_may_be_a_view_and_is_not_changed(engine: str) -> None:
    backend, whole = float32(engine, MODELS[0]), noise(16, 22)
    floats = whole[..., ::-1].transpose(0, 1, 3, 2)
    levels = (whole * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    for view in (floats, floats[..., 1:-3, ::2], levels, levels[:, ::-1]):
        before = view.copy()
        np.testing.assert_array_equal(backend.run(view), backend.run(before))
        np.testing.assert_array_equal(view, before)


@each_engine
def test_a_read_only_input_will_do(engine: str) -> None:
    lr = noise(8, 8)
    lr.setflags(write=False)
    assert np.isfinite(float32(engine, MODELS[0]).run(lr)).all()


@each_engine
def test_one_thread_gives_the_same(engine: str) -> None:
    lr, expected = golden(MODELS[0])
    before = _torch_threads()
    try:
        sr = float32(engine, MODELS[0], threads=1).run(lr)
    finally:
        _torch_threads(before)
    np.testing.assert_allclose(sr, expected, atol=2e-5)


def _torch_threads(number: int | None = None) -> int:
    """Torch's threads are the whole process's: put them back for the other tests."""
    import torch

    if number is not None:
        torch.set_num_threads(number)
    return torch.get_num_threads()


@each_engine
def test_what_a_backend_says_of_itself(engine: str) -> None:
    backend = float32(engine, MODELS[0])
    assert backend.card == MODELS[0].card
    assert backend.precision == "float32"


@each_engine
def test_a_refused_batch_is_one_line_and_harms_nothing(engine: str) -> None:
    backend, lr = float32(engine, MODELS[0]), noise(10, 12)
    before = backend.run(lr)
    wrong: list[NDArray[Any]] = [
        np.zeros((1, 4, 8, 8), np.float32),
        np.zeros((3, 8, 8), np.float32),
        np.zeros((1, 8, 8, 4), np.uint8),
    ]
    for batch in wrong:
        fails(BackendError, lambda batch=batch: backend.run(batch), MODELS[0].card.name)  # type: ignore[misc]
    np.testing.assert_array_equal(backend.run(lr), before)


# What is chosen and what is refused


def test_all_engines_of_the_development_install_are_tested() -> None:
    assert list(backends.ENGINES) == ENGINES


def _without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in packages else find(name)
    )


def test_auto_is_the_first_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(backends.create("auto", MODELS[0])).__name__ == "OpenVINOBackend"
    _without(monkeypatch, "openvino")
    assert backends.installed() == ["onnxruntime", "torch"]
    assert type(backends.create("auto", MODELS[0])).__name__ == "ONNXRuntimeBackend"
    _without(monkeypatch, "openvino", "onnxruntime")
    assert type(backends.create("auto", MODELS[0])).__name__ == "TorchBackend"


def test_no_engine_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, *backends.ENGINES.values())
    message = fails(BackendError, lambda: backends.create("auto", MODELS[0]))
    assert message == "no inference engine is installed: pip install openvino"


@pytest.mark.parametrize("engine", backends.ENGINES)
def test_an_engine_that_is_not_installed(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, backends.ENGINES[engine])
    message = fails(BackendError, lambda: backends.create(engine, MODELS[0]))
    assert message == f"{engine} is not installed: pip install {backends.ENGINES[engine]}"


def test_an_engine_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError(f"{name}:\n  libGL.so.1: cannot open shared object file")

    monkeypatch.setattr("importlib.import_module", broken)
    fails(BackendError, lambda: backends.create("openvino", MODELS[0]), "openvino.*libGL.so.1")


@pytest.mark.parametrize("name", ["tensorrt", "", "OpenVINO", "torch ", "__init__"])
def test_unknown_backends_are_told_what_exists(name: str) -> None:
    message = fails(UsageError, lambda: backends.create(name, MODELS[0]), "no backend")
    assert all(engine in message for engine in ("auto", *backends.ENGINES))


@pytest.mark.parametrize("precision", ["float16", "int4", "", "BF16"])
def test_unknown_precisions_are_told_what_exists(precision: str) -> None:
    call = lambda: backends.create("auto", MODELS[0], precision=precision)  # noqa: E731
    assert "auto, float32, bf16, int8" in fails(UsageError, call, "no precision")


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread_is_refused(threads: int) -> None:
    call = lambda: backends.create("auto", MODELS[0], threads=threads)  # noqa: E731
    fails(UsageError, call, f"threads must be at least 1, not {threads}")


def test_onnxruntime_refuses_bf16() -> None:
    call = lambda: backends.create("onnxruntime", MODELS[0], precision="bf16")  # noqa: E731
    fails(BackendError, call, "ONNX Runtime has no bf16")


@each_engine
def test_unknown_devices_are_refused(engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    fails(
        BackendError,
        lambda: backends.create(engine, MODELS[0], device="nonsense").run(noise(4, 4)),
        r"(?i)nonsense",
    )
    assert capfd.readouterr() == ("", "")


def test_a_device_that_is_not_here_is_told_in_short() -> None:
    call = lambda: backends.create("openvino", MODELS[0], device="fpga.1")  # noqa: E731
    fails(
        BackendError, call, "^OpenVINO finds no device 'FPGA.1' here, only .*CPU.*; `wdsr doctor`"
    )


@each_engine
@pytest.mark.parametrize("device", ["cpu", "CPU"])
def test_devices_in_any_case(engine: str, device: str) -> None:
    backends.create(engine, MODELS[0], device=device).run(noise(4, 4))


def test_onnxruntime_names_the_provider_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    call = lambda: backends.create("onnxruntime", MODELS[0], device="GPU")  # noqa: E731
    fails(BackendError, call, "no CUDAExecutionProvider here, only CPUExecutionProvider")
