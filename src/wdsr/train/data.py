"""Pictures for training: packed once, then read without decoding.

A pack is a folder with every picture's pixels, one after another:

    index.json     names and sizes of the pictures, in the order of the pixels
    hr.bin         uint8 RGB, (H, W, 3) each
    lr_x4.bin      the same pictures downscaled by the MATLAB convention

The patch drawn at a step is a pure function of (seed, step, place in the
batch), so a resumed run, or one spread over several devices, sees the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wdsr.errors import PictureError, TrainingError
from wdsr.files import list_files
from wdsr.resize import resize

Pixels = NDArray[np.uint8]
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
# What Pillow raises on damaged files (not only OSError) and on gigapixels.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, struct.error)
_UNDECODABLE = (*_DAMAGED, Image.DecompressionBombError)


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name. Raises TrainingError if there are none."""
    try:
        return list_files(folder, SUFFIXES)
    except PictureError as error:
        raise TrainingError(str(error)) from error


def read_rgb(path: Path) -> Pixels:
    """Decode to (H, W, 3) uint8. Raises TrainingError naming the file."""
    try:
        with Image.open(path) as picture:
            if picture.mode[0] in "IF":  # Pillow would clip these to 8 bits, not scale them
                raise ValueError("16-bit grey or float values: convert it to 8 bits first")
            return np.asarray(picture.convert("RGB"))
    except _UNDECODABLE as error:
        raise TrainingError(f"{path}: cannot decode this picture: {error}") from error


def make_pair(hr: Pixels, scale: int) -> tuple[Pixels, Pixels]:
    """Crop HR to a multiple of scale and make its LR: (LR, HR)."""
    height, width = hr.shape[0] // scale * scale, hr.shape[1] // scale * scale
    hr = hr[:height, :width]  # (H, W, 3) -> (s*h, s*w, 3)
    return resize(hr, scale=1 / scale), hr


def pack(
    folder: Path,
    cache: Path,
    scale: int,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Pack a folder of HR pictures below `cache` and return the pack's folder.

    The pack is named after the pictures' names, sizes and times, so a changed
    folder gets a new pack and an unchanged one is packed once per scale. Raises
    TrainingError naming a picture that cannot be used; nothing is left half-written.
    """
    files = list_pictures(folder)
    facts = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    target = cache / key
    wanted = ["index.json", "hr.bin", f"lr_x{scale}.bin"]
    wanted = [name for name in wanted if not (target / name).exists()]
    if wanted:
        try:
            target.mkdir(parents=True, exist_ok=True)
            _write(target, wanted, files, scale, progress)
        except OSError as error:
            raise TrainingError(f"{target}: cannot write the pack: {error.strerror}") from error
    return target


def _write(
    target: Path,
    wanted: list[str],
    files: list[Path],
    scale: int,
    progress: Callable[[int, int], None],
) -> None:
    """Write the wanted files of a pack under other names, then rename them all."""
    # The process id: two trainings may pack one folder at the same time.
    parts = {name: target / f"{name}.{os.getpid()}.part" for name in wanted}
    sizes: list[tuple[int, int]] = []
    try:
        with ExitStack() as stack:
            streams = {name: stack.enter_context(part.open("wb")) for name, part in parts.items()}
            # Threads suffice: decoding and resizing spend their time outside the interpreter.
            pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
            for first in range(0, len(files), 32):  # in groups, to bound memory
                for hr, lr in pool.map(lambda p: _decode(p, scale), files[first : first + 32]):
                    sizes.append((hr.shape[0], hr.shape[1]))
                    for name, pixels in (("hr.bin", hr), (f"lr_x{scale}.bin", lr)):
                        if name in streams:
                            streams[name].write(pixels.tobytes())
                    progress(len(sizes), len(files))
            if "index.json" in streams:
                index = {"names": [p.name for p in files], "sizes": sizes}
                streams["index.json"].write(json.dumps(index).encode())
        for name, part in parts.items():
            part.replace(target / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _decode(path: Path, scale: int) -> tuple[Pixels, Pixels]:
    """(HR, LR) of one picture; HR whole, so that one hr.bin serves every scale."""
    hr = read_rgb(path)
    if min(hr.shape[:2]) < scale:
        raise TrainingError(f"{path}: {hr.shape[1]} x {hr.shape[0]} pixels are too few")
    return hr, make_pair(hr, scale)[0]


class Pairs:
    """Patches from a pack: `lr, hr = pairs.batch(seed=0, step=7, places=range(16), patch=48)`."""

    def __init__(self, folder: Path, scale: int) -> None:
        self.scale = scale
        try:
            index = json.loads((folder / "index.json").read_text())
            self.names: list[str] = index["names"]
            sizes = [(int(h), int(w)) for h, w in index["sizes"]]
            lr_sizes = [(h // scale, w // scale) for h, w in sizes]
            self.hr = _views(folder / "hr.bin", sizes)
            self.lr = _views(folder / f"lr_x{scale}.bin", lr_sizes)
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{folder}: not a pack for x{scale}: {error}") from error
        # Larger pictures are drawn more often, so that every pixel is seen equally often.
        area = np.cumsum([lr.shape[0] * lr.shape[1] for lr in self.lr])
        self._cumulative = area / area[-1]

    def check(self, patch: int) -> None:
        """Raise TrainingError naming the pictures that are smaller than a patch."""
        small = [n for n, lr in zip(self.names, self.lr, strict=True) if min(lr.shape[:2]) < patch]
        if small:
            names = ", ".join(small[:3]) + (", ..." if len(small) > 3 else "")
            raise TrainingError(
                f"{len(small)} pictures are smaller than a patch of {patch * self.scale} pixels "
                f"({names}): take them out or use a smaller patch"
            )

    def batch(
        self, *, seed: int, step: int, places: Sequence[int], patch: int
    ) -> tuple[Pixels, Pixels]:
        """LR (N, p, p, 3) and HR (N, s*p, s*p, 3) uint8 for these places of the step's batch."""
        lr = np.empty((len(places), patch, patch, 3), np.uint8)
        hr = np.empty((len(places), patch * self.scale, patch * self.scale, 3), np.uint8)
        for row, place in enumerate(places):
            # The lowest word of the counter counts draws: left at 0, no two streams overlap.
            rng = np.random.Generator(np.random.Philox(key=seed, counter=[0, place, step, 0]))
            which = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
            height, width = self.lr[which].shape[:2]
            y, x = rng.integers(height - patch + 1), rng.integers(width - patch + 1)
            turn, flip = int(rng.integers(4)), bool(rng.integers(2))
            for out, source, s in ((lr, self.lr, 1), (hr, self.hr, self.scale)):
                crop = source[which][y * s : (y + patch) * s, x * s : (x + patch) * s]
                crop = np.rot90(crop, turn)
                out[row] = crop[:, ::-1] if flip else crop
        return lr, hr


def _views(path: Path, sizes: list[tuple[int, int]]) -> list[Pixels]:
    flat = np.memmap(path, np.uint8, "r")
    ends = np.cumsum([h * w * 3 for h, w in sizes])
    if ends[-1] != flat.size:
        raise TrainingError(
            f"{path}: {flat.size} bytes, expected {ends[-1]}: delete it to pack again"
        )
    return [
        np.asarray(flat[end - h * w * 3 : end]).reshape(h, w, 3)
        for end, (h, w) in zip(ends, sizes, strict=True)
    ]
