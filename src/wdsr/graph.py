"""What the graph of an ONNX file does, found out without running it.

An enlarging network is made of few operators. Walking them from the input to the
output tells the scale, the halo and the channels, which must be those that the
card claims; whatever else a file holds is refused: data outside of it, operators
of others, functions, loops, shapes that do not fit.
Source of the numbers and names: onnx.proto and Operators.md of ONNX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from wdsr.card import ModelCard
from wdsr.errors import UnsafeModelError
from wdsr.protobuf import Message

MOST_NODES = 20_000
MOST_CHANNELS = 16_384  # of one pixel of the input: so many numbers at once
MOST_WORK = 10**9  # multiplications for one pixel of the input; the largest EDSR takes 2 * 10**8

# Numbers of the fields that may be there; any other is refused.
_MODEL = {1, 2, 3, 4, 5, 6, 7, 8, 14}
_GRAPH = {1, 2, 5, 10, 11, 12, 13, 14, 16}
_NODE = {1, 2, 3, 4, 5, 6, 7, 9}
_ATTRIBUTE = {1, 2, 3, 4, 5, 7, 8, 9, 13, 20}
_TENSOR = {1, 2, 4, 5, 7, 8, 9, 10, 12, 14, 16}
_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}


class _Misfit(Exception):  # noqa: N818 - not an error of ours: it becomes one
    """Why a graph is refused."""


@dataclass(frozen=True)
class _Image:
    """What flows from node to node."""

    channels: int
    scale: int = 1  # its pixels for one of the input, each way
    halo: Fraction = Fraction(0)  # pixels of the input that one of its pixels looks beyond itself


@dataclass(frozen=True)
class _Constant:
    """Numbers that the file holds."""

    shape: tuple[int, ...]


_Value = _Image | _Constant | None  # None: an input that was left out


def check_graph(onnx: bytes, card: ModelCard, source: str) -> None:
    """Refuse a model that does anything but enlarge as its card says.

    onnx: the file's bytes, of which `card` was read. source: how messages name it.
    Raises UnsafeModelError.
    """
    try:
        _check(onnx, card)
    except _Misfit as misfit:
        raise UnsafeModelError(
            f"{source}: {misfit}; it was not run, get it from its makers"
        ) from None
    except (IndexError, ValueError, OverflowError) as error:
        raise UnsafeModelError(
            f"{source}: its graph is damaged ({error}); it was not run"
        ) from error


def _check(onnx: bytes, card: ModelCard) -> None:
    model = Message(memoryview(onnx))
    _only(model, _MODEL, "the file")
    graphs = model.messages(7)
    if len(graphs) != 1:
        raise _Misfit("has several graphs")
    for opset in model.messages(8):
        _standard(opset.text(1))
    graph = graphs[0]
    _only(graph, _GRAPH, "the graph")
    values: dict[str, _Value] = {"": None}
    for tensor in graph.messages(5):
        _define(values, tensor.text(8), _constant(tensor))
    _define(values, _port(graph, 11, card, values), _Image(card.channels))
    nodes = graph.messages(1)
    if len(nodes) > MOST_NODES:
        raise _Misfit(f"has {len(nodes)} operators")
    work = 0
    for node in nodes:
        work += _run(node, values)
        if work > MOST_WORK:
            raise _Misfit(f"takes more than {MOST_WORK} multiplications for each pixel")
    result = values.get(_port(graph, 12, card, {}))
    if not isinstance(result, _Image):
        raise _Misfit("has no image for a result")
    for what, claimed, found in (
        ("channels", card.channels, result.channels),
        ("scale", card.scale, result.scale),
    ):
        if claimed != found:
            raise _Misfit(f"its card says {what} {claimed}, its graph makes {found}")
    halo = math.ceil(result.halo)
    if not halo <= card.halo <= 2 * halo + 16:  # more would be right, but only waste time
        raise _Misfit(f"its card says halo {card.halo}, its graph needs {halo}")


def _only(message: Message, known: set[int], what: str) -> None:
    if strange := message.numbers - known:
        raise _Misfit(f"{what} holds what no network needs (fields {sorted(strange)})")


def _standard(domain: str) -> None:
    if domain not in ("", "ai.onnx"):
        raise _Misfit(f"wants operators of {domain[:40]!r}, which are code of others")


def _define(values: dict[str, _Value], name: str, value: _Value) -> None:
    if not name or name in values:
        raise _Misfit(f"names two things {name[:40]!r}")
    values[name] = value


def _constant(tensor: Message) -> _Constant:
    if 13 in tensor.numbers or tensor.integer(14) != 0:
        raise _Misfit("keeps weights in another file")
    _only(tensor, _TENSOR, "a weight")
    shape = tuple(tensor.integers(1))
    kind = tensor.integer(2)
    if kind not in _BYTES or any(not 0 <= side < 2**31 for side in shape):
        raise _Misfit(f"has weights of type {kind} and shape {shape[:8]}")
    count, raw = math.prod(shape), sum(map(len, tensor.contents(9)))
    packed = sum(map(len, tensor.contents(4))) // 4 + sum(map(len, tensor.contents(10))) // 8
    packed += len(tensor.integers(5)) + len(tensor.integers(7))
    if (raw if raw else packed * _BYTES[kind]) != count * _BYTES[kind] or (raw and packed):
        raise _Misfit(f"has weights that do not fill their shape {shape[:8]}")
    return _Constant(shape)


def _port(graph: Message, field: int, card: ModelCard, values: dict[str, _Value]) -> str:
    """The name of the graph's one input or output, an image of any size."""
    ports = [port for port in graph.messages(field) if port.text(1) not in values]
    if len(ports) != 1:
        raise _Misfit(f"has {len(ports)} inputs or outputs, not one")
    tensor = ports[0].messages(2)[0].messages(1)[0]
    sides = tensor.messages(2)[0].messages(1)
    sizes = [side.integers(1) for side in sides]
    if tensor.integer(1) != 1 or len(sizes) != 4:
        raise _Misfit("its input or output is no float32 image")
    if sizes[1] not in ([], [card.channels]) or any(sizes[axis] for axis in (0, 2, 3)):
        raise _Misfit("its input or output has a fixed or a wrong size")
    return ports[0].text(1)


