"""Model cards: what a weights file says about itself, and what happens when it lies."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from wdsr import zoo
from wdsr.card import METADATA_KEY, ModelCard, read_card
from wdsr.errors import ModelError

CARD = ModelCard(
    name="wdsr-b-8",
    scale=3,
    halo=10,
    architecture={"family": "wdsr", "block": "b", "mean": 0.5, "residual_scale": None},
    channels=3,
    value_range=(-1.0, 1.0),
    parameters=157_895,
    licence="CC-BY-4.0",
    data='photographs © "Zoë" 写真\n(two lines)',
    training={"steps": 1, "losses": {"l1": 1.0}},
    scores={"classical": {"Set5": {"psnr": 33.5}}},
    notes="for JPEG \\ not for text 🐈",
)


def onnx_file(*metadata: tuple[str, str]) -> bytes:
    """A small valid ONNX model with these metadata entries."""
    value = helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", 3, "h", "w"])
    result = helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["n", 3, "h", "w"])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["lr"], ["sr"])], "tiny", [value], [result]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    for key, text in metadata:
        model.metadata_props.add(key=key, value=text)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def refused(content: bytes) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ModelError) as caught:
        read_card(content, "file.onnx")
    message = str(caught.value)
    assert message.startswith("file.onnx: ")
    assert "\n" not in message
    assert len(message) < 300
    return message


def card_with(**changes: Any) -> str:
    return json.dumps({**json.loads(CARD.to_json()), **changes})


def test_round_trip_through_a_real_onnx_file() -> None:
    content = onnx_file(("author", "x"), (METADATA_KEY, CARD.to_json()), ("wdsr2", "{}"))
    assert read_card(content, "file.onnx") == CARD


@given(
    scale=st.integers(1, 16),
    halo=st.integers(0, 1024),
    low=st.floats(-1000, 999),
    notes=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_round_trip_of_any_card(scale: int, halo: int, low: float, notes: str) -> None:
    card = dataclasses.replace(
        CARD, scale=scale, halo=halo, value_range=(low, low + 1), notes=notes
    )
    assert ModelCard.from_json(card.to_json()) == card


def test_shipped_cards_are_what_the_onnx_package_reads() -> None:
    for model in zoo.shipped():
        metadata = onnx.load_model_from_string(model.onnx).metadata_props
        texts = [entry.value for entry in metadata if entry.key == METADATA_KEY]
        assert len(texts) == 1
        assert ModelCard.from_json(texts[0]) == model.card


def test_a_card_written_into_a_shipped_file_is_read_back() -> None:
    model = onnx.load_model_from_string(zoo.shipped()[0].onnx)
    helper.set_model_props(model, {METADATA_KEY: CARD.to_json()})
    assert read_card(model.SerializeToString(), "file.onnx") == CARD


def test_unknown_fields_are_left_out() -> None:
    text = card_with(colour="blue", version=7, later={"a": [1]})
    assert ModelCard.from_json(text) == CARD


def test_fields_with_defaults_may_be_missing() -> None:
    card = ModelCard.from_json('{"name": "n", "scale": 2, "halo": 1, "architecture": {}}')
    assert card == ModelCard("n", 2, 1, {})
    assert (card.channels, card.value_range, card.parameters) == (3, (0.0, 1.0), 0)


def test_title_is_name_and_scale() -> None:
    assert CARD.title == "wdsr-b-8-x3"


def test_cards_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CARD.scale = 4  # type: ignore[misc]


@pytest.mark.parametrize("field", ["name", "scale", "halo", "architecture"])
def test_a_missing_field_is_named(field: str) -> None:
    values = json.loads(CARD.to_json())
    del values[field]
    assert f"'{field}'" in refused(onnx_file((METADATA_KEY, json.dumps(values))))


WRONG: dict[str, list[Any]] = {
    "name": ["", "../evil", "a/b", "a\\b", ".hidden", "two\nlines", "\x1b[31m", "x" * 101, 5, None],
    "scale": [0, -2, 17, 2.0, "2", True, None, [2], 10**400],
    "halo": [-1, 1025, 1.5, "10", False, None, {}],
    "channels": [0, -3, 1025, 3.0, "3", True, None],
    "architecture": [None, [], "wdsr", 5],
    "parameters": [-1, 1.5, "152420", 10**30, None],
    "value_range": [
        [1, 0], [0, 0], [0], [0, 1, 2], [], "01", ["0", "1"], [False, True], None, 5, {"0": 1},
        [0, float("inf")], [float("-inf"), 0], [float("nan"), 1], [0, 1e300], [0, 10**400],
    ],
    "licence": [5, None, []],
    "data": [5, None, {}],
    "training": [None, [], "yes"],
    "scores": [None, [], 37.5],
    "notes": [5, None, ["a"]],
    "quantised": [None, [], "int8"],
    "softer": [5, None, "../evil", "a b", ["wdsr-b-8-x4"]],
    "softer_sizes": [None, [], "tail", {"tail": "1"}, {"tail": None}, {"tail": True}],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, vs in WRONG.items() for v in vs])
def test_wrong_types_and_impossible_values_are_refused(field: str, value: Any) -> None:
    assert f"model card: {field} must be" in refused(
        onnx_file((METADATA_KEY, card_with(**{field: value})))
    )


def test_every_field_has_a_wrong_value_above() -> None:
    assert set(WRONG) == {field.name for field in dataclasses.fields(ModelCard)}


@pytest.mark.parametrize(
    "text",
    ["", "{", "nothing", "[]", "[1, 2]", "7", '"name scale halo architecture"', "null", "true",
     "[" * 100_000, '{"a":' * 100_000, '{"scale": ' + "9" * 100_000 + "}", "{}", "\ufeff{}"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_what_is_no_card_is_refused(text: str) -> None:
    assert "model card" in refused(onnx_file((METADATA_KEY, text)))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_card_with_a_number_that_json_has_no_word_for_is_not_written(number: float) -> None:
    card = dataclasses.replace(CARD, scores={"classical": {"blank": {"psnr": number}}})
    with pytest.raises(ModelError, match="wdsr-b-8-x3: cannot write its card: NaN or infinite"):
        card.to_json()


def test_an_older_card_with_infinity_is_read_and_written_anew() -> None:
    text = card_with(scores={"blank": math.inf}, training={"validation": {"1": math.nan}})
    assert "Infinity" in text
    card = ModelCard.from_json(text)
    assert (card.scores, card.training) == ({"blank": "Infinity"}, {"validation": {"1": "NaN"}})
    assert ModelCard.from_json(card.to_json()) == card


def test_an_onnx_file_without_a_card_says_so() -> None:
    assert "without a wdsr card" in refused(onnx_file())
    assert "without a wdsr card" in refused(onnx_file(("author", "x"), ("WDSR", "{}")))


def test_a_card_without_a_graph_is_no_model() -> None:
    model = onnx.ModelProto(ir_version=8)
    model.metadata_props.add(key=METADATA_KEY, value=CARD.to_json())
    assert "not an ONNX file" in refused(model.SerializeToString())


def field(number: int, content: bytes) -> bytes:
    """A protocol-buffer field of up to 127 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


