"""The networks. A family is one page: a frozen configuration beside the module it fixes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from wdsr.networks.base import Config, Network
from wdsr.networks.edsr import EDSR, EDSRConfig
from wdsr.networks.srresnet import SRResNet, SRResNetConfig
from wdsr.networks.wdsr import WDSR, WDSRConfig

__all__ = ["FAMILIES", "Config", "Network", "build", "configure", "describe"]

# Family, as a card and a recipe name it -> (configuration, network).
FAMILIES: dict[str, tuple[type, type[Network]]] = {
    "wdsr": (WDSRConfig, WDSR),
    "edsr": (EDSRConfig, EDSR),
    "srresnet": (SRResNetConfig, SRResNet),
}


def build(config: Config) -> Network:
    """The network of a configuration, freshly initialised."""
    return FAMILIES[_family(config)][1](config)


def describe(config: Config) -> dict[str, Any]:
    """A configuration as plain values: `{"family": "wdsr", "block": "b", ...}`."""
    return {"family": _family(config), **dataclasses.asdict(cast(Any, config))}


def configure(architecture: Mapping[str, Any]) -> Config:
    """The configuration that `describe` wrote.

    Raises ValueError for an unknown family or values that make no network,
    TypeError for unknown fields.
    """
    settings = dict(architecture)
    family = settings.pop("family", None)
    if not isinstance(family, str) or family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ValueError(f"unknown architecture {str(family)[:40]!r}: choose {known}")
    return cast(Config, FAMILIES[family][0](**settings))


def _family(config: Config) -> str:
    return next(name for name, (kind, _) in FAMILIES.items() if type(config) is kind)
