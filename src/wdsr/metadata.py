"""What a file says beside its pixels: XMP and colour profiles, read and changed as bytes."""

from __future__ import annotations

import re
import struct

# Names in whatever spelling: drones write GpsLatitude, and even GpsLongtitude.
_PRIVATE = rb"(?i:GPS\w*|\w*SerialNumber|\w*Latitude|\w*Longt?itude)"
_PRIVATE_TEXT = re.compile(rb"(?i)raw profile type|(?:[\w-]+:)?" + _PRIVATE)


def xmp_updated(
    xmp: bytes, *, size: tuple[int, int] | None = None, dpi: tuple[float, float] | None = None
) -> bytes:
    """XMP for pixels that stand upright, without thumbnails; all else as it was.

    size, dpi: as in `exif.updated`; changed where XMP states them, never added.
    """
    values: dict[bytes, str] = {b"Orientation": "1"}
    if size is not None:
        height, width = map(str, size)
        values |= {b"PixelXDimension": width, b"PixelYDimension": height}
        values |= {b"ImageWidth": width, b"ImageLength": height}
    if dpi is not None:
        values |= {b"XResolution": f"{round(dpi[0] * 1000)}/1000"}
        values |= {b"YResolution": f"{round(dpi[1] * 1000)}/1000", b"ResolutionUnit": "2"}
    for name, value in values.items():
        space = rb"(?:exif|tiff)"
        xmp = re.sub(
            rb"(\b" + space + rb":" + name + rb"\s*=\s*)([\"'])[^\"'<]*\2",
            rb"\g<1>\g<2>" + value.encode() + rb"\g<2>",
            xmp,
        )
        xmp = re.sub(
            rb"(<" + space + rb":" + name + rb"\s*>)[^<]*(</)",
            rb"\g<1>" + value.encode() + rb"\g<2>",
            xmp,
        )
    return re.sub(rb"<(\w+:Thumbnails)\b.*?</\1\s*>", b"", xmp, flags=re.DOTALL)


def xmp_stripped(xmp: bytes) -> bytes:
    """XMP without position (GPS) and serial numbers, in whatever namespace.

    Empty if it is of another encoding than UTF-8, in which nothing is found.
    """
    if b"\0" in xmp:
        return b""
    xmp = re.sub(rb"\s[\w-]+:" + _PRIVATE + rb"\s*=\s*(\"[^\"]*\"|'[^']*')", b"", xmp)
    element = rb"<([\w-]+:" + _PRIVATE + rb")\b[^>]*"
    return re.sub(element + rb"(?:/>|>.*?</\1\s*>)", b"", xmp, flags=re.DOTALL)


def is_private_text(body: bytes) -> bool:
    """Whether a text of PNG has a position or serial number, or a block that may hold them.

    body: of the chunk; it begins with the name of the text.
    """
    return _PRIVATE_TEXT.match(body.partition(b"\0")[0]) is not None


def profile_fault(profile: bytes, space: str) -> str | None:
    """What is wrong with an ICC profile for pixels of a space, in words, or None.

    space: "GRAY", "RGB " or "CMYK". Grey pixels may have a profile of RGB, whose
    tone curve holds for them too.

    Source: ICC.1:2022, 7.2 (header) and 7.3 (tag table).
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return "is no profile"
    (length,) = struct.unpack_from(">I", profile)
    if length > len(profile):
        return "is cut short"
    (count,) = struct.unpack_from(">I", profile, 128)
    if 132 + 12 * count > len(profile):
        return "is cut short"
    for entry in range(132, 132 + 12 * count, 12):
        start, size = struct.unpack_from(">II", profile, entry + 4)
        if start + size > len(profile):
            return "is cut short"
    has = profile[16:20].decode("latin-1")
    if has != space and (space, has) != ("GRAY", "RGB "):
        return f"is for {has.strip()}, not for {space.strip()}"
    return None
