"""Picture files to try the command on, and what it left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tests.helpers import unpacked

from wdsr import picture as pictures
from wdsr.batch import manifest

Array = NDArray[Any]


def pixels(height: int = 6, width: int = 9, channels: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(
        0, 256, (height, width, channels), np.uint8, endpoint=False
    )


def save(path: str | Path, array: Array | None = None, **options: Any) -> Path:
    """A picture file of this name, by Pillow."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    array = pixels() if array is None else array
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path, **options)
    return path


def load(path: str | Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image)


def repeated(array: Array, times: int) -> Array:
    return array.repeat(times, 0).repeat(times, 1)


def files(folder: str | Path = ".") -> list[str]:
    """Every file below a folder, hidden ones too, but for what a batch remembers."""
    root = Path(folder)
    found = (path for path in root.rglob("*") if path.is_file() and path.name != manifest.NAME)
    return sorted(str(path.relative_to(root)) for path in found)


def one_line(ran: Any, *words: str) -> None:
    """Failed with a single line, which says these words."""
    assert len(ran.lines) == 1, ran.err
    assert ran.lines[0].startswith("wdsr: ")
    for word in words:
        assert word in ran.lines[0]
    assert ran.out == b""


def save_noise(name: str | Path, seed: int = 0, height: int = 6, width: int = 9) -> Path:
    """A PNG of noise, by ourselves."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.write_bytes(pictures.encode(pictures.Picture(noise), "png"))
    return path


def tree(folder: str | Path) -> dict[str, bytes]:
    """Content of every file, but for the manifest's; of a PNG before compression."""
    root = Path(folder)
    return {
        str(path.relative_to(root)): unpacked(path.read_bytes())
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(manifest.NAME)
    }