def _run(node: Message, values: dict[str, _Value]) -> int:
    """Note what a node makes of its inputs; return its multiplications for a pixel of the input."""
    operator = node.text(4)
    _only(node, _NODE, f"an operator {operator[:40]!r}")
    _standard(node.text(7))
    if operator not in _RULES:
        raise _Misfit(f"uses {operator[:40]!r}, which is not among the operators that are trusted")
    attributes: dict[str, Message] = {}
    for attribute in node.messages(5):
        _only(attribute, _ATTRIBUTE, f"an attribute of {operator}")
        attributes[attribute.text(1)] = attribute
    names = node.texts(1)
    if missing := [name for name in names if name not in values]:
        raise _Misfit(f"uses {missing[0][:40]!r}, which nothing makes")
    made = _RULES[operator]([values[name] for name in names], attributes)
    if isinstance(made, _Image) and not 0 < made.channels * made.scale**2 <= MOST_CHANNELS:
        raise _Misfit(f"has {made.channels} channels at scale {made.scale}")
    outputs = node.texts(2)
    if len(outputs) != 1:
        raise _Misfit(f"{operator} has {len(outputs)} results")
    _define(values, outputs[0], made)
    weight = values[names[1]] if operator == "Conv" else None
    each = math.prod(weight.shape) if isinstance(weight, _Constant) else 1
    return each * made.scale**2 if isinstance(made, _Image) else 0


_Attributes = dict[str, Message]


