"""The self-check passes here, and fails when a protocol is broken in any of its parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from wdsr import metrics
from wdsr.evaluate import Pair, Protocol, check, origin, protocols, scores


def test_it_passes() -> None:
    cases = list(check.run())
    assert len(cases) > 35
    assert [case.name for case in cases if not case.passed] == []


def truncating(resize: Callable[..., Any]) -> Callable[..., Any]:
    return lambda image, **how: np.floor(resize(image.astype(float), **how)).astype(image.dtype)


def aliased(resize: Callable[..., Any]) -> Callable[..., Any]:
    return lambda image, **how: resize(image, **how, antialias=False)


def without_shave(metric: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *images, **how: metric(*images, **{**how, "shave": 0})


def of_colour(metric: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *images, **how: metric(*images, **{**how, "luma": False})


def pooled(mean: Callable[..., Any]) -> Callable[..., Any]:
    def broken(rows: Any) -> Any:
        error = np.mean([10 ** (-row.psnr / 10) for row in rows])
        return dataclasses.replace(mean(rows), psnr=-10 * np.log10(error))

    return broken


@pytest.mark.parametrize(
    ("module", "name", "damage"),
    [
        (check, "resize", truncating),
        (check, "resize", aliased),
        (metrics, "psnr", without_shave),
        (metrics, "ssim", of_colour),
        (metrics, "psnr", of_colour),
        (metrics, "ms_ssim", of_colour),
        (metrics, "lr_psnr", lambda metric: lambda sr, lr, **how: metric(sr, lr, **how) + 0.01),
        (check, "mean", pooled),
        (origin, "_SAME_PROGRAM", lambda value: 0),
    ],
)
def test_it_notices(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, damage: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(module, name, damage(getattr(module, name)))
    assert not all(case.passed for case in check.run())


@pytest.mark.parametrize("change", [{"luma": False}, {"shave_scales": 2}, {"shave_pixels": 1}])
def test_it_notices_another_protocol(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """One that scores otherwise than it says."""
    real = scores.score

    def score(sr: Any, pair: Pair, protocol: Protocol, **how: Any) -> scores.Row:
        return real(sr, pair, dataclasses.replace(protocol, **change), **how)

    monkeypatch.setattr(scores, "score", score)
    assert not all(case.passed for case in check.run())


def test_the_protocols_are_what_their_users_do() -> None:
    assert [
        (p.name, p.luma, p.shave(2), p.shave(3), p.shave(4)) for p in protocols.PROTOCOLS.values()
    ] == [("classical", True, 2, 3, 4), ("ntire", False, 8, 9, 10), ("ancestor", False, 0, 0, 0)]
    assert protocols.CLASSICAL.words(4) == "luma, 4 pixels shaved"
    assert protocols.ANCESTOR.words(4) == "RGB, full frame"
