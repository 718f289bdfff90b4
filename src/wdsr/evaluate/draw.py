"""Drawings of a comparison, as papers have them. Needs matplotlib.

Everything is placed in whole pixels, so that enlarged pixels are all of one size, and
told by words, shapes and lightness, so that a grey print says the same.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from wdsr.errors import WdsrError
from wdsr.evaluate.compare import Comparison, Crop
from wdsr.evaluate.scores import Row
from wdsr.files import write_atomically

Image = NDArray[Any]

DPI = 160
PANEL, GAP, HEAD, FOOT, MARGIN = 280, 12, 34, 62, 16  # pixels
PER_ROW = 6
INK, MUTED, FRAME = "#1f2933", "#52606d", "#8895a3"
MARKERS = "osD^vPX*<>"
_FORMATS = ("png", "svg")


def strip(comparison: Comparison, crop: Crop) -> Figure:
    """The whole picture with a window marked, and that window of LR, each SR and HR."""
    pair, scale = comparison.pair, comparison.pair.scale
    nearest = pair.lr.repeat(scale, axis=0).repeat(scale, axis=1)
    panels = [(f"LR, x{scale} pixels", "", crop.of(nearest))]
    for (name, sr), row in zip(comparison.sr.items(), comparison.rows, strict=True):
        panels.append((name, f"{_decibels(row.psnr)}\nSSIM {row.ssim:.4f}", crop.of(sr)))
    panels.append(("HR", "the original", crop.of(pair.hr)))
    zoom = max(1, round(PANEL / max(crop.width, crop.height)))
    across, down = crop.width * zoom, crop.height * zoom
    if zoom == 1:  # a large crop: as many pixels as there is room for
        across, down = _fit(crop.width, crop.height, 2 * PANEL, 2 * PANEL)
    columns = len(panels) if len(panels) <= PER_ROW else math.ceil(len(panels) / 2)
    rows = math.ceil(len(panels) / columns)
    tall = rows * (HEAD + down + FOOT) - HEAD - FOOT
    whole = _fit(pair.hr.shape[1], pair.hr.shape[0], int(1.6 * max(PANEL, across)), tall)
    left = 2 * MARGIN + whole[0]
    page = _Page(left + columns * (across + GAP) - GAP + MARGIN, tall + HEAD + FOOT + 38)
    top = HEAD + 6
    axis = page.image(MARGIN, top + (tall - whole[1]) // 2, *whole, pair.hr, smooth=True)
    for color, width in (("white", 2.6), ("black", 1.2)):  # seen on dark and on light
        box = (crop.x - 0.5, crop.y - 0.5), crop.width, crop.height
        axis.add_patch(Rectangle(*box, fill=False, edgecolor=color, linewidth=width))
    for i, (name, below, image) in enumerate(panels):
        x = left + i % columns * (across + GAP)
        y = top + i // columns * (HEAD + down + FOOT)
        page.image(x, y, across, down, image)
        page.text(x + across / 2, y - 8, name, 10, across, weight="bold")
        page.text(x + across / 2, y + down + 8, below, 9, across, va="top", color=MUTED)
    page.caption(_protocol(comparison))
    return page.figure


def error_map(comparison: Comparison) -> Figure:
    """Where each method is wrong, all on one scale: the darker the worse."""
    errors = comparison.errors()
    top_level = max(8.0, float(np.percentile(np.stack(list(errors.values())), 99.5)))
    height, width = comparison.pair.hr.shape[:2]
    columns = min(len(errors), 3)
    rows = math.ceil(len(errors) / columns)
    across, down = _fit(width, height, int(1.8 * PANEL), int(1.8 * PANEL))
    bar = 90
    page = _Page(
        2 * MARGIN + columns * (across + GAP) - GAP + bar, rows * (HEAD + down + FOOT) + 44
    )
    for i, (row, error) in enumerate(zip(comparison.rows, errors.values(), strict=True)):
        x = MARGIN + i % columns * (across + GAP)
        y = HEAD + 6 + i // columns * (HEAD + down + FOOT)
        shade = colormaps["magma_r"](np.clip(error / top_level, 0, 1))[..., :3]
        page.image(x, y, across, down, shade, smooth=True)
        page.text(x + across / 2, y - 8, row.method, 10, across, weight="bold")
        below = f"{_decibels(row.psnr)}   SSIM {row.ssim:.4f}"
        page.text(x + across / 2, y + down + 8, below, 9, across, va="top", color=MUTED)
    x = MARGIN + columns * (across + GAP) + 10
    axis = page.axis(x, HEAD + 6, 20, down)
    axis.imshow(
        np.linspace(1, 0, 256)[:, None], cmap="magma_r", aspect="auto", extent=(0, 1, 0, top_level)
    )
    axis.set(xticks=[])
    axis.yaxis.tick_right()
    axis.tick_params(labelsize=8, colors=MUTED)
    page.caption(f"|SR - HR| in levels of luma. {_protocol(comparison)}")
    return page.figure


def quality_speed(means: Sequence[tuple[Row, float]], title: str, machine: str) -> Figure:
    """PSNR against time. means: rows, and the seconds each took for an LR megapixel."""
    page = _Page(1180, 720)
    left, top, across, down = 110, 62, 700, 520
    axis = page.axis(left, top, across, down)
    seconds = [time for _, time in means]
    scores = [row.psnr for row, _ in means]
    reach = max(max(scores) - min(scores), 0.2)
    low, high = min(scores) - 0.1 * reach, max(scores) + 0.1 * reach
    axis.set(xscale="log", xlim=(min(seconds) / 1.7, max(seconds) * 1.7), ylim=(low, high))
    axis.grid(color="#d5dce3", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("seconds for one megapixel of LR (logarithmic)", fontsize=10, color=INK)
    axis.set_ylabel("PSNR, dB", fontsize=10, color=INK)
    axis.tick_params(labelsize=9, colors=MUTED)
    order = sorted(range(len(means)), key=lambda i: -scores[i])
    wanted = [top + (high - scores[i]) / (high - low) * down for i in order]
    for i, y in zip(order, _spread(wanted, 30, top, top + down), strict=True):
        shape: Any = {
            "marker": MARKERS[i % len(MARKERS)],
            "markerfacecolor": "white" if i == 0 else INK,
            "color": INK,
            "linestyle": "none",
        }
        axis.plot(seconds[i], scores[i], markersize=9, **shape)
        axis.annotate(
            "",
            (seconds[i], scores[i]),
            (1.02, 1 - (y - top) / down),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": FRAME, "linewidth": 0.8, "shrinkB": 6},
        )
        x, words = left + 1.06 * across, f"{scores[i]:.2f} dB  {means[i][0].method}"
        spot = [(left + 1.038 * across) / page.width], [1 - y / page.height]
        page.figure.add_artist(Line2D(*spot, markersize=7, **shape))
        page.text(x, y, words, 9.5, page.width - x - MARGIN, ha="left", va="center")
    page.text(left, 36, title, 11, page.width - left - MARGIN, ha="left", weight="bold")
    page.caption(f"Up is better, left is faster. {machine}")
    return page.figure


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places in rising order near the wanted ones, a gap apart and within bounds if they fit."""
    places = list(wanted)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    if places[-1] > high:
        places[-1] = max(high, low + gap * (len(places) - 1))
        for i in range(len(places) - 2, -1, -1):
            places[i] = min(places[i], places[i + 1] - gap)
    return places


