"""Scores on held-out pictures while training goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from wdsr.errors import TrainingError
from wdsr.metrics import psnr
from wdsr.networks import Network
from wdsr.train.data import Degrade, stream
from wdsr.train.pictures import Pixels, fits, list_pictures, make_pair, match, read_rgb

Pair = tuple[Pixels, Pixels]
BEST = 100.0  # dB, of a picture without an error, as a blank page: the mean stays a number


def validation_pairs(
    folder: Path,
    scale: int,
    side: int = 480,
    *,
    lr: Path | None = None,
    degrade: Degrade | None = None,
) -> list[Pair]:
    """(LR, HR) of the central `side` x `side` pixels of each picture of a folder.

    lr: a folder with the LR pictures; made by the MATLAB convention if not given,
        or by `degrade`, always with the same random numbers.
    Raises TrainingError with all pictures that cannot be used.
    """
    files = list_pictures(folder)
    partners = match(files, list_pictures(lr), scale) if lr else []
    pairs, problems = [], []
    for number, path in enumerate(files):
        try:
            pairs.append(_pair(path, partners[number] if partners else None, scale, side))
        except TrainingError as error:
            problems.append(str(error))
    if problems:
        raise TrainingError("; ".join(problems[:5]))
    if degrade is None:
        return pairs
    return [(degrade(hr, stream(0, 0, number)), hr) for number, (_, hr) in enumerate(pairs)]


def _pair(path: Path, partner: Path | None, scale: int, side: int) -> Pair:
    hr = read_rgb(path)
    least = 4 * scale  # of which the protocol shaves half
    if min(hr.shape[:2]) < least:
        raise TrainingError(
            f"{path}: too small to be scored at x{scale}: {hr.shape[1]} x {hr.shape[0]}, "
            f"at least {least} x {least} wanted"
        )
    top, left = max(hr.shape[0] - side, 0) // 2, max(hr.shape[1] - side, 0) // 2
    if partner is None:
        return make_pair(hr[top : top + side, left : left + side], scale)
    lr = read_rgb(partner)
    if not fits(hr.shape[:2], lr.shape[:2], scale):
        raise TrainingError(f"{partner}: its size is not that of {path} over {scale}")
    y, x = top // scale, left // scale
    height = min(hr.shape[0] // scale - y, side // scale)
    width = min(hr.shape[1] // scale - x, side // scale)
    inner = hr[y * scale : (y + height) * scale, x * scale : (x + width) * scale]
    return lr[y : y + height, x : x + width], inner


def validate(network: Network, pairs: list[Pair]) -> float:
    """Mean Y-PSNR in dB by the classical protocol, float32, symmetric border.

    A picture counts for 100 dB at most.
    """
    scale = network.config.scale
    scores = [
        psnr(enlarge(network, lr), hr, data_range=255, shave=scale, luma=True) for lr, hr in pairs
    ]
    return float(np.minimum(scores, BEST).mean())


def enlarge(network: Network, lr: Pixels) -> Pixels:
    """(h, w, 3) -> (s*h, s*w, 3), rounded and clipped to uint8, on the network's device."""
    halo, scale = network.config.radius, network.config.scale
    extended = np.pad(lr, ((halo, halo), (halo, halo), (0, 0)), mode="symmetric")
    device = next(network.parameters()).device
    with torch.inference_mode():
        sr = network(to_floats(torch.from_numpy(extended[None]).to(device)))[0]
    pixels = sr.permute(1, 2, 0).cpu().numpy()  # (C, H, W) -> (H, W, C)
    edge = halo * scale
    inner = pixels[edge : pixels.shape[0] - edge, edge : pixels.shape[1] - edge]
    levels: Pixels = np.clip(np.rint(inner * 255), 0, 255).astype(np.uint8)
    return levels


def to_floats(patches: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 in [0, 1], channels last in memory."""
    return patches.permute(0, 3, 1, 2).to(torch.float32).div_(255)
