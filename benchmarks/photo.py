"""The photo model against the classical one, on held-out pictures.

Run `python benchmarks/photo.py DIR`.

For x2 and x4, on LR as the presets "table" (bicubic, noise of 3 levels, JPEG quality 75 with
halved colour) and "classical" make it: mean Y-PSNR by the classical protocol, the block strength
that is left, and seconds a picture. Prints lines for a record in benchmarks/records/.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import wdsr
from wdsr import picture, zoo
from wdsr.degrade import Preset
from wdsr.files import list_files

Pixels = NDArray[np.uint8]


def main() -> None:
    """Print a table for each scale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="held-out HR pictures")
    parser.add_argument("--photo", default=zoo.PHOTO_MODEL, help="name, or FILE-x{scale}.onnx")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--side", type=int, default=960, help="central HR pixels of each picture")
    arguments = parser.parse_args()
    hrs = [
        _centre(picture.read(path).pixels, arguments.side)
        for path in list_files(arguments.folder, picture.READABLE_SUFFIXES)
    ]
    print(f"{len(hrs)} pictures, {platform.machine()}, wdsr {wdsr.__version__}")
    for scale in arguments.scales:
        names = (zoo.DEFAULT_MODEL, arguments.photo.format(scale=scale))
        for kind in ("table", "classical"):
            rows = [_measure(name, scale, kind, hrs) for name in names]
            for name, (score, blocks, seconds) in zip(names, rows, strict=True):
                print(
                    f"x{scale} {kind:9} {name:24} {score:.3f} dB, "
                    f"blocks {blocks:.3f}, {seconds:.2f} s a picture"
                )
            print(f"x{scale} {kind:9} photo {rows[1][0] - rows[0][0]:+.3f} dB")


def _measure(name: str, scale: int, kind: str, hrs: list[Pixels]) -> tuple[float, float, float]:
    """Means of Y-PSNR, block strength and seconds."""
    upscaler, make = wdsr.load(name, scale=scale), Preset(kind, scale)
    rows = []
    for number, whole in enumerate(hrs):
        hr = whole[: whole.shape[0] // scale * scale, : whole.shape[1] // scale * scale]
        lr = make(hr, np.random.default_rng(number))
        began = time.perf_counter()
        sr = upscaler.upscale(lr)
        seconds = time.perf_counter() - began
        score = wdsr.psnr(sr, hr, data_range=255, shave=scale, luma=True)
        rows.append((score, _block_strength(sr, 8 * scale), seconds))
    score, blocks, seconds = np.mean(rows, axis=0)
    return float(score), float(blocks), float(seconds)


def _block_strength(image: Pixels, period: int) -> float:
    """How much steps at one of `period` columns or rows exceed those at any other; 0 is none."""
    green: NDArray[Any] = image[..., 1].astype(np.float32)
    excess = []
    for plane in (green, green.T):
        slope = np.diff(plane, axis=1)
        step = np.abs(slope[:, 1:-1] - (slope[:, :-2] + slope[:, 2:]) / 2).mean(axis=0)
        phases = step[: len(step) // period * period].reshape(-1, period).mean(axis=0)
        excess.append(phases.max() / np.median(phases) - 1)
    return float(np.mean(excess))


def _centre(image: Pixels, side: int) -> Pixels:
    top, left = (max(length - side, 0) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


if __name__ == "__main__":
    main()
