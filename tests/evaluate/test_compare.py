"""Where models differ, and drawings in which nothing is cut."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from wdsr import picture as pictures
from wdsr.errors import UsageError, WdsrError
from wdsr.evaluate import Pair, bicubic, draw, lanczos
from wdsr.evaluate.compare import Comparison, Crop, choose_crop, given_crop, speed
from wdsr.evaluate.scores import timed
from wdsr.resize import resize

Array = NDArray[Any]

HR = pictures.read(Path(skimage.__file__).parent / "data" / "coffee.png").pixels[40:240, 60:420]


def pair(hr: Array = HR, scale: int = 4) -> Pair:
    return Pair(Path("cup.png"), scale, hr, resize(hr, scale=1 / scale))


def marked(top: int, left: int, level: int) -> Any:
    """Bicubic with a square that no other method has."""

    def method(lr: Array, scale: int) -> Array:
        sr = bicubic(lr, scale)
        sr[top : top + 40, left : left + 40] = level
        return sr

    return timed(method)


def comparison(**makers: Any) -> Comparison:
    return Comparison.of(pair(), {"bicubic": timed(bicubic), **makers})


def test_the_crop_is_where_models_differ_most() -> None:
    for found in (
        comparison(a=marked(100, 200, 255)),  # one model: it differs from bicubic
        comparison(a=marked(100, 200, 255), b=timed(bicubic)),
        comparison(a=marked(100, 200, 255), b=marked(100, 200, 0)),
    ):
        crop = choose_crop(found)
        assert (crop.width, crop.height) == (96, 96)
        assert crop.x <= 200
        assert crop.x + 96 >= 240
        assert crop.y <= 100
        assert crop.y + 96 >= 140
    # Two models that share a mistake do not differ there: bicubic does not count.
    common = comparison(a=marked(0, 0, 255), b=marked(0, 0, 255), c=marked(140, 300, 0))
    both = comparison(a=marked(0, 0, 255), b=marked(0, 0, 255))
    assert choose_crop(common).x < 96
    assert choose_crop(both) == Crop(0, 0, 96, 96)  # equal everywhere: the first window


def test_the_crop_of_a_small_picture_is_all_of_it() -> None:
    found = Comparison.of(pair(HR[:40, :60]), {"bicubic": timed(bicubic)})
    assert choose_crop(found) in (Crop(x, 0, 40, 40) for x in range(21))


def test_a_given_crop() -> None:
    crop = given_crop([10, 20, 30, 40], pair())
    np.testing.assert_array_equal(crop.of(HR), HR[20:60, 10:40])
    assert given_crop([0, 0, 360, 200], pair()) == Crop(0, 0, 360, 200)
    for values in ([331, 0, 30, 30], [0, 171, 30, 30], [-1, 0, 9, 9], [0, 0, 0, 9]):
        with pytest.raises(UsageError, match=r"not inside cup.png, which has 360 x 200 pixels"):
            given_crop(values, pair())


def test_errors_are_of_luma() -> None:
    found = comparison(a=timed(lambda lr, scale: np.clip(HR.astype(int) + 5, 0, 255).astype("u1")))
    dark = (HR < 250).all(axis=2)
    np.testing.assert_allclose(found.errors()["a"][dark], 5 * 219 / 255, atol=1e-9)


def test_speed_is_for_a_megapixel_of_lr() -> None:
    calls = []

    def slow(pair: Pair) -> tuple[Array, float]:
        calls.append(pair)
        return HR, 9.0 if len(calls) == 1 else 0.009 / len(calls)

    found = speed({"slow": slow, "finished": lambda pair: (HR, None)}, pair())
    assert found == {"slow": pytest.approx(0.009 / 4 / (50 * 90 / 1e6))}
    assert len(calls) == 4  # one to get ready, three that count


LONG = "a-model-whose-name-nobody-would-like-to-type-twice-x4"
FEW = comparison(**{"$x_1$ 模型": timed(lanczos)})
MANY = comparison(**{LONG: timed(lanczos)}, **{f"m{i}": marked(0, 9 * i, 99) for i in range(6)})
LOW = Comparison.of(pair(HR[:24]), {"bicubic": timed(bicubic), LONG: timed(lanczos)})
FIGURES = {
    "strip": lambda: draw.strip(MANY, choose_crop(MANY)),
    "wide strip": lambda: draw.strip(FEW, Crop(0, 0, 360, 60)),
    "errors": lambda: draw.error_map(MANY),
    "errors of a low picture": lambda: draw.error_map(LOW),
    "speed": lambda: draw.quality_speed(
        [(row, 2.0**i) for i, row in enumerate(MANY.rows)], "Set5 " * 40, "machine " * 40
    ),
    "speed of one": lambda: draw.quality_speed([(FEW.rows[0], 0.5)], "Set5", ""),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_words_are_cut_and_none_overlap(name: str) -> None:
    figure: Figure = FIGURES[name]()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
    assert boxes
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
        for axis in figure.axes:
            inside = axis.get_window_extent()
            assert not box.overlaps(inside.shrunk(0.98, 0.98)) or axis.get_title()
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_png_and_svg_are_whole_and_repeatable(tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        paths = [tmp_path / f"{i}.{kind}" for i in range(2)]
        for path in paths:
            draw.save(draw.strip(FEW, choose_crop(FEW)), path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(tmp_path / "0.png") as image:
        assert image.width > 4 * draw.PANEL
    assert ET.parse(tmp_path / "0.svg").getroot().tag.endswith("svg")
    with pytest.raises(WdsrError, match="cannot be written"):
        draw.save(draw.error_map(LOW), tmp_path / "missing" / "a.png")


def test_enlarged_pixels_are_all_of_one_size(tmp_path: Path) -> None:
    """In the LR panel each LR pixel is a square of 12 x 12: 4 times by the scale, 3 by zoom."""
    crop = Crop(96, 48, 96, 96)
    draw.save(draw.strip(FEW, crop), tmp_path / "strip.png")
    drawn = np.asarray(Image.open(tmp_path / "strip.png").convert("RGB"))
    lr = FEW.pair.lr[12:36, 24:48]
    expected = lr.repeat(12, axis=0).repeat(12, axis=1)[12:-12, 12:-12]  # the frame covers the rim
    height, width = expected.shape[:2]
    views = np.lib.stride_tricks.sliding_window_view(drawn[:, :, 0], (1, width))[:, :, 0]
    hits = np.argwhere((views == expected[0, :, 0]).all(axis=2))
    assert len(hits) == 12
    y, x = hits[0]
    np.testing.assert_array_equal(drawn[y : y + height, x : x + width], expected)
