"""The quality that JPEG tables state."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from wdsr import picture
from wdsr.quality import jpeg_quality


def jpeg(quality: int, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [20, 30, 49, 50, 51, 75, 85, 90, 95, 98])
def test_the_quality_of_libjpeg_is_found(quality: int) -> None:
    for data in (jpeg(quality), jpeg(quality, progressive=True), jpeg(quality, exif=b"Exif\0\0x")):
        assert jpeg_quality(data) == pytest.approx(quality, abs=1)
    assert picture.read(jpeg(quality)).quality == jpeg_quality(jpeg(quality))


def test_tables_of_16_bits_and_in_another_order_are_read() -> None:
    table = b"\x11" + 128 * b"\0" + b"\x10" + 64 * b"\0\x1d"  # table 1 first; both of 16 bits
    data = b"\xff\xd8\xff\xff\xdb" + (2 + len(table)).to_bytes(2, "big") + table + b"\xff\xda"
    assert jpeg_quality(data) == 75  # 64 * 29 is half of the standard table's sum


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xdb\x00\x43\x00" + 63 * b"\x01",  # cut short
        b"\xff\xd8\xff\xdb\x00\x43\x00" + 64 * b"\x00",  # dividing by zero
        b"\xff\xd8\xff\xdb\x00\x00\x00" + 64 * b"\x01",  # no length
        b"\xff\xd8\xff\xda\x00\x02" + 70 * b"\x01",  # no table before the scan
        jpeg(75)[:20],
        b"\x89PNG\r\n\x1a\n" + 100 * b"\0",
    ],
)
def test_files_that_do_not_say_give_nothing(data: bytes) -> None:
    assert jpeg_quality(data) is None


def test_only_jpeg_files_have_a_quality() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    assert picture.read(buffer.getvalue()).quality is None
