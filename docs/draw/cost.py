"""cost.svg: the same network before and after enlarging, on a 640 x 480 picture."""

from __future__ import annotations

from wdsr.networks.wdsr import WDSR, WDSRConfig

from .board import BLUE, LEFT, ORANGE, Board
from .count import multiply_adds

SMALL, BIG = 32, 128  # sides of the squares


def draw() -> None:
    """Two rows of stages, each with its bar of multiply-adds."""
    network = WDSR(WDSRConfig()).fuse()
    width, height, s = 640, 480, network.config.scale
    after = multiply_adds(network) * width * height
    # Enlarged first, the branches need no shuffle and end in 3 channels instead of 48.
    shared = multiply_adds(network.head) + multiply_adds(network.body)
    ends = (multiply_adds(network.tail) + multiply_adds(network.skip)) // s**2
    before = (shared + ends) * width * height * s**2

    board = Board(396, "Cost of enlarging first against enlarging last")
    for y, name, steps, count, color in (
        (124, "enlarge first, then repair", ((BIG, "bicubic"), (BIG, "network")), before, BLUE),
        (
            292,
            "WDSR: network first, enlarge last",
            ((SMALL, "network"), (BIG, "shuffle")),
            after,
            ORANGE,
        ),
    ):
        board.heading(30, y - 74, name, color, **LEFT)
        board.rect(40, y - SMALL / 2, SMALL, SMALL, color)
        x = 40 + SMALL
        for side, label in steps:
            board.arrow(x + 6, y, x + 88, y, color)
            board.text(x + 46, y - 10, label, 13)
            board.rect(x + 96, y - side / 2, side, side, color)
            x += 96 + side
        board.rect(620, y - 16, count / before * 340, 32, color, color)
        words = f"{count / 1e9:.0f} billion multiply-adds"
        board.heading(620, y + 42, words, **LEFT)
    board.heading(620, 50, f"cost of one {width} × {height} picture at x{s}", **LEFT)
    board.heading(620, 358, f"{before / after:.1f} times fewer", ORANGE, **LEFT)
    board.note(284, 380, f"squares: size of the picture at each stage (1 : {s})")
    board.save("cost.svg")
