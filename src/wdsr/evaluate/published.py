"""What papers report for the sets that everybody scores: the figures of `published.toml`."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from wdsr.evaluate.protocols import Protocol

# Copies of one set differ by up to 0.1 dB; other sets of as many pictures by more than this.
_NEAR = 0.15


@dataclass(frozen=True)
class Published:
    """One network's PSNR on one set."""

    network: str
    psnr: float  # dB
    parameters: str  # as its paper says; "" if not known
    source: str


@dataclass(frozen=True)
class Recognised:
    """A set that papers score too."""

    name: str
    how: str  # it was recognised
    doubt: str = ""  # why published scores should not stand beside ours; "" if they may


def rows(name: str, scale: int, protocol: Protocol) -> list[Published]:
    """The published scores of a set at a scale and by a protocol, lowest first."""
    found = []
    for network in _figures()["networks"]:
        psnr = network.get(protocol.name, {}).get(name, {}).get(f"x{scale}")
        if psnr is not None:
            parameters = network.get("parameters", "")
            found.append(Published(network["name"], psnr, parameters, network["source"]))
    return sorted(found, key=lambda row: row.psnr)


def recognise(
    folder: Path, pictures: int, bicubic: float, scale: int, protocol: Protocol
) -> Recognised | None:
    """The set a folder holds, by a name in its path, or by what was measured on it.

    pictures: how many were scored. bicubic: their mean PSNR, by this protocol.
    """
    counts: dict[str, int] = _figures()["sets"]
    known = {
        name: row.psnr
        for name in counts
        for row in rows(name, scale, protocol)
        if row.network == "bicubic"
    }
    for part in reversed(folder.resolve().parts[-3:]):
        for name, count in counts.items():
            if _ALIASES[name].fullmatch(part) is None:
                continue
            how = f"by the name of its folder, {part}"
            if pictures != count:
                return Recognised(name, how, f"{pictures} pictures were scored, it has {count}")
            if name in known and abs(bicubic - known[name]) > _NEAR:
                doubt = f"bicubic scores {bicubic:.2f} dB here and {known[name]:.2f} dB in papers"
                return Recognised(name, how, doubt)
            if name in known:
                how += f", and bicubic scores {bicubic:.2f} dB ({known[name]:.2f} in papers)"
            return Recognised(name, how)
    for name, published in known.items():
        if pictures == counts[name] and abs(bicubic - published) <= _NEAR:
            how = f"by its {pictures} pictures and bicubic's score, {bicubic:.2f} dB"
            return Recognised(name, f"{how} ({published:.2f} in papers)")
    return None


_ALIASES = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "Set5": r"set[-_]?5",
        "Set14": r"set[-_]?14",
        "B100": r"b(sds?)?[-_]?100",
        "Urban100": r"urban[-_]?100",
        "DIV2K-val": r"div2k[-_]?val(id)?([-_]?hr)?",
    }.items()
}


@functools.cache
def _figures() -> dict[str, Any]:
    text = (resources.files("wdsr.evaluate") / "published.toml").read_text("utf-8")
    return tomllib.loads(text)
