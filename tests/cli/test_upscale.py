"""`wdsr upscale`: which files it writes, how large, and what they hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.cli.files import files, load, one_line, pixels, repeated, save

from wdsr import picture as pictures
from wdsr import zoo

Wdsr = Callable[..., Any]  # see conftest.py

# Whole sizes and pixels are judged here; real engines are in tests/test_upscale.py.
pytestmark = pytest.mark.usefixtures("nearest")


# Where results go


def test_two_words_make_a_picture_four_times_larger_beside_the_input(wdsr: Wdsr) -> None:
    save("photo.png")
    ran = wdsr("upscale", "photo.png")
    assert (ran.code, ran.out) == (0, b"")
    assert files() == ["photo.png", "photo_x4.png"]
    np.testing.assert_array_equal(load("photo_x4.png"), repeated(pixels(), 4))
    assert len(ran.lines) == 1
    assert "photo.png -> photo_x4.png: 9 x 6 -> 36 x 24 in " in ran.err


def test_the_result_has_the_inputs_format_and_spelling(wdsr: Wdsr) -> None:
    save("Ünï cödé.JPEG", format="jpeg")
    assert wdsr("upscale", "Ünï cödé.JPEG").code == 0
    assert files() == ["Ünï cödé.JPEG", "Ünï cödé_x4.JPEG"]
    with Image.open("Ünï cödé_x4.JPEG") as image:
        assert image.format == "JPEG"


def test_input_option_is_the_same_as_an_argument(wdsr: Wdsr) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(name)
    assert wdsr("upscale", "-i", "a.png").code == 0
    assert wdsr("upscale", "b.png", "-i", "c.png", "--input", "a.png", "-o", "out").code == 0
    assert files() == sorted(
        ["a.png", "b.png", "c.png", "a_x4.png", *(f"out/{n}_x4.png" for n in "abc")]
    )


def test_a_file_named_twice_is_enlarged_once(wdsr: Wdsr) -> None:
    save("a.png")
    ran = wdsr("upscale", "a.png", "a.png", "-i", "a.png")
    assert ran.code == 0
    assert len(ran.lines) == 1


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("big.png", "big.png"),
        ("new/deep/big.webp", "new/deep/big.webp"),
        ("new/deep", "new/deep/a_x4.png"),
        ("there", "there/a_x4.png"),
        ("there.d", "there.d/a_x4.png"),  # looks like a file, but is a folder
    ],
)
def test_output_is_a_file_or_a_folder_which_is_made(wdsr: Wdsr, out: str, expected: str) -> None:
    save("a.png")
    Path("there").mkdir()
    Path("there.d").mkdir()
    assert wdsr("upscale", "a.png", "-o", out).code == 0
    assert files() == sorted(["a.png", expected])
    assert load(expected).shape == (24, 36, 3)


def test_a_folders_pictures_go_to_a_folder_beside_it(wdsr: Wdsr) -> None:
    for name in ("in/b.png", "in/a.jpg", "in/.hidden.png", "in/deep/c.png"):
        save(name)
    Path("in/notes.txt").write_text("no picture")
    ran = wdsr("upscale", "in")
    assert ran.code == 0
    assert files("in_x4") == ["a_x4.jpg", "b_x4.png"]
    assert ran.lines[0] == "wdsr: note: left out: 1 without a picture suffix"
    assert len(ran.lines) == 3


def test_recursion_mirrors_subfolders(wdsr: Wdsr) -> None:
    for name in ("in/a.png", "in/one/a.png", "in/one/two/b.png"):
        save(name)
    assert wdsr("upscale", "in", "-r", "-o", "out").code == 0
    assert files("out") == ["a_x4.png", "one/a_x4.png", "one/two/b_x4.png"]
    Path("here").mkdir()
    assert wdsr("upscale", "in", "--recursive", "--suffix", "", "-o", "here").code == 0
    assert files("here") == ["a.png", "one/a.png", "one/two/b.png"]


@pytest.mark.parametrize("folder", [".", "../in", ".."])
def test_a_folder_may_be_called_by_dots(
    wdsr: Wdsr, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("in/a.png")
    save("in/deep/b.png")
    monkeypatch.chdir(tmp_path / ("in/deep" if folder == ".." else "in"))
    assert wdsr("upscale", folder).code == 0
    assert files(tmp_path / "in_x4") == ["a_x4.png"]


def test_results_inside_the_input_folder_are_not_enlarged_again(wdsr: Wdsr) -> None:
    save("in/a.png")
    for _ in range(2):
        assert wdsr("upscale", "in", "-r", "-y", "-o", "in/out").code == 0
        assert files("in") == ["a.png", "out/a_x4.png"]


def test_suffix(wdsr: Wdsr) -> None:
    save("a.png")
    assert wdsr("upscale", "a.png", "--suffix", " (big)").code == 0
    assert wdsr("upscale", "a.png", "--suffix", "", "-o", "out").code == 0
    assert files() == ["a (big).png", "a.png", "out/a.png"]


# How large


@pytest.mark.parametrize(
    ("options", "size", "name"),
    [
        (["-s", "1"], (9, 6), "a_x1.png"),
        (["-s", "2"], (18, 12), "a_x2.png"),
        (["-s", "2.5"], (22, 15), "a_x2.5.png"),
        (["--scale", "3"], (27, 18), "a_x3.png"),
        (["-s", "4.5"], (40, 27), "a_x4.5.png"),
        (["-s", "8"], (72, 48), "a_x8.png"),
        (["-s", "1.01"], (9, 6), "a_x1.01.png"),
        (["--width", "30"], (30, 20), "a_w30.png"),
        (["--height", "30"], (45, 30), "a_h30.png"),
        (["--width", "10", "--height", "50"], (10, 50), "a_10x50.png"),
        (["--max-side", "31"], (31, 21), "a_max31.png"),
        (["--max-side", "9"], (9, 6), "a_max9.png"),
    ],
)
def test_the_result_has_exactly_this_size(
    wdsr: Wdsr, options: list[str], size: tuple[int, int], name: str
) -> None:
    save("a.png")
    assert wdsr("upscale", "a.png", *options).code == 0
    assert files() == ["a.png", name] if name > "a.png" else [name, "a.png"]
    with Image.open(name) as image:
        assert image.size == size


@pytest.mark.parametrize(
    "options",
    [
        ["-s", "0"],
        ["-s", "0.99"],
        ["-s", "-2"],
        ["-s", "nan"],
        ["-s", "inf"],
        ["-s", "65"],
        ["-s", "two"],
        ["--width", "0"],
        ["--width", "8"],
        ["--height", "-1"],
        ["--height", "5"],
        ["--width", "100", "--height", "5"],
        ["--max-side", "0"],
        ["--max-side", "8"],
        ["--max-side", "1000000"],
        ["--width", "7.5"],
        ["-s", "2", "--width", "20"],
        ["--max-side", "20", "--height", "20"],
        ["--suffix", "../up"],
        ["--suffix", "a/b"],
        ["-t", "0"],
        ["-t", "1"],
        ["-t", "15"],
        ["-t", "-5"],
        ["-t", "big"],
        ["--threads", "0"],
        ["--backend", "gpu"],
        ["--precision", "int3"],
        ["-n", "wdsr-z-99"],
        ["-f", "xcf"],
        ["-q", "0"],
        ["-q", "101"],
        ["--no-such-option"],
        ["-s"],
        ["-o", "picture.xyz"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_ends_with_2_and_does_nothing(
    wdsr: Wdsr, options: list[str], nearest: Any
) -> None:
    save("a.png")
    ran = wdsr("upscale", "a.png", *options)
    one_line(ran)
    assert ran.code == 2
    assert files() == ["a.png"]
    assert nearest.runs == 0


def test_a_wrong_call_is_told_once_for_many_files(wdsr: Wdsr) -> None:
    save("in/a.png")
    save("in/b.png")
    for option in (["--backend", "gpu"], ["--precision", "x"], ["-s", "0"], ["-n", "nix"]):
        ran = wdsr("upscale", "in", *option)
        one_line(ran)
        assert ran.code == 2


def test_a_message_names_what_to_do(wdsr: Wdsr) -> None:
    save("a.png")
    one_line(wdsr("upscale"), "no input", "stdin")
    one_line(wdsr("upscale", "a.png", "-n", "nix"), "'nix'", zoo.DEFAULT_MODEL, ".onnx")
    one_line(wdsr("upscale", "a.png", "-f", "nix"), "'nix'", "jpeg, png")
    one_line(wdsr("upscale", "a.png", "--nix"), "--nix", "wdsr upscale --help")
    one_line(wdsr("upscale", "a.png", "--width", "5"), "a.png", "5 x 3", "9 x 6")
    one_line(wdsr("nix"), "'nix'", "wdsr --help")
    for arguments in ([], ["upscale"], ["nix"], ["upscale", "--nix"]):
        assert wdsr(*arguments).code == 2


# Formats


@pytest.mark.parametrize(
    ("asked", "kind", "suffix"),
    [
        ("jpeg", "jpeg", ".jpg"),
        ("jpg", "jpeg", ".jpg"),
        ("PNG", "png", ".png"),
        ("webp", "webp", ".webp"),
        ("tif", "tiff", ".tif"),
        ("tiff", "tiff", ".tif"),
    ],
)
def test_format_names_the_files_too(wdsr: Wdsr, asked: str, kind: str, suffix: str) -> None:
    save("a.bmp")
    assert wdsr("upscale", "a.bmp", "-f", asked).code == 0
    assert files() == ["a.bmp", f"a_x4{suffix}"]
    assert pictures.read(Path(f"a_x4{suffix}")).format == kind


def test_a_suffix_of_the_right_format_stays(wdsr: Wdsr) -> None:
    save("a.jpeg")
    save("b.png")
    assert wdsr("upscale", "a.jpeg", "b.png", "-f", "jpeg", "-o", "out").code == 0
    assert files("out") == ["a_x4.jpeg", "b_x4.jpg"]


def test_quality_makes_smaller_files(wdsr: Wdsr) -> None:
    save("a.jpg", pixels(60, 80))
    for quality in (20, 90):
        assert wdsr("upscale", "a.jpg", "-q", quality, "-o", f"{quality}.jpg").code == 0
    assert Path("20.jpg").stat().st_size < Path("90.jpg").stat().st_size / 2


def test_what_a_format_cannot_hold_is_refused_before_the_work(wdsr: Wdsr, nearest: Any) -> None:
    save("logo.png", pixels(channels=4))
    ran = wdsr("upscale", "logo.png", "-f", "jpeg", "-o", "new")
    one_line(ran, "logo.png", "jpeg cannot hold transparency", "png")
    assert ran.code == 1
    save("long.png", pixels(1, 5000))
    ran = wdsr("upscale", "long.png", "-f", "webp", "-o", "new")
    one_line(ran, "long.png", "webp", "20000 x 4")
    assert ran.code == 1
    assert files() == ["logo.png", "long.png"]
    assert not Path("new").exists()
    assert nearest.runs == 0


# What the picture came with


def test_orientation_and_profile(wdsr: Wdsr) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by a quarter to the right
    save("a.png", exif=exif.tobytes(), icc_profile=b"")
    assert wdsr("upscale", "a.png", "-s", "2").code == 0
    np.testing.assert_array_equal(load("a_x2.png"), repeated(np.rot90(pixels(), -1), 2))
    with Image.open("a_x2.png") as image:
        assert image.getexif().get(0x0112, 1) == 1


def test_sixteen_bits_and_alpha(wdsr: Wdsr) -> None:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (5, 7, 3), np.uint16)
    veil = rng.integers(1, 65536, (5, 7), np.uint16)
    pictures.write(pictures.Picture(deep, veil), Path("deep.png"))
    assert wdsr("upscale", "deep.png", "-s", "2").code == 0
    result = pictures.read(Path("deep_x2.png"))
    np.testing.assert_array_equal(result.pixels, repeated(deep, 2))
    np.testing.assert_array_equal(result.alpha, repeated(veil, 2))


def test_grey_stays_grey(wdsr: Wdsr) -> None:
    save("a.png", pixels(channels=1))
    ran = wdsr("upscale", "a.png", "-o", "-")
    with Image.open(io.BytesIO(ran.out)) as image:
        assert image.mode == "L"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["0.5", "-n", "wdsr-b-8"], "no softer model"),
        (["2", "-n", "wdsr-b-8"], "0 to 1"),
        (["0.5", "-n", "auto"], "GAN model"),
        (["much"], "--sharpness"),
    ],
)
def test_sharpness_that_cannot_be(wdsr: Wdsr, arguments: list[str], word: str) -> None:
    ran = wdsr("upscale", "a.png", "--sharpness", *arguments)
    assert ran.code == 2
    assert len(ran.lines) == 1
    assert word in ran.lines[0]
