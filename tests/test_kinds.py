"""What goes in as one kind comes out as the same kind, with type, axes and white unchanged."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from wdsr import picture as pictures
from wdsr.errors import LossWarning, PictureError, UsageError
from wdsr.kinds import from_array, to_array, to_picture
from wdsr.picture import Picture

Array = NDArray[Any]


def kind_of(
    x: Any, *, output: Path | None = None, overwrite: bool = False, data_range: float | None = None
) -> Any:
    """`to_picture` for a result twice as large."""
    return to_picture(
        x,
        output=output,
        overwrite=overwrite,
        name="_x2",
        size=lambda h, w: (2 * h, 2 * w),
        data_range=data_range,
    )


SHAPES = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
)


@given(st.data(), st.sampled_from(["u1", "<u2", ">u2", "<f2", "<f4", ">f4", "<f8"]))
def test_arrays_come_back_to_the_bit(data: st.DataObject, dtype: str) -> None:
    values = st.floats(-2, 2, width=16) if "f" in dtype else None
    array = data.draw(hnp.arrays(dtype, SHAPES, elements=values))
    before = array.copy()
    picture = from_array(array)
    back = to_array(picture, array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, before)
    np.testing.assert_array_equal(array, before)
    assert (picture.alpha is not None) == (array.ndim == 3 and array.shape[2] in (2, 4))
    assert picture.pixels.dtype.isnative


@pytest.mark.parametrize(
    ("dtype", "white"), [("uint16", 4095), ("uint8", 100), ("float32", 255), ("float64", 4095.0)]
)
def test_data_range_says_what_white_is(dtype: str, white: float) -> None:
    array = np.array([[0, 1, white / 5], [white / 3, white - 1, white]]).astype(dtype)
    picture = from_array(array, data_range=white)
    assert picture.pixels.dtype == np.float32
    np.testing.assert_allclose(picture.pixels[..., 0], array / white, rtol=1e-6)
    back = to_array(picture, array, data_range=white)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, array, rtol=1e-6)


def test_integers_are_rounded_and_clipped_to_their_white() -> None:
    like = np.zeros((1, 5), np.uint16)
    picture = Picture(np.array([-0.1, 0.4 / 4095, 0.6 / 4095, 0.5, 1.2], np.float32)[None, :, None])
    np.testing.assert_array_equal(to_array(picture, like, data_range=4095), [[0, 0, 1, 2048, 4095]])


def test_the_full_range_of_an_integer_type_needs_no_floats() -> None:
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert from_array(array, data_range=255).pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5, np.uint8), "(5,)"),
        (np.zeros((2, 2, 5), np.uint8), "(2, 2, 5)"),
        (np.zeros((1, 2, 2, 3), np.uint8), "(1, 2, 2, 3)"),
        (np.zeros((0, 4), np.uint8), "empty"),
        (np.zeros((4, 4, 0), np.uint8), "(4, 4, 0)"),
        (np.zeros((4, 4), bool), "not bool: use .astype(np.uint8) * 255"),
        (np.zeros((4, 4), np.int64), "not int64: use .astype(np.uint8) if its values are"),
        (np.zeros((4, 4), complex), "complex128"),
        (np.full((4, 4), "a"), "<U1"),
        (np.full((4, 4), 200.0), "data_range"),
        (np.full((4, 4), -200.0), "data_range"),
        (np.array([[np.nan, 200.0]]), "200"),
    ],
)
def test_arrays_that_are_no_images(array: Array, words: str) -> None:
    with pytest.raises(UsageError) as error:
        from_array(array)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("white", [0, -1, float("nan"), float("inf")])
def test_a_white_that_is_none(white: float) -> None:
    with pytest.raises(UsageError, match="data_range must be above 0"):
        from_array(np.zeros((2, 2)), data_range=white)


def test_nan_alone_is_left_for_the_upscaler_to_refuse() -> None:
    from_array(np.full((2, 2), np.nan))
    from_array(np.full((2, 2), np.inf))


@pytest.mark.parametrize(
    ("mode", "back"),
    [
        ("L", "L"),
        ("RGB", "RGB"),
        ("RGBA", "RGBA"),
        ("LA", "LA"),
        ("F", "F"),
        ("I;16", "I;16"),
        ("1", "L"),  # neither can hold what a network makes
        ("P", "RGB"),
    ],
)
def test_pil_images_keep_their_mode_where_it_can_hold_the_result(mode: str, back: str) -> None:
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    picture, give_back = kind_of(image)
    result = give_back(picture)
    assert isinstance(result, Image.Image)
    assert result.mode == back
    np.testing.assert_array_equal(np.asarray(result), np.asarray(image.convert(back)))


def test_a_subclass_of_a_pil_image_is_one() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(buffer, "PNG")
    opened = Image.open(buffer)  # a PngImageFile
    own = type("Own", (Image.Image,), {})()
    own.__setstate__(opened.convert("RGB").__getstate__())
    for image in (opened, own):
        assert kind_of(image)[0].pixels.shape == (3, 4, 3)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_bytes_of_a_file_come_back_in_its_format(kind: str, wrap: Any) -> None:
    sent = pictures.encode(Picture(np.full((3, 4, 3), 99, np.uint8)), kind)
    picture, give_back = kind_of(wrap(sent))
    result = give_back(picture)
    assert isinstance(result, bytes)
    assert pictures.read(result).format == kind


def test_paths_come_back_as_paths(tmp_path: Path) -> None:
    source = tmp_path / "ä b.png"
    pictures.write(Picture(np.full((3, 4, 3), 99, np.uint8)), source)
    for x in (source, str(source)):
        picture, give_back = kind_of(x)
        target = give_back(picture)
        assert target == tmp_path / "ä b_x2.png"
        np.testing.assert_array_equal(pictures.read(target).pixels, picture.pixels)
        target.unlink()
    picture, give_back = kind_of(source, output=tmp_path / "other.webp")
    assert pictures.read(give_back(picture)).format == "webp"


def test_paths_that_cannot_be_are_refused_before_the_work(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    pictures.write(Picture(np.full((3, 4, 3), 9, np.uint8), np.full((3, 4), 9, np.uint8)), source)
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"precious")
    for output, words in (
        (source, "exists already"),
        (kept, "exists already"),
        (tmp_path / "a.jpg", "cannot hold transparency"),
    ):
        with pytest.raises(PictureError, match=words):
            kind_of(source, output=output)
    with pytest.raises(UsageError, match="would replace the input"):
        kind_of(source, output=source, overwrite=True)
    with pytest.raises(UsageError, match="suffix"):
        kind_of(source, output=tmp_path / "a.xyz")
    for name in (tmp_path / "missing.png", tmp_path, Path(), "", "."):
        with pytest.raises(PictureError):
            kind_of(name)
    assert kept.read_bytes() == b"precious"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_picture_too_long_for_its_format_is_refused_before_the_work() -> None:
    long = pictures.encode(Picture(np.zeros((1, 9000, 3), np.uint8)), "webp")
    with pytest.raises(PictureError, match="18000 x 2"):
        kind_of(long)


def test_what_a_path_would_lose_is_warned_of_before_the_work(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    pictures.write(Picture(np.full((3, 4, 3), 9, np.uint8), dpi=(300, 300)), source)
    with pytest.warns(LossWarning, match=r"a\.png: ppm cannot carry the resolution"):
        kind_of(source, output=tmp_path / "a.ppm")
    kind_of(source)  # is silent: warnings are errors here


def test_a_picture_comes_back_as_it_is() -> None:
    picture = Picture(np.zeros((3, 4, 3), np.uint8))
    got, give_back = kind_of(picture)
    assert got is picture
    assert give_back(picture) is picture


@pytest.mark.parametrize("x", [None, 4, [[1, 2]], {"a": 1}, object(), io.BytesIO(b"")])
def test_other_kinds_are_refused_by_name(x: Any) -> None:
    with pytest.raises(UsageError, match=type(x).__name__):
        kind_of(x)


def test_options_that_would_do_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="output is for paths"):
        kind_of(np.zeros((2, 2), np.uint8), output=Path("a.png"))
    with pytest.raises(UsageError, match="overwrite is for paths"):
        kind_of(np.zeros((2, 2), np.uint8), overwrite=True)
    with pytest.raises(UsageError, match="data_range is for arrays"):
        kind_of("a.png", data_range=255)
