"""Draws every picture of docs/how-it-works.md: `python -m docs.draw`.

Each number on a drawing is counted on the network itself or measured on the
spot, so a drawing cannot disagree with the code. Line drawings become SVG on a
white card (readable on light and dark pages); real pixels become PNG.
Needs the `train` and `notebooks` extras.
"""

from __future__ import annotations

from . import blocks, cost, network, photographs, shuffle, tiling, training, weight_norm
from .board import IMAGES

if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for drawing in (photographs, network, blocks, shuffle, cost, weight_norm, training, tiling):
        drawing.draw()