def _conv(inputs: Sequence[_Value], attributes: _Attributes) -> _Value:
    image, weight, *bias = inputs
    if not isinstance(image, _Image) or not isinstance(weight, _Constant):
        raise _Misfit("has a convolution without weights")
    group = _integer(attributes, "group", 1)
    if len(weight.shape) != 4 or group < 1 or weight.shape[1] * group != image.channels:
        raise _Misfit(f"convolves {image.channels} channels with weights {weight.shape}")
    made, _, height, width = weight.shape
    if made % group or any(isinstance(b, _Constant) and b.shape != (made,) for b in bias):
        raise _Misfit("has a convolution whose bias or groups do not fit")
    if _integers(attributes, "kernel_shape", (height, width)) != (height, width):
        raise _Misfit("has a convolution of another size than its weights")
    dilation = _integers(attributes, "dilations", (1, 1))
    reach = [d * (side - 1) for d, side in zip(dilation, (height, width), strict=True)]
    same = "auto_pad" in attributes and attributes["auto_pad"].text(4) in _SAME
    ends = [side // 2 for side in reach], [side - side // 2 for side in reach]
    pads = (*ends[0], *ends[1]) if same else _integers(attributes, "pads", (0, 0, 0, 0))
    grows = [begin + end - side for begin, end, side in zip(pads, pads[2:], reach, strict=False)]
    if any(_integers(attributes, "strides", (1, 1))[axis] != 1 for axis in (0, 1)):
        raise _Misfit("has a convolution that leaves pixels out")
    if len(pads) != 4 or any(grows) or min(*pads, *dilation, height - 1, width - 1) < 0:
        raise _Misfit("has a convolution that changes the size")
    return _Image(made, image.scale, image.halo + Fraction(max(pads) + same, image.scale))


_SAME = ("SAME_UPPER", "SAME_LOWER")


def _elementwise(inputs: Sequence[_Value], attributes: _Attributes) -> _Value:
    """Each pixel by itself: of images of one size, and of numbers for all or for a channel."""
    images = [value for value in inputs if isinstance(value, _Image)]
    constants = [value for value in inputs if isinstance(value, _Constant)]
    if not images:
        return max(constants, key=lambda c: math.prod(c.shape))
    channels = max(image.channels for image in images)
    if any(image.channels not in (1, channels) for image in images):
        raise _Misfit("joins images of different channels")
    if len({image.scale for image in images}) > 1:
        raise _Misfit("joins images of different sizes")
    for shape in (constant.shape for constant in constants):
        if math.prod(shape) != 1 and (
            # A vector is one number a channel only where an operator says so.
            len(shape) not in (3, 4) or math.prod(shape) != shape[-3] or shape[-3] != channels
        ):
            raise _Misfit(f"joins an image of {channels} channels with numbers {shape}")
    return _Image(channels, images[0].scale, max(image.halo for image in images))


def _by_channel(inputs: Sequence[_Value], attributes: _Attributes) -> _Value:
    """Numbers that are given as a vector, one for each channel, or as one for all."""
    image, *rest = inputs
    sizes = [math.prod(value.shape) for value in rest if isinstance(value, _Constant)]
    if isinstance(image, _Constant):  # quantised weights
        return image
    if not isinstance(image, _Image) or any(isinstance(value, _Image) for value in rest):
        raise _Misfit("computes its own weights")
    if any(size not in (1, image.channels) for size in sizes):
        raise _Misfit(f"has {sizes} numbers for {image.channels} channels")
    return image


def _depth_to_space(inputs: Sequence[_Value], attributes: _Attributes) -> _Value:
    (image,) = inputs
    block = _integer(attributes, "blocksize", 0)
    if not isinstance(image, _Image) or not 1 <= block <= 16 or image.channels % block**2:
        raise _Misfit(f"shuffles pixels by {block}, which does not fit")
    return _Image(image.channels // block**2, image.scale * block, image.halo)


def _concat(inputs: Sequence[_Value], attributes: _Attributes) -> _Value:
    images = [value for value in inputs if isinstance(value, _Image)]
    if len(images) != len(inputs) or _integer(attributes, "axis", 0) not in (1, -3):
        raise _Misfit("joins what are not channels")
    whole = _elementwise([_Image(1, i.scale, i.halo) for i in images], attributes)
    assert isinstance(whole, _Image)
    return _Image(sum(image.channels for image in images), whole.scale, whole.halo)


def _reshape(inputs: Sequence[_Value], attributes: _Attributes) -> _Value:
    """A vector made one number a channel, as PyTorch writes the slopes of a PReLU."""
    vector, shape = inputs
    if not isinstance(vector, _Constant) or not isinstance(shape, _Constant):
        raise _Misfit("reshapes an image")
    if len(vector.shape) != 1 or shape.shape not in ((3,), (4,)):
        raise _Misfit(f"reshapes numbers {vector.shape}, not a vector for the channels")
    return _Constant((*vector.shape, 1, 1))  # the engine finds out if not


def _held(inputs: Sequence[_Value], attributes: _Attributes) -> _Value:
    (attribute,) = attributes.values()
    tensors = attribute.messages(5)
    return _constant(tensors[0]) if tensors else _Constant((max(len(attribute.contents(7)), 1),))


def _integer(attributes: _Attributes, name: str, default: int) -> int:
    return attributes[name].integer(3) if name in attributes else default


def _integers(attributes: _Attributes, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    found = tuple(attributes[name].integers(8)) if name in attributes else default
    if len(found) != len(default):
        raise _Misfit(f"has a convolution with {name} {found[:8]}")
    return found


_Rule = Callable[[Sequence[_Value], _Attributes], _Value]
_RULES: dict[str, _Rule] = {
    "BatchNormalization": _by_channel,
    "Concat": _concat,
    "Constant": _held,
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _by_channel,
    "QuantizeLinear": _by_channel,
    "Reshape": _reshape,
}
# fmt: off
_RULES |= dict.fromkeys(
    ("Abs", "Add", "Cast", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish",
     "Identity", "LeakyRelu", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Relu", "Sigmoid",
     "Softplus", "Sqrt", "Sub", "Tanh"),
    _elementwise,
)
# fmt: on
