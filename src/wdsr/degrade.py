"""What happens to pictures before anyone enlarges them: blur, resizing, noise, compression.

    lr = preset("photo", 4)(hr, rng)  # (4h, 4w, 3) uint8 -> (h, w, 3) uint8

A `Step` is a pure function of (image, random generator); equal generators give
equal results. Steps are made by functions that take ranges, joined by `chain`,
`either` and `sometimes`, and named chains stand in `PRESETS`.

Lengths are pixels of the image a step is given, levels are of 255. Training
calls a preset for each patch, so whatever can works on the small side of the
reduction: there an x4 patch has a sixteenth of the values.

Sources: second-order chains, Wang et al., "Real-ESRGAN", 2021; camera noise,
Foi et al., "Practical Poissonian-Gaussian noise modeling", 2008. Needs numpy
and Pillow only.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from wdsr.errors import UsageError
from wdsr.resize import taps

Image = NDArray[np.float32]  # (H, W, 3) sRGB, 0 to 255; may overshoot until it is rounded
Pixels = NDArray[np.uint8]
Step = Callable[[Image, Generator], Image]
Range = tuple[float, float]
Resizer = Literal["bicubic", "lanczos", "bilinear", "area"]

RESIZERS: tuple[Resizer, ...] = ("bicubic", "lanczos", "bilinear", "area")

# LR pixels next to a border that a step may have mirrored. Where more of the picture is
# at hand, degrade a patch this much larger on each side and cut the result.
MARGIN = 4


# Joining steps


def chain(*steps: Step) -> Step:
    """One step after the other."""
    return lambda image, rng: functools.reduce(lambda so_far, step: step(so_far, rng), steps, image)


def either(*choices: tuple[float, Step]) -> Step:
    """One of the steps, drawn by weight."""
    cumulative = np.cumsum([weight for weight, _ in choices])

    def step(image: Image, rng: Generator) -> Image:
        drawn = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        return choices[int(drawn)][1](image, rng)

    return step


def sometimes(probability: float, step: Step) -> Step:
    """The step, or else nothing."""
    return either((probability, step), (1 - probability, lambda image, rng: image))


# Blur


def blur(sigma: Range) -> Step:
    """Gaussian, the same in every direction: a lens a little out of focus."""
    return blur_anisotropic(sigma, ratio=(1, 1))


def blur_anisotropic(sigma: Range, ratio: Range = (0.2, 1)) -> Step:
    """Gaussian, `sigma` along a random direction and `ratio` of that across: a moving hand."""

    def step(image: Image, rng: Generator) -> Image:
        along, turn = rng.uniform(*sigma), rng.uniform(0, np.pi)
        across = along * rng.uniform(*ratio)

        def response(fy: Image, fx: Image) -> Image:
            u, v = fx * np.cos(turn) + fy * np.sin(turn), fy * np.cos(turn) - fx * np.sin(turn)
            passed: Image = np.exp(-2 * np.pi**2 * ((along * u) ** 2 + (across * v) ** 2))
            return passed

        return _filter(image, response, reach=round(4 * along))

    return step


def blur_sinc(cutoff: Range) -> Step:
    """A sharp circular low-pass, which rings along edges as hard resizing and sharpening do.

    cutoff: in cycles a pixel; 0.5 is the finest stripes along an axis.
    """

    def step(image: Image, rng: Generator) -> Image:
        edge = rng.uniform(*cutoff)

        def response(fy: Image, fx: Image) -> Image:  # soft over 0.04, so that ringing ends
            return np.clip((edge - np.hypot(fy, fx)) / 0.04 + 0.5, 0, 1)

        return _filter(image, response, reach=10)

    return step


def _filter(image: Image, response: Callable[[Image, Image], Image], reach: int) -> Image:
    """Multiply the spectrum by a response to (vertical, horizontal) frequencies."""
    height, width = image.shape[:2]
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    size = wide.shape[:2]
    fy = np.fft.fftfreq(size[0]).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size[1]).astype(np.float32)
    spectrum = np.fft.rfft2(wide, axes=(0, 1))
    spectrum *= response(fy, fx).astype(np.float32)[..., None]
    result = np.fft.irfft2(spectrum, size, axes=(0, 1)).astype(np.float32)
    return result[reach : reach + height, reach : reach + width]


# Resizing


def shrink(scale: int, resizers: tuple[Resizer, ...] = ("bicubic",)) -> Step:
    """Reduce by a whole scale with one of the resizers, and round to levels.

    With "bicubic", what `wdsr.resize.resize` makes of uint8: the field's own LR.
    """

    def step(image: Image, rng: Generator) -> Image:
        size = _reduced(image, scale)
        return _resize(image, size, resizers[int(rng.integers(len(resizers)))], rounded=True)

    return step


def focus(scale: int, sigma: Range, shift: float = 0) -> Step:
    """Reduce by a whole scale as a camera does: a Gaussian spot, then one sample a pixel.

    sigma: of the spot, in pixels of the result; 0.45 is about as sharp as bicubic.
    shift: largest displacement, in pixels of the result; the picture is then a
        little off its place.
    """

    def step(image: Image, rng: Generator) -> Image:
        spot = rng.uniform(*sigma)
        (top, left), size = rng.uniform(-shift, shift, 2), _reduced(image, scale)
        rows = _spot(image.shape[0], size[0], spot, top)
        columns = _spot(image.shape[1], size[1], spot, left)
        return _both_axes(rows, columns, image)

    return step


def detour(scale: int, factor: Range, between: Step) -> Step:
    """Reduce by a whole scale in two goes, with a step between them.

    factor: size at which `between` works, as a multiple of the result's size:
        above 1 the picture is reduced again, below 1 enlarged.
    """

    def step(image: Image, rng: Generator) -> Image:
        size, by = _reduced(image, scale), rng.uniform(*factor)
        middle = max(round(size[0] * by), 1), max(round(size[1] * by), 1)
        first, second = (RESIZERS[int(which)] for which in rng.integers(len(RESIZERS), size=2))
        image = between(_resize(image, middle, first, rounded=True), rng)
        return _resize(image, size, second, rounded=True)

    return step


def _reduced(image: Image, scale: int) -> tuple[int, int]:
    return image.shape[0] // scale, image.shape[1] // scale


def _resize(image: Image, size: tuple[int, int], resizer: Resizer, *, rounded: bool) -> Image:
    rows = _weights(image.shape[0], size[0], resizer)
    columns = _weights(image.shape[1], size[1], resizer)
    return _both_axes(rows, columns, image, rounded=rounded)


def _both_axes(rows: Image, columns: Image, image: Image, *, rounded: bool = False) -> Image:
    """Matrices from the left and from the right; rounded to levels after each, as MATLAB does."""
    (h, height), (w, width) = rows.shape, columns.shape
    flat = rows @ image.reshape(height, width * 3)
    if rounded:
        flat = _levels(flat)
    turned = flat.reshape(h, width, 3).transpose(1, 0, 2).reshape(width, h * 3)
    result = (columns @ turned).reshape(w, h, 3).transpose(1, 0, 2)
    return _levels(result) if rounded else result


def _levels(image: Image) -> Image:
    levels: Image = np.clip(np.floor(image + np.float32(0.5)), 0, 255)
    return levels


@functools.lru_cache(maxsize=64)
def _weights(source: int, target: int, resizer: Resizer) -> Image:
    """(target, source) matrix that resizes an axis, antialiased, mirrored at the ends."""
    if resizer in ("bicubic", "lanczos"):
        indices, values = taps(source, target, target / source, kernel=resizer)
        matrix = np.zeros((target, source))
        np.add.at(matrix, (np.arange(target)[:, None], indices), values)
    else:
        away = np.abs(_distances(source, target)) / max(source / target, 1)
        # An area's edge cuts through source pixels, which count in part.
        sharp = max(source / target, 1)
        matrix = np.clip((0.5 - away) * sharp + 0.5, 0, 1) if resizer == "area" else 1 - away
        matrix = np.maximum(matrix, 0)
        matrix /= matrix.sum(axis=1, keepdims=True)
    return matrix.astype(np.float32)


def _spot(source: int, target: int, sigma: float, shift: float) -> Image:
    """(target, source) matrix of Gaussian spots; `sigma` and `shift` in target pixels."""
    away = _distances(source, target) - np.float32(shift * source / target)
    away *= np.float32(target / source / max(sigma, 1e-3))
    matrix: Image = np.exp(np.float32(-0.5) * away * away)
    matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), np.float32(1e-30))
    return matrix


def _distances(source: int, target: int) -> Image:
    """(target, source): from a target pixel's centre to a source pixel's, in source pixels."""
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    distances: Image = np.subtract(np.arange(source), centres[:, None], dtype=np.float32)
    return distances


# Noise


def noise_gaussian(sigma: Range, grey: float = 0.0) -> Step:
    """Gaussian noise of `sigma` levels; with probability `grey` the same in all three channels."""

    def step(image: Image, rng: Generator) -> Image:
        level, alike = rng.uniform(*sigma), rng.random() < grey
        shape = (*image.shape[:2], 1 if alike else 3)
        noisy: Image = image + np.float32(level) * rng.standard_normal(shape, np.float32)
        return noisy

    return step


def noise_poisson(photons: Range) -> Step:
    """Shot noise of a sensor that counts `photons` at white: the fewer, the noisier."""

    def step(image: Image, rng: Generator) -> Image:
        unit = np.exp(rng.uniform(*np.log(photons))) / 255
        counted: Image = (rng.poisson(np.maximum(image, 0) * unit) / unit).astype(np.float32)
        return counted

    return step


def noise_camera(strength: Range) -> Step:
    """What is left of a sensor's noise when a camera has made a picture of it.

    Shot and read noise in linear light, so that midtones are noisiest on the
    way back to sRGB; coarser in colour than in brightness, as after demosaicing.

    strength: deviation of brightness in midtones, in levels, about.
    """

    def step(image: Image, rng: Generator) -> Image:
        height, width = image.shape[:2]
        linear = (np.clip(image, 0, 255) / np.float32(255)) ** np.float32(2.2)
        fine = rng.standard_normal((height, width, 1), np.float32)
        coarse = rng.standard_normal(((height + 1) // 2, (width + 1) // 2, 3), np.float32)
        coarse = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        share = np.float32(rng.uniform(0.3, 0.9))  # of the noise that is colour
        # At middle grey, (1/2)^2.2 = 0.22 of white, one level is 0.0037 of white.
        level = 0.0037 * rng.uniform(*strength)
        read = np.float32(rng.uniform(0.01, 0.1))
        deviation = np.sqrt((linear + read) / (np.float32(0.22) + read)) * np.float32(level)
        noisy = np.maximum(linear + deviation * (fine + share * coarse), 0)
        made: Image = np.float32(255) * noisy ** np.float32(1 / 2.2)
        return made

    return step


# Compression


def jpeg(quality: Range, colour_halved: float = 0.5) -> Step:
    """JPEG there and back; the blocks begin at a random place, as in a picture cut out.

    colour_halved: probability of 4:2:0, else 4:4:4.
    """

    def step(image: Image, rng: Generator) -> Image:
        subsampling = 2 if rng.random() < colour_halved else 0
        level = round(rng.uniform(*quality))
        top, left = (int(n) for n in rng.integers(16 if subsampling else 8, size=2))
        wide = np.pad(to_pixels(image), ((top, 0), (left, 0), (0, 0)), mode="edge")
        buffer = io.BytesIO()
        Pillow.fromarray(wide).save(buffer, "JPEG", quality=level, subsampling=subsampling)
        buffer.seek(0)
        return np.asarray(JpegImageFile(buffer), np.float32)[top:, left:]

    return step


def webp(quality: Range) -> Step:
    """Lossy WebP there and back."""

    def step(image: Image, rng: Generator) -> Image:
        buffer = io.BytesIO()
        level = round(rng.uniform(*quality))
        Pillow.fromarray(to_pixels(image)).save(buffer, "WEBP", quality=level, method=0)
        buffer.seek(0)
        return np.asarray(WebPImageFile(buffer).convert("RGB"), np.float32)

    return step


def to_pixels(image: Image) -> Pixels:
    """Rounded and clipped to 8 bits."""
    return _levels(image).astype(np.uint8)


# Presets


def _classical(scale: int) -> Step:
    return shrink(scale)


def _table(scale: int) -> Step:
    """The fixed case that models are compared on."""
    return chain(shrink(scale), noise_gaussian((3, 3)), jpeg((75, 75), colour_halved=1))


def _mild(scale: int) -> Step:
    """A good camera, a good JPEG."""
    return chain(
        either((0.5, shrink(scale, RESIZERS)), (0.5, focus(scale, (0.35, 0.6)))),
        sometimes(0.5, noise_camera((0, 2))),
        sometimes(0.8, jpeg((80, 98))),
    )


def _photo(scale: int) -> Step:
    """What people have: mostly lightly damaged pictures, some bad ones, some without fault.

    The network is small: every kind of damage it must know costs it a little of all
    others. So a fifth is classical LR, which keeps clean pictures crisp; a good third is
    classical LR with light noise and JPEG; and heavy damage is rare.
    """
    noise = either((0.6, noise_gaussian((0, 6), grey=0.3)), (0.4, noise_camera((0, 5))))
    compressed = jpeg((50, 95), colour_halved=0.75)
    optics = chain(
        either((0.6, focus(scale, (0.35, 0.8))), (0.4, shrink(scale, RESIZERS))),
        sometimes(0.15, blur_anisotropic((0.3, 0.9))),
    )
    twice = detour(
        scale, (0.75, 1.75), chain(sometimes(0.6, noise), sometimes(0.8, jpeg((40, 95))))
    )
    return either(
        (0.20, shrink(scale)),
        (0.38, chain(shrink(scale), sometimes(0.8, noise), compressed)),
        (0.05, chain(shrink(scale), noise)),
        (0.24, chain(optics, sometimes(0.7, noise), sometimes(0.85, jpeg((30, 95), 0.65)))),
        (0.10, chain(twice, sometimes(0.8, jpeg((40, 95), 0.65)))),
        (0.03, chain(optics, sometimes(0.5, noise), webp((40, 95)))),
    )


def _harsh(scale: int) -> Step:
    """Twice through everything."""
    noise = either(
        (0.4, noise_gaussian((1, 15), grey=0.4)),
        (0.2, noise_poisson((60, 1000))),
        (0.4, noise_camera((1, 12))),
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
    return chain(focus(scale, (0.4, 0.6), shift=0.5), motion, noise_poisson((600, 3000)))


def _div2k_difficult(scale: int) -> Step:
    """Stands in for DIV2K's "difficult" track (x4): the same, stronger."""
    motion = blur_anisotropic((1, 2.5), ratio=(0.1, 0.5))
    return chain(focus(scale, (0.4, 0.8), shift=1), motion, noise_poisson((100, 600)))


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


