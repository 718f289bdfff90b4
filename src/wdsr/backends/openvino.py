"""OpenVINO: the default engine, fastest on CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino as ov

from wdsr.backends import Batch, Precision
from wdsr.errors import BackendError
from wdsr.zoo import Model

_HINTS = {"float32": "f32", "bf16": "bf16"}


class OpenVINOBackend:
    """Compiles the model once per input shape."""

    def __init__(
        self, model: Model, precision: Precision, device: str, threads: int | None
    ) -> None:
        self.card = model.card
        self.precision = precision
        self._core = ov.Core()
        self._device = device
        self._settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None and device == "CPU":
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            self._model = self._core.read_model(model.onnx)
        except RuntimeError as error:
            raise BackendError(
                f"{model.source}: OpenVINO cannot read it: {_first(error)}"
            ) from error
        self._compiled: dict[tuple[int, ...], Any] = {}

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        request = self._compiled.get(batch.shape)
        if request is None:
            request = self._compile(batch.shape)
        output: Batch = request.infer([batch], share_inputs=True)[0]
        return output

    def _compile(self, shape: tuple[int, ...]) -> Any:
        # A fixed shape runs up to twice as fast as a dynamic one. Only the
        # latest is kept: a plan's tiles all have one shape.
        try:
            self._model.reshape(list(shape))
            compiled = self._core.compile_model(self._model, self._device, self._settings)
        except RuntimeError as error:
            raise BackendError(
                f"{self.card.title}: OpenVINO cannot run it on {self._device!r}: {_first(error)}"
            ) from error
        self._compiled = {shape: compiled.create_infer_request()}
        return self._compiled[shape]


def create(model: Model, *, precision: str, device: str, threads: int | None) -> OpenVINOBackend:
    """Called by `wdsr.backends.create`."""
    device = "CPU" if device == "auto" else device.upper()
    chosen: Precision = "bf16" if precision == "bf16" else "float32"
    if precision == "auto" and device == "CPU" and _has_amx():
        chosen = "bf16"
    return OpenVINOBackend(model, chosen, device, threads)


def _has_amx() -> bool:
    # OpenVINO lists BF16 as a capability of any AVX-512 processor with the
    # instructions, but without AMX tiles float32 is faster: measured 0.56
    # against 0.36 LR megapixels per second.
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text("ascii", "ignore")
    except OSError:
        return False


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
