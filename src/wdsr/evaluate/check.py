"""Proof of the protocols: synthetic pictures whose scores can be worked out by hand.

Each case goes the whole way, from picture files in a folder to a row, and is
compared with a number that follows from the definitions alone. Pictures are flat,
or a line, or a ramp, so that every sum has a closed form, given beside it.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr import picture as pictures
from wdsr.evaluate import origin
from wdsr.evaluate.protocols import CLASSICAL, PROTOCOLS, Protocol
from wdsr.evaluate.scores import Method, Row, bicubic, evaluate, mean
from wdsr.resize import resize

Image = NDArray[np.uint8]

SCALE = 4
SIDE = 192  # of the test pictures; MS-SSIM wants 161


@dataclass(frozen=True)
class Case:
    """What was found, and what it must be."""

    name: str
    found: float
    expected: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether they agree; equal infinities do."""
        return self.found == self.expected or abs(self.found - self.expected) <= self.tolerance


def run() -> Iterator[Case]:
    """Every case; it takes about a second."""
    yield from _resizer()
    with tempfile.TemporaryDirectory() as folder:
        for protocol in PROTOCOLS.values():
            yield from _scores(protocol, Path(folder))
        yield from _sets(Path(folder))
    yield from _origins()


def _resizer() -> Iterator[Case]:
    # Keys' cubic, stretched twice, at distances 1/4, 3/4, 5/4, 7/4 from an LR pixel's centre
    # weighs 111, 29, -9, -3 of 256. So a line 64 brighter than its ground of 100, at HR column
    # 20, makes of LR columns 7 to 12: 100, 99.25, 107.25, 127.75, 97.75, 100, rounded.
    hr = np.full((40, 40), 100, np.uint8)
    hr[:, 20] = 164
    lr = resize(hr, scale=1 / 2)
    for column, value in zip(range(7, 13), (100, 99, 107, 128, 98, 100), strict=True):
        yield Case(f"LR of a line, column {column}", float(lr[10, column]), value, 0)
    # Pixel centres: LR column i lies at HR column 4 i + 1.5, and a ramp stays a ramp.
    ramp = np.repeat(2 * np.arange(96, dtype=np.uint8)[None], 96, axis=0)
    lr = resize(ramp, scale=1 / SCALE)
    yield Case("LR of a ramp of 2 a column, column 10", float(lr[9, 10]), 2 * (4 * 10 + 1.5), 0)
    sr = resize(np.repeat(8 * np.arange(24, dtype=np.uint8)[None], 24, axis=0), scale=SCALE)
    yield Case("bicubic of a ramp of 8, column 42", float(sr[40, 42]), 8 * (42.5 / 4 - 0.5), 0)


def _scores(protocol: Protocol, folder: Path) -> Iterator[Case]:
    gain = 219 / 255 if protocol.luma else 1.0  # luma spans 219 levels

    def found(sr: Image) -> Row:
        return _row(folder, _flat(100), lambda lr, scale: sr, protocol)

    # An error of 10 everywhere.
    row = found(_flat(110))
    error = 10 * gain
    yield Case(f"{protocol.name}: PSNR of 10 levels", row.psnr, 20 * math.log10(255 / error), 1e-9)
    # Without variance SSIM is its luminance term, and MS-SSIM that to the power 0.1333.
    a, b = (16 + 219 * v / 255 if protocol.luma else v for v in (100, 110))
    c1 = (0.01 * 255) ** 2
    luminance = (2 * a * b + c1) / (a * a + b * b + c1)
    yield Case(f"{protocol.name}: SSIM of 10 levels", row.ssim, luminance, 1e-9)
    assert row.ms_ssim is not None
    yield Case(f"{protocol.name}: MS-SSIM of 10 levels", row.ms_ssim, luminance**0.1333, 1e-9)
    # Shrunk again, 110 stays 110, whatever the protocol.
    yield Case(f"{protocol.name}: LR-PSNR", row.lr_psnr, 20 * math.log10(25.5), 1e-6)
    # A frame in the shaved border costs nothing; one pixel further in it is seen.
    shave = protocol.shave(SCALE)
    yield Case(f"{protocol.name}: the shaved border", found(_framed(shave)).psnr, math.inf, 0)
    side = SIDE - 2 * shave
    share = 4 * (side - 1) / side**2  # of the pixels that are left
    expected = 10 * math.log10(255**2 / (share * (50 * gain) ** 2))
    seen = found(_framed(shave + 1)).psnr
    yield Case(f"{protocol.name}: one pixel inside it", seen, expected, 1e-9)


def _sets(folder: Path) -> Iterator[Case]:
    # Errors of 10 and of 20: the mean of two PSNRs, not the PSNR of the mean error.
    pictures.write(pictures.Picture(_flat(60)), folder / "b.png", overwrite=True)
    pictures.write(pictures.Picture(_flat(100)), folder / "a.png", overwrite=True)

    def method(lr: Any, scale: int) -> Image:
        return _flat(110) if lr[0, 0, 0] == 100 else _flat(80)

    rows = list(evaluate(folder, SCALE, method))
    gain = 20 * math.log10(255 / 219)
    expected = (20 * math.log10(255 / 10) + 20 * math.log10(255 / 20)) / 2 + gain
    yield Case("a set: the mean of its rows", mean(rows).psnr, expected, 1e-9)
    (folder / "b.png").unlink()
    # 195 x 195 pixels at x4: 192 x 192 of them are used, and LR has 48 x 48.
    sizes = []
    odd = np.full((SIDE + 3, SIDE + 3, 3), 100, np.uint8)

    def noted(lr: Any, scale: int) -> Any:
        sizes.append(lr.shape[0])
        return bicubic(lr, scale)

    row = _row(folder, odd, noted, CLASSICAL)
    yield Case("HR cropped to a multiple: side of LR", sizes[0], SIDE / SCALE, 0)
    yield Case("HR cropped to a multiple: bicubic of a flat", row.psnr, math.inf, 0)


def _origins() -> Iterator[Case]:
    hr = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    own = origin.origin(hr, resize(hr, scale=1 / SCALE), SCALE)
    yield Case("our own LR is taken for ours", float(own.fits), 1, 0)
    for name, shrink in origin.SUSPECTS.items():
        told = origin.origin(hr, shrink(hr, SCALE), SCALE)
        yield Case(f"LR by {name} is told apart", float(name in told.likely), 1, 0)


def _row(folder: Path, hr: Image, method: Method, protocol: Protocol) -> Row:
    pictures.write(pictures.Picture(hr), folder / "a.png", overwrite=True)
    (row,) = evaluate(folder, SCALE, method, protocol)
    return row


def _flat(level: int) -> Image:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def _framed(width: int) -> Image:
    """A flat picture whose outermost pixels are 50 levels off."""
    image = np.full((SIDE, SIDE, 3), 150, np.uint8)
    image[width : SIDE - width, width : SIDE - width] = 100
    return image
