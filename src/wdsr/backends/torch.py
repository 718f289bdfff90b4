"""PyTorch: reads ONNX and safetensors files; for GPUs and for checking the other engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from wdsr import networks
from wdsr.backends import Batch, Precision, by_floats, engine_errors
from wdsr.card import ModelCard
from wdsr.errors import BackendError, ModelError
from wdsr.networks import Network
from wdsr.zoo import Model


class TorchBackend:
    """The network itself, with the file's weights."""

    def __init__(
        self, model: Model, precision: Precision, device: str, threads: int | None
    ) -> None:
        self.card = model.card
        self.precision = precision
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        weights = read_weights(model)
        network = network_from_card(model.card)
        network.load_state_dict(weights)
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        if batch.dtype == np.uint8:
            return by_floats(batch, self.card, self.run)
        with (
            engine_errors(f"{self.card.title}: torch cannot run it"),
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            # A copy, as torch warns of read-only arrays.
            lr = torch.from_numpy(batch.copy()).to(self._device, memory_format=torch.channels_last)
            output: Batch = self._network(lr).float().cpu().contiguous().numpy()
        return output


def create(model: Model, *, precision: str, device: str, threads: int | None) -> TorchBackend:
    """Called by `wdsr.backends.create`."""
    if precision == "int8" or model.card.quantised:
        raise BackendError("torch computes in float32 and bf16: use --backend openvino for int8")
    device = device.lower().replace("gpu", "cuda")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchBackend(model, "bf16" if precision == "bf16" else "float32", device, threads)


def network_from_card(card: ModelCard) -> Network:
    """The fused network a card describes. Raises ModelError for an unknown architecture."""
    try:
        config = networks.configure(card.architecture)
        if (config.scale, config.channels, config.radius) != (card.scale, card.channels, card.halo):
            raise ModelError(
                f"{card.title}: its card contradicts itself: scale, channels or halo are not "
                "those of the architecture"
            )
        return networks.build(config).fuse()
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        reason = str(error).partition("\n")[0][:300]  # torch adds a stack trace
        raise ModelError(f"{card.title}: {reason}") from error


def read_weights(model: Model) -> dict[str, torch.Tensor]:
    """A model's weights by the network's own parameter names, in float32.

    Raises ModelError if they are not those of the architecture on the card.
    """
    with torch.device("meta"):  # shapes without memory: a card may claim any size
        parameters = network_from_card(model.card).named_parameters()
        shapes = {name: tuple(parameter.shape) for name, parameter in parameters}
    if model.safetensors:
        weights = _from_safetensors(model)
    else:  # initialisers that are no parameters are constants of the graph
        weights = {name: w for name, w in _from_onnx(model).items() if name in shapes}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    if wrong := differences(found, shapes):
        raise ModelError(
            f"{model.source}: its weights are not those of the network on its card: {wrong}"
        )
    return weights


def _from_onnx(model: Model) -> dict[str, torch.Tensor]:
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise BackendError("reading weights into torch needs onnx: pip install onnx") from error
    with engine_errors(f"{model.source}: onnx cannot read it"):
        return {
            i.name: torch.from_numpy(numpy_helper.to_array(i).astype(np.float32))
            for i in onnx.load_model_from_string(model.onnx).graph.initializer
        }


def _from_safetensors(model: Model) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load
    except ImportError as error:
        raise BackendError("reading weights needs safetensors: pip install safetensors") from error
    with engine_errors(f"{model.source}: not a safetensors file, or damaged"):
        return {name: weight.float() for name, weight in load(model.safetensors).items()}


Shapes = Mapping[str, tuple[int, ...]]


def differences(found: Shapes, expected: Shapes) -> str:
    """What is wrong with the weights found, by name and shape; empty if nothing is."""
    wrong = [f"{name} is missing" for name in expected if name not in found]
    wrong += [
        f"{name} {shape} is too many" for name, shape in found.items() if name not in expected
    ]
    wrong += [
        f"{name} is {found[name]}, not {shape}"
        for name, shape in expected.items()
        if found.get(name, shape) != shape
    ]
    return few(wrong)


def few(lines: Sequence[str]) -> str:
    """The first of many, in one line, and how many more there are."""
    more = f"; and {len(lines) - 4} more" if len(lines) > 4 else ""
    return "; ".join(line[:120] for line in lines[:4]) + more
