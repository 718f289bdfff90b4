"""OpenVINO: the default engine, fastest on CPUs."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from wdsr import zoo
from wdsr.backends import Batch, Precision, engine_errors, int8_of
from wdsr.backends.levels import with_levels
from wdsr.backends.library import ov
from wdsr.errors import BackendError
from wdsr.processor import processor, recall, remember
from wdsr.zoo import Model


class OpenVINOBackend:
    """Compiles the model for each input shape it meets."""

    def __init__(
        self, model: Model, precision: Precision, device: str, threads: int | None
    ) -> None:
        self.card = model.card
        self.precision = precision
        self._core = ov.Core()
        self._device = device
        self._settings = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None and device == "CPU":
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._model = self._core.read_model(model.onnx)
        self._requests: dict[tuple[Any, ...], Any] = {}

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        key = batch.dtype, batch.shape
        with engine_errors(f"{self.card.title}: OpenVINO cannot run it on {self._device!r}"):
            if key not in self._requests:
                # A plan's tiles have one shape, and its transpose when turned: two are enough.
                while len(self._requests) > 1:
                    del self._requests[next(iter(self._requests))]
                self._requests[key] = self._compile(batch)
            output: Batch = self._requests[key].infer([batch], share_inputs=True)[0]
        return output

    def _compile(self, batch: Batch) -> Any:
        """An inference request for one fixed shape: up to twice as fast as a dynamic one."""
        network, bf16 = self._model.clone(), self.precision == "bf16"
        if batch.dtype == np.uint8:
            n, height, width, channels = batch.shape
            network.reshape([n, channels, height, width])
            # An int8 model's layers that stay in float are bf16 where that is quick.
            rest = self.precision == "int8" and self._device == "CPU" and processor().runs_bf16_well
            network, prepared = with_levels(network, self.card.value_range, bf16=bf16 or rest)
            bf16 |= rest and prepared
        else:
            network.reshape(list(batch.shape))
        settings = self._settings | {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
        compiled = self._core.compile_model(network, self._device, settings)
        return compiled.create_infer_request()


def create(model: Model, *, precision: str, device: str, threads: int | None) -> OpenVINOBackend:
    """Called by `wdsr.backends.create`."""
    device = "CPU" if device == "auto" else device.upper()
    _check_device(device)
    chosen = _quickest(model, device, threads) if precision == "auto" else precision
    if chosen == "int8":
        return OpenVINOBackend(int8_of(model), "int8", device, threads)
    return OpenVINOBackend(model, "bf16" if chosen == "bf16" else "float32", device, threads)


def devices() -> list[str]:
    """What OpenVINO can compute on here, e.g. `["CPU", "GPU"]`."""
    return list(ov.Core().available_devices)


def _check_device(device: str) -> None:
    """Its own message, of a library it cannot load, is no help."""
    kind = device.partition(":")[0].partition(".")[0]  # GPU.1 is a GPU, AUTO:GPU,CPU chooses
    if kind not in ("CPU", "AUTO", "HETERO", "MULTI"):
        there = devices()
        if not any(name.partition(".")[0] == kind for name in there):
            fault = f"OpenVINO finds no device {device!r} here, only {', '.join(there)}"
            raise BackendError(f"{fault}; `wdsr doctor` tells what this machine has")


def _quickest(model: Model, device: str, threads: int | None) -> str:
    """The precision that is quickest on this machine: known of its features, else measured."""
    if model.card.quantised:
        return "int8"
    if device != "CPU":
        return "float32"
    here, int8 = processor(), zoo.quantised(model)
    if int8 and here.runs_int8_well is None:
        what = f"quickest of float32 and int8, OpenVINO {ov.__version__}, {threads}, {int8.sha256}"
        if (winner := recall(what)) not in ("float32", "int8"):
            remember(what, winner := _race(model, int8, threads))
        return str(winner)
    if int8 and here.runs_int8_well:
        return "int8"
    return "bf16" if here.runs_bf16_well else "float32"


def _race(model: Model, int8: Model, threads: int | None) -> str:
    """ "int8" or "float32", by the better of five small tiles each: well below a second."""
    lr = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8)
    racers = {
        "float32": OpenVINOBackend(model, "float32", "CPU", threads),
        "int8": OpenVINOBackend(int8, "int8", "CPU", threads),
    }
    seconds = dict.fromkeys(racers, math.inf)
    for turn in range(6):
        for name, racer in racers.items():
            began = time.perf_counter()
            racer.run(lr)
            if turn:  # the first compiles
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    return min(seconds, key=lambda name: seconds[name])
