"""network.svg: the whole of wdsr-b-8 at x4."""

from __future__ import annotations

from torch import nn

from wdsr.networks.wdsr import WDSR, WDSRConfig

from .board import BLUE, BOLD, GREEN, LEFT, LINE, ORANGE, WHITE, Board
from .count import parameters


def draw() -> None:
    """Two branches at LR size, one pixel shuffle, and the parameters of each part."""
    network = WDSR(WDSRConfig()).fuse()
    config = network.config
    channels, filters, blocks, s = config.channels, config.filters, config.blocks, config.scale
    out = channels * s**2
    board = Board(330, "WDSR: a skip branch and a main branch at LR size, then one pixel shuffle")

    top, low = 92, 196  # centre lines of the two branches
    middle = (top + low) / 2
    board.rect(136, 34, 642, 236, LINE, WHITE, rx=8, stroke_dasharray="5 4")
    board.note(457, 26, "everything in this frame works on the small picture", 14)

    board.grid(28, middle - 12, 4, 6, GREEN)
    board.text(40, middle - 24, "LR", **BOLD)
    board.note(46, middle + 36, f"{channels} × H × W")
    board.arrow(52, middle, 74, middle)
    board.box(75, middle - 16, 52, 32, [f"− {config.mean:g}"])
    board.path(f"M127 {middle} H154")
    board.route(f"M154 {middle} V{top} H172", BLUE)
    board.route(f"M154 {middle} V{low} H172", ORANGE)

    words = "skip branch: a plain base image"
    board.text(174, top - 34, words, color=BLUE, **LEFT, **BOLD)
    board.box(174, top - 24, 434, 48, [f"5×5 convolution, {channels} → {out}"], BLUE)
    words = "main branch: the detail to add"
    board.text(174, low + 56, words, color=ORANGE, **LEFT, **BOLD)
    board.box(174, low - 27, 92, 54, ["3×3", f"{channels} → {filters}"], ORANGE)
    board.arrow(266, low, 286, low, ORANGE)
    for i in range(blocks):
        board.rect(287 + 24 * i, low - 27, 18, 54, ORANGE, rx=4)
        if i:
            board.path(f"M{281 + 24 * i} {low} h6", ORANGE)
    board.text(391, low - 38, f"{blocks} residual blocks, {filters} → {filters}", **BOLD)
    board.arrow(473, low, 515, low, ORANGE)
    board.box(516, low - 27, 92, 54, ["3×3", f"{filters} → {out}"], ORANGE)

    board.route(f"M608 {top} H666 V{middle - 13}", BLUE)
    board.route(f"M608 {low} H666 V{middle + 13}", ORANGE)
    board.plus(666, middle)
    board.arrow(678, middle, 794, middle)
    board.note(726, middle + 24, f"{out} × H × W")
    board.box(796, middle - 27, 78, 54, ["pixel", "shuffle"], GREEN)
    board.arrow(874, middle, 889, middle)
    board.grid(891, middle - 48, 16, 6, GREEN)
    board.text(939, middle - 60, "SR", **BOLD)
    board.note(939, middle + 72, f"{channels} × {s}H × {s}W")
    board.note(939, middle + 90, f"{config.mean:g} added back")

    parts: dict[str, nn.Module] = {
        "skip": network.skip,
        "head": network.head,
        f"{blocks} blocks": network.body,
        "tail": network.tail,
    }
    words = " + ".join(f"{name} {parameters(part):,}" for name, part in parts.items())
    board.text(500, 305, f"parameters: {words} = {parameters(network):,}", 15)
    board.save("network.svg")
