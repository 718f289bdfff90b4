"""The WDSR authors' own PyTorch code: github.com/ychfan/wdsr, models/wdsr.py.

    body.0                  head
    body.1 ... body.N       blocks of kind A, each with convolutions body.0 and body.2
    body.N+1                tail
    skip.0                  skip

All are weight-normalised. The file is a dict with `model_state_dict` beside the
state of optimiser and schedule. Images are in [0, 1], less a mean of 0.5; the
residual scale is in the initial gains, so in the weights.
"""

from __future__ import annotations

from wdsr.importers.assemble import Around, Assembled
from wdsr.importers.layout import Layout, has_conv, take_wdsr
from wdsr.importers.tensors import Tensors


def detect(tensors: Tensors) -> bool:
    """See `Layout`."""
    return has_conv(tensors, "body.0") and has_conv(tensors, "skip.0")


def read(tensors: Tensors, around: Around) -> Assembled:
    """See `Layout`."""
    last = max(tensors.highest(r"body\.(\d{1,4})\."), 1)
    return take_wdsr(
        tensors,
        around,
        head="body.0",
        blocks=[f"body.{number}" for number in range(1, last)],
        tail=f"body.{last}",
        skip="skip.0",
    )


LAYOUT = Layout("the authors' PyTorch WDSR", detect, read, mean=(0.5,))
