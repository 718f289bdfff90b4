"""The model card: what a weights file must say about itself to be used safely.

A card travels inside its file, ONNX or safetensors, as JSON under the metadata
key "wdsr". It is read here without any engine, from the file's outermost fields;
whether what it says is true, `graph` finds out.
"""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wdsr.errors import ModelError
from wdsr.protobuf import fields

METADATA_KEY = "wdsr"


@dataclass(frozen=True)
class ModelCard:
    """Facts about one weights file."""

    name: str  # e.g. "wdsr-b-8"; with the scale it identifies the model
    scale: int  # HR pixels per LR pixel, each way
    halo: int  # LR pixels of context a result depends on
    architecture: Mapping[str, Any]  # {"family": "wdsr", ...the network's configuration}
    channels: int = 3  # of the image
    value_range: tuple[float, float] = (0.0, 1.0)  # black and white, in and out
    parameters: int = 0
    licence: str = ""  # of the weights
    data: str = ""  # what they were trained on, and its licences
    training: Mapping[str, Any] = field(default_factory=dict)  # recipe, command, steps, versions
    scores: Mapping[str, Any] = field(default_factory=dict)  # protocol -> set -> score
    notes: str = ""  # what the model is good for, and what not
    quantised: Mapping[str, Any] = field(default_factory=dict)  # of an int8 file: how, and the loss
    softer: str = ""  # of a GAN model: the pixel model it began from, which it can be blended with
    softer_sizes: Mapping[str, float] = field(default_factory=dict)  # its weights' mean sizes

    def __post_init__(self) -> None:
        for name, (holds, rule) in _RULES.items():
            value = getattr(self, name)
            if not holds(value):
                raise ModelError(f"model card: {name} must be {rule}, not {reprlib.repr(value)}")

    @property
    def title(self) -> str:
        """Name and scale, e.g. `wdsr-b-8-x4`; also the file's stem."""
        return f"{self.name}-x{self.scale}"

    def to_json(self) -> str:
        """As it stands in the file. Raises ModelError if it holds numbers that JSON cannot."""
        try:
            values = dataclasses.asdict(self)
            return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            fault = "NaN or infinite numbers, for which JSON has no word"
            raise ModelError(f"{self.title}: cannot write its card: {fault}") from error

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Raises ModelError if the text is no card; unknown fields are left out."""
        try:
            values = json.loads(text, parse_constant=str)  # older versions wrote Infinity
        except (ValueError, RecursionError) as error:
            raise ModelError(f"model card: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ModelError(f"model card: not a JSON object but {reprlib.repr(values)}")
        known = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
        if isinstance(known.get("value_range"), list):  # JSON has no tuples
            known["value_range"] = tuple(known["value_range"])
        try:
            return cls(**known)
        except TypeError as error:  # names the fields that are missing
            raise ModelError(f"model card: {error}") from error


_Rule = tuple[Callable[[Any], bool], str]


def _whole(low: int, high: int) -> _Rule:
    return lambda value: type(value) is int and low <= value <= high, f"from {low} to {high}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w.+-]{0,99}", value) is not None


def _are_numbers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(type(v) in (int, float) for v in value.values())


def _rises(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(type(level) in (int, float) and abs(level) <= 1e6 for level in value)
        and value[0] < value[1]
    )


_TEXT: _Rule = (lambda value: isinstance(value, str), "text")
_OBJECT: _Rule = (lambda value: isinstance(value, Mapping), "an object")

# A file's card may be wrong, or written to do harm: what each field has to be.
_RULES: dict[str, _Rule] = {
    "name": (_is_name, "letters, digits and . + - _"),
    "scale": _whole(1, 16),
    "halo": _whole(0, 1024),
    "architecture": _OBJECT,
    "channels": _whole(1, 1024),
    "value_range": (_rises, "two numbers that rise"),
    "parameters": _whole(0, 10**12),
    "licence": _TEXT,
    "data": _TEXT,
    "training": _OBJECT,
    "scores": _OBJECT,
    "notes": _TEXT,
    "quantised": _OBJECT,
    "softer": (lambda value: value == "" or _is_name(value), "a model's name, or nothing"),
    "softer_sizes": (_are_numbers, "an object of numbers"),
}


def read_card(onnx: bytes, source: str) -> ModelCard:
    """The card inside an ONNX file.

    onnx: the file's bytes. source: how messages name it.
    Raises ModelError if it is no ONNX file or carries no card.
    """
    graph, text = False, None
    try:
        for number, _, value in fields(memoryview(onnx)):
            graph |= number == _GRAPH
            if number == _METADATA_PROPS:
                entry = {key: content for key, _, content in fields(value)}
                if bytes(entry.get(_KEY, b"")) == METADATA_KEY.encode():
                    text = bytes(entry.get(_VALUE, b"")).decode()
    except (IndexError, ValueError) as error:
        raise ModelError(f"{source}: not an ONNX file, or damaged") from error
    if not graph:
        raise ModelError(f"{source}: not an ONNX file, or damaged")
    if text is None:
        raise ModelError(f"{source}: an ONNX file without a wdsr card; `wdsr export` writes them")
    try:
        return ModelCard.from_json(text)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error


# An ONNX file is a protocol-buffer message; these are numbers of its fields.
_GRAPH, _METADATA_PROPS = 7, 14
_KEY, _VALUE = 1, 2  # of a metadata entry


def read_safetensors_card(content: bytes, source: str) -> ModelCard:
    """The card inside a safetensors file.

    content: the file's bytes. source: how messages name it.
    Raises ModelError if it is no such file or carries no card.
    """
    text = _safetensors_metadata(content, source).get(METADATA_KEY)
    if not isinstance(text, str):
        raise ModelError(
            f"{source}: a safetensors file without a wdsr card; `wdsr import` makes one with it"
        )
    try:
        return ModelCard.from_json(text)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error


def has_card(content: bytes, source: str) -> bool:
    """Whether a safetensors file carries a card. Raises ModelError if it is no such file."""
    return METADATA_KEY in _safetensors_metadata(content, source)


def _safetensors_metadata(content: bytes, source: str) -> dict[str, Any]:
    """A file is the length of its header (8 bytes, little-endian), the header in JSON, numbers."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length]) if 8 + length <= len(content) else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ModelError(f"{source}: not a safetensors file, or damaged")
    metadata = header.get("__metadata__", {})
    return metadata if isinstance(metadata, dict) else {}
