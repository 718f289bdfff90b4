"""From a network to a file: ONNX, which every engine reads, or safetensors; the card inside."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import logging
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper

from wdsr import networks, zoo
from wdsr.blend import mean_sizes
from wdsr.card import METADATA_KEY, ModelCard
from wdsr.errors import ModelError, TrainingError
from wdsr.files import write_atomically
from wdsr.networks import Network
from wdsr.train import checkpoint, fields
from wdsr.train.journal import origin
from wdsr.train.parity import check_parity
from wdsr.train.recipe import Recipe
from wdsr.train.validate import validation_pairs
from wdsr.zoo import Model

OPSET = 18


def to_onnx(network: Network, card: ModelCard) -> bytes:
    """A fused copy of the network as ONNX: float32, any batch, height and width.

    Input `lr` (N, C, H, W) and output `sr` (N, C, s*H, s*W), both in the card's
    value range; initialisers carry the network's own parameter names.
    """
    fused = _fused(network)
    example = torch.zeros(1, network.config.channels, 16, 24)
    dims = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # talks about torchvision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            fused,
            (example,),
            dynamo=True,
            input_names=["lr"],
            output_names=["sr"],
            dynamic_shapes={"lr": dims},
            opset_version=OPSET,
            optimize=False,  # it would merge equal biases, and a name would be lost
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]  # paths and stack traces of the machine that exported
    del model.graph.value_info[:]
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def to_safetensors(network: Network, card: ModelCard) -> bytes:
    """A fused copy of the network's weights by their own names, with the card as metadata."""
    from safetensors.torch import save

    weights = {name: w.detach().contiguous() for name, w in _fused(network).state_dict().items()}
    return bytes(save(weights, metadata={METADATA_KEY: card.to_json()}))


def write_model(path: Path, network: Network, card: ModelCard) -> None:
    """Write a model file of the kind its suffix tells: .onnx or .safetensors.

    Raises ModelError if an engine does not score it as the network itself.
    """
    if path.suffix == ".safetensors":
        content = to_safetensors(network, card)
        model = Model(card, b"", path.name, safetensors=content)
    else:
        content = to_onnx(network, card)
        model = Model(card, content, path.name)
    if card.channels == 3:
        check_parity(network, model)
    write_atomically(path, content)


def export_run(
    run: Path,
    target: Path,
    *,
    name: str,
    facts: Mapping[str, Any],
    score: Callable[[Model], Mapping[str, Any]] = lambda model: {},
    safetensors: bool = False,
    golden: bool = False,
    valid: Path | None = None,
) -> Path:
    """Write a run's averaged weights as `<name>-x<scale>.onnx`.

    name: if it says the scale itself, as those of runs do, that is left out.
    facts: fields of the card that the run cannot know: licence, data, notes.
    score: measures the exported file; what it returns becomes the card's scores.
    safetensors: write `<name>-x<scale>.safetensors` too, with the same card.
    golden: write what ships beside a model: a golden tile, `<name>-x<scale>.npz`, and
        `SHA256SUMS`, brought up to date.
    valid: HR pictures on which every engine must score as the network does; by
        default two that are drawn. The card tells the differences.

    Raises TrainingError if the run has no checkpoint or the target cannot be written,
    ModelError if an engine scores otherwise than the network; nothing is written then.
    """
    state = checkpoint.newest(run)
    if state is None:
        raise TrainingError(f"{run}: no checkpoint here to export")
    from wdsr.train.trainee import averaged  # needs lightning; importers do not

    recipe = Recipe.from_dict(state["recipe"])
    network = averaged(recipe.network, state["average"])
    training = {**_history(run), "steps_done": state["step"], **facts.get("training", {})}
    if state.get("reference") and recipe.start is not None:
        facts = {**_pixel_model(recipe, state["reference"]), **facts}
    facts = {**_inherited(origin(str(run))), **_data(training), **facts}
    card = card_of(_without_scale(name, recipe.network.scale), recipe, training, facts)
    onnx_bytes = to_onnx(network, card)
    model = Model(card, onnx_bytes, card.title)
    pairs = validation_pairs(valid, card.scale) if valid else None
    parity = {engine: round(db, 6) for engine, db in check_parity(network, model, pairs).items()}
    card = dataclasses.replace(
        card, scores=score(model) or card.scores, training={**card.training, "parity_db": parity}
    )
    onnx_bytes = with_card(onnx_bytes, card)
    path = target / f"{card.title}.onnx"
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_atomically(path, onnx_bytes)
        if safetensors:
            write_model(path.with_suffix(".safetensors"), network, card)
        if golden:
            write_atomically(path.with_suffix(".npz"), golden_tile(network))
            update_checksums(target)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def _without_scale(name: str, scale: int) -> str:
    """`wdsr-b-8-x4-tune` -> `wdsr-b-8-tune`: a model's title ends with the scale."""
    return "-".join(part for part in name.split("-") if part != f"x{scale}") or name


