"""From somebody's convolutions to one of our networks that computes the same.

What their networks do around the convolutions is folded into ours, exactly and
in float64:

    residual scale r in forward     x + r (W*y + b)       ->  W r, b r in the block's last
    input (x - m) g, m per channel  with our x - mean     ->  W g, b - g sum(W) (m - mean)
    output y / g + m                with our y + mean     ->  W / g, b / g + (m - mean)

A mean in a bias is right wherever a convolution sees the picture and no zero
padding. In our pictures that is everywhere: they are continued by reflection as
far as a network looks (see `wdsr.inference`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr.errors import ModelError, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Conv:
    """A convolution as a file has it."""

    name: str  # in the file, for messages
    weight: Floats  # (out, in, height, width)
    bias: Floats  # (out,)


@dataclass(frozen=True)
class Around:
    """What a network does around its convolutions, on images in [0, 1]."""

    mean: tuple[float, ...]  # subtracted first and added last; one, or one per channel
    gain: float = 1  # of the centred image, undone at the end
    residual_scale: float = 1  # of each block's correction, in forward


@dataclass(frozen=True)
class Assembled:
    """A network of ours: `networks.configure(architecture)` with these weights."""

    architecture: dict[str, Any]
    convs: dict[str, Conv]  # by the name of our layer


def wdsr(
    head: Conv, blocks: Sequence[Sequence[Conv]], tail: Conv, skip: Conv, around: Around
) -> Assembled:
    """A WDSR network; everything but `around` is seen from the shapes.

    tail, skip: their outputs ordered (colour, row, column), as our pixel shuffle reads them.
    Raises ModelError if the shapes make no WDSR network.
    """
    filters, channels = head.weight.shape[:2]
    scale = math.isqrt(skip.weight.shape[0] // channels)
    if skip.weight.shape[0] != channels * scale**2:
        raise ModelError(
            f"{skip.name} gives {skip.weight.shape[0]} channels from {channels}: no whole scale"
        )
    architecture = {
        "family": "wdsr",
        **_block(blocks, filters),
        "scale": scale,
        "channels": channels,
        "filters": filters,
        "blocks": len(blocks),
        "weight_norm": False,
    }
    offset, mean = _split(around.mean, channels)
    convs = {
        "head": _centre(head, around.gain, offset),
        # The skip goes from image to image: both gains cancel in its weights, not in its bias.
        "skip": _uncentre(_centre(skip, around.gain, offset), around.gain, offset),
        "tail": _uncentre(tail, around.gain),
    }
    places = (0, 2, 3)  # of convolutions in a block: the ReLU is 1
    for number, block in enumerate(blocks):
        scaled = [*block[:-1], _scaled(block[-1], around.residual_scale)]
        convs |= {
            f"body.{number}.body.{place}": conv for place, conv in zip(places, scaled, strict=False)
        }
    return Assembled({**architecture, "mean": mean}, convs)


def edsr(
    head: Conv,
    blocks: Sequence[Sequence[Conv]],
    last: Conv,
    stages: Sequence[Conv],
    tail: Conv,
    around: Around,
) -> Assembled:
    """An EDSR network; `stages` are the convolutions before each pixel shuffle.

    Raises ModelError if the shapes make no EDSR network.
    """
    filters, channels = head.weight.shape[:2]
    scales = [math.isqrt(conv.weight.shape[0] // filters) for conv in stages]
    offset, mean = _split(around.mean, channels)
    convs = {
        "head": _centre(head, around.gain, offset),
        "last": last,
        "tail": _uncentre(tail, around.gain, offset),
    }
    for number, (first, second) in enumerate(blocks):
        convs[f"body.{number}.body.0"] = first
        convs[f"body.{number}.body.2"] = _scaled(second, around.residual_scale)
    for number, conv in enumerate(stages):
        convs[f"upsample.{2 * number}"] = conv  # a shuffle after each
    architecture = {
        "family": "edsr",
        "scale": math.prod(scales),
        "channels": channels,
        "filters": filters,
        "blocks": len(blocks),
        "residual_scale": 1.0,
        "mean": mean,
    }
    return Assembled(architecture, convs)


def normed(gain: Floats, direction: Floats, name: str) -> Floats:
    """The filters of a weight-normalised convolution, w = g v / |v| for each output.

    gain: `out` values in any shape. direction: (out, in, height, width).
    Raises ModelError if they do not go together or a direction has no length.
    """
    if direction.ndim != 4 or gain.size != direction.shape[0]:
        raise ModelError(f"{name}: gain {gain.shape} does not go with filters {direction.shape}")
    length = np.sqrt((direction**2).sum(axis=(1, 2, 3)))
    if not length.all():
        raise ModelError(f"{name}: a filter without length cannot be normalised")
    return direction * (gain.reshape(-1) / length)[:, None, None, None]  # type: ignore[no-any-return]


def colour_first(conv: Conv, scale: int) -> Conv:
    """Outputs as `depth_to_space` reads them, (row, column, colour) -> (colour, row, column).

    Raises ModelError if they are no whole number of scale x scale pixels.
    """
    if conv.weight.shape[0] % scale**2:
        raise ModelError(f"{conv.name}: {conv.weight.shape[0]} outputs make no {scale}x{scale}")
    order = np.arange(conv.weight.shape[0]).reshape(scale * scale, -1).T.reshape(-1)
    return Conv(conv.name, conv.weight[order], conv.bias[order])


def _block(blocks: Sequence[Sequence[Conv]], filters: int) -> dict[str, Any]:
    """The kind of block, from the first one's shapes."""
    if not blocks:
        return {}
    wide = blocks[0][0].weight.shape[0]
    if len(blocks[0]) == 2 and wide == filters:
        return {"block": "plain"}
    found: dict[str, Any] = {"expansion": _ratio(filters, wide, wide / filters)}
    if len(blocks[0]) == 2:
        return {"block": "a", **found}
    low = blocks[0][1].weight.shape[0]
    return {"block": "b", **found, "linear_ratio": _ratio(filters, low, 0.8)}


