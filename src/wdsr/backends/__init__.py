"""Engines that run a model, behind one method."""

from __future__ import annotations

import importlib
import importlib.util
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from wdsr import zoo
from wdsr.card import ModelCard
from wdsr.errors import BackendError, UsageError, WdsrError
from wdsr.zoo import Model

Batch = NDArray[Any]
Precision = Literal["float32", "bf16", "int8"]
PRECISIONS = ("auto", "float32", "bf16", "int8")


class Backend(Protocol):
    """Something that can run one model."""

    card: ModelCard
    precision: Precision

    def run(self, batch: Batch) -> Batch:
        """Enlarge a batch, in one of two kinds, told apart by their type.

        float32 (N, C, H, W) in the card's value range -> (N, C, s*H, s*W), not clipped.
        uint8 (N, H, W, C), 0 black and 255 white -> (N, s*H, s*W, C), rounded and clipped.
        """
        ...


def by_floats(batch: Batch, card: ModelCard, run: Callable[[Batch], Batch]) -> Batch:
    """`Backend.run` for uint8, by way of `run` for float32."""
    low, high = card.value_range
    lr = batch.transpose(0, 3, 1, 2).astype(np.float32)  # (N, H, W, C) -> (N, C, H, W)
    lr *= np.float32((high - low) / 255)
    lr += np.float32(low)
    sr = run(lr) - np.float32(low)
    sr *= np.float32(255 / (high - low))
    np.rint(sr, out=sr)
    np.clip(sr, 0, 255, out=sr)
    return sr.astype(np.uint8).transpose(0, 2, 3, 1)


# In order of preference: module of this package -> package it needs.
ENGINES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "torch": "torch"}


def installed() -> list[str]:
    """The backends that can be used here, the preferred one first."""
    return [name for name, package in ENGINES.items() if importlib.util.find_spec(package)]


def create(
    name: str,
    model: Model,
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
) -> Backend:
    """Make a backend for a model.

    name: "auto" (the first installed), "openvino", "onnxruntime" or "torch".
    precision: "float32", "bf16", "int8" (which needs a quantised file beside the
        model's), or "auto": what is quickest here of those the engine can.
    device: the engine's own name for it, e.g. "CPU", "GPU", "cuda"; or "auto".
    threads: how many processor threads; None for all.

    Raises UsageError for unknown names, BackendError if the engine is not
    installed or cannot do what is asked.
    """
    if name != "auto" and name not in ENGINES:
        raise UsageError(f"no backend {name!r}: choose auto, {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise UsageError(f"no precision {precision!r}: choose {', '.join(PRECISIONS)}")
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    if model.card.quantised and precision not in ("auto", "int8"):
        raise BackendError(
            f"{model.source}: is an int8 file and cannot compute in {precision}, which 16-bit "
            "and float pictures need too; give the file it was made from"
        )
    available = installed()
    if model.safetensors:
        available = _for_safetensors(name, model.source)
    if name == "auto":
        if not available:
            raise BackendError("no inference engine is installed: pip install openvino")
        name = available[0]
    elif name not in available:
        raise BackendError(f"{name} is not installed: pip install {ENGINES[name]}")
    with engine_errors(f"{model.source}: {name} cannot load it"):
        module = importlib.import_module(f"wdsr.backends.{name}")
        backend: Backend = module.create(model, precision=precision, device=device, threads=threads)
    return backend


def _for_safetensors(name: str, source: str) -> list[str]:
    """The engine that reads safetensors files; the others want a graph, so ONNX."""
    better = f"`wdsr import {source}` makes an .onnx file of it, which every engine reads, faster"
    if name not in ("auto", "torch"):
        raise BackendError(f"{source}: {name} does not read safetensors; {better}")
    for package in ("torch", "safetensors"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"{source}: needs {package}: pip install 'wdsr[import]'; {better}")
    return ["torch"]


def int8_of(model: Model) -> Model:
    """The model that computes a model in int8. Raises BackendError if there is none."""
    found = model if model.card.quantised else zoo.quantised(model)
    if found is None:
        raise BackendError(
            f"{model.source}: has no int8 version beside it; `wdsr quantise` makes one"
        )
    return found


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn whatever an engine raises into a BackendError of one line that begins with `what`."""
    try:
        yield
    except (WdsrError, MemoryError):
        raise
    except Exception as error:  # engines raise many classes, few of them public
        lines = (line.strip() for line in str(error).splitlines())
        said = " ".join(line for line in lines if not line.startswith(_WHERE))
        said = textwrap.shorten(said, 300, placeholder=" ...") or type(error).__name__
        raise BackendError(f"{what}: {said}") from error


# Lines of OpenVINO's messages that name places in its own source.
_WHERE = ("Exception from ", "Check '", "While validating ", "FrontEnd API failed ")
