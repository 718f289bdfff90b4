"""The Keras WDSR and EDSR of github.com/krasserm/super-resolution, `save_weights("x.h5")`.

WDSR wraps each convolution in TensorFlow Addons' WeightNormalization, which
keeps `g` (out), `kernel` (height, width, in, out) for the direction, `bias` and
whether it is `initialized`: not yet means that the kernel is the filter itself.
Layers are named by number only, in order of depth; as main and skip branch end
at the same depth, the skip is known by its 5x5. EDSR has plain convolutions, of
which those before a pixel shuffle are called `conv2d_1_scale_2` and the like.

Images are in [0, 255], and the network sees (x - 255 m) / 127.5 with m the mean
of DIV2K; on [0, 1] that is 2 (x - m). `depth_to_space` orders channels (row,
column, colour). A residual scale is applied in forward and is not in the file.
"""

from __future__ import annotations

import re

import numpy as np

from wdsr.errors import ModelError
from wdsr.importers.assemble import Around, Assembled, Conv, colour_first, edsr, normed, wdsr
from wdsr.importers.layout import DIV2K_MEAN, Layout, checked
from wdsr.importers.tensors import Tensors

_SHORTEST = 1e-6  # |v| that TensorFlow divides by at least (l2_normalize's epsilon is 1e-12)
_STAGE = re.compile(r"conv2d_\d_scale_([23])")


def detect_wdsr(tensors: Tensors) -> bool:
    """See `Layout`."""
    return any(name.endswith(".g") for name in tensors)


def detect_edsr(tensors: Tensors) -> bool:
    """See `Layout`."""
    return any(_STAGE.match(name) for name in tensors) and not detect_wdsr(tensors)


def read_wdsr(tensors: Tensors, around: Around) -> Assembled:
    """See `Layout`."""
    convs = [_normed(tensors, layer) for layer in _layers(tensors)]
    skips = [conv for conv in convs if conv.weight.shape[2] == 5]
    main = [conv for conv in convs if conv.weight.shape[2] != 5]
    if len(skips) != 1 or len(main) < 2:
        raise ModelError(f"{len(skips)} of its {len(convs)} convolutions are 5x5, 1 should be")
    head, *body, tail = main
    each = 3 if body and body[0].weight.shape[2] == 1 else 2  # convolutions in a block
    scale = max(round((skips[0].weight.shape[0] / head.weight.shape[1]) ** 0.5), 1)
    return wdsr(
        head,
        _grouped(body, each),
        colour_first(tail, scale),
        colour_first(skips[0], scale),
        around,
    )


def read_edsr(tensors: Tensors, around: Around) -> Assembled:
    """See `Layout`."""
    layers = _layers(tensors)
    convs = [_plain(tensors, layer) for layer in layers]
    scales = [int(found[1]) if (found := _STAGE.fullmatch(layer)) else 0 for layer in layers]
    stages = [colour_first(conv, scale) for conv, scale in zip(convs, scales, strict=True) if scale]
    others = [conv for conv, scale in zip(convs, scales, strict=True) if not scale]
    if len(others) < 3:
        raise ModelError(f"{len(convs)} convolutions are too few for an EDSR network")
    head, *body, last, tail = others
    return edsr(head, _grouped(body, 2), last, stages, tail, around)


def _layers(tensors: Tensors) -> list[str]:
    """Names of layers that have weights, in order."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in tensors))


def _grouped(convs: list[Conv], each: int) -> list[list[Conv]]:
    if len(convs) % each:
        raise ModelError(f"{len(convs)} convolutions in blocks of {each}: some are missing")
    return [convs[start : start + each] for start in range(0, len(convs), each)]


def _plain(tensors: Tensors, layer: str) -> Conv:
    kernel = tensors.take(f"{layer}.kernel")
    if kernel.ndim != 4:
        raise ModelError(f"{layer}: kernel {kernel.shape} is no convolution's")
    weight = np.ascontiguousarray(
        kernel.transpose(3, 2, 0, 1)
    )  # (h, w, in, out) -> (out, in, h, w)
    return checked(Conv(layer, weight, tensors.take(f"{layer}.bias")))


def _normed(tensors: Tensors, layer: str) -> Conv:
    conv = _plain(tensors, layer)
    gain = tensors.take(f"{layer}.g")
    flag = f"{layer}.initialized"
    if flag in tensors and not tensors.take(flag).all():
        return conv
    length = np.sqrt((conv.weight**2).sum(axis=(1, 2, 3)))
    if length.min() < _SHORTEST:
        raise ModelError(f"{layer}: a filter without length cannot be normalised")
    return Conv(layer, normed(gain, conv.weight, layer), conv.bias)


WDSR = Layout("Keras WDSR", detect_wdsr, read_wdsr, mean=DIV2K_MEAN, gain=2, scales_residuals=True)
EDSR = Layout("Keras EDSR", detect_edsr, read_edsr, mean=DIV2K_MEAN, gain=2, scales_residuals=True)