def preset(name: str, scale: int) -> Callable[[Pixels, Generator], Pixels]:
    """A named way to make LR from HR.

    Example: `lr = preset("photo", 4)(hr, np.random.default_rng(0))`

    name: a key of PRESETS. scale: HR pixels per LR pixel, at least 1.

    The result takes (s*h, s*w, 3) uint8 and gives (h, w, 3) uint8; odd rows and
    columns are cut. Near a border (`MARGIN` LR pixels) it has to guess what lies beyond.

    Raises UsageError for an unknown name or scale; the result raises it for
    images of another shape or type, or without one pixel to give.
    """
    if name not in PRESETS:
        raise UsageError(f"no degradation {name!r}: choose {', '.join(PRESETS)}")
    if scale < 1:
        raise UsageError(f"scale must be at least 1, not {scale}")
    step = PRESETS[name](scale)

    def degrade(hr: Pixels, rng: Generator) -> Pixels:
        if hr.dtype != np.uint8 or hr.ndim != 3 or hr.shape[2] != 3:
            raise UsageError(f"an image must be (H, W, 3) uint8, not {hr.shape} {hr.dtype}")
        height, width = hr.shape[0] // scale * scale, hr.shape[1] // scale * scale
        if height == 0 or width == 0:
            raise UsageError(f"{hr.shape[1]} x {hr.shape[0]} is too small for x{scale}")
        return to_pixels(step(hr[:height, :width].astype(np.float32), rng))

    return degrade
