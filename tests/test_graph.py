"""Models that lie or could do harm: refused without being run. Honest ones pass."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from wdsr import zoo
from wdsr.card import METADATA_KEY, ModelCard
from wdsr.errors import ModelError, UnsafeModelError
from wdsr.graph import check_graph

CARD = ModelCard("tiny", 2, 1, {"family": "none"})
Change = Callable[[Any], object]  # of a ModelProto, or something in its place


def tensor(name: str, *shape: int) -> Any:
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def tiny(card: ModelCard = CARD, change: Change = lambda model: None) -> bytes:
    """(n, 3, h, w) - 0.5 -> 3x3 convolution -> ReLU -> pixel shuffle by 2, and a card."""
    image = [helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    larger = [helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "2*h", "2*w"])]
    nodes = [
        helper.make_node("Constant", [], ["half"], value=tensor("", 1)),
        helper.make_node("Sub", ["lr", "half"], ["x"]),
        helper.make_node("Conv", ["x", "weight", "bias"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("DepthToSpace", ["z"], ["big"], blocksize=2, mode="CRD"),
        helper.make_node("Mul", ["big", "half"], ["sr"]),
    ]
    weights = [tensor("weight", 12, 3, 3, 3), tensor("bias", 12)]
    graph = helper.make_graph(nodes, "tiny", image, larger, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    changed = change(model)
    return changed if isinstance(changed, bytes) else bytes(model.SerializeToString())


def claims(**facts: Any) -> bytes:
    return tiny(dataclasses.replace(CARD, **facts))


def attribute(model: Any, node: int, **values: Any) -> None:
    for name, value in values.items():
        kept = [a for a in model.graph.node[node].attribute if a.name != name]
        del model.graph.node[node].attribute[:]
        model.graph.node[node].attribute.extend([*kept, helper.make_attribute(name, value)])


def external(location: str) -> Change:
    def change(model: Any) -> None:
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)

    return change


def insert(*arguments: Any, **options: Any) -> Change:
    """Another node in the place of the ReLU."""
    return lambda m: m.graph.node[3].CopyFrom(helper.make_node(*arguments, ["z"], **options))


def subgraph(model: Any) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["y"], ["out"])],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    insert("If", ["half"], then_branch=branch, else_branch=branch)(model)


def function(model: Any) -> None:
    opset = [helper.make_opsetid("", 18)]
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], body, opset))


def huge_weight(model: Any) -> None:
    model.graph.initializer[0].dims[0] = 2**40


def shape_of(port: str, axis: int, size: int) -> Change:
    def change(model: Any) -> None:
        getattr(model.graph, port)[0].type.tensor_type.shape.dim[axis].dim_value = size

    return change


def unknown_field(model: Any) -> bytes:
    return bytes(model.SerializeToString()) + b"\xda\x0c\x01x"  # field 203


def two_graphs(model: Any) -> bytes:
    other = onnx.ModelProto()
    other.graph.node.append(helper.make_node("Relu", ["lr"], ["w"]))
    return bytes(model.SerializeToString() + other.SerializeToString())


def work_without_end(model: Any) -> None:
    """One weight of 9 MB, used again and again."""
    del model.graph.node[3:]
    model.graph.initializer.extend([tensor("in", 512, 12, 1, 1), tensor("again", 512, 512, 3, 3)])
    model.graph.node.append(helper.make_node("Conv", ["y", "in"], ["c0"]))
    model.graph.node.extend(
        helper.make_node("Conv", [f"c{i}", "again"], [f"c{i + 1}"], pads=[1, 1, 1, 1])
        for i in range(1000)
    )


def many_pixels(model: Any) -> None:
    """Shuffles by 16, twice: 65,536 pixels for one."""
    model.graph.initializer.append(tensor("wide", 768, 12, 1, 1))
    model.graph.initializer.append(tensor("wider", 768, 3, 1, 1))
    model.graph.node[3].CopyFrom(helper.make_node("Conv", ["y", "wide"], ["z"]))
    attribute(model, 4, blocksize=16)
    model.graph.node[4].output[0] = "large"
    model.graph.node.insert(5, helper.make_node("Conv", ["large", "wider"], ["larger"]))
    shuffle = helper.make_node("DepthToSpace", ["larger"], ["big"], blocksize=16, mode="CRD")
    model.graph.node.insert(6, shuffle)


def many_nodes(model: Any) -> None:
    model.graph.node.extend([helper.make_node("Relu", ["y"], [f"r{i}"]) for i in range(20_001)])


# Name -> the file, and words of the reason.
EVIL: dict[str, tuple[Callable[[], bytes], str]] = {
    "scale too large": (lambda: claims(scale=4), "scale 4, its graph makes 2"),
    "scale too small": (lambda: claims(scale=1), "scale 1, its graph makes 2"),
    "halo too small": (lambda: claims(halo=0), "halo 0, its graph needs 1"),
    "halo of a mile": (lambda: claims(halo=1000), "halo 1000, its graph needs 1"),
    "channels": (lambda: claims(channels=1), "fixed or a wrong size"),
}
CHANGES: dict[str, tuple[Change, str]] = {
    "data beside the file": (external("weights.bin"), "another file"),
    "data by a path upwards": (external("../../../../etc/passwd"), "another file"),
    "data by a whole path": (external("/etc/shadow"), "another file"),
    "data through a link": (external("link.bin"), "another file"),
    "data from a device": (external("/dev/zero"), "another file"),
    "operators of others": (insert("Relu", ["y"], domain="com.evil"), "operators of 'com.evil'"),
    "domain of others": (
        lambda m: m.opset_import.append(helper.make_opsetid("com.evil", 1)),
        "operators of 'com.evil'",
    ),
    "an operator nobody knows": (insert("Format", ["y"]), "'Format'"),
    "a loop": (insert("Loop", ["half", "half", "y"]), "'Loop'"),
    "a branch": (subgraph, "'If'"),
    "a function called Relu": (function, "fields \\[25\\]"),
    "an array out of nothing": (insert("Expand", ["y", "half"]), "'Expand'"),
    "an image that is resized": (insert("Resize", ["y", "", "half"]), "'Resize'"),
    "weights of a petabyte": (huge_weight, "weights of type 1 and shape"),
    "weights that end early": (
        lambda m: m.graph.initializer[0].ClearField("raw_data"), "do not fill their shape"
    ),
    "weights of texts": (
        lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING), "type 8"
    ),
    "weights for other channels": (
        lambda m: m.graph.initializer[0].CopyFrom(tensor("weight", 12, 4, 3, 3)), "convolves 3"
    ),
    "a convolution that skips": (
        lambda m: attribute(m, 2, strides=[2, 2]), "leaves pixels out"
    ),
    "a convolution that shrinks": (
        lambda m: attribute(m, 2, pads=[0, 0, 0, 0]), "changes the size"
    ),
    "a convolution that looks far": (
        lambda m: attribute(m, 2, dilations=[9, 9], pads=[9, 9, 9, 9]), "its graph needs 9"
    ),
    "pixels shuffled otherwise": (lambda m: attribute(m, 4, blocksize=3), "shuffles pixels by 3"),
    "pixels shuffled by millions": (lambda m: attribute(m, 4, blocksize=2**31), "shuffles pixels"),
    "an input of a fixed size": (shape_of("input", 2, 64), "fixed or a wrong size"),
    "an input of a million channels": (shape_of("input", 1, 10**6), "fixed or a wrong size"),
    "a result of a fixed size": (shape_of("output", 3, 2**40), "fixed or a wrong size"),
    "two inputs": (
        lambda m: m.graph.input.append(
            helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n", 3, "h", "w"])
        ),
        "2 inputs or outputs",
    ),
    "an input of whole numbers": (
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 7), "no float32 image"
    ),
    "a result nothing makes": (lambda m: m.graph.node.pop(), "no image for a result"),
    "a result from the start": (
        lambda m: m.graph.node.insert(0, m.graph.node.pop()), "which nothing makes"
    ),
    "a name for two things": (lambda m: m.graph.node.append(m.graph.node[3]), "two things 'z'"),
    "two graphs": (two_graphs, "several graphs"),
    "a field nobody knows": (unknown_field, "fields \\[203\\]"),
    "training inside": (lambda m: m.training_info.add(), "fields \\[20\\]"),
    "work without end": (work_without_end, "multiplications for each pixel"),
    "a pixel made of thousands": (many_pixels, "768 channels at scale 16"),
    "more operators than any": (many_nodes, "operators"),
}  # fmt: skip
EVIL |= {
    name: (lambda change=change: tiny(change=change), words)  # type: ignore[misc]
    for name, (change, words) in CHANGES.items()
}


class _Touch:
    """A pickle that makes a file when it is opened."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("opened",)


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(_Touch()))
    return buffer.getvalue()


