"""Enlarge a photograph four times and put it beside what bicubic makes of it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont

import wdsr
from wdsr.resize import resize

OUT = Path("demo")


def main() -> None:
    """Write `demo/` and say what is in it."""
    OUT.mkdir(exist_ok=True)
    # A photograph that ships with scikit-image, made small as a thumbnail would be.
    original = Image.open(Path(skimage.data.__file__).parent / "chelsea.png").convert("RGB")
    small = resize(np.asarray(original), scale=1 / 2).astype(np.uint8)
    source, result = OUT / "photo.png", OUT / "photo_x4.png"
    Image.fromarray(small).save(source)

    began = time.perf_counter()
    wdsr.load("wdsr-b-8", scale=4).upscale(source, output=result, overwrite=True)
    seconds = time.perf_counter() - began

    bicubic = Image.fromarray(resize(small, scale=4).astype(np.uint8))
    before_after(bicubic, Image.open(result)).save(OUT / "before_after.png")

    height, width = small.shape[:2]
    print(f"{source}  {width} x {height}, the input")
    print(f"{result}  {width * 4} x {height * 4}, made by wdsr-b-8 in {seconds:.1f} s")
    print(f"{OUT / 'before_after.png'}  left bicubic, right wdsr: look at the eye and the fur")
    print("Now yours:  .venv/bin/wdsr upscale PHOTO.jpg")


def before_after(before: Image.Image, after: Image.Image) -> Image.Image:
    """The same part of both, side by side at their own size, with captions."""
    box = (180, 110, 620, 510)
    width, height, gap, caption = box[2] - box[0], box[3] - box[1], 10, 34
    sheet = Image.new("RGB", (2 * width + gap, height + caption), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    for left, image, text in ((0, before, "bicubic x4"), (width + gap, after, "wdsr-b-8 x4")):
        sheet.paste(image.crop(box), (left, 0))
        draw.text((left + width / 2, height + caption / 2), text, "black", font, anchor="mm")
    return sheet


if __name__ == "__main__":
    main()