def _fused(network: Network) -> Network:
    """A fused copy, for inference."""
    fused = networks.build(network.config)
    fused.load_state_dict(network.state_dict())
    return fused.eval().fuse()


def with_card(content: bytes, card: ModelCard) -> bytes:
    """The same ONNX file with another card."""
    model = onnx.load_model_from_string(content)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    return bytes(model.SerializeToString())


def card_of(
    name: str, recipe: Recipe, training: Mapping[str, Any], facts: Mapping[str, Any]
) -> ModelCard:
    """The card of a network trained by a recipe."""
    fused = networks.build(recipe.network).fuse()  # which is what ships
    config = fused.config
    return ModelCard(
        name=name,
        scale=config.scale,
        halo=config.radius,
        channels=config.channels,
        architecture=networks.describe(config),
        parameters=sum(p.numel() for p in fused.parameters()),
        training={"recipe": fields.for_json(recipe.to_dict()), **training},
        **{key: value for key, value in facts.items() if key != "training"},
    )


def _inherited(start: Mapping[str, str]) -> dict[str, str]:
    """The licence of the model that training began from: what was made of it is bound by it."""
    if not start.get("licence"):
        return {}
    return {"licence": f"{start['licence']} (of {start['title']}, from which training began)"}


def _data(training: Mapping[str, Any]) -> dict[str, str]:
    """What is known of the pictures, unless the one who exports knows more."""
    digest = training.get("pictures")
    return {"data": f"pictures packed under the digest {digest}"} if digest else {}


def _pixel_model(recipe: Recipe, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What a card says of the model that a game began from: its title, and how to know it.

    Nothing if it was called what no model can be.
    """
    assert recipe.start is not None
    name = _without_scale(Path(recipe.start).name.removesuffix(".onnx"), recipe.network.scale)
    network = networks.build(recipe.network)
    network.load_state_dict(dict(state))
    weights = {name: w.numpy(force=True) for name, w in _fused(network).named_parameters()}
    facts = {"softer": f"{name}-x{recipe.network.scale}", "softer_sizes": mean_sizes(weights)}
    try:
        card_of("any", recipe, {}, facts)
    except ModelError:
        return {}
    return facts


def golden_tile(network: Network) -> bytes:
    """An .npz with a fixed input `lr` and this network's output `sr`, both float32 NCHW."""
    y, x = np.mgrid[0:24, 0:32].astype(np.float32)
    noise = np.random.Generator(np.random.Philox(0)).random((3, 24, 32), np.float32)
    waves = 0.5 + 0.3 * np.sin(np.stack([x / 3, y / 5, (x + y) / 4]))
    lr = (0.8 * waves + 0.2 * noise).astype(np.float32)[None]
    with torch.inference_mode():
        sr = network.eval()(torch.from_numpy(lr)).numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, lr=lr, sr=sr)
    return buffer.getvalue()


def update_checksums(folder: Path) -> None:
    """Bring `SHA256SUMS` up to date for every model and golden tile, as `sha256sum -c` reads it.

    What it says of other files stays.
    """
    path = folder / "SHA256SUMS"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    digests = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for file in folder.iterdir():
        if file.suffix in (*zoo.SUFFIXES, ".npz"):
            digests[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    text = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    write_atomically(path, text.encode())


def _history(run: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((run / "run.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        again = "run the same training command once more, which writes it anew"
        raise TrainingError(f"{run / 'run.json'}: cannot be read ({error}); {again}") from error
    facts.pop("recipe", None)
    facts["validation"] = _validations(run / "log.csv")
    return facts


def _validations(log: Path) -> dict[str, float]:
    """Step -> PSNR in dB, of the rows that can be read; a run stopped early has no log yet."""
    found = {}
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    for row in csv.DictReader(lines):
        try:
            step, score = int(row["step"]), float(row["psnr"])
        except (KeyError, TypeError, ValueError):  # nothing was scored there, or it is torn
            continue
        if math.isfinite(score):  # older versions noted infinity, for which JSON has no word
            found[str(step)] = round(score, 3)
    return found
