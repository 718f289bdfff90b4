"""What a layout is, and what those of PyTorch have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wdsr.errors import ModelError
from wdsr.importers.assemble import Around, Assembled, Conv, normed, wdsr
from wdsr.importers.tensors import Tensors

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # of its training pictures, RGB; EDSR's authors' figures


@dataclass(frozen=True)
class Layout:
    """A way in which somebody's program writes its weights."""

    title: str
    detect: Callable[[Tensors], bool]
    read: Callable[[Tensors, Around], Assembled]
    mean: tuple[float, ...]  # what that program subtracts, unless told otherwise
    gain: float = 1  # and multiplies by
    scales_residuals: bool = False  # in forward, by a factor that is not in the file


def conv_names(name: str) -> tuple[tuple[str, ...], ...]:
    """The tensors that PyTorch keeps of one convolution: plain, or weight-normalised (two ways)."""
    return (
        (f"{name}.weight",),
        (f"{name}.weight_g", f"{name}.weight_v"),
        (f"{name}.parametrizations.weight.original0", f"{name}.parametrizations.weight.original1"),
    )


def has_conv(tensors: Tensors, name: str) -> bool:
    """Whether the file has a convolution of this name."""
    return any(names[0] in tensors for names in conv_names(name))


def take_conv(tensors: Tensors, name: str) -> Conv:
    """A convolution of PyTorch's, its weight normalisation worked out."""
    for names in conv_names(name):
        if names[0] in tensors:
            weight, *direction = (tensors.take(part) for part in names)
            if direction:
                weight = normed(weight, direction[0], name)
            return checked(Conv(name, weight, tensors.take(f"{name}.bias")))
    raise ModelError(f"has no layer {name}")


def checked(conv: Conv) -> Conv:
    """The same. Raises ModelError if it is no square convolution with a bias for each output."""
    weight, bias = conv.weight.shape, conv.bias.shape
    if len(weight) != 4 or weight[2] != weight[3] or bias != weight[:1] or 0 in weight:
        raise ModelError(f"{conv.name}: weight {weight} and bias {bias} are no convolution")
    return conv


def take_wdsr(
    tensors: Tensors, around: Around, *, head: str, blocks: Sequence[str], tail: str, skip: str
) -> Assembled:
    """A WDSR network of PyTorch's, by the names of its layers; a block's are below its `body`."""
    groups = []
    for name in blocks:
        places = (0, 2, 3) if has_conv(tensors, f"{name}.body.3") else (0, 2)
        groups.append([take_conv(tensors, f"{name}.body.{place}") for place in places])
    first, last, base = (take_conv(tensors, name) for name in (head, tail, skip))
    return wdsr(first, groups, last, base, around)