GRAPH = field(7, b"")
WDSR_ENTRY = field(1, b"wdsr")
LARGEST = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"  # as a number of 9 bytes


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"The quick brown fox jumps over the lazy dog.\n" * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"\x80\x02}q\x00.",
        bytes(1000),
        b"\xff" * 1000,
        b"\x3a",  # a graph without a length
        b"\x3a\x05abc",  # a graph longer than the file
        GRAPH + b"\x72" + LARGEST,  # metadata of 9 exabytes
        GRAPH + field(14, WDSR_ENTRY + b"\x10" + LARGEST),  # a number for a card
        GRAPH + field(14, WDSR_ENTRY + field(2, b'\xff\xfe{"name"')),
        GRAPH + field(14, WDSR_ENTRY + b"\x12"),
        GRAPH + b"\x73",  # group
        GRAPH + b"\x00\x00",  # field 0
        GRAPH + b"\x71abc",  # 8 bytes, 3 there
    ],
    ids=lambda content: repr(content[:20]),
)
def test_other_files_and_broken_ones_are_refused(content: bytes) -> None:
    assert refused(content) == "file.onnx: not an ONNX file, or damaged"


def test_a_number_for_a_key_is_no_card() -> None:
    assert "without a wdsr card" in refused(GRAPH + field(14, b"\x08" + LARGEST))


@pytest.mark.parametrize("start", [b"", b"\x3a", GRAPH + b"\x72"])
def test_numbers_without_end_take_no_time(start: bytes) -> None:
    began = time.process_time()
    refused(start + b"\xff" * 2_000_000)
    assert time.process_time() - began < 1


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(content: bytes) -> None:
    for start in (b"", GRAPH, GRAPH + b"\x72", GRAPH + b"\x72\x20\x0a\x04wdsr\x12"):
        try:
            read_card(start + content, "file.onnx")
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_every_truncation_of_a_real_model_is_refused() -> None:
    content = zoo.shipped()[0].onnx
    # All of the start and of the end, where the card is; inside the weights, which
    # are one field, every 101st.
    ends = {*range(200), *range(len(content) - 4000, len(content)), *range(0, len(content), 101)}
    messages = [refused(content[:end]) for end in sorted(ends)]
    # Between two fields the file is whole, only without its end.
    assert sum("damaged" not in message for message in messages) <= 3


def test_300_random_mutations_of_a_real_model_parse_or_are_refused() -> None:
    content = zoo.shipped()[-1].onnx
    tail = len(content) - content.rfind(METADATA_KEY.encode()) + 16  # the card and its frame
    outcomes = {"parsed": 0, "refused": 0}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 5)):
            # Two of three hit the card or the first bytes: the rest is weights.
            first, count = ((len(damaged) - tail, tail), (0, 40), (0, len(damaged)))[seed % 3]
            where, length = first + int(rng.integers(count)), int(rng.integers(1, 30))
            kind = rng.integers(3)
            if kind == 0:  # a changed byte, a gap, or something put in
                damaged[where] = int(rng.integers(256))
            elif kind == 1:
                del damaged[where : where + length]
            else:
                damaged[where:where] = rng.bytes(length)
        began = time.process_time()
        try:
            card = read_card(bytes(damaged), "file.onnx")
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017
            outcomes["refused"] += 1
        else:
            assert isinstance(card, ModelCard)
            outcomes["parsed"] += 1
        assert time.process_time() - began < 2
    assert min(outcomes.values()) > 20  # the series tries both