EVIL |= {
    f"a pickle, protocol {protocol}": (lambda p=protocol: pickle.dumps(_Touch(), p), "pickle")  # type: ignore[misc]
    for protocol in range(2, 6)
}
EVIL["a checkpoint of torch"] = (archive, "archive")


def test_the_series_is_long_enough() -> None:
    assert len(EVIL) >= 30


@pytest.mark.parametrize("name", EVIL)
def test_an_evil_model_is_refused_before_anything_runs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = EVIL[name]
    monkeypatch.chdir(tmp_path)
    Path("weights.bin").write_bytes(bytes(10_000))  # so that whoever follows a path succeeds
    Path("link.bin").symlink_to("/etc/passwd")
    path = tmp_path / "evil.onnx"
    path.write_bytes(make())
    before = sorted(tmp_path.iterdir())
    began = time.process_time()
    with pytest.raises(UnsafeModelError, match=words) as caught:
        zoo.read_model(path)
    assert time.process_time() - began < 2
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_that_is_a_link_or_no_file(tmp_path: Path) -> None:
    (tmp_path / "honest.onnx").write_bytes(tiny())
    (tmp_path / "link.onnx").symlink_to("honest.onnx")
    assert zoo.read_model(tmp_path / "link.onnx").card == CARD
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    for name in ("zero", "pipe", "loop"):
        with pytest.raises(ModelError, match=f"{name}.onnx: cannot read this model"):
            zoo.read_model(tmp_path / f"{name}.onnx")


