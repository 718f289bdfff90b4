"""Pixels through libvips, which is called by the name of one loader or saver.

So nothing reaches a loader that is not meant: no SVG, no PDF, nothing that opens
a network. What else a file says is read and written by the modules beside this.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

import numpy as np

from wdsr.errors import PictureError
from wdsr.formats.base import WHITE, Array, Picture, UndecodableError, joined, split

_SPACES = {1: ("b-w", "grey16", "b-w"), 3: ("srgb", "rgb16", "scrgb")}  # libvips' names, by WHITE
MOST_IN_ALL = 500_000_000  # pixels of all frames or pages together
_COLOURS = {space: count for count, spaces in _SPACES.items() for space in spaces}


@functools.cache
def vips() -> Any:
    """The library: 50 to 170 ms, so only when a file is touched."""
    logging.getLogger("pyvips").setLevel(logging.CRITICAL + 1)  # faults come as exceptions
    import pyvips

    pyvips.cache_set_max(0)  # nothing is decoded twice, so keep nothing
    return pyvips


def opened(
    data: bytes, loader: str, most: int, *, best_effort: bool = False, **options: Any
) -> Any:
    """A libvips image whose header is read and whose size is allowed.

    most: pixels that the header may declare for a frame.
    best_effort: decode what can be of a damaged file.

    Raises UndecodableError, and PictureError for a size that is not allowed.
    """
    # libjpeg merely warns of wrong codes and lost data, so "warning" it must be. The harmless
    # warnings of libpng and libtiff (odd profiles, unknown tags) do not count as such.
    fail_on = "none" if best_effort else "warning"
    options = {"fail_on": fail_on, "access": "sequential", **options}
    vips().vips_lib.vips_error_clear()  # or an older fault would be told
    try:
        image = vips().Operation.call(f"{loader}load_buffer", data, **options)
    except vips().Error as error:
        raise undecodable(error) from error
    count = (field(image, "n-pages") or 1) if options.get("n") == -1 else 1
    check_size(image.width, image.height // count, most, count)
    return image


def of_file(path: Path, loader: str, **options: Any) -> Any:
    """A libvips image of a file, whose name may be no text: libvips is not told it.

    Raises OSError, and pyvips.Error.
    """
    with path.open("rb") as file:
        source = vips().Source.new_from_descriptor(file.fileno())
    return vips().Operation.call(f"{loader}load_source", source, **options)


def undecodable(error: Any) -> UndecodableError:
    """libvips' own first words."""
    lines = [line.partition(": ")[2] for line in error.detail.splitlines()]
    told = [line for line in lines if line and "bad seek" not in line]
    return UndecodableError(told[0] if told else "load error")


def check_size(width: int, height: int, most: int, count: int = 1) -> None:
    """Raises PictureError for a header that declares nothing, or too much: a frame, or in all."""
    if not 0 < width * height <= most:
        limit = f"from 1 to {most} are read"
        raise PictureError(f"declares {width} x {height} pixels, {limit}; cut it up first")
    if width * height * count > max(most, MOST_IN_ALL):
        declared = f"declares {count} frames of {width} x {height} pixels"
        limit = f"at most {max(most, MOST_IN_ALL)} pixels are read in all"
        raise PictureError(f"{declared}, {limit}; cut it up first")


def field(image: Any, name: str) -> Any:
    """A value that libvips found in the file, or None."""
    return image.get(name) if image.get_typeof(name) else None


def decoded(image: Any) -> Picture:
    """The pixels of an image, and the profile that holds for them if libvips changed it.

    CMYK becomes sRGB, through its own profile or, without one, a common one.

    Raises UndecodableError, and PictureError for bands or samples not in `Picture`.
    """
    notes, icc = [], None
    try:
        if image.interpretation == "cmyk":
            own = field(image, "icc-profile-data")
            image = _without_inks(image, own)
            how = "its profile" if own else "a common profile, as it has none"
            notes.append(f"its CMYK became sRGB through {how}")
            icc = bytes(image.get("icc-profile-data"))
        extra = image.bands - _COLOURS.get(image.interpretation, -1)  # alpha is one
        if extra not in (0, 1) or image.format not in ("uchar", "ushort", "float"):
            fault = f"{image.bands} bands of {image.format} ({image.interpretation}) are not read"
            raise PictureError(f"{fault}; convert it to RGB of 8 or 16 bits or float32")
        array = image.numpy().reshape(image.height, image.width, image.bands)
    except vips().Error as error:
        raise undecodable(error) from error
    picture = split(array)
    return Picture(picture.pixels, picture.alpha, icc=icc, notes=tuple(notes))


def _without_inks(image: Any, own: Any) -> Any:
    from wdsr.metadata import profile_fault

    # Without the right profile all colours would be wrong: nothing to guess here.
    if own and (fault := profile_fault(bytes(own), "CMYK")):
        raise PictureError(f"is CMYK and its colour profile {fault}; convert it to RGB first")
    depth = 16 if image.format == "ushort" else 8
    return image.icc_transform(
        "srgb", embedded=True, input_profile="cmyk", depth=depth, black_point_compensation=True
    )


def saved(picture: Picture, saver: str, **options: Any) -> bytes:
    """A file of the pixels and nothing else. Raises PictureError if libvips cannot make it."""
    return call_saver(new_image(joined(picture), picture), saver, **options)


def new_image(array: Array, like: Picture) -> Any:
    """A libvips image of (H, W, bands), in the colour space of a picture."""
    kind = list(WHITE).index(like.pixels.dtype.name)
    space = _SPACES[like.pixels.shape[2]][kind]
    image = vips().Image.new_from_array(np.ascontiguousarray(array))
    return image.copy(interpretation=space, xres=1, yres=1)


def call_saver(image: Any, saver: str, **options: Any) -> bytes:
    """The bytes of a file. Raises PictureError if libvips cannot make it."""
    options = {"keep": vips().ForeignKeep.NONE, **options}
    try:
        return bytes(vips().Operation.call(f"{saver}save_buffer", image, **options))
    except vips().Error as error:
        reason = " ".join(error.detail.split())
        raise PictureError(f"cannot be encoded as {saver} ({reason})") from error
