"""int8 files: what stays in float, what they cost, and that nothing overflows anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from wdsr import backends, evaluate, zoo
from wdsr.backends import Batch
from wdsr.errors import BackendError, TrainingError
from wdsr.inference import run_tiles
from wdsr.metrics import psnr
from wdsr.resize import resize
from wdsr.zoo import Model

pytest.importorskip("nncf")
from wdsr.train import quantise as q

MODEL = zoo.find("wdsr-b-8", 2)
INT8 = [found for model in zoo.shipped() if (found := zoo.quantised(model))]
each_int8 = pytest.mark.parametrize("int8", INT8, ids=lambda model: model.card.title)


def photograph() -> Any:
    import skimage.data

    path = Path(skimage.data.__file__).parent / "astronaut.png"
    return np.asarray(Image.open(path).convert("RGB"))


def method(model: Model, engine: str = "openvino") -> q.Enlarge:
    backend = backends.create(
        engine, model, precision="int8" if model.card.quantised else "float32"
    )
    return lambda lr: run_tiles(lr, backend, white=255, dtype=np.uint8)


def score(model: Model) -> Mapping[str, float]:
    hr = photograph()[:128, :128]
    backend = backends.create("openvino", model, precision="float32")
    sr = evaluate.model(backend)(resize(hr, scale=1 / 2), 2)
    return {"part": psnr(sr, hr, data_range=255, shave=2, luma=True)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures to calibrate on, few and small: the code's path, not its quality."""
    Image.fromarray(photograph()[:200, :220]).save(tmp_path / "photo.png")
    monkeypatch.setattr(q, "PATCHES", 3)
    monkeypatch.setattr(q, "SIDE", 32)
    return tmp_path


def make(folder: Path, **options: Any) -> tuple[Model, q.Price, list[str]]:
    lines: list[str] = []
    int8, price = q.quantise(
        MODEL, folder, enlarge=method, score=score, report=lines.append, **options
    )
    return int8, price, lines


def test_one_call_makes_a_smaller_file_that_knows_its_origin_and_its_price(folder: Path) -> None:
    int8, price, lines = make(folder, max_loss=0.5)
    assert len(int8.onnx) < len(MODEL.onnx) / 2
    assert int8.source == "wdsr-b-8-x2.int8.onnx"
    facts = int8.card.quantised
    assert facts["from_sha256"] == MODEL.sha256
    assert facts["loss_db"] == dict(price.loss) == {"part": price.loss["part"]}
    assert {"skip", "head", "tail"} <= set(facts["float_layers"])
    assert price.flats[0] == price.flats[255] == 0
    assert len(lines) in (1, 2)
    graph = onnx.load_model_from_string(int8.onnx).graph
    additions = {name for node in graph.node if node.op_type == "Add" for name in node.output}
    from_8_bits = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    assert from_8_bits
    sums = [node for node in graph.node if node.op_type == "Add"]
    assert not [node for node in sums if from_8_bits & set(node.input)]  # they are of floats
    assert graph.output[0].name in additions  # as is the result
    # The file works beside its original, for whoever names the original.
    (folder / "mine.onnx").write_bytes(MODEL.onnx)
    assert zoo.quantised(zoo.read_model(folder / "mine.onnx")) is None
    (folder / "mine.int8.onnx").write_bytes(int8.onnx)
    model = zoo.read_model(folder / "mine.onnx")
    found = zoo.quantised(model)
    assert found is not None
    assert found.onnx == int8.onnx
    assert backends.create("openvino", model, precision="int8").precision == "int8"
    # But not beside other weights.
    other = zoo.find("wdsr-b-8", 3)
    (folder / "other.onnx").write_bytes(other.onnx)
    (folder / "other.int8.onnx").write_bytes(int8.onnx)
    assert zoo.quantised(zoo.read_model(folder / "other.onnx")) is None
    # And it is no float32 file.
    with pytest.raises(BackendError, match="is an int8 file and cannot compute in float32"):
        backends.create("openvino", int8, precision="float32")
    with pytest.raises(TrainingError, match="is quantised already"):
        q.quantise(int8, folder, enlarge=method, score=score)


def test_a_bar_that_cannot_be_met_is_an_error_not_a_file(folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"no int8 version loses less than -9 dB"):
        make(folder, max_loss=-9)


def test_the_price_names_what_a_bad_model_does() -> None:
    """A model that darkens white and falls along a ramp is found out."""

    def bad(lr: Batch) -> Batch:
        sr = lr.repeat(2, 0).repeat(2, 1).astype(int)
        sr[:, ::7] -= 3
        levels: Batch = np.minimum(sr.clip(0), 250).astype(np.uint8)
        return levels

    price = q.measure(MODEL, {"a": 30.0}, lambda model: bad, lambda model: {"a": 29.9})
    assert price.loss == {"a": 0.1}
    assert price.flats[255] == 5  # a level of 255 came out as 250
    assert price.falls > 0.05
    assert not price.meets(1.0)
    good = q.measure(
        MODEL,
        {"a": 30.0},
        lambda model: lambda lr: lr.repeat(2, 0).repeat(2, 1),
        lambda model: {"a": 29.96},
    )
    assert good.falls == 0
    assert max(good.flats) == 0
    assert good.meets(0.05)
    assert not good.meets(0.03)


