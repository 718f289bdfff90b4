"""Writes docs/which-model.md and its picture: `python -m docs.which_model`.

Every number is measured on the spot, on photographs that scikit-image ships, so
the page cannot disagree with the models. `--photo FILE.onnx` takes another photo
model than the shipped one, to look at it before it is. Needs scikit-image.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import wdsr
from wdsr import picture, zoo
from wdsr.choose import look, weigh
from wdsr.degrade.sizes import focus
from wdsr.degrade.step import to_pixels
from wdsr.picture import Picture
from wdsr.resize import resize

DOCS = Path(__file__).parent
SCALE = 4
Pixels = NDArray[np.uint8]

PHOTOGRAPHS = {  # and the top left corner of the part shown, in HR pixels
    "astronaut.png": (20, 170),
    "chelsea.png": (60, 110),
    "coffee.png": (60, 190),
    "motorcycle_left.png": (200, 300),
    "rocket.jpg": (150, 250),
}
PART = 112  # HR pixels of the part shown, each way


@dataclass(frozen=True)
class Case:
    """A kind of input, made from a photograph of known content."""

    name: str
    make: Callable[[Pixels], Picture]
    shown: str | None = None  # the photograph of the row in the drawing


def _noisy(hr: Pixels, sigma: float) -> Pixels:
    lr = resize(hr, scale=1 / SCALE)
    noise = np.random.default_rng(1).normal(0, sigma, lr.shape)
    return np.clip(np.rint(lr + noise), 0, 255).astype(np.uint8)


def _jpeg(pixels: Pixels, quality: int) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2)
    return picture.read(buffer.getvalue())


def _soft(hr: Pixels) -> Picture:
    lr = focus(SCALE, (0.8, 0.8))(hr.astype(np.float32), np.random.default_rng(1))
    return Picture(to_pixels(lr))


CASES = [
    Case(
        "clean, reduced by bicubic", lambda hr: Picture(resize(hr, scale=1 / SCALE)), "chelsea.png"
    ),
    Case("JPEG of quality 95", lambda hr: _jpeg(resize(hr, scale=1 / SCALE), 95)),
    Case("JPEG of quality 85", lambda hr: _jpeg(resize(hr, scale=1 / SCALE), 85)),
    Case("JPEG of quality 60", lambda hr: _jpeg(resize(hr, scale=1 / SCALE), 60), "coffee.png"),
    Case(
        "noise of 3 levels, JPEG of quality 75", lambda hr: _jpeg(_noisy(hr, 3), 75), "rocket.jpg"
    ),
    Case("noise of 5 levels", lambda hr: Picture(_noisy(hr, 5)), "astronaut.png"),
    Case("out of focus", _soft),
]


@dataclass(frozen=True)
class Row:
    """The means over the photographs for one case."""

    name: str
    bicubic: float
    classical: float
    photo: float
    chosen: int  # how often `auto` took the photo model


def main() -> None:
    """Measure, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", default=zoo.PHOTO_MODEL, metavar="NAME")
    parser.add_argument("-o", "--output", type=Path, default=DOCS, metavar="DIR")
    arguments = parser.parse_args()
    classical = wdsr.load(zoo.DEFAULT_MODEL, scale=SCALE, precision="float32")
    photo = wdsr.load(arguments.photo, scale=SCALE, precision="float32")
    rows, strips = [], []
    for case in CASES:
        scores, chosen = [], 0
        for name, corner in PHOTOGRAPHS.items():
            hr = picture.read(Path(skimage.__file__).parent / "data" / name).pixels
            hr = hr[: hr.shape[0] // SCALE * SCALE, : hr.shape[1] // SCALE * SCALE]
            given = case.make(hr)
            made = [
                resize(given.pixels, scale=SCALE),
                classical.upscale(given.pixels),
                photo.upscale(given.pixels),
            ]
            scores.append(
                [wdsr.psnr(sr, hr, data_range=255, shave=SCALE, luma=True) for sr in made]
            )
            chosen += _is_photo(given)
            if name == case.shown:
                shown = given.pixels.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
                strips.append((case.name, [_part(i, corner) for i in (shown, *made[1:], hr)]))
        rows.append(Row(case.name, *np.mean(scores, axis=0), chosen))
    images = arguments.output / "images"
    images.mkdir(parents=True, exist_ok=True)
    _draw(strips).save(images / "which-model.png", optimize=True)
    page = arguments.output / "which-model.md"
    page.write_text(_page(rows), encoding="utf-8")
    print(f"{page}, {images / 'which-model.png'}")  # noqa: T201


def _is_photo(given: Picture) -> bool:
    seen = look(given)
    return seen is not None and weigh(seen, "classical", "photo").model == "photo"


def _part(image: Pixels, corner: tuple[int, int]) -> Pixels:
    top, left = corner
    return image[top : top + PART, left : left + PART]


def _draw(strips: list[tuple[str, list[Pixels]]]) -> Image.Image:
    """One row for each case: what is given, both models, the truth; twice as large."""
    side, gap, head, foot = PART * 2, 8, 30, 26
    names = ["given", f"{zoo.DEFAULT_MODEL}, classical", zoo.PHOTO_MODEL, "the original"]
    size = (len(names) * (side + gap) + gap, head + len(strips) * (side + foot) + gap)
    board = Image.new("RGB", size, "white")
    draw, bold, small = (
        ImageDraw.Draw(board),
        ImageFont.load_default(16),
        ImageFont.load_default(14),
    )
    for column, name in enumerate(names):
        draw.text((gap + column * (side + gap), 7), name, "black", bold)
    for row, (name, parts) in enumerate(strips):
        y = head + row * (side + foot)
        draw.text((gap, y + side + 4), name, "#555555", small)
        for column, part in enumerate(parts):
            large = Image.fromarray(part).resize((side, side), Image.Resampling.NEAREST)
            board.paste(large, (gap + column * (side + gap), y))
    return board


def _page(rows: list[Row]) -> str:
    lines = [
        f"| {row.name} | {row.bicubic:.2f} | {_best(row.classical, row.photo)} "
        f"| {_best(row.photo, row.classical)} | {row.chosen} of {len(PHOTOGRAPHS)} |"
        for row in rows
    ]
    return PAGE.format(
        classical=zoo.DEFAULT_MODEL, photo=zoo.PHOTO_MODEL, scale=SCALE, table="\n".join(lines)
    )


def _best(score: float, other: float) -> str:
    return f"**{score:.2f}**" if score > other else f"{score:.2f}"


PAGE = """\
# Which model for which picture

`wdsr upscale` looks at each picture and chooses. This page says what it chooses from, how,
and when to overrule it with `-n`. It is written by `python -m docs.which_model`, which
measures every number anew.

| your picture | take | why |
|---|---|---|
| a clean reduction, a rendering, a drawing, 16 bits | `-n {classical}` | crispest |
| a photograph from a phone, a camera, the web | `-n {photo}` | removes JPEG blocks and noise |
| you do not know | nothing: `-n auto` is the default | looks at each file |

![Parts of photographs: as given, by both models, as they were](images/which-model.png)

## Measured

Enlarging x{scale}, PSNR in dB on luma, mean of five photographs that scikit-image ships; higher is
better. The last column says how often `auto` takes `{photo}`.

| what is given | bicubic | `{classical}` | `{photo}` | auto takes photo |
|---|---|---|---|---|
{table}

## How auto decides

A look takes 36 small windows of the picture and asks for evidence of damage:

- the quality that a JPEG file's tables state;
- steps in brightness at every eighth pixel, which are JPEG blocks, also under a later save;
- fine grain where the picture is flattest, which is noise;
- no finest detail even where the picture is busiest: enlarged before, or out of focus.

Each is divided by the level at which it alone suffices; from a sum of 1 on, it is the photo
model. In doubt, and for pictures of more than 8 bits or under 48 pixels a side, it is the
classical model. The line that `wdsr upscale` prints for a picture names the model and the reason;
`-v` adds the figures.

Fine texture all over the picture (grass, gravel) looks like noise and noise hides in it: there
`auto` stays with the classical model.

## What it cannot do

Restored detail is plausible, not evidence. Neither model knows what was there: do not read number
plates, faces or measurements from what they add. Heavy noise, motion blur and JPEG below quality
30 are beyond a network this small.
"""


if __name__ == "__main__":
    main()
