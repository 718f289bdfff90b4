"""A model between two others: `--sharpness`.

A network tuned with a discriminator begins from a pixel model and stays near it:
weights on the line between the two make a picture between theirs, more or less
smoothly. So the choice costs nothing at run time: it is one model, as fast as
either. Source: Wang et al., ESRGAN, 2018, arXiv 1809.00219, section 3.4 (network
interpolation).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wdsr import zoo
from wdsr.errors import ModelError, UsageError
from wdsr.protobuf import fields
from wdsr.zoo import Model

# Field numbers of ONNX messages: a model's graph, a graph's initialisers, a tensor's parts.
_GRAPH, _INITIALISER, _TYPE, _NAME, _RAW = 7, 5, 2, 8, 9
_FLOAT32 = 1
_SAME = 1e-3  # relative; weight norm gives weights back a millionth off


def softened(model: Model, sharpness: float) -> Model:
    """A GAN model blended with the pixel model that its card names.

    sharpness: 1 leaves it as it is, 0 is the pixel model. Raises UsageError if the
    model has no softer one, ModelError if that cannot be read or does not fit.
    """
    if not 0 <= sharpness <= 1:
        raise UsageError(f"sharpness must be from 0 to 1, not {sharpness:g}")
    title = model.card.softer
    if not title:
        raise UsageError(
            f"{model.card.name}: has no softer model to blend with, so no --sharpness; "
            "models that began from a pixel model and went on against a discriminator have"
        )
    soft = _softer(model, title)
    sizes = mean_sizes(_weights(memoryview(soft.onnx), soft))
    for name, size in model.card.softer_sizes.items():
        if abs(sizes.get(name, 0) - size) > _SAME * size:
            raise ModelError(
                f"{model.source}: {soft.source} is not the {title} that it began from: "
                f"put that one beside it"
            )
    return blend(model, soft, sharpness)


def blend(sharp: Model, soft: Model, sharpness: float) -> Model:
    """The model `sharpness` of the way from `soft` to `sharp`, its weights changed in place.

    Both must be ONNX files of one architecture from one exporter, whose bytes differ
    in weights and card only. Raises ModelError if they are not.
    """
    a, b = sharp.card, soft.card
    if (a.architecture, a.scale, a.value_range) != (b.architecture, b.scale, b.value_range):
        raise ModelError(f"{a.title} and {b.title} are different networks: they cannot be blended")
    content = bytearray(sharp.onnx)
    target, source = _weights(memoryview(content), sharp), _weights(memoryview(soft.onnx), soft)
    if {name: w.shape for name, w in target.items()} != {n: w.shape for n, w in source.items()}:
        raise ModelError(f"{a.title} and {b.title}: their weights do not fit each other")
    for name, weight in target.items():
        mixed = sharpness * weight.astype(np.float64) + (1 - sharpness) * source[name]
        weight[...] = mixed.astype(np.float32)
    card = dataclasses.replace(a, name=f"{a.name}-{sharpness:g}")
    return Model(card, bytes(content), sharp.source)


def mean_sizes(weights: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> dict[str, float]:
    """The mean absolute value of each tensor: enough to tell one training from another."""
    return {name: float(np.abs(w, dtype=np.float64).mean()) for name, w in weights.items()}


def _softer(model: Model, title: str) -> Model:
    """The pixel model: a file beside the GAN model's, or a shipped one."""
    file = Path(model.source).with_name(f"{title}.onnx")
    if file.is_file():
        return zoo.read_model(file)
    name, _, scale = title.rpartition("-x")
    if scale.isdecimal():
        try:
            return zoo.find(name, int(scale))
        except UsageError:
            pass
    raise ModelError(
        f"{model.source}: the softer model {title} is neither shipped nor beside it as {file.name}"
    )


def _weights(onnx: memoryview, model: Model) -> dict[str, np.ndarray[tuple[int], np.dtype]]:
    """Views of a file's float32 initialisers, flat, by name; writable if the file is."""
    found = {}
    try:
        for graph in _all(onnx, _GRAPH):
            for tensor in _all(graph, _INITIALISER):
                parts = {number: content for number, _, content in fields(tensor)}
                if bytes(parts.get(_TYPE, b"")) == bytes([_FLOAT32]):
                    name = bytes(parts[_NAME]).decode()
                    found[name] = np.frombuffer(parts[_RAW], "<f4")
    except (IndexError, ValueError, KeyError) as error:
        raise ModelError(
            f"{model.source}: its weights cannot be blended; export it anew"
        ) from error
    if not found:
        raise ModelError(f"{model.source}: no ONNX file with weights inside, so none to blend")
    return found


def _all(message: memoryview, number: int) -> Iterator[memoryview]:
    return (content for found, _, content in fields(message) if found == number)
