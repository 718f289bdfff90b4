"""blocks.svg: plain, A and B in two pairs of equal price, channel widths to scale."""

from __future__ import annotations

from wdsr.networks.wdsr import WDSR, WDSRConfig

from .board import BLUE, BOLD, FILLS, INK, LEFT, LINE, MONO, ORANGE, RIGHT, WHITE, Board
from .count import convolutions, parameters


def draw() -> None:
    """Four blocks side by side."""
    board = Board(560, "Residual blocks with their channel widths to scale")
    board.heading(255, 34, "at the price of a 64-wide plain block")
    board.heading(753, 34, "at the price of a 32-wide plain block")
    board.divider(502, 20, 522)
    for name, config, centre, color in (
        ("plain, 64 wide", WDSRConfig(block="plain", filters=64), 138, BLUE),
        ("WDSR-A, 32 wide", WDSRConfig(block="a", filters=32, expansion=4), 372, ORANGE),
        ("plain, 32 wide", WDSRConfig(block="plain", filters=32), 636, BLUE),
        ("WDSR-B, 32 wide", WDSRConfig(block="b", filters=32, expansion=6), 870, ORANGE),
    ):
        board.heading(centre, 62, name, color)
        _block(board, config, centre, color)
    board.note(
        500, 546, "bars: channels, to scale · tapers: convolutions · counts: weights + biases"
    )
    board.save("blocks.svg")


def _block(board: Board, config: WDSRConfig, centre: float, color: str) -> None:
    """One column: the block from top to bottom, then its bill."""
    block = WDSR(config).fuse().body[0]
    layers = convolutions(block)
    widths = [config.filters, *(layer.out_channels for layer in layers)]
    top, end, side = 94.0, 344.0, centre - 102  # first bar, last bar, the identity path
    step = (end - top) / len(layers)
    half = [width * 0.85 / 2 for width in widths]
    board.path(f"M{centre} 72 V{top}")
    board.route(f"M{centre} 79 H{side} V{end + 30} H{centre - 14}", LINE)
    board.note(side + 5, end + 47, "identity", **LEFT)

    def label(y: float, room: float, words: str, size: float, color: str, inside: str) -> None:
        if room >= 40:
            board.text(centre, y, words, size, inside, **({} if inside == INK else BOLD))
        else:  # too slim: to the left
            board.text(centre - room / 2 - 8, y, words, size, color, **RIGHT)

    for i, layer in enumerate(layers):
        y, a, b = top + i * step, half[i], half[i + 1]
        taper = f"M{centre - a:g} {y:g} H{centre + a:g} L{centre + b:g} {y + step:g}"
        board.path(f"{taper} H{centre - b:g} Z", color, fill=FILLS[color], stroke_width=1.2)
        size = layer.kernel_size[0]
        label(y + step / 2 + 5, a + b, f"{size}×{size}", 14, INK, INK)
    for i, channels in enumerate(widths):  # the features between the convolutions
        y, a = top + i * step, half[i]
        board.rect(centre - a, y - 7, 2 * a, 14, color, color, stroke_width=1)
        board.text(centre + a + 7, y + 5, f"{channels}", **LEFT, **BOLD)
        if i == 1:
            label(y + 4.5, 2 * a, "ReLU", 12, color, WHITE)
    board.path(f"M{centre} {end + 7} V{end + 18}")
    board.plus(centre, end + 30)
    board.route(f"M{centre} {end + 42} V{end + 58}")

    right = centre + 104
    for i, layer in enumerate(layers):
        inputs, outputs, area = layer.in_channels, layer.out_channels, layer.kernel_size[0] ** 2
        product = f"{inputs}·{outputs}·{area}" if area > 1 else f"{inputs}·{outputs}"
        words = f"{product} + {outputs} = {parameters(layer):,}"
        board.text(right, end + 88 + 19 * i, words, 13, **RIGHT, **MONO)
    board.path(f"M{right - 66} {end + 133} H{right}", stroke_width=1.2)
    board.text(right, end + 152, f"{parameters(block):,}", 15, **RIGHT, **MONO, **BOLD)
    words = f"{widths[1]} features reach the ReLU"
    board.text(right, end + 175, words, 12.5, color, **RIGHT, **BOLD)
