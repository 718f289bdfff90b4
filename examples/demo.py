"""Enlarge a photograph four times and put it beside what bicubic makes of it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

import wdsr
from wdsr.resize import resize

OUT = Path("demo")


def main() -> None:
    """Write `demo/` and say what is in it."""
    OUT.mkdir(exist_ok=True)
    # A photograph that ships with scikit-image, made small as a thumbnail would be.
    photograph = np.asarray(Image.open(Path(skimage.data_dir) / "chelsea.png").convert("RGB"))
    small = resize(photograph[: 300 // 4 * 4, : 448 // 4 * 4], scale=1 / 2)
    source = OUT / "photo.png"
    Image.fromarray(small).save(source)

    result = OUT / "photo_x4.png"
    result.unlink(missing_ok=True)
    began = time.perf_counter()
    wdsr.load("wdsr-b-8", scale=4).upscale(source, output=result)
    seconds = time.perf_counter() - began

    large = np.asarray(Image.open(result))
    pair = np.hstack([resize(small, scale=4), np.full((large.shape[0], 8, 3), 255, np.uint8), large])
    before_after = OUT / "before_after.png"
    Image.fromarray(pair.astype(np.uint8)).save(before_after)

    height, width = small.shape[:2]
    print(f"{source}  {width} x {height}")
    print(f"{result}  {width * 4} x {height * 4}, made in {seconds:.1f} s with wdsr-b-8")
    print(f"{before_after}  left: bicubic, right: wdsr; open it and look at the fur and the eyes")


if __name__ == "__main__":
    main()
