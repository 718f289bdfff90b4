"""weight-norm.svg: direction and length apart; batch against weight; fused."""

from __future__ import annotations

import math

from wdsr.networks.wdsr import WDSR, WDSRConfig

from .board import (
    BLUE,
    BOLD,
    FILLS,
    GREEN,
    HALO,
    LEFT,
    LINE,
    MONO,
    ORANGE,
    RED,
    RIGHT,
    WHITE,
    Board,
)
from .count import parameters


def draw() -> None:
    """Three panels."""
    board = Board(
        360, "Weight normalisation: length and direction apart, no batch, gone after training"
    )
    board.divider(322, 24, 336)
    board.divider(668, 24, 336)
    _length_and_direction(board)
    _batch_against_weight(board)
    _fused(board)
    board.save("weight-norm.svg")


def _length_and_direction(board: Board) -> None:
    """A filter as an arrow: its tip on a circle, then stretched."""
    board.heading(166, 36, "length and direction, apart")
    cx, cy, unit = 130, 204, 84
    board.add("circle", cx=cx, cy=cy, r=unit, fill="none", stroke=LINE, stroke_dasharray="4 4")
    board.note(cx, cy + unit + 20, "all filters of length 1")
    angle, turned, far = math.radians(48), math.radians(14), unit * 1.22

    def at(a: float, r: float) -> tuple[float, float]:
        return cx + r * math.cos(a), cy - r * math.sin(a)

    x, y = at(angle, 1.75 * unit)
    board.arrow(cx, cy, x, y, ORANGE)
    board.text(x + 8, y + 16, "w", 17, ORANGE, **LEFT, **BOLD)
    xu, yu = at(angle, unit)
    board.add("circle", cx=f"{xu:.1f}", cy=f"{yu:.1f}", r=4.5, fill=BLUE)
    board.text(xu - 10, yu - 8, "v / |v|", color=BLUE, **RIGHT, **BOLD, **HALO)
    (x1, y1), (x2, y2) = at(angle - 0.08, far), at(turned, far)
    arc = f"M{x1:.1f} {y1:.1f} A{far:g} {far:g} 0 0 1 {x2:.1f} {y2:.1f}"
    board.route(arc, BLUE)
    board.text(x2 - 4, y2 + 20, "v turns it", 13, BLUE, **LEFT)
    board.text(x - 14, y - 4, "g sets its length", 13, ORANGE, **RIGHT)
    board.text(166, 340, "w = g · v / |v|", 16, **MONO)


def _batch_against_weight(board: Board) -> None:
    """Which patches of a batch reach the result of one."""
    board.heading(495, 36, "what a result depends on")
    for y, name, mine, words, color in (
        (114, "batch norm, while training", 4, "my result changes with its company", RED),
        (242, "weight norm", 1, "my result is mine alone, always", GREEN),
    ):
        board.text(345, y - 18, name, color=color, **LEFT, **BOLD)
        for k in range(4):
            board.rect(346 + k * 34, y - 4, 26, 26, color, FILLS[color] if k < mine else WHITE)
        board.note(359, y + 40, "mine", 12)
        board.note(431, y + 40, "batch-mates", 12)
        board.box(500, y - 10, 80, 38, ["layer"])
        if mine > 1:
            board.arrow(474, y + 9, 498, y + 9, color)
        else:
            board.route(f"M359 {y - 4} V{y - 13} H490 V{y + 9} H498", color)
        board.arrow(580, y + 9, 606, y + 9, color)
        board.rect(608, y - 4, 26, 26, color)
        board.text(495, y + 66, words, 13, color)
    board.note(495, 58, "squares: the patches of one batch")


def _fused(board: Board) -> None:
    """How many numbers are trained and how many remain."""
    network = WDSR(WDSRConfig())
    trained = parameters(network)
    fused = parameters(network.fuse())
    board.heading(834, 36, "after training: fused")
    board.box(704, 84, 112, 62, ["g", f"{trained - fused:,}"], ORANGE)
    board.box(854, 84, 112, 62, ["v, bias", f"{fused:,}"], BLUE)
    board.text(835, 122, "+", 18, **BOLD)
    board.text(834, 168, f"{trained:,} numbers trained")
    board.arrow(834, 182, 834, 218)
    board.note(846, 206, "multiply out once", **LEFT)
    board.box(764, 224, 140, 62, ["w, bias", f"{fused:,}"], GREEN)
    board.text(834, 310, "a plain convolution,")
    board.text(834, 330, "the same output")
