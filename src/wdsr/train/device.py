"""What depends on the machine: processes, precision, memory, kernels."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Literal

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.nn import functional

from wdsr.errors import UsageError
from wdsr.processor import processor

Precision = Literal["auto", "float32", "bf16"]


def launch(devices: int, precision: Precision) -> Fabric:
    """Fabric over `devices` processes, begun.

    Under torchrun the processes are there already, as many on as many machines as it says.
    """
    nodes = 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    gpu = torch.cuda.is_available()
    if gpu and devices > torch.cuda.device_count():
        raise UsageError(f"devices: {devices} asked for, {torch.cuda.device_count()} there")
    for name in ("lightning.fabric", "lightning.pytorch"):  # talk about processes and precision
        logging.getLogger(name).setLevel(logging.WARNING)
    # Gradients of 1x1 filters lie otherwise than DDP's buckets; the cost is nothing.
    warnings.filterwarnings("ignore", "Grad strides do not match")
    fabric = Fabric(
        accelerator="cuda" if gpu else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision="bf16-mixed" if uses_bf16(precision) else "32-true",
    )
    fabric.launch()
    return fabric


def uses_bf16(precision: Precision) -> bool:
    """Whether to run the network in bfloat16; `auto` does where it is faster.

    That is a GPU, or a processor that multiplies bf16 well: 2.1 times float32's steps a
    second on AMD Zen 4, but 0.6 times on an Intel Xeon with AVX-512 and no AMX.
    """
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return processor().runs_bf16_well


def described(precision: Precision) -> str:
    """Where and how training computes, for people: `processor, 2 threads, bf16`."""
    threads = torch.get_num_threads()
    processors = f"processor, {threads} thread{'s' if threads > 1 else ''}"
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else processors
    return f"{where}, {'bf16' if uses_bf16(precision) else 'float32'}"


def keep_memory() -> bool:
    """Tell glibc to keep freed memory: big tensors come and go in every step.

    By default each returns to the system and is zeroed, page by page, when it comes
    back. Returns False where the C library is another.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # of malloc.h
    settings = (mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 200_000_000)
    return all(mallopt(name, value) == 1 for name, value in settings)


def quicken(network: nn.Module) -> None:
    """Have 1x1 convolutions seen as a batch of rows.

    With one thread and a batch below 16, torch takes a slow path for them; a 1x1
    convolution does not care how pixels are grouped, and rows make a large batch.
    """
    if torch.get_num_threads() > 1:
        return
    for module in network.modules():
        plain = isinstance(module, nn.Conv2d) and module.stride == (1, 1) and module.groups == 1
        if plain and module.kernel_size == (1, 1) and module.padding == (0, 0):
            module._conv_forward = _by_rows  # type: ignore[assignment]


def keep_base(network: nn.Module) -> None:
    """Have the skip branch computed in float32 where everything else is in bf16.

    Near white, bf16 has steps of a level: a network trained with such a base image came out
    half a level too dark there.
    """
    skip = getattr(network, "skip", None)
    if isinstance(skip, nn.Conv2d):
        skip._conv_forward = functools.partial(_in_float32, skip._conv_forward)  # type: ignore[method-assign]


def _in_float32(convolve: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    with torch.autocast(tensors[0].device.type, enabled=False):
        return convolve(*(tensor.float() for tensor in tensors))


def _by_rows(
    features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    n, _, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).reshape(n * height, 1, width, -1)  # no copy: channels last
    out = functional.conv2d(rows.permute(0, 3, 1, 2), weight, bias)  # (N*H, C, 1, W)
    return out.permute(0, 2, 3, 1).reshape(n, height, width, -1).permute(0, 3, 1, 2)
