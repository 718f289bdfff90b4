"""tiling.svg: core, halo and reflection."""

from __future__ import annotations

from wdsr.networks.wdsr import WDSRConfig

from .board import BLUE, BOLD, GREEN, HATCH, INK, LEFT, LINE, ORANGE, RED, WHITE, Board


def draw() -> None:
    """The tiles of a picture, and what lies beyond its border."""
    board = Board(400, "Exact tiling: read core and halo, keep the core")
    _tiles(board)
    board.divider(548, 24, 376)
    _borders(board)
    board.save("tiling.svg")


def _tiles(board: Board) -> None:
    """Two of nine tiles, with a key."""
    board.heading(214, 36, "read core + halo, keep only the core")
    x0, y0, core, rim = 84, 92, 84, 26
    side, read = 3 * core, core + 2 * rim
    style = {"stroke_width": 1, "stroke_dasharray": "4 3"}
    board.rect(x0 - rim, y0 - rim, side + 2 * rim, side + 2 * rim, LINE, HATCH, **style)
    board.rect(x0, y0, side, side, INK, stroke_width=2)
    for i in (core, 2 * core):
        board.path(f"M{x0 + i} {y0} v{side} M{x0} {y0 + i} h{side}", LINE, stroke_width=1)
    for x, y in ((x0, y0), (x0 + core, y0 + core)):
        board.rect(x - rim, y - rim, read, read, ORANGE, ORANGE, fill_opacity=0.22, stroke_width=2)
        board.rect(x, y, core, core, BLUE, stroke_width=2)
        board.heading(x + core / 2, y + core / 2 + 5, "core", BLUE)
    board.note(x0 + 2.5 * core, y0 + 2.5 * core + 5, "picture", 14)
    board.note(214, 392, "hatched: mirrored pixels")

    board.rect(388, 96, 18, 18, BLUE)
    board.text(414, 110, "kept", **LEFT)
    board.rect(388, 128, 18, 18, ORANGE, "#f3d9c0")
    board.text(414, 142, "read, thrown", **LEFT)
    board.text(414, 160, "away", **LEFT)
    board.text(388, 206, "halo, LR pixels:", **LEFT)
    deep, wide = WDSRConfig(), WDSRConfig(block="a", blocks=16, expansion=4)
    board.text(388, 232, f"wdsr-b-8: {deep.radius}", 16, **LEFT, **BOLD)
    board.text(388, 258, f"wdsr-a-16: {wide.radius}", 16, **LEFT, **BOLD)


def _borders(board: Board) -> None:
    """The start of a row of pixels, padded with zeros and by reflection."""
    board.heading(774, 36, "the border of a row of pixels, two ways")
    cell, start = 38, 700
    for y, name, words, color in (
        (84, "zero padding", "a grey frame that is not in the picture leaks in", RED),
        (234, "symmetric reflection", "the picture goes on as it was: white stays white", GREEN),
    ):
        board.text(572, y, name, color=color, **LEFT, **BOLD)
        for i, letter in enumerate("abcdef"):
            board.rect(start + i * cell, y + 16, cell, cell, BLUE)
            board.heading(start + (i + 0.5) * cell, y + 40, letter)
        for i, letter in enumerate("abc"):
            x = start - (i + 1) * cell
            if color == GREEN:  # reflection
                board.rect(x, y + 16, cell, cell, LINE, HATCH, stroke_width=1)
                board.rect(x + 9, y + 24, 20, 22, "none", WHITE, stroke_width=0, rx=4)
                board.heading(x + cell / 2, y + 40, letter)
            else:
                board.rect(x, y + 16, cell, cell, WHITE, "#3c4650", stroke_width=1)
                board.heading(x + cell / 2, y + 40, "0", WHITE)
        board.path(f"M{start} {y + 8} V{y + 62}", stroke_width=3)
        board.text(774, y + 84, words, color=color)
    board.note(774, 356, "the edge pixel is repeated: c b a | a b c", 14)
