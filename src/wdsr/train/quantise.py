"""From a float32 model file to an int8 one: post-training quantisation, and its price.

Weights take 7 bits and activations 8. The eighth bit of the weights would be
worth 0.01 dB where the processor sums pairs of products in 32 bits (VNNI), but
elsewhere those sums are cut off at 16 bits: 0.05 dB lost, and other pixels on
other machines. With 7 bits nothing overflows anywhere.

Additions stay in float, as the identity path would else be rounded in every
block, and so do the layers that see the picture or make it. Which layers more
is found by trying: see `FLOAT_ENDS`.

Ranges are the mean over patches of each patch's least and largest value. Clipping
the rarest values makes flats and slopes finer but edges worse (wdsr-b-8 x4, Set5: no
clipping loses 0.014 dB, a share of 1e-4 0.041, 1e-3 0.197).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nncf
import numpy as np
import onnx
from numpy.typing import NDArray

from wdsr.card import ModelCard
from wdsr.errors import TrainingError
from wdsr.train.export import with_card
from wdsr.train.pictures import list_pictures, make_pair, read_rgb
from wdsr.train.smooth import keep_slopes
from wdsr.train.validate import BEST
from wdsr.zoo import Model

Image = NDArray[np.uint8]
Enlarge = Callable[[Image], Image]  # (h, w, 3) -> (s*h, s*w, 3)
End = Literal["first", "last", "second"]

PATCHES, SIDE = 100, 64  # for calibration: how many LR patches, and their pixels a side

SLOPES = (1 / 8, 1 / 3, 2 / 3, 1, 3 / 2, 3)  # of the ramps to try, in levels a pixel

# Layers left in float, tried in this order until the bar is met, the quickest first: the
# convolutions nearest to the picture, those nearest to the result, those after the first.
FLOAT_ENDS: tuple[tuple[End, ...], ...] = (
    ("first", "last"),
    ("first", "last", "second"),
)


@dataclass(frozen=True)
class Price:
    """What a quantised model loses against its float32 original."""

    loss: Mapping[str, float]  # set -> dB of PSNR lost
    flats: tuple[int, ...]  # for each level 0..255 of a flat picture: levels the result is off
    falls: float  # share of neighbouring pixels that fall along a rising ramp

    def meets(self, most: float) -> bool:
        """At most `most` dB lost on every set; black and white kept; flats within a level."""
        held = self.flats[0] == self.flats[255] == 0 and max(self.flats) <= 1
        return held and all(loss <= most for loss in self.loss.values())


def quantise(
    model: Model,
    data: Path,
    *,
    enlarge: Callable[[Model], Enlarge],
    score: Callable[[Model], Mapping[str, float]],
    max_loss: float = 0.05,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[Model, Price]:
    """The quickest int8 version of a model that keeps its quality, and what it costs.

    data: folder of HR pictures for calibration, of the kind the model was trained on.
    enlarge: makes the function that runs a model over an 8-bit picture.
    score: mean PSNR of a model for each named set.
    max_loss: dB, on every set.
    report: told one line after each attempt.

    Raises TrainingError for a model that is no float32 ONNX file, for pictures too
    small to calibrate on, and if no attempt meets the bar.
    """
    if not model.onnx:
        raise TrainingError(f"{model.source}: only .onnx files become int8; give that of the model")
    if model.card.quantised:
        raise TrainingError(f"{model.source}: is quantised already; give the float32 file")
    patches = calibration_patches(data, model.card)
    before = score(model)
    for ends in FLOAT_ENDS:
        content, kept = quantised_graph(model, patches, ends)
        price = measure(Model(model.card, content, model.source), before, enlarge, score)
        worst = max(price.loss.values(), default=0)
        report(
            f"float: {', '.join(kept)}: loses at most {worst:.3f} dB; "
            f"{sum(map(bool, price.flats))} of 256 flats are a level off; "
            f"{price.falls:.1%} of a ramp falls"
        )
        if price.meets(max_loss):
            card = _card(model, price, kept)
            return Model(card, with_card(content, card), f"{card.title}.int8.onnx"), price
    raise TrainingError(f"{model.source}: no int8 version loses less than {max_loss} dB")


def quantised_graph(
    model: Model, patches: Sequence[Image], ends: Sequence[End]
) -> tuple[bytes, list[str]]:
    """The int8 ONNX file, with the float model's card, and the names of layers left in float."""
    graph = onnx.load_model_from_string(model.onnx)
    kept = _ends(graph.graph, ends)
    additions = [node.name for node in graph.graph.node if node.op_type in ("Add", "Sub")]
    low, high = model.card.value_range
    levels = np.float32((high - low) / 255)
    name = graph.graph.input[0].name
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        quantised = nncf.quantize(
            graph,
            nncf.Dataset(
                patches, lambda lr: {name: (lr.transpose(2, 0, 1)[None] * levels + np.float32(low))}
            ),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(patches),
            ignored_scope=nncf.IgnoredScope(names=[*kept.values(), *additions]),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE,  # 7 bits: see above
            ),
        )
    keep_slopes(quantised, model.card.scale, float(levels))
    quantised.producer_name, quantised.producer_version = "wdsr", ""
    del quantised.graph.value_info[:]
    onnx.checker.check_model(quantised, full_check=True)
    return with_card(bytes(quantised.SerializeToString()), model.card), list(kept)


