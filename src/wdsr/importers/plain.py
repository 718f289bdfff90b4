"""Our own parameter names without a card: a WDSR network's `state_dict`, fused or not.

A file with a card needs none of this: see `wdsr.zoo`.
"""

from __future__ import annotations

from wdsr.importers.assemble import Around, Assembled
from wdsr.importers.layout import Layout, has_conv, take_wdsr
from wdsr.importers.tensors import Tensors


def detect(tensors: Tensors) -> bool:
    """See `Layout`."""
    return all(has_conv(tensors, name) for name in ("head", "tail", "skip"))


def read(tensors: Tensors, around: Around) -> Assembled:
    """See `Layout`."""
    return take_wdsr(
        tensors,
        around,
        head="head",
        blocks=[f"body.{number}" for number in range(tensors.highest(r"body\.(\d{1,4})\.") + 1)],
        tail="tail",
        skip="skip",
    )


LAYOUT = Layout("wdsr's own names", detect, read, mean=(0.5,))
