"""BMP by Pillow."""

from __future__ import annotations

import io
from dataclasses import replace

from wdsr.formats.base import Picture, UndecodableError, described
from wdsr.formats.pil import from_pil, to_pil
from wdsr.formats.vips import check_size


def decode(data: bytes, kind: str, most: int, *, best_effort: bool = False) -> Picture:
    """See the package."""
    from PIL.BmpImagePlugin import BmpImageFile

    try:
        image = BmpImageFile(io.BytesIO(data))  # not Image.open: this reader and no other
        check_size(image.width, image.height, most)
        picture = from_pil(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise UndecodableError(error) from error
    unsaid = picture.dpi is not None and not all(picture.dpi)  # 0 says nothing
    return described(replace(picture, dpi=None) if unsaid else picture)


def encode(picture: Picture, kind: str, quality: int | None) -> bytes:
    """See the package."""
    buffer = io.BytesIO()
    to_pil(picture).save(buffer, "BMP", dpi=picture.dpi or (0, 0))
    return buffer.getvalue()
