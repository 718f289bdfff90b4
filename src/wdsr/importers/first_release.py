"""The authors' first release, made for the EDSR framework: github.com/JiahuiYu/wdsr_ntire2018.

    head.0                  head
    body.0 ... body.N-1     blocks, each with convolutions body.0 and body.2 (A) and body.3 (B)
    tail.0                  tail
    skip.0                  skip

All are weight-normalised. The file is the state_dict itself. Images are in
[0, 255], and the network sees (x - 255 m) / 127.5 with m the mean of DIV2K; on
[0, 1] that is 2 (x - m). A residual scale is applied in forward and is not in
the file.
"""

from __future__ import annotations

from wdsr.importers.assemble import Around, Assembled
from wdsr.importers.layout import DIV2K_MEAN, Layout, has_conv, take_wdsr
from wdsr.importers.tensors import Tensors


def detect(tensors: Tensors) -> bool:
    """See `Layout`."""
    return all(has_conv(tensors, name) for name in ("head.0", "tail.0", "skip.0"))


def read(tensors: Tensors, around: Around) -> Assembled:
    """See `Layout`."""
    return take_wdsr(
        tensors,
        around,
        head="head.0",
        blocks=[f"body.{number}" for number in range(tensors.highest(r"body\.(\d{1,4})\.") + 1)],
        tail="tail.0",
        skip="skip.0",
    )


LAYOUT = Layout(
    "the authors' first release", detect, read, mean=DIV2K_MEAN, gain=2, scales_residuals=True
)
