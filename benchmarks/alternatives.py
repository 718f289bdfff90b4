"""Ways to run B-8 x4 over an 8-bit picture, and a fair race between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image

from wdsr import backends, zoo
from wdsr.backends.library import ov
from wdsr.backends.torch import network_from_card, read_weights
from wdsr.inference import run_tiles

Pixels = NDArray[np.uint8]
Run = Callable[[Pixels], Any]
EAGER = "torch eager, float32, NCHW, whole picture"


class Ours:
    """Our path on an engine."""

    def __init__(
        self, precision: str, threads: int, engine: str = "auto", *, small: bool = False
    ) -> None:
        model = zoo.find("wdsr-b-8", 4)
        precision = "float32" if small and precision == "auto" else precision
        self.backend = backends.create(engine, model, precision=precision, threads=threads)

    def __call__(self, image: Pixels) -> Any:
        """Enlarge a picture."""
        return run_tiles(image, self.backend, white=255, dtype=np.uint8)


def engines(threads: int, *, compiled: bool = False) -> dict[str, Run]:
    """Everything that is installed, the ancestor's design first.

    compiled: torch.compile too, which takes minutes before it runs.
    """
    torch.set_num_threads(threads)
    # Elsewhere torch emulates bf16 at a hundredth of the speed.
    bf16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    runs: dict[str, Run] = {EAGER: _torch(torch.float32, torch.contiguous_format)}
    if bf16:
        runs["torch eager, bf16, channels last, whole picture"] = _torch(
            torch.bfloat16, torch.channels_last
        )
    if compiled:
        runs["torch.compile, float32, channels last, whole picture"] = _torch(
            torch.float32, torch.channels_last, compiled=True
        )
    runs["wdsr, torch float32, tiled"] = Ours("float32", threads, "torch")
    runs["wdsr, ONNX Runtime float32"] = Ours("float32", threads, "onnxruntime")
    model = zoo.find("wdsr-b-8", 4)
    if zoo.quantised(model):
        runs["wdsr, ONNX Runtime int8"] = Ours("int8", threads, "onnxruntime")
    runs["wdsr, OpenVINO float32"] = Ours("float32", threads, "openvino")
    if bf16:
        runs["wdsr, OpenVINO bf16"] = Ours("bf16", threads, "openvino")
    if zoo.quantised(model):
        runs["wdsr, OpenVINO int8"] = Ours("int8", threads, "openvino")
    default = Ours("auto", threads)
    runs[f"wdsr, default ({default.backend.precision})"] = default
    return runs


def _torch(dtype: torch.dtype, layout: torch.memory_format, *, compiled: bool = False) -> Run:
    """The network itself, on the whole picture at once."""
    model = zoo.find("wdsr-b-8", 4)
    network = network_from_card(model.card)
    network.load_state_dict(read_weights(model))
    network = network.eval().to(memory_format=layout)  # type: ignore[call-overload]
    call: Callable[[torch.Tensor], torch.Tensor] = torch.compile(network) if compiled else network

    def run(image: Pixels) -> Any:
        lr = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).float() / 255
        lr = lr.to(memory_format=layout)
        bf16 = dtype == torch.bfloat16
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return call(lr).float().mul_(255).round_().clamp_(0, 255).to(torch.uint8)

    return run


def race(runs: Mapping[str, Run], size: tuple[int, int], rounds: int) -> dict[str, float]:
    """Best seconds of each over interleaved rounds, after one warm-up.

    Whoever takes more than 20 times the quickest's time is spared after two rounds.
    One that cannot run here is left out, and said so.
    """
    image = photograph(*size)
    times: dict[str, list[float]] = {}
    left = dict(runs)
    for turn in range(rounds + 1):
        quickest = min((min(t) for t in times.values() if t), default=0)
        for name, run in list(left.items()):
            taken = times.setdefault(name, [])
            if len(taken) >= 2 and min(taken) > 20 * quickest:
                continue
            began = time.perf_counter()
            try:
                run(image)
            except Exception as error:  # a compiler that is missing, an engine that cannot
                print(f"{name}: left out: {str(error).splitlines()[0][:120]}")
                del left[name], times[name]
                continue
            if turn:
                taken.append(time.perf_counter() - began)
    return {name: min(taken) for name, taken in times.items()}


def photograph(width: int, height: int) -> Pixels:
    """A photograph of scikit-image's wheel, mirrored on if it is too small."""
    name = "motorcycle_left.png" if width * height < 1e6 else "retina.jpg"
    pixels = np.asarray(Image.open(Path(skimage.data.__file__).parent / name).convert("RGB"))
    while pixels.shape[0] < height or pixels.shape[1] < width:
        grow = [
            (0, min(max(side - have, 0), have))
            for side, have in zip((height, width), pixels.shape, strict=False)
        ]
        pixels = np.pad(pixels, (*grow, (0, 0)), mode="symmetric")
    return np.ascontiguousarray(pixels[:height, :width])
