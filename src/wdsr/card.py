"""The model card: what a weights file must say about itself to be used safely.

A card travels inside its ONNX file, as JSON under the metadata key "wdsr".
It is read here without any engine, by walking the file's outermost fields.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wdsr.errors import ModelError

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

    def __post_init__(self) -> None:
        for name, low, high in (("scale", 1, 16), ("halo", 0, 1024), ("channels", 1, 1024)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ModelError(f"model card: {name} must be from {low} to {high}, not {value!r}")
        black, white = self.value_range
        if not black < white:
            raise ModelError(f"model card: value_range must rise, not {self.value_range}")

    @property
    def title(self) -> str:
        """Name and scale, e.g. `wdsr-b-8-x4`; also the file's stem."""
        return f"{self.name}-x{self.scale}"

    def to_json(self) -> str:
        """As it stands in the file."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Raises ModelError if the text is no card; unknown fields are left out."""
        try:
            values = json.loads(text)
            known = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
            known["value_range"] = tuple(map(float, known.get("value_range", (0, 1))))
            return cls(**known)
        except ModelError:
            raise
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"model card: not readable: {error}") from error


def read_card(onnx: bytes, source: str) -> ModelCard:
    """The card inside an ONNX file.

    onnx: the file's bytes. source: how messages name it.
    Raises ModelError if it is no ONNX file or carries no card.
    """
    try:
        for number, value in _fields(memoryview(onnx)):
            if number == _METADATA_PROPS and isinstance(value, memoryview):
                entry = dict(_fields(value))
                if bytes(entry.get(1, b"")) == METADATA_KEY.encode():
                    return ModelCard.from_json(bytes(entry.get(2, b"")).decode())
    except (IndexError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ModelError(f"{source}: not an ONNX file, or damaged") from error
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    raise ModelError(f"{source}: an ONNX file without a wdsr card; `wdsr export` writes them")


# The outermost level of an ONNX file is a protocol-buffer message; field 14 holds
# key-value pairs. Walking it by hand keeps the default install free of the onnx package.
_METADATA_PROPS = 14


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if number == 0 or position + length > len(data):
            raise ValueError("field past the end")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
    raise ValueError("varint too long")