def measure(
    model: Model,
    before: Mapping[str, float],
    enlarge: Callable[[Model], Enlarge],
    score: Callable[[Model], Mapping[str, float]],
) -> Price:
    """What a quantised model loses against scores `before`, on flats and along ramps.

    A score counts for 100 dB at most: infinities have no difference.
    """
    run = enlarge(model)
    flats = []
    for level in range(256):
        sr = run(np.full((8, 8, 3), level, np.uint8))
        flats.append(int(np.abs(sr.astype(int) - level).max()))
    falls = []
    ends = 4 * model.card.scale  # where the slope begins and ends there is a corner
    for slope in SLOPES:
        steps = np.diff(run(ramp(slope))[:, ends:-ends].astype(int), axis=1)
        falls.append(float((steps < 0).mean()))
    after = score(model)
    loss = {
        name: round(min(psnr, BEST) - min(after[name], BEST), 3) for name, psnr in before.items()
    }
    return Price(loss, tuple(flats), round(max(falls), 4))


def ramp(slope: float) -> Image:
    """A picture that rises from black to white by so many levels a pixel: (16, W, 3)."""
    levels = (np.arange(255 / slope) * slope).astype(np.uint8)
    return np.tile(levels[:, None], (16, 1, 3))


def calibration_patches(folder: Path, card: ModelCard) -> list[Image]:
    """LR patches from all over a folder of HR pictures: the same ones at each call.

    Raises TrainingError for a picture in which the network sees the border everywhere.
    """
    files, side = list_pictures(folder), SIDE * card.scale
    least = min(SIDE, 2 * card.halo + 1) * card.scale
    chosen = files[:: max(len(files) // PATCHES, 1)]
    rng = np.random.Generator(np.random.Philox(0))
    patches: list[Image] = []
    for index in range(PATCHES):
        path = chosen[index % len(chosen)]
        hr = read_rgb(path)
        if min(hr.shape[:2]) < least:
            raise TrainingError(
                f"{path}: too small to calibrate x{card.scale} on: {hr.shape[1]} x {hr.shape[0]}, "
                f"at least {least} x {least} wanted"
            )
        top, left = (int(rng.integers(max(n - side, 0) + 1)) for n in hr.shape[:2])
        patches.append(make_pair(hr[top : top + side, left : left + side], card.scale)[0])
    return patches


def _card(model: Model, price: Price, kept: Sequence[str]) -> ModelCard:
    quantised: dict[str, Any] = {
        "from_sha256": hashlib.sha256(model.onnx).hexdigest(),
        "method": f"post-training, NNCF {nncf.__version__}, {PATCHES} LR patches of {SIDE} px",
        "float_layers": list(kept),
        "loss_db": dict(price.loss),
        "flats_off_by_one": sum(map(bool, price.flats)),
        "ramp_falls": price.falls,
    }
    return dataclasses.replace(model.card, quantised=quantised)


def _ends(graph: Any, ends: Sequence[End]) -> dict[str, str]:
    """Weight name -> node name of the convolutions at these ends of a graph."""
    convs = {node.name: node for node in graph.node if node.op_type == "Conv"}
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def forward(names: Sequence[str]) -> set[str]:
        """The first convolutions met from these tensors on; not past a sum of two branches."""
        found: set[str] = set()
        for node in (node for name in names for node in users.get(name, [])):
            if node.name in convs:
                found.add(node.name)
            elif node.op_type != "Add" or not all(name in makers for name in node.input):
                found |= forward(node.output)
        return found

    def backward(names: Sequence[str]) -> set[str]:
        """The last convolutions before these tensors."""
        found: set[str] = set()
        for node in (makers[name] for name in names if name in makers):
            found |= {node.name} if node.name in convs else backward(node.input)
        return found

    first = forward([value.name for value in graph.input])
    sets: dict[End, set[str]] = {
        "first": first,
        "last": backward([value.name for value in graph.output]),
        "second": forward([name for node in first for name in convs[node].output]),
    }
    chosen = set().union(*(sets[end] for end in ends))
    return {
        node.input[1].removesuffix(".weight"): name
        for name, node in convs.items()
        if name in chosen
    }
