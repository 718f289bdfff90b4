"""training.svg: one step, from a photograph to a changed filter."""

from __future__ import annotations

from wdsr.train.recipe import Recipe

from .board import BOLD, GREEN, INK, LEFT, LINE, ORANGE, RED, WHITE, Board


def draw() -> None:
    """Windows of HR and LR, the turn they share, the network and the loss."""
    recipe = Recipe()
    patch, scale = recipe.patch, recipe.network.scale
    board = Board(360, "A training step: cut matching windows, turn both, compare, correct")

    board.text(96, 34, "HR photograph", **BOLD)
    board.rect(26, 46, 140, 104, GREEN)
    board.rect(68, 66, 56, 56, INK, WHITE, stroke_width=2)
    _letter(board, 96, 94, 1.2)
    board.arrow(96, 150, 96, 218, GREEN)
    board.note(106, 178, "whole picture shrunk,", 12.5, **LEFT)
    board.note(106, 195, "MATLAB bicubic", 12.5, **LEFT)
    board.rect(78.5, 222, 35, 26, GREEN)
    board.rect(89, 227, 14, 14, INK, WHITE, stroke_width=1.4)
    _letter(board, 96, 234, 0.3)
    board.text(96, 270, "LR picture", **BOLD)

    board.arrow(166, 94, 272, 94, GREEN)
    board.note(219, 84, "one window", 12.5)
    board.arrow(114, 234, 356, 234, GREEN)
    board.note(290, 225, "the same window", 12.5)

    board.text(368, 34, "one of 8 turns and flips", **BOLD)
    for i in range(8):
        flip, turn = divmod(i, 4)
        x, y = 278 + turn * 46, 48 + flip * 46
        color, width = (INK, 2.4) if i == 1 else (LINE, 1)
        board.rect(x, y, 40, 40, color, WHITE, stroke_width=width)
        _letter(board, x + 20, y + 20, 0.8, turn * 90, color, flip)
    board.route("M367 142 V222", stroke_width=1.4, stroke_dasharray="4 3")
    board.note(378, 180, "the same turn", 12.5, **LEFT)
    board.rect(360, 227, 14, 14, INK, WHITE, stroke_width=1.4)
    _letter(board, 367, 234, 0.3, 90)
    board.note(367, 266, f"LR patch, {patch} × {patch}")

    board.arrow(378, 234, 518, 234)
    board.box(520, 208, 110, 54, ["network"], ORANGE)
    board.arrow(630, 235, 692, 235)
    board.rect(694, 207, 56, 56, ORANGE, stroke_width=2)
    _letter(board, 722, 235, 1.2, 90, ORANGE)
    board.note(722, 282, "SR patch")
    board.route("M464 94 H834 V138", GREEN)
    side = scale * patch
    board.note(640, 84, f"HR patch, {side} × {side}: what it should have been")
    board.route("M750 235 H834 V200", ORANGE)
    board.box(744, 140, 180, 58, ["MAE", "mean of |SR − HR|"], INK)
    board.route("M924 169 H966 V322 H575 V266", RED)
    board.text(770, 342, "gradient: each filter moves so that the error shrinks", 13, RED)
    board.note(218, 326, f"sizes: the default recipe at x{scale}, {recipe.batch} patches a step")
    board.save("training.svg")


def _letter(
    board: Board, x: float, y: float, size: float, turn: int = 0, color: str = INK, flip: int = 0
) -> None:
    """An F, which no turn or flip leaves as it was."""
    mirror = " scale(-1 1)" if flip else ""
    place = f"translate({x:g} {y:g}) rotate({turn}){mirror} scale({size:g}) translate(-11 -16)"
    board.add("path", transform=place, d="M0 0 H22 V6 H7 V12 H17 V18 H7 V32 H0 Z", fill=color)
