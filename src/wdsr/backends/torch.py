"""PyTorch: reads the same ONNX file; for GPUs and for checking the other engines."""

from __future__ import annotations

import numpy as np
import torch

from wdsr.backends import Batch, Precision
from wdsr.card import ModelCard
from wdsr.errors import BackendError, ModelError
from wdsr.networks.wdsr import WDSR, WDSRConfig
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
        try:
            self._device = torch.device(device)
            network = network_from_card(model.card)
            network.load_state_dict(read_weights(model))
            self._network = network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except RuntimeError as error:
            raise BackendError(f"{model.source}: torch cannot run it: {error}") from error

    def run(self, batch: Batch) -> Batch:
        """See `Backend.run`."""
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            lr = torch.from_numpy(np.ascontiguousarray(batch)).to(
                self._device, memory_format=torch.channels_last
            )
            output: Batch = self._network(lr).float().cpu().contiguous().numpy()
        return output


def create(model: Model, *, precision: str, device: str, threads: int | None) -> TorchBackend:
    """Called by `wdsr.backends.create`."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchBackend(model, "bf16" if precision == "bf16" else "float32", device, threads)


def network_from_card(card: ModelCard) -> WDSR:
    """The fused network a card describes. Raises ModelError for an unknown architecture."""
    settings = dict(card.architecture)
    if settings.pop("family", None) != "wdsr":
        raise ModelError(f"{card.title}: unknown architecture {card.architecture}")
    try:
        return WDSR(WDSRConfig(**settings)).fuse()
    except (TypeError, ValueError) as error:
        raise ModelError(f"{card.title}: {error}") from error


def read_weights(model: Model) -> dict[str, torch.Tensor]:
    """A model's weights by the network's own parameter names, from the ONNX initialisers."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise BackendError("reading weights into torch needs onnx: pip install onnx") from error
    names = {name for name, _ in network_from_card(model.card).named_parameters()}
    graph = onnx.load_model_from_string(model.onnx).graph
    return {
        i.name: torch.from_numpy(numpy_helper.to_array(i).copy())
        for i in graph.initializer
        if i.name in names
    }
