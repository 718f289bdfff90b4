"""The models that come with wdsr, and any other ONNX or safetensors file with a card."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from wdsr.card import ModelCard, read_card, read_safetensors_card
from wdsr.errors import ModelError, UnsafeModelError, UsageError
from wdsr.graph import check_graph

DEFAULT_MODEL = "wdsr-b-8"  # the classical one: for clean pictures, and in doubt
PHOTO_MODEL = "wdsr-photo"  # for real photographs; may not be shipped yet
AUTO = "auto"  # one of the two, chosen for each picture
SUFFIXES = (".onnx", ".safetensors")  # of model files
CHECKPOINTS = (".pth", ".pt", ".h5")  # of other programs; `wdsr import` takes them
MOST_BYTES = 2**29  # of a model file
_PICKLES = (b"PK\x03\x04", *(b"\x80" + bytes([version]) for version in range(2, 6)))
_WEIGHTS = resources.files("wdsr") / "weights"


@dataclass(frozen=True)
class Model:
    """Weights, and the card that was read from them."""

    card: ModelCard
    onnx: bytes  # the file, for any engine; empty if it is a safetensors file
    source: str  # file name, for messages
    safetensors: bytes = b""  # the file, for torch only

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.onnx or self.safetensors).hexdigest()


def checksums() -> dict[str, str]:
    """File name -> sha256 of every shipped file, from `weights/SHA256SUMS`."""
    lines = _bytes("SHA256SUMS").decode("ascii", "replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def shipped() -> list[Model]:
    """Every shipped model, by name and scale."""
    return [_shipped(name, scale) for name, have in _catalogue().items() for scale in have]


def is_shipped(name: str) -> bool:
    """Whether a model of that name comes with wdsr, at any scale."""
    return name in _catalogue()


def split_title(name: str) -> tuple[str, int | None]:
    """A shipped model's name, and the scale if one is added: `wdsr-b-8-x4` -> wdsr-b-8, 4.

    Any other name comes back as it is.
    """
    base, _, scale = name.rpartition("-x")
    if scale.isdecimal() and not is_shipped(name) and is_shipped(base):
        return base, int(scale)
    return name, None


def scales(name: str) -> list[int]:
    """The scales of a shipped model, the one that its name ends with, or that of a model file."""
    if _is_path(name):
        return [read_model(Path(name)).card.scale]
    catalogue = _catalogue()
    base, only = split_title(name)
    if base not in catalogue:
        if Path(name).suffix in CHECKPOINTS:
            raise UsageError(f"{name}: a checkpoint; make a model file of it: wdsr import {name}")
        if (run := training_run(Path(name))) is not None:
            raise UsageError(f"{name}: from training; make a model file of it: wdsr export {run}")
        choice = " or ".join([*catalogue, "the path of an .onnx or .safetensors file"])
        raise UsageError(f"no model {name!r}: give {choice}")
    if only is not None and only not in catalogue[base]:
        titles = " or ".join(f"{base}-x{scale}" for scale in catalogue[base])
        raise UsageError(f"no model {name!r}: give {titles}")
    return catalogue[base] if only is None else [only]


def training_run(path: Path) -> Path | None:
    """The run folder of `wdsr train` that a path is, or is a checkpoint in; None: neither."""
    run = path.parent if path.suffix == ".ckpt" else path
    return run if (run / "recipe.toml").is_file() else None


def find(name: str, scale: int) -> Model:
    """A shipped model by name and scale, or a model file by path.

    name: with or without the scale: `wdsr-b-8` or `wdsr-b-8-x4`.

    Raises UsageError if there is none of that name and scale, ModelError if
    the file is damaged (shipped files are checked against their sha256).
    """
    model = read_model(Path(name)) if _is_path(name) else None
    available = [model.card.scale] if model else scales(name)
    if scale not in available:
        have = ", ".join(f"x{s}" for s in available)
        raise UsageError(f"model {name!r} has no x{scale}, only {have}")
    return model or _shipped(split_title(name)[0], scale)


def read_model(path: Path) -> Model:
    """A model file from anywhere, looked through before anything runs it.

    Raises ModelError if it is unreadable or has no card, UnsafeModelError if it
    holds what no enlarging network needs or its card is not true.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # a pipe or a device may never end
            what = "Is a directory" if stat.S_ISDIR(state.st_mode) else "not a file"
            raise ModelError(f"{path}: cannot read this model: {what}")
        if state.st_size > MOST_BYTES:
            fault = f"has {state.st_size / 1e6:.0f} MB, models have at most {MOST_BYTES / 1e6:.0f}"
            raise UnsafeModelError(f"{path}: {fault}")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot read this model: {error.strerror}") from error
    if content.startswith(_PICKLES):
        raise UnsafeModelError(
            f"{path}: not a model file but a pickle or an archive, as torch writes; opening one "
            "can run any code, so it was not opened"
        )
    if path.suffix == ".safetensors":
        card = read_safetensors_card(content, str(path))
        return Model(card, b"", str(path), safetensors=content)
    card = read_card(content, str(path))
    check_graph(content, card, str(path))
    return Model(card, content, str(path))


def quantised(model: Model) -> Model | None:
    """The int8 version of a model that lies beside its file, if it was made of these weights.

    Raises ModelError if that file is damaged.
    """
    file = Path(model.source).with_suffix(".int8.onnx")
    if checksums().get(model.source) == model.sha256:
        found = _shipped_file(file.name) if file.name in checksums() else None
    else:
        found = read_model(file) if file.is_file() else None
    same = found is not None and found.card.quantised.get("from_sha256") == model.sha256
    return found if same else None


def golden_tile(title: str) -> bytes:
    """The .npz with a shipped model's input tile `lr` and the `sr` it must give."""
    return _verified(f"{title}.npz")


def _is_path(name: str) -> bool:
    return name.endswith(SUFFIXES)


def _catalogue() -> dict[str, list[int]]:
    """Name -> scales of the shipped models."""
    found: dict[str, list[int]] = {}
    for file in sorted(checksums()):
        name, _, scale = file.removesuffix(".onnx").rpartition("-x")
        if file.endswith(".onnx") and scale.isdecimal():
            found.setdefault(name, []).append(int(scale))
    return {name: sorted(scales) for name, scales in found.items()}


def _shipped(name: str, scale: int) -> Model:
    return _shipped_file(f"{name}-x{scale}.onnx")


def _shipped_file(file: str) -> Model:
    onnx = _verified(file)
    return Model(read_card(onnx, file), onnx, file)


def _verified(file: str) -> bytes:
    content = _bytes(file)
    if hashlib.sha256(content).hexdigest() != checksums().get(file):
        raise ModelError(f"{file}: damaged (sha256 differs); install wdsr again")
    return content


def _bytes(file: str) -> bytes:
    try:
        return (_WEIGHTS / file).read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: not there ({error.strerror}); install wdsr again") from error
