"""Named degradations: what may have happened to a picture, and how often.

Chains of second order are after Wang et al., "Real-ESRGAN", 2021; the ranges are ours.
"""

from __future__ import annotations

from collections.abc import Callable

from wdsr.degrade.blur import blur, blur_anisotropic, blur_sinc
from wdsr.degrade.compress import jpeg, webp
from wdsr.degrade.noise import camera, gaussian, poisson
from wdsr.degrade.sizes import RESIZERS, detour, focus, shrink
from wdsr.degrade.step import Step, chain, either, sometimes


def _classical(scale: int) -> Step:
    return shrink(scale)


def _table(scale: int) -> Step:
    """The fixed case that models are compared on."""
    return chain(shrink(scale), gaussian((3, 3)), jpeg((75, 75), colour_halved=1))


def _mild(scale: int) -> Step:
    """A good camera, a good JPEG."""
    return chain(
        either((0.5, shrink(scale, RESIZERS)), (0.5, focus(scale, (0.35, 0.6)))),
        sometimes(0.5, camera((0, 2))),
        sometimes(0.8, jpeg((80, 98))),
    )


def _photo(scale: int) -> Step:
    """What people have: mostly lightly damaged pictures, some bad ones, some without fault.

    The network is small: every kind of damage it must know costs it a little of all
    others. So a part is classical LR, which keeps clean pictures crisp (at x2 there is more
    to lose of them, so more at x2); most of the rest is classical LR with noise and JPEG;
    other optics and two rounds of everything are a quarter.
    """
    clean = 0.33 if scale == 2 else 0.12
    noise = either((0.6, gaussian((0, 6), grey=0.3)), (0.4, camera((0, 5))))
    compressed = jpeg((50, 95), colour_halved=0.75)
    optics = chain(
        either((0.6, focus(scale, (0.35, 0.8))), (0.4, shrink(scale, RESIZERS))),
        sometimes(0.15, blur_anisotropic((0.3, 0.9))),
    )
    twice = detour(
        scale, (0.75, 1.75), chain(sometimes(0.6, noise), sometimes(0.8, jpeg((40, 95))))
    )
    return either(
        (clean, shrink(scale)),
        (0.7 - clean, chain(shrink(scale), sometimes(0.8, noise), compressed)),
        (0.06, chain(shrink(scale), noise)),
        (0.14, chain(optics, sometimes(0.7, noise), sometimes(0.85, jpeg((30, 95), 0.65)))),
        (0.08, chain(twice, sometimes(0.8, jpeg((40, 95), 0.65)))),
        (0.02, chain(optics, sometimes(0.5, noise), webp((40, 95)))),
    )


def _harsh(scale: int) -> Step:
    """Twice through everything."""
    noise = either(
        (0.4, gaussian((1, 15), grey=0.4)),
        (0.2, poisson((60, 1000))),
        (0.4, camera((1, 12))),
    )
    smear = either(
        (0.5, blur((0.2, 1.5))), (0.3, blur_anisotropic((0.4, 2))), (0.2, blur_sinc((0.2, 0.5)))
    )
    packed = either((0.85, jpeg((20, 90), 0.7)), (0.15, webp((20, 90))))
    return chain(
        detour(scale, (0.5, 1.5), chain(sometimes(0.8, smear), noise, packed)),
        sometimes(0.5, smear),
        sometimes(0.5, noise),
        packed,
    )


def _div2k_unknown(scale: int) -> Step:
    """Stands in for DIV2K's "unknown" track, whose blur is not published: no noise."""
    return chain(focus(scale, (0.4, 0.9)), sometimes(0.5, blur_anisotropic((0.3, 0.8))))


def _div2k_mild(scale: int) -> Step:
    """Stands in for DIV2K's "mild" track (x4): motion blur, shift, Poisson noise."""
    motion = blur_anisotropic((0.4, 1.2), ratio=(0.1, 0.5))
    return chain(focus(scale, (0.4, 0.6), shift=0.5), motion, poisson((600, 3000)))


def _div2k_difficult(scale: int) -> Step:
    """Stands in for DIV2K's "difficult" track (x4): the same, stronger."""
    motion = blur_anisotropic((1, 2.5), ratio=(0.1, 0.5))
    return chain(focus(scale, (0.4, 0.8), shift=1), motion, poisson((100, 600)))


PRESETS: dict[str, Callable[[int], Step]] = {
    "classical": _classical,
    "table": _table,
    "mild": _mild,
    "photo": _photo,
    "harsh": _harsh,
    "div2k-unknown": _div2k_unknown,
    "div2k-mild": _div2k_mild,
    "div2k-difficult": _div2k_difficult,
}
