"""Everyone's WDSR checkpoints, as models of ours: exactly, and without running what a file says.

Each layout is a module that knows its layers' names and what its program does
around them; `assemble` folds that into the weights of our own network.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wdsr import networks, zoo
from wdsr.backends.torch import differences, few, network_from_card, read_weights
from wdsr.card import ModelCard, has_card
from wdsr.errors import ModelError, UsageError
from wdsr.importers import authors, first_release, keras, plain
from wdsr.importers.assemble import Around, Assembled
from wdsr.importers.layout import Layout
from wdsr.importers.tensors import LARGEST, read_tensors
from wdsr.networks import Network

LAYOUTS: tuple[Layout, ...] = (
    keras.WDSR,
    keras.EDSR,
    authors.LAYOUT,
    first_release.LAYOUT,
    plain.LAYOUT,
)


@dataclass(frozen=True)
class Imported:
    """A network of ours with a file's weights, fused, and what was found out about it."""

    network: Network
    card: ModelCard
    layout: str  # its title
    guessed_scale: bool = False  # the residual scale, neither in the file nor given, was taken as 1


def import_file(
    path: Path,
    *,
    name: str | None = None,
    mean: tuple[float, ...] | None = None,
    residual_scale: float | None = None,
    licence: str = "",
) -> Imported:
    """Read a checkpoint of any layout that is known; all of it, or nothing.

    path: a file of one of `LAYOUTS`, or one of ours with a card.
    name: of the model; by default that on the card, or made of the file's name.
    mean: what the checkpoint's program subtracts from an image in [0, 1], one
        value or one per channel; by default what it is known to do.
    residual_scale: what that program multiplies each block's correction by, if
        that is not in the weights; 1 by default.
    licence: of the weights, for the card.

    Raises ModelError if the file is damaged, of no known layout, or does not fit
    together (it names layers and shapes); UsageError for options that cannot be.
    """
    if (model := _with_card(path)) is not None:
        if mean is not None or residual_scale is not None:
            raise UsageError(f"{path}: its card says all of it; leave out mean and residual scale")
        card = dataclasses.replace(
            model.card, name=name or model.card.name, licence=licence or model.card.licence
        )
        network = network_from_card(card)
        network.load_state_dict(read_weights(model))
        return Imported(network.eval(), card, "a model with its card")
    tensors = read_tensors(path)
    layout = next((layout for layout in LAYOUTS if layout.detect(tensors)), None)
    if layout is None:
        some = ", ".join(list(tensors)[:3])[:200]
        known = "; ".join(layout.title for layout in LAYOUTS)
        raise ModelError(f"{path}: weights of no known layout ({some} ...): known are {known}")
    around = _around(layout, mean, residual_scale)
    try:
        assembled = layout.read(tensors, around)
        if rest := tensors.leftover():
            raise ModelError(f"{layout.title} has no such layers: {few(rest)}")
        network = _build(assembled)
    except ModelError as error:
        text = str(error)
        raise ModelError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    config = network.config
    card = ModelCard(
        name=name or _name(path, config.scale),
        scale=config.scale,
        halo=config.radius,
        channels=config.channels,
        architecture=networks.describe(config),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        training={
            "imported": {
                "file": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "layout": layout.title,
                "mean": list(around.mean),
                "residual_scale": around.residual_scale,
            }
        },
        licence=licence,
    )
    guessed = layout.scales_residuals and residual_scale is None
    return Imported(network, card, layout.title, guessed)


def _with_card(path: Path) -> zoo.Model | None:
    """The file as a model of ours, if it is one; an ONNX file has to be."""
    if path.suffix == ".safetensors":
        # One that is missing or too large is told of by whoever reads it.
        fit = path.is_file() and path.stat().st_size <= LARGEST
        content = path.read_bytes() if fit else b""
        return zoo.read_model(path) if content and has_card(content, str(path)) else None
    return zoo.read_model(path) if path.suffix == ".onnx" else None


def _around(layout: Layout, mean: tuple[float, ...] | None, residual_scale: float | None) -> Around:
    """What the layout's program does around its convolutions."""
    if mean is not None and not all(0 <= value <= 1 for value in mean):
        raise UsageError(f"mean must be from 0 to 1, black to white, not {mean}")
    if residual_scale is not None:
        if not layout.scales_residuals:
            raise UsageError(f"{layout.title} has its residual scale in the weights: leave it out")
        if not 0 < residual_scale < math.inf:
            raise UsageError(f"residual scale must be above 0, not {residual_scale}")
    return Around(mean or layout.mean, layout.gain, residual_scale or 1)


def _build(assembled: Assembled) -> Network:
    """The network, with its weights in float32. Raises ModelError if they do not fit it."""
    try:
        config = networks.configure(assembled.architecture)
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"no network of ours: {error}") from error
    with torch.device("meta"):  # shapes without memory
        shapes = {n: tuple(p.shape) for n, p in networks.build(config).fuse().named_parameters()}
    arrays = {f"{layer}.weight": conv.weight for layer, conv in assembled.convs.items()}
    arrays |= {f"{layer}.bias": conv.bias for layer, conv in assembled.convs.items()}

    def theirs(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """By the names of the file, which the user knows."""
        return {_in_file(assembled, name): shape for name, shape in shapes.items()}

    found = {name: array.shape for name, array in arrays.items()}
    if wrong := differences(theirs(found), theirs(shapes)):
        raise ModelError(f"its layers do not fit together: {wrong}")
    with np.errstate(over="ignore"):  # told just below
        weights = {name: torch.from_numpy(a.astype(np.float32)) for name, a in arrays.items()}
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise ModelError(f"{_in_file(assembled, name)}: values too large for float32")
    network = networks.build(config).fuse().eval()
    network.load_state_dict(weights)
    return network


def _in_file(assembled: Assembled, parameter: str) -> str:
    layer, _, kind = parameter.rpartition(".")
    conv = assembled.convs.get(layer)
    return f"{conv.name if conv else layer} {kind}"


def _name(path: Path, scale: int) -> str:
    """A model's name from its file's, without the scale, which a title has anyway."""
    name = re.sub(r"[^\w.+-]+", "-", path.stem)
    name = re.sub(rf"[-_.]?x{scale}$", "", name, flags=re.IGNORECASE).lstrip("-+.")[:100]
    return name or "imported"
