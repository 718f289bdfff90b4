"""The quality a JPEG file was saved with, from its quantisation tables."""

from __future__ import annotations

import struct

# Sum of the luminance table that the standard offers (ITU-T T.81, table K.1) and that
# nearly every encoder scales. Libjpeg's scale in percent is 200 - 2 q, or 5000 / q below 50.
_STANDARD_SUM = 3688


def jpeg_quality(data: bytes) -> int | None:
    """1 to 100 on libjpeg's scale, about; None if the file does not say.

    Example: `jpeg_quality(Path("photo.jpg").read_bytes())`

    data: a whole JPEG file, or as much of its beginning as holds the tables.

    Tables of other makers (cameras, Photoshop) are scaled by their sum. This is
    the quality of the last save only: an earlier, worse one leaves no trace here.
    Never raises: tables that are missing, cut short or impossible say nothing.
    """
    try:
        table = _luminance(data)
    except (struct.error, IndexError):
        return None
    if table is None or min(table) < 1:
        return None
    percent = 100 * sum(table) / _STANDARD_SUM
    quality = (200 - percent) / 2 if percent <= 100 else 5000 / percent
    return min(max(round(quality), 1), 100)


def _luminance(data: bytes) -> tuple[int, ...] | None:
    """The 64 numbers of table 0, from the segments before the first scan. ITU-T T.81, B.2.4.1."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0xDB:
            table, end = at + 4, at + 2 + length
            while table < end:
                wide, number = data[table] >> 4, data[table] & 15
                if number == 0:
                    return struct.unpack_from(">64H" if wide else ">64B", data, table + 1)
                table += 129 if wide else 65
        if marker == 0xDA or length < 2:
            return None
        at += 2 + length
    return None
