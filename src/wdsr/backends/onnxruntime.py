"""ONNX Runtime: the most widely available engine."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from wdsr.backends import Batch, Precision, by_floats, engine_errors, int8_of
from wdsr.errors import BackendError
from wdsr.zoo import Model

_PROVIDERS = {"auto": "CPU", "cpu": "CPU", "cuda": "CUDA", "gpu": "CUDA"}


class ONNXRuntimeBackend:
    """One session; any input shape."""

    def __init__(
        self, model: Model, precision: Precision, device: str, threads: int | None
    ) -> None:
        self.card = model.card
        self.precision = precision
        provider = f"{_PROVIDERS.get(device.lower(), device)}ExecutionProvider"
        if provider not in ort.get_available_providers():
            have = ", ".join(ort.get_available_providers())
            raise BackendError(f"ONNX Runtime has no {provider} here, only {have}")
        options = ort.SessionOptions()
        options.log_severity_level = 4  # its warnings are for developers; errors are raised
        if threads is not None:
            options.intra_op_num_threads = threads
        # Its fallback would print to stdout, where a picture may go, and hide a missing device.
        self._session = ort.InferenceSession(
            model.onnx, options, providers=[provider], enable_fallback=0
        )

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        if batch.dtype == np.uint8:
            return by_floats(batch, self.card, self.run)
        with engine_errors(f"{self.card.title}: ONNX Runtime cannot run it"):
            output: Batch = self._session.run(None, {"lr": batch})[0]
        return output


def create(model: Model, *, precision: str, device: str, threads: int | None) -> ONNXRuntimeBackend:
    """Called by `wdsr.backends.create`."""
    if precision == "bf16":
        raise BackendError("ONNX Runtime has no bf16 on CPUs: use --backend openvino for it")
    if precision == "int8" or model.card.quantised:
        return ONNXRuntimeBackend(int8_of(model), "int8", device, threads)
    return ONNXRuntimeBackend(model, "float32", device, threads)
