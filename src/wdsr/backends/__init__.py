"""Engines that run a model, behind one method."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from wdsr.card import ModelCard
from wdsr.errors import BackendError, UsageError
from wdsr.zoo import Model

Batch = NDArray[np.float32]
Precision = Literal["float32", "bf16"]
PRECISIONS = ("auto", "float32", "bf16")


class Backend(Protocol):
    """Something that can run one model."""

    card: ModelCard
    precision: Precision

    def run(self, batch: Batch) -> Batch:
        """(N, C, H, W) in the card's value range -> (N, C, s*H, s*W), not clipped."""
        ...


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
    precision: "float32", "bf16", or "auto": bf16 where the processor computes
        it natively (AMX) and the engine can, otherwise float32.
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
    available = installed()
    if name == "auto":
        if not available:
            raise BackendError("no inference engine is installed: pip install openvino")
        name = available[0]
    elif name not in available:
        raise BackendError(f"{name} is not installed: pip install {ENGINES[name]}")
    module = importlib.import_module(f"wdsr.backends.{name}")
    backend: Backend = module.create(model, precision=precision, device=device, threads=threads)
    return backend