def test_a_file_of_the_size_of_a_disk_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UnsafeModelError, match="has 1099512 MB"):
        zoo.read_model(path)


@pytest.mark.parametrize("model", zoo.shipped(), ids=lambda model: model.card.title)
def test_shipped_models_pass_as_strangers_would(model: zoo.Model) -> None:
    check_graph(model.onnx, model.card, model.source)
    for field in ("scale", "halo"):
        lie = dataclasses.replace(model.card, **{field: getattr(model.card, field) - 1})
        with pytest.raises(UnsafeModelError, match=f"its card says {field}"):
            check_graph(model.onnx, lie, "lie")


HONEST: dict[str, Change] = {
    "as it is": lambda m: None,
    "same padding": lambda m: attribute(m, 2, pads=[0, 0, 0, 0], auto_pad="SAME_UPPER"),
    "a slope for each channel": insert("PRelu", ["y", "slope"]),
    "a leaky slope": insert("LeakyRelu", ["y"], alpha=0.1),
    "normalised batches": insert("BatchNormalization", ["y", "bias", "bias", "bias", "bias"]),
    "weights as plain floats": lambda m: m.graph.initializer[1].CopyFrom(
        helper.make_tensor("bias", TensorProto.FLOAT, [12], [0.5] * 12)
    ),
    "documentation": lambda m: setattr(m.graph, "doc_string", "x"),
}


@pytest.mark.parametrize("name", HONEST)
def test_other_honest_networks_pass(name: str) -> None:
    def change(model: Any) -> object:
        model.graph.initializer.append(tensor("slope", 12, 1, 1))
        return HONEST[name](model)

    check_graph(tiny(change=change), dataclasses.replace(CARD, halo=2), "honest")


def test_the_halo_counts_all_paths_and_scales() -> None:
    """Two convolutions of 3 below the shuffle look 2 pixels far; one of 5 above it looks 1 more."""

    def deeper(model: Any) -> None:
        model.graph.initializer.extend([tensor("more", 12, 12, 3, 3), tensor("late", 3, 3, 5, 5)])
        insert("Conv", ["y", "more"], pads=[1, 1, 1, 1])(model)
        model.graph.node[5].CopyFrom(
            helper.make_node("Conv", ["big", "late"], ["sr"], pads=[2, 2, 2, 2])
        )

    check_graph(tiny(change=deeper), dataclasses.replace(CARD, halo=3), "deep")
    with pytest.raises(UnsafeModelError, match="halo 2, its graph needs 3"):
        check_graph(tiny(change=deeper), dataclasses.replace(CARD, halo=2), "deep")


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_mutation_passes_or_is_refused(changes: list[tuple[int, int]]) -> None:
    content = bytearray(tiny())
    for where, value in changes:
        content[where % len(content)] = value
    try:
        check_graph(bytes(content), CARD, "file.onnx")
    except UnsafeModelError as error:
        assert "\n" not in str(error)  # noqa: PT017
