"""The gate before a model is written: every engine must score as the network itself does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wdsr import backends
from wdsr.backends import Batch, Precision, by_floats
from wdsr.card import ModelCard
from wdsr.errors import ModelError
from wdsr.inference import run_tiles
from wdsr.metrics import psnr
from wdsr.networks import Network
from wdsr.resize import resize
from wdsr.zoo import Model

Pixels = NDArray[np.uint8]
Pair = tuple[Pixels, Pixels]  # LR (h, w, 3), HR (s*h, s*w, 3)

TOLERANCE = 0.001  # dB


class NetworkItself:
    """The network in memory as an engine, in float32: what the others are measured by."""

    precision: Precision = "float32"

    def __init__(self, network: Network, card: ModelCard) -> None:
        self.card = card
        self._network = network.eval()

    def run(self, batch: Batch) -> Batch:
        """See `wdsr.backends.Backend.run`."""
        if batch.dtype == np.uint8:
            return by_floats(batch, self.card, self.run)
        with torch.inference_mode():
            sr: Batch = self._network(torch.from_numpy(batch.copy())).numpy()
        if not np.isfinite(sr).all():
            raise ModelError(f"{self.card.title}: the network makes NaN or infinite values")
        return sr


def check_parity(
    network: Network, model: Model, pairs: Iterable[Pair] | None = None
) -> dict[str, float]:
    """How far each installed engine's PSNR is from the network's, in dB, the worst of all pairs.

    Luma PSNR of 8-bit results as the classical protocol has it, in float32.
    pairs: LR and HR pictures; by default two that are drawn here.

    Raises ModelError if a score differs by more than `TOLERANCE`, or the network
    makes no numbers.
    """
    scale = model.card.scale
    itself = NetworkItself(network, model.card)
    engines = {
        name: backends.create(name, model, precision="float32")
        for name in backends.installed()
        if model.onnx or name == "torch"
    }
    worst = dict.fromkeys(engines, 0.0)
    for lr, hr in drawn_pairs(scale) if pairs is None else pairs:
        expected = _score(itself, lr, hr)
        for name, engine in engines.items():
            difference = abs(_score(engine, lr, hr) - expected)
            if difference > TOLERANCE:
                raise ModelError(
                    f"{model.card.title}: {name} is {difference:.4f} dB from the network's own "
                    f"{expected:.3f} dB; more than {TOLERANCE} dB, so it is not written"
                )
            worst[name] = max(worst[name], difference)
    return worst


def drawn_pairs(scale: int) -> list[Pair]:
    """A coloured pattern of waves and an oblique edge, and noise, each 40 x 56 at LR."""
    y, x = np.mgrid[0 : 40 * scale, 0 : 56 * scale] / scale
    waves = np.stack([np.sin(x * x / 90), np.sin(y * y / 70), np.sin((x + y) / 2)], axis=-1)
    edge = np.where(3 * y > 2 * x, 0.25, -0.25)[..., None]
    noise = np.random.Generator(np.random.Philox(0)).random((40 * scale, 56 * scale, 3))
    images = [127.5 + 90 * waves + 127.5 * edge, 255 * noise]
    hr: list[Any] = [np.rint(image).clip(0, 255).astype(np.uint8) for image in images]
    return [(resize(image, scale=1 / scale), image) for image in hr]


def _score(engine: backends.Backend, lr: Pixels, hr: Pixels) -> float:
    sr = run_tiles(lr, engine, white=255, dtype=np.uint8)
    return psnr(sr, hr, data_range=255, shave=engine.card.scale, luma=True)
