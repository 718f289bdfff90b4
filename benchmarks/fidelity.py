"""What fidelity costs: the share of wall time that metadata and colour take.

    python benchmarks/fidelity.py

A photograph of 2 megapixels with profile, EXIF, XMP and IPTC is read, enlarged by 4
and written as JPEG, as `wdsr upscale` does; then the same without any of these. What
only the first has to do is timed on its own, and by the difference.
"""

from __future__ import annotations

import io
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageCms

import wdsr
from wdsr.picture import Picture, check_output, encode, read

PHOTOGRAPH = Path(skimage.__file__).parent / "data" / "astronaut.png"
REPEATS = 5


def photograph() -> Picture:
    """1632 x 1224 pixels that came with everything."""
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769).update({0xA002: 1632, 0xA003: 1224, 0x927C: bytes(20_000)})
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(PHOTOGRAPH) as image:
        pixels = np.asarray(image.convert("RGB").resize((1632, 1224), Image.Resampling.BICUBIC))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + b"<x:a>text</x:a>" * 500 + b"</x:xmpmeta>"
    iptc = b"\x1c\x02\x05\x00\x05Title"
    return Picture(
        pixels, icc=icc, exif=exif.tobytes(), xmp=xmp, iptc=iptc, dpi=(300, 300), lossy=True
    )


def bare(picture: Picture) -> Picture:
    """Its pixels alone."""
    return replace(picture, icc=None, exif=None, xmp=None, iptc=None, dpi=None)


def seconds(work: Callable[[], object]) -> float:
    """Median over repeats, after one that warms up."""
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main() -> None:
    """Print one line a step, and the share."""
    full = encode(photograph(), "jpeg")
    plain = encode(bare(photograph()), "jpeg")
    picture = read(full)
    upscaler = wdsr.load(scale=4)
    began = time.perf_counter()
    large = upscaler.upscale_picture(picture)
    enlarging = time.perf_counter() - began
    reading, reading_plain = (seconds(lambda data=data: read(data)) for data in (full, plain))  # type: ignore[misc]
    writing = seconds(lambda: encode(large, "jpeg"))
    writing_plain = seconds(lambda: encode(bare(large), "jpeg"))
    # By themselves: the same functions on a picture of one pixel, where pixels cost nothing.
    speck = replace(picture, pixels=picture.pixels[:1, :1])
    data, dot = encode(speck, "jpeg"), encode(bare(speck), "jpeg")
    alone = seconds(lambda: read(data)) - seconds(lambda: read(dot))
    alone += seconds(lambda: encode(speck, "jpeg")) - seconds(lambda: encode(bare(speck), "jpeg"))
    between = seconds(lambda: picture.enlarged(large.pixels, None))
    between += seconds(lambda: check_output(picture, "jpeg"))
    total = reading + enlarging + writing
    difference = reading - reading_plain + writing - writing_plain + between
    print(f"{platform.machine()}, {picture.width} x {picture.height} x4, {REPEATS} repeats")
    print(f"reading   {reading:7.3f} s   without metadata {reading_plain:7.3f} s")
    print(f"enlarging {enlarging:7.3f} s")
    print(f"writing   {writing:7.3f} s   without metadata {writing_plain:7.3f} s")
    print(f"metadata and colour, by the difference: {difference:7.3f} s, {difference / total:.2%}")
    print(f"metadata and colour, by themselves:     {alone + between:7.3f} s", end="")
    print(f", {(alone + between) / total:.2%}")
    assert Image.open(io.BytesIO(encode(large, "jpeg"))).size == (large.width, large.height)


if __name__ == "__main__":
    main()
