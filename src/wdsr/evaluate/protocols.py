"""What a score is a score of. Scores of different protocols cannot be compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """The choices that change a number; all else is the same in every protocol.

    The same in all: HR is cropped to a multiple of the scale; an LR that is not given
    is HR reduced by `wdsr.resize` (MATLAB's bicubic) to 8 bits; SR is rounded and
    clipped to 8 bits; the score of a set is the mean of its pictures' scores.
    """

    name: str
    luma: bool  # BT.601 luma only; else all of RGB (SSIM: mean over its channels)
    shave_scales: int  # border left out, in multiples of the scale
    shave_pixels: int  # and pixels added to that
    used_by: str

    def shave(self, scale: int) -> int:
        """Pixels left out along each border."""
        return self.shave_scales * scale + self.shave_pixels

    def words(self, scale: int) -> str:
        """`luma, 4 pixels shaved`."""
        border = f"{self.shave(scale)} pixels shaved" if self.shave(scale) else "full frame"
        return f"{'luma' if self.luma else 'RGB'}, {border}"


CLASSICAL = Protocol("classical", True, 1, 0, "nearly all papers on Set5, Set14, B100, Urban100")
NTIRE = Protocol("ntire", False, 1, 6, "the NTIRE challenges and WDSR's authors, on DIV2K")
ANCESTOR = Protocol("ancestor", False, 0, 0, "the Keras implementation wdsr descends from")
PROTOCOLS = {protocol.name: protocol for protocol in (CLASSICAL, NTIRE, ANCESTOR)}
