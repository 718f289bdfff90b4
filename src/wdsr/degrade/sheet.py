"""A sheet of examples: what each preset makes of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from wdsr.degrade import Preset
from wdsr.degrade.step import Pixels
from wdsr.errors import UsageError

_GAP, _HEAD, _SIDE_NOTE = 6, 26, 118  # pixels


def sheet(
    hr: Pixels,
    *,
    presets: Sequence[str],
    scale: int = 4,
    columns: int = 5,
    side: int = 224,
    seed: int = 0,
) -> Pixels:
    """One row for each preset: the middle of the picture, then LRs made of it, as large.

    Example: `sheet(hr, presets=("mild", "photo", "harsh"))`

    hr: (H, W, 3) uint8. side: of the part shown, in HR pixels, made a multiple of
        the scale; smaller for a small picture.
    columns: LRs a row. seed: the same one gives the same sheet.

    LR pixels are shown as squares. Returns (H', W', 3) uint8. Raises UsageError
    for an unknown preset, a scale below 1 and a picture smaller than 8 LR pixels.
    """
    makers = {name: Preset(name, scale) for name in presets}
    side = min(side, *hr.shape[:2]) // scale * scale
    if side < 8 * scale:
        raise UsageError(f"{hr.shape[1]} x {hr.shape[0]} is too small for a sheet at x{scale}")
    top, left = ((length - side) // 2 for length in hr.shape[:2])
    part = hr[top : top + side, left : left + side]
    size = (
        _SIDE_NOTE + (columns + 1) * (side + _GAP),
        _HEAD + len(makers) * (side + _GAP),
    )
    board = Pillow.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(board), ImageFont.load_default(15)
    heads = ["HR", *(f"LR x{scale}, {number}" for number in range(1, columns + 1))]
    for column, head in enumerate(heads):
        draw.text((_SIDE_NOTE + column * (side + _GAP), 4), head, "black", font)
    for row, (name, make) in enumerate(makers.items()):
        y = _HEAD + row * (side + _GAP)
        draw.text((6, y + side // 2 - 8), name, "black", font)
        board.paste(Pillow.fromarray(part), (_SIDE_NOTE, y))
        for column in range(columns):
            lr = make(part, np.random.default_rng([seed, column]))
            shown = Pillow.fromarray(lr).resize((side, side), Pillow.Resampling.NEAREST)
            board.paste(shown, (_SIDE_NOTE + (column + 1) * (side + _GAP), y))
    return np.asarray(board)
