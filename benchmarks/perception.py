"""How alike SR and HR are as textures, beside PSNR: for GAN models against pixel models.

    python benchmarks/perception.py --hr DIR -s 4 MODEL MODEL ... [--record NAME]

A model is a shipped name, an .onnx file, or bicubic; MODEL@0.5 is a GAN model at
--sharpness 0.5. Per model the mean over pictures of

    psnr        luma, classical protocol, dB
    gradient    mean distance between the sorted gradient magnitudes of SR and HR (the
                Wasserstein distance of their distributions), in grey levels: a blurred
                picture has too few steep places, wherever they are
    spectrum    mean distance of the logarithms of SR's and HR's power, over rings of equal
                frequency above a quarter of Nyquist, in dB: blur is missing power, noise and
                ringing are power too much
    lpips dists where torchvision and the networks' weights are (see wdsr.evaluate.perceptual)

Both distances look at the luma of the centre, and are 0 for SR = HR; a shift of the whole
picture changes neither, so they say nothing of whether detail is where it belongs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import wdsr
from wdsr import picture
from wdsr.color import luma
from wdsr.errors import WdsrError
from wdsr.evaluate import perceptual
from wdsr.evaluate.scores import Metric
from wdsr.files import list_files
from wdsr.metrics import psnr
from wdsr.resize import resize

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
RECORDS = Path(__file__).parent / "records"


def gradient_distance(sr: Floats, hr: Floats) -> float:
    """Between the distributions of gradient magnitudes, in levels."""
    return float(np.abs(_steepness(sr) - _steepness(hr)).mean())


def spectrum_distance(sr: Floats, hr: Floats) -> float:
    """Between the radial power spectra above a quarter of Nyquist, in dB."""
    return float(np.abs(_spectrum(sr) - _spectrum(hr)).mean())


def _steepness(image: Floats) -> Floats:
    down, right = np.diff(image, axis=0)[:, :-1], np.diff(image, axis=1)[:-1]
    return np.sort(np.hypot(down, right), axis=None)


def _spectrum(image: Floats) -> Floats:
    side = min(image.shape)
    square = image[:side, :side] * np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.rfft2(square)) ** 2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * 2
    rings = np.digitize(frequency, np.linspace(0.25, 1, 25))  # 1 is Nyquist
    means = [power[rings == ring].mean() for ring in range(1, 25)]
    return np.asarray(10 * np.log10(np.asarray(means) + 1))


def method(name: str, scale: int) -> Callable[[Pixels], Pixels]:
    """What enlarges LR."""
    if name == "bicubic":
        return lambda lr: resize(lr, scale=scale)
    file, _, sharpness = name.partition("@")
    upscaler = wdsr.load(file, scale=scale, sharpness=float(sharpness) if sharpness else None)
    return upscaler.upscale


def perceived() -> dict[str, Metric]:
    """The perceptual metrics whose weights are here."""
    found = {}
    for name in perceptual.NAMES:
        try:
            found[name] = perceptual.create(name)
        except WdsrError as missing:
            print(f"without {name}: {missing}")
    return found


def main() -> None:
    """Measure and print; with --record, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--hr", type=Path, required=True)
    parser.add_argument("-s", "--scale", type=int, default=4)
    parser.add_argument("--record", help="write records/DATE-perception-NAME.json")
    arguments = parser.parse_args()
    scale, metrics = arguments.scale, perceived()
    methods = {name: method(name, scale) for name in arguments.models}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    files = list_files(arguments.hr, picture.READABLE_SUFFIXES)
    began = time.monotonic()
    for number, path in enumerate(files, 1):
        pixels = picture.read(path).pixels
        hr = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        lr = resize(hr, scale=1 / scale)
        for name, enlarge in methods.items():
            sr = enlarge(lr)
            a, b = (luma(x, data_range=255)[scale:-scale, scale:-scale] for x in (sr, hr))
            row = {
                "psnr": psnr(sr, hr, data_range=255, shave=scale, luma=True),
                "gradient": gradient_distance(a, b),
                "spectrum": spectrum_distance(a, b),
            }
            rows[name].append(row | {key: score(sr, hr) for key, score in metrics.items()})
        print(f"{number}/{len(files)} {path.name} {time.monotonic() - began:.0f} s", flush=True)
    keys = list(next(iter(rows.values()))[0])
    means = {n: {k: float(np.mean([r[k] for r in rs])) for k in keys} for n, rs in rows.items()}
    print("\n| model | " + " | ".join(keys) + " |")
    print("|---" * (len(keys) + 1) + "|")
    for name, values in means.items():
        print(f"| {name} | " + " | ".join(f"{values[key]:.3f}" for key in keys) + " |")
    if arguments.record:
        today = datetime.date.today().isoformat()
        record: dict[str, Any] = {
            "date": today,
            "scale": scale,
            "pictures": len(files),
            "set": arguments.hr.name,
            "python": platform.python_version(),
            "means": means,
        }
        path = RECORDS / f"{today}-perception-{arguments.record}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(path.name)


if __name__ == "__main__":
    main()
