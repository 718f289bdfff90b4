"""Pillow's images as pictures, and pictures as Pillow's images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wdsr import exif as exifs
from wdsr.errors import PictureError
from wdsr.formats.base import Picture, described, joined, split
from wdsr.formats.samples import converted

if TYPE_CHECKING:
    from PIL import Image


def from_pil(image: Image.Image) -> Picture:
    """A Pillow image as a picture, upright, with its alpha even if that is opaque.

    16-bit and float grey stay so, palettes become RGB. Of an animation this is
    the frame that Pillow stands at. Raises PictureError for other modes than "1",
    L, LA, P, PA, RGB, RGBA, I (0..65535, but not all below 256), "I;16" and F.
    """
    if image.mode in ("1", "L", "La", "LA"):
        array = np.asarray(image.convert("LA" if image.has_transparency_data else "L"))
    elif image.mode in ("P", "PA", "RGB", "RGBX", "RGBa", "RGBA"):
        array = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    elif image.mode == "F":
        array = np.asarray(image)
    elif image.mode.startswith("I"):
        array = np.asarray(image)
        if array.min() < 0 or array.max() > 65535:
            raise PictureError("an image of mode I has values outside 0..65535; scale them first")
        if image.mode == "I" and array.max() <= 255:
            fault = f"an image of mode I whose values end at {array.max()} may have 8 or 16 bits"
            raise PictureError(f'{fault}: say which, with .convert("L") or .convert("I;16")')
        array = array.astype(np.uint16)
    elif image.mode == "CMYK":
        fault = "an image of mode CMYK needs its profile: give the file, by its path or its bytes"
        raise PictureError(f"{fault}, or convert it with PIL.ImageCms")
    else:
        raise PictureError(f"Pillow's mode {image.mode} is not read; convert the image to RGB")
    picture = split(array)
    exif, xmp, dpi = (image.info.get(key) for key in ("exif", "xmp", "dpi"))
    if exif is None and image.getexif():
        exif = image.getexif().tobytes()
    found = described(
        replace(
            picture,
            icc=image.info.get("icc_profile") or None,
            exif=exifs.PREFIX + exif.removeprefix(exifs.PREFIX) if exif else None,
            xmp=xmp.encode() if isinstance(xmp, str) else xmp or None,
            dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
        )
    )
    if found.alpha is None and picture.alpha is not None:
        solid = np.full(found.pixels.shape[:2], picture.white, picture.alpha.dtype)
        return replace(found, alpha=solid)
    return found


def to_pil(picture: Picture) -> Image.Image:
    """A picture as a Pillow image, with profile, EXIF, XMP and resolution in its `info`.

    Pillow holds 16 bits ("I;16") and floats ("F") only for grey without alpha;
    any other picture is rounded to 8 bits, as by `encode`.
    """
    from PIL import Image

    if picture.pixels.shape[2] == 3 or picture.alpha is not None:
        picture = converted(picture, "uint8")
    array = joined(picture)
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    info: dict[str, Any] = {"icc_profile": picture.icc, "exif": picture.exif, "xmp": picture.xmp}
    info["dpi"] = picture.dpi
    image.info |= {key: value for key, value in info.items() if value}
    return image