@pytest.mark.parametrize(
    ("before", "after", "loss", "meets"),
    [
        (math.inf, math.inf, 0, True),  # a blank page, kept blank
        (math.inf, 99.96, 0.04, True),
        (math.inf, 48.0, 52, False),
        (30.0, math.inf, -70, True),
        (30.0, math.nan, math.nan, False),
    ],
)
def test_a_score_without_end_is_a_price_all_the_same(
    before: float, after: float, loss: float, meets: bool
) -> None:
    for scores in ({"a": before, "b": 30.0}, {"b": 30.0, "a": before}):  # nan has no order
        price = q.measure(
            MODEL,
            scores,
            lambda model: lambda lr: lr.repeat(2, 0).repeat(2, 1),
            lambda model: {"a": after, "b": 29.96},
        )
        assert price.loss["a"] == pytest.approx(loss, nan_ok=True)
        assert price.meets(0.05) == meets


def test_safetensors_files_do_not_become_int8(folder: Path) -> None:
    model = Model(MODEL.card, b"", "mine.safetensors", safetensors=b"weights")
    with pytest.raises(TrainingError, match=r"mine\.safetensors: only \.onnx files become int8"):
        q.quantise(model, folder, enlarge=method, score=score)


def test_pictures_too_small_to_calibrate_on_are_named(folder: Path) -> None:
    Image.new("RGB", (90, 41), "red").save(folder / "small.png")
    says = r"small\.png: too small to calibrate x2 on: 90 x 41, at least 42 x 42 wanted"
    with pytest.raises(TrainingError, match=says):
        q.calibration_patches(folder, MODEL.card)


def test_calibration_patches_are_the_same_each_time_and_from_every_picture(folder: Path) -> None:
    Image.new("RGB", (42, 90), "red").save(folder / "small.png")
    one, two = (q.calibration_patches(folder, MODEL.card) for _ in range(2))
    assert len(one) == q.PATCHES
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape[2] == 3
        assert max(a.shape[:2]) <= q.SIDE
    assert any((patch == (255, 0, 0)).all() for patch in one)


# The shipped int8 files


def test_a_shipped_int8_file_is_of_the_weights_beside_it() -> None:
    names = {name for name in zoo.checksums() if name.endswith(".int8.onnx")}
    assert names == {model.source for model in INT8}  # none is stale


@each_int8
def test_a_card_says_what_was_lost(int8: Model) -> None:
    loss = int8.card.quantised["loss_db"]
    assert {"Set5", "Set14"} <= loss.keys()
    assert max(loss.values()) <= 0.05
    assert len(int8.onnx) < 1_000_000


@each_int8
def test_weights_have_seven_bits_so_no_pair_of_products_overflows(int8: Model) -> None:
    graph = onnx.load_model_from_string(int8.onnx).graph
    kernels = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and t.dims]
    kernels = [numpy_helper.to_array(t) for t in kernels if len(t.dims) == 4]
    assert len(kernels) >= 20
    # Two products of an 8-bit and a 7-bit number fit 16 bits: 2 * 255 * 64 < 2**15.
    assert max(int(np.abs(kernel.astype(int)).max()) for kernel in kernels) <= 64


@each_int8
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_flats_stay_flat(int8: Model, engine: str) -> None:
    run = of(int8, engine)
    for level in {0, 1, 254, 255, *range(0, 256, 5)}:
        assert (run(np.full((8, 8, 3), level, np.uint8)) == level).all()


@each_int8
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_smooth_gradients_stay_monotonic(int8: Model, engine: str) -> None:
    """To the right, to the left, down, up, and askew with every channel in a way of its own."""
    run, edge = of(int8, engine), 4 * int8.card.scale  # where a gradient begins is a corner
    for slope in q.SLOPES:
        ramp = q.ramp(slope)
        for lr in (ramp, ramp[:, ::-1], ramp.swapaxes(0, 1), ramp.swapaxes(0, 1)[::-1]):
            sr = run(np.ascontiguousarray(lr)).astype(int)
            along = sr[:, edge:-edge] if lr.shape[0] == 16 else sr[edge:-edge].swapaxes(0, 1)
            rises = np.diff(along, axis=1) * (1 if lr[0, 0, 0] < lr[-1, -1, 0] else -1)
            assert rises.min() >= 0
    y, x = np.mgrid[:90, :90]
    askew = np.stack([(x + y) // 2, 200 - (x + 2 * y) // 3, (4 * x + y) // 5], axis=2)
    rises = np.diff(run(askew.astype(np.uint8)).astype(int), axis=1)[edge:-edge, edge:-edge]
    assert (rises * [1, -1, 1]).min() >= 0
    assert rises.any(axis=(0, 1)).all()


def of(model: Model, engine: str) -> q.Enlarge:
    if engine not in backends.installed():
        pytest.skip(f"needs {engine}")
    return method(model, engine)


@each_int8
def test_engines_agree_on_int8(int8: Model) -> None:
    if "onnxruntime" not in backends.installed():
        pytest.skip("one engine only")
    lr = np.ascontiguousarray(photograph()[100:160, 180:250])
    ours, other = (method(int8, engine)(lr).astype(int) for engine in ("openvino", "onnxruntime"))
    # Integer sums are rounded at other places, and on some processors they saturate: what is
    # left between the engines is far below what both are away from any HR.
    assert np.mean((ours - other) ** 2) < 255**2 / 10**5  # over 50 dB
    assert np.abs(ours - other).max() <= 4


@each_int8
def test_int8_is_close_to_float32(int8: Model) -> None:
    lr = np.ascontiguousarray(photograph()[100:200, 180:280])
    exact = method(zoo.find(int8.card.name, int8.card.scale))(lr)
    assert psnr(method(int8)(lr), exact, data_range=255, shave=0, luma=False) > 44