def save(figure: Figure, path: Path) -> None:
    """Write a figure as its suffix says, .png or .svg, whole or not at all."""
    kind = path.suffix[1:].lower()
    assert kind in _FORMATS
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "wdsr"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script it lacks
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": "wdsr"}
        figure.savefig(stream, format=kind, dpi=DPI, facecolor="white", metadata=metadata)
    try:
        write_atomically(path, stream.getvalue())
    except OSError as error:
        raise WdsrError(f"{path}: cannot be written: {error.strerror or error}") from error


class _Page:
    """A figure measured in pixels from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def axis(self, x: float, y: float, width: float, height: float) -> Any:
        bottom = self.height - y - height
        return self.figure.add_axes(
            (x / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def image(
        self, x: float, y: float, width: float, height: float, image: Image, *, smooth: bool = False
    ) -> Any:
        axis = self.axis(x, y, width, height)
        axis.imshow(image, interpolation="antialiased" if smooth else "nearest", aspect="auto")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_edgecolor(FRAME)
        return axis

    def text(
        self, x: float, y: float, words: str, points: float, room: float, **style: Any
    ) -> None:
        """Words no wider than `room` pixels: smaller if need be, then cut in the middle."""
        style = {"ha": "center", "va": "baseline", "color": INK, **style}
        place = x / self.width, 1 - y / self.height
        text = self.figure.text(*place, words, fontsize=points, parse_math=False, **style)
        least = 0.75 * points
        while _wide(text) > room and points > least:
            points -= 0.25
            text.set_fontsize(points)
        keep = len(words)
        while _wide(text) > room and keep > 4:
            keep -= 1
            text.set_text(f"{words[: keep // 2]}…{words[-(keep // 2) :]}")

    def caption(self, words: str) -> None:
        """A line at the foot."""
        self.text(
            MARGIN, self.height - 14, words, 8.5, self.width - 2 * MARGIN, ha="left", color=MUTED
        )


def _wide(text: Any) -> float:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        return float(text.get_window_extent().width)


def _fit(width: int, height: int, most_width: int, most_height: int) -> tuple[int, int]:
    """The largest size of this shape that has room."""
    factor = min(most_width / width, most_height / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _decibels(psnr: float) -> str:
    return "equal to HR" if math.isinf(psnr) else f"{psnr:.2f} dB"


def _protocol(comparison: Comparison) -> str:
    protocol, scale = comparison.protocol, comparison.pair.scale
    return f"Scores of the whole picture, {protocol.name} protocol: {protocol.words(scale)}."
