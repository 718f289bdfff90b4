"""pixel-shuffle.svg: twelve small planes become three larger ones, scale 2."""

from __future__ import annotations

from .board import BLUE, BOLD, GREEN, INK, MONO, RED, Board

COLORS = {"red": RED, "green": GREEN, "blue": BLUE}


def draw() -> None:
    """Three columns: the planes as they come, as they are read, and interleaved."""
    board = Board(
        440, "The pixel shuffle at scale 2: 12 channels of LR size become 3 of twice the size"
    )
    board.heading(224, 34, "1. the convolutions give 3·2·2 = 12 small planes")
    for phase in range(4):
        row, col = divmod(phase, 2)
        board.note(144 + phase * 84, 64, f"row {row}, col {col}", 12)
    for c, (name, color) in enumerate(COLORS.items()):
        y = 78 + c * 108
        board.heading(60, y + 24, name, color)
        board.note(60, y + 42, f"c = {c}")
        for phase in range(4):
            x, channel = 118 + phase * 84, c * 4 + phase
            board.grid(x, y, 2, 26, color)
            board.rect(x, y, 26, 26, INK, "none", stroke_width=2.6)
            board.text(x + 13, y + 18, f"{channel}", 13, **BOLD)
            board.text(x + 26, y + 72, f"channel {channel}", 12)

    board.note(486, 210, "one LR pixel:")
    board.text(486, 228, "12 numbers", 13, **BOLD)
    board.arrow(450, 246, 528, 246)

    board.heading(612, 34, "2. read as")
    board.note(612, 64, "colour, row, col", 12)
    for c, color in enumerate(COLORS.values()):
        y = 78 + c * 108
        for phase in range(4):
            row, col = divmod(phase, 2)
            board.rect(572 + col * 40, y + row * 40, 40, 40, color, stroke_width=1)
            board.heading(592 + col * 40, y + row * 40 + 25, f"{c * 4 + phase}")
        board.rect(572, y, 80, 80, INK, "none", stroke_width=2.6)
    board.arrow(672, 246, 722, 246)

    board.heading(836, 34, "3. interleaved: 3 planes")
    board.note(836, 64, "every LR pixel fills a 2×2 patch", 12)
    for c, color in enumerate(COLORS.values()):
        y = 78 + c * 108
        for row in range(4):
            for col in range(4):
                channel = c * 4 + (row % 2) * 2 + col % 2
                board.rect(790 + col * 23, y + row * 23, 23, 23, color, stroke_width=0.8)
                board.text(801.5 + col * 23, y + row * 23 + 16, f"{channel}", 11.5)
        board.rect(790, y, 46, 46, INK, "none", stroke_width=2.6)
    words = "SR[c, 2y + row, 2x + col]  =  planes[4c + 2·row + col, y, x]"
    board.text(500, 418, words, 16, **MONO)
    board.save("pixel-shuffle.svg")