def _ratio(filters: int, count: int, usual: float) -> float:
    """A ratio with int(filters * ratio) == count: the usual one, if it is."""
    return usual if int(filters * usual) == count else (count + 0.5) / filters


def _split(mean: tuple[float, ...], channels: int) -> tuple[Floats, float]:
    """A mean per channel as one for all, and what each channel has above it."""
    if len(mean) not in (1, channels):
        raise UsageError(f"mean must be 1 value or {channels}, one per channel, not {len(mean)}")
    common = round(sum(mean) / len(mean), 6)
    return np.broadcast_to(np.asarray(mean) - common, (channels,)), common


def _centre(conv: Conv, gain: float, offset: Floats) -> Conv:
    """For an input without `(x - offset) * gain` before it."""
    if conv.weight.shape[1] != len(offset):
        raise ModelError(f"{conv.name} takes {conv.weight.shape[1]} channels, not {len(offset)}")
    moved = np.einsum("oihw,i->o", conv.weight, offset)
    return Conv(conv.name, conv.weight * gain, conv.bias - gain * moved)


def _uncentre(conv: Conv, gain: float, offset: Floats | None = None) -> Conv:
    """For an output without `y / gain + offset` after it (and after a pixel shuffle)."""
    bias = conv.bias / gain
    if offset is not None:
        if len(bias) % len(offset):
            raise ModelError(f"{conv.name} gives {len(bias)} channels, for {len(offset)} of colour")
        bias = bias + np.repeat(offset, len(bias) // len(offset))
    return Conv(conv.name, conv.weight / gain, bias)


def _scaled(conv: Conv, factor: float) -> Conv:
    return Conv(conv.name, conv.weight * factor, conv.bias * factor)
