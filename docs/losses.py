"""Draws docs/images/losses.jpg: one network, three losses, the same crops.

    python -m docs.losses FEATURES.onnx GAN.onnx

MAE is the shipped wdsr-b-8; the committed picture has the weights of 2026-11-25. FEATURES and
GAN went on from those for 5,000 steps by the recipe wdsr-b-8-gan-x4: the first with
`features = 1.0` and `weight = 0.0`, the second as the recipe is (0.2 and 0.01). Both trained
their discriminator; MAE had no further steps.

dB and the table are of the whole photograph, not of the crop. Needs scikit-image, for its
photographs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage
from benchmarks.perception import gradient_distance, spectrum_distance
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import wdsr
from wdsr import picture
from wdsr.color import luma
from wdsr.resize import resize

IMAGE = Path(__file__).parent / "images" / "losses.jpg"
SCALE, PART, GAP = 4, 112, 6
PHOTOGRAPHS = {  # and the top left corner of the part shown, in HR pixels
    "chelsea.png": (84, 124),
    "motorcycle_left.png": (200, 300),
    "coffee.png": (90, 300),
}
Pixels = NDArray[np.uint8]


def main() -> None:
    """Enlarge, measure, draw; the table of means goes to the terminal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features")
    parser.add_argument("gan")
    arguments = parser.parse_args()
    models = {
        "MAE": "wdsr-b-8",
        "MAE + features": arguments.features,
        "MAE + features + GAN": arguments.gan,
    }
    loaded = {
        name: wdsr.load(model, scale=SCALE, precision="float32") for name, model in models.items()
    }
    rows, scores = [], {name: [] for name in ("bicubic", *models)}  # type: ignore[var-annotated]
    for name, (top, left) in PHOTOGRAPHS.items():
        hr = picture.read(Path(skimage.__file__).parent / "data" / name).pixels
        hr = hr[: hr.shape[0] // SCALE * SCALE, : hr.shape[1] // SCALE * SCALE]
        lr = resize(hr, scale=1 / SCALE)
        made = {"bicubic": resize(lr, scale=SCALE)}
        made |= {label: upscaler.upscale(lr) for label, upscaler in loaded.items()}
        row = []
        for label, sr in (made | {"the original": hr}).items():
            text = label
            if label in scores:
                scores[label].append(measured(sr, hr))
                text = f"{label}, {scores[label][-1][0]:.2f} dB"
            row.append((text, sr[top : top + PART, left : left + PART]))
        rows.append(row)
    board(rows).save(IMAGE, quality=90)
    print("| loss | PSNR, dB | gradients off, levels | spectrum off, dB |\n|---|---|---|---|")  # noqa: T201
    for label, values in scores.items():
        psnr, gradient, spectrum = np.mean(values, axis=0)
        print(f"| {label} | {psnr:.2f} | {gradient:.2f} | {spectrum:.2f} |")  # noqa: T201


def measured(sr: Pixels, hr: Pixels) -> tuple[float, float, float]:
    """PSNR, and the distances of gradients and spectra (see benchmarks/perception.py)."""
    a, b = (luma(x, data_range=255)[SCALE:-SCALE, SCALE:-SCALE] for x in (sr, hr))
    psnr = wdsr.psnr(sr, hr, data_range=255, shave=SCALE, luma=True)
    return psnr, gradient_distance(a, b), spectrum_distance(a, b)


def board(rows: list[list[tuple[str, Pixels]]]) -> Image.Image:
    """Parts twice as large, each with a line beneath."""
    side, foot = PART * 2, 24
    size = (len(rows[0]) * (side + GAP) - GAP, len(rows) * (side + foot))
    drawn = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(13)
    for y, row in enumerate(rows):
        for x, (text, part) in enumerate(row):
            large = Image.fromarray(part).resize((side, side), Image.Resampling.NEAREST)
            drawn.paste(large, (x * (side + GAP), y * (side + foot)))
            draw.text((x * (side + GAP) + 2, y * (side + foot) + side + 3), text, "black", font)
    return drawn


if __name__ == "__main__":
    main()
