"""What every network offers, so that training, export and the torch backend serve all alike."""

from __future__ import annotations

from typing import Protocol, Self

from torch import nn


class Config(Protocol):
    """What fixes a network: a frozen dataclass of plain values."""

    @property
    def scale(self) -> int:
        """HR pixels per LR pixel, each way."""
        ...

    @property
    def channels(self) -> int:
        """Of the image."""
        ...

    @property
    def radius(self) -> int:
        """The halo: how many LR pixels around a pixel its result depends on."""
        ...


class Network(nn.Module):
    """Super-resolution: (N, C, H, W) in [0, 1] -> (N, C, s*H, s*W), about [0, 1], not clipped."""

    config: Config

    def fuse(self) -> Self:
        """Fold what only training needs into plain convolutions, in place: same output, faster.

        Afterwards `config` is that of the plain network, whose weights these are.
        """
        return self


def check(config: object, **rules: tuple[bool, str]) -> None:
    """Raise ValueError naming every field of a configuration that breaks its rule."""
    problems = [
        f"{name} must be {rule}, not {getattr(config, name)!r}"
        for name, (ok, rule) in rules.items()
        if not ok
    ]
    if problems:
        raise ValueError("; ".join(problems))
