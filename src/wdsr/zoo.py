"""The models that come with wdsr, and any other ONNX file with a card."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from wdsr.card import ModelCard, read_card
from wdsr.errors import ModelError, UsageError

DEFAULT_MODEL = "wdsr-b-8"
_WEIGHTS = resources.files("wdsr") / "weights"


@dataclass(frozen=True)
class Model:
    """Weights, and the card that was read from them."""

    card: ModelCard
    onnx: bytes
    source: str  # file name, for messages

    @property
    def sha256(self) -> str:
        """Of the ONNX file."""
        return hashlib.sha256(self.onnx).hexdigest()


def checksums() -> dict[str, str]:
    """File name -> sha256 of every shipped file, from `weights/SHA256SUMS`."""
    lines = (_WEIGHTS / "SHA256SUMS").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def shipped() -> list[Model]:
    """Every shipped model, by name and scale."""
    return [_shipped(name) for name in sorted(checksums()) if name.endswith(".onnx")]


def scales(name: str) -> list[int]:
    """The scales a shipped model has, or the one of a model file."""
    if name.endswith(".onnx"):
        return [read_model(Path(name)).card.scale]
    prefix = f"{name}-x"
    found = [
        f[len(prefix) : -5] for f in checksums() if f.startswith(prefix) and f.endswith(".onnx")
    ]
    if not found:
        known = sorted({f.rsplit("-x", 1)[0] for f in checksums() if f.endswith(".onnx")})
        raise UsageError(
            f"no model {name!r}: choose {' or '.join(known)}, or give the path of an .onnx file"
        )
    return sorted(int(scale) for scale in found)


def find(name: str, scale: int) -> Model:
    """A shipped model by name and scale, or a model file by path.

    Raises UsageError if there is none of that name and scale, ModelError if
    the file is damaged (shipped files are checked against their sha256).
    """
    available = scales(name)
    if scale not in available:
        have = ", ".join(f"x{s}" for s in available)
        raise UsageError(f"model {name!r} has no x{scale}, only {have}")
    return read_model(Path(name)) if name.endswith(".onnx") else _shipped(f"{name}-x{scale}.onnx")


def read_model(path: Path) -> Model:
    """A model file from anywhere. Raises ModelError if it is unreadable or has no card."""
    try:
        onnx = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot read this model: {error.strerror}") from error
    return Model(read_card(onnx, str(path)), onnx, str(path))


def golden_tile(title: str) -> bytes:
    """The .npz with a shipped model's input tile `lr` and the `sr` it must give."""
    return _read(f"{title}.npz")


def _shipped(file: str) -> Model:
    onnx = _read(file)
    return Model(read_card(onnx, file), onnx, file)


def _read(file: str) -> bytes:
    content = (_WEIGHTS / file).read_bytes()
    if hashlib.sha256(content).hexdigest() != checksums()[file]:
        raise ModelError(f"{file}: damaged (sha256 differs); install wdsr again")
    return content
