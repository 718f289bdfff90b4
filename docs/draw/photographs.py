"""ill-posed.png and base-and-detail.png: the drawings with real pixels."""

from __future__ import annotations

import numpy as np
import skimage.data
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from numpy.typing import NDArray

from wdsr.metrics import psnr
from wdsr.resize import resize, taps

from .board import IMAGES, INK, LINE, MUTED

SCALE = 4
Floats = NDArray[np.floating]


def draw() -> None:
    """Both, each from a window of the same photograph of a cat."""
    cat = skimage.data.chelsea()
    _ill_posed(cat[78:150, 134:206])
    _base_and_detail(cat[56:184, 106:234])


def _ill_posed(hr: NDArray[np.uint8]) -> None:
    """Four very different pictures with one and the same LR."""
    lr = resize(hr, scale=1 / SCALE).astype(np.uint8)
    smooth = _both_axes(np.linalg.pinv(_shrinking(len(hr))), lr.astype(np.float64))
    y, x = np.mgrid[: len(hr), : len(hr)]
    stripes = 34 * np.sin((x + 0.9 * y) * 1.9)[..., None]
    choices = {
        "the photograph": hr,
        "no detail added": _same_lr(smooth, lr),
        "fine stripes": _same_lr(smooth + stripes, lr),
        "the true detail, negated": _same_lr(2 * smooth - hr, lr),
    }
    figure = Figure(figsize=(10, 3.0), dpi=160)
    _panel(figure, (0.012, 0.27, 0.105, 0.35), lr, "LR, 18 × 18")
    for i, (name, image) in enumerate(choices.items()):
        assert np.array_equal(resize(image, scale=1 / SCALE), lr)
        below = f"{_score(image, hr):.1f} dB from the photograph" if i else ""
        _panel(figure, (0.175 + i * 0.2065, 0.115, 0.197, 0.6567), image, name, below)
    ends = ((0.168, 0.445), (0.124, 0.445), "figure fraction")
    arrow = ConnectionPatch(*ends, arrowstyle="-|>", color=INK, mutation_scale=14)
    figure.add_artist(arrow)
    figure.text(0.146, 0.36, "shrink", ha="center", fontsize=9, color=MUTED)
    words = (
        "Four 72 × 72 pictures; bicubic x4 shrinks each to the same LR, equal in every 8-bit value"
    )
    figure.text(0.5, 0.915, words, ha="center", fontsize=11.5, color=INK)
    _save(figure, "ill-posed.png")


def _base_and_detail(hr: NDArray[np.uint8]) -> None:
    """What a plain enlargement gives and what is left to add."""
    lr = resize(hr, scale=1 / SCALE).astype(np.uint8)
    base = resize(lr, scale=SCALE).astype(np.uint8)
    detail = hr.astype(np.float64) - base
    shown = np.clip(128 + 2 * detail, 0, 255).astype(np.uint8)
    figure = Figure(figsize=(10, 3.3), dpi=160)
    side, middle = 0.255, 0.495  # of the width, of the height
    for image, x, width, name, below in (
        (lr, 0.014, side / 3.2, "LR, 32 × 32", "given"),
        (base, 0.142, side, "base: bicubic x4", f"{_score(base, hr):.2f} dB (luma)"),
        (shown, 0.438, side, "detail (doubled, on grey)", "what the base lacks"),
        (hr, 0.734, side, "HR, 128 × 128", "wanted"),
    ):
        height = width * 10 / 3.3
        place = (x, middle - height / 2, width, height)
        _panel(figure, place, image, name, below, size=10.5)
    for x, sign in ((0.118, "→"), (0.4175, "+"), (0.7135, "=")):
        figure.text(x, middle, sign, ha="center", va="center", fontsize=17, color=INK)
    _save(figure, "base-and-detail.png")


def _shrinking(length: int) -> Floats:
    """The bicubic downscale of one axis, as a matrix."""
    small = length // SCALE
    indices, weights = taps(length, small, 1 / SCALE)
    matrix = np.zeros((small, length))
    for row in range(small):
        np.add.at(matrix[row], indices[row], weights[row])
    return matrix


def _both_axes(matrix: Floats, image: Floats) -> Floats:
    result: Floats = np.einsum("ij,jkc,lk->ilc", matrix, image, matrix)
    return result


def _same_lr(wish: Floats, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The 8-bit picture near `wish` whose bicubic downscale is exactly `lr`.

    Alternates two projections: onto the pictures that shrink to `lr` (add what
    the pseudo-inverse says is missing) and onto the range 0 to 255.
    """
    down = _shrinking(len(wish))
    up = np.linalg.pinv(down)
    image, target = wish, lr.astype(np.float64)
    for _ in range(500):
        missing = target - _both_axes(down, image)
        image = np.clip(image + _both_axes(up, missing), 0, 255)
        rounded: NDArray[np.uint8] = np.rint(image).astype(np.uint8)
        wrong = lr - resize(rounded, scale=1 / SCALE).astype(np.float64)
        if not wrong.any():
            return rounded
        target += 0.2 * np.clip(wrong, -1, 1)  # aim a little past what rounding spoils
    raise RuntimeError("no picture near this wish shrinks to that LR")


def _score(image: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
    return psnr(image, hr, data_range=255, shave=SCALE, luma=True)


def _panel(
    figure: Figure,
    place: tuple[float, float, float, float],
    image: NDArray[np.uint8],
    name: str,
    below: str = "",
    size: float = 10,
) -> None:
    """A framed picture with words above and below; `place` is left, bottom, width, height."""
    axis = figure.add_axes(place)
    axis.imshow(image, interpolation="nearest")
    axis.set_title(name, fontsize=size, fontweight="bold")
    axis.set_xlabel(below, fontsize=size - 1, color=MUTED)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_edgecolor(LINE)


def _save(figure: Figure, name: str) -> None:
    figure.savefig(IMAGES / name, facecolor="white", metadata={"Software": None})
