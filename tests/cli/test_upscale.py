"""`wdsr upscale`: which files it writes, how large, what it refuses and what it says."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image

import wdsr as package
from wdsr import picture as pictures
from wdsr import zoo
from wdsr.batch import manifest
from wdsr.target import chain

Array = NDArray[Any]
Wdsr = Callable[..., Any]  # see conftest.py

# Whole sizes and pixels are judged here; real engines are in tests/test_upscale.py.
pytestmark = pytest.mark.usefixtures("nearest")

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
COMMAND = [sys.executable, "-m", "wdsr"]


def pixels(height: int = 6, width: int = 9, channels: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(
        0, 256, (height, width, channels), np.uint8, endpoint=False
    )


def save(path: str | Path, array: Array | None = None, **options: Any) -> Path:
    """A picture file of this name, by Pillow."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    array = pixels() if array is None else array
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path, **options)
    return path


def load(path: str | Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image)


def repeated(array: Array, times: int) -> Array:
    return array.repeat(times, 0).repeat(times, 1)


def files(folder: str | Path = ".") -> list[str]:
    """Every file below a folder, hidden ones too, but for what a batch remembers."""
    root = Path(folder)
    found = (path for path in root.rglob("*") if path.is_file() and path.name != manifest.NAME)
    return sorted(str(path.relative_to(root)) for path in found)


def one_line(ran: Any, *words: str) -> None:
    """Failed with a single line, which says these words."""
    assert len(ran.lines) == 1, ran.err
    assert ran.lines[0].startswith("wdsr: ")
    for word in words:
        assert word in ran.lines[0]
    assert ran.out == b""


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


# What is kept from harm


def test_an_existing_result_is_replaced_only_when_told(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    Path("a_x4.png").write_bytes(b"precious")
    ran = wdsr("upscale", "a.png")
    one_line(ran, "a_x4.png", "exists already", "-y")
    assert ran.code == 1
    assert Path("a_x4.png").read_bytes() == b"precious"
    assert nearest.runs == 0
    assert wdsr("upscale", "a.png", "-y").code == 0
    assert load("a_x4.png").shape == (24, 36, 3)
    assert files() == ["a.png", "a_x4.png"]


def test_a_result_that_appears_during_the_work_is_kept_too(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    run = nearest.run

    def run_and_write(self: Any, batch: Any) -> Any:
        Path("a_x4.png").write_bytes(b"precious")
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", run_and_write)
    ran = wdsr("upscale", "a.png")
    one_line(ran, "a_x4.png", "exists already")
    assert ran.code == 1
    assert Path("a_x4.png").read_bytes() == b"precious"


@pytest.mark.parametrize("option", [[], ["-y"]])
def test_no_result_replaces_an_input(wdsr: Wdsr, option: list[str], nearest: Any) -> None:
    for name in ("a.png", "a_x4.png", "in/b.png"):
        save(name)
    Path("link.png").symlink_to("a.png")
    before = {name: Path(name).read_bytes() for name in files()}
    calls = [
        ["a.png", "--suffix", ""],
        ["a.png", "-o", "a.png"],
        ["a.png", "-o", "in/../a.png"],
        ["a.png", "-o", "link.png"],
        ["in", "-o", "in", "--suffix", ""],
        ["a.png", "a_x4.png"],  # the first result would be the second input
    ]
    for call in calls:
        ran = wdsr("upscale", *call, *option)
        one_line(ran, "replace")
        assert ran.code == 2
    assert {name: Path(name).read_bytes() for name in files()} == before
    assert nearest.runs == 0


def test_two_results_of_one_name_are_refused_before_any_work(wdsr: Wdsr, nearest: Any) -> None:
    save("in/a.png")
    save("in/a.jpg")
    save("in/z.png")
    ran = wdsr("upscale", "in", "-f", "png", "-o", "out")
    one_line(ran, "in/a.jpg", "in/a.png", "out/a_x4.png")
    assert ran.code == 2
    assert wdsr("upscale", "in/a.png", "in/../in/a.jpg", "-f", "webp", "-o", "out").code == 2
    assert files() == ["in/a.jpg", "in/a.png", "in/z.png"]
    assert nearest.runs == 0
    assert wdsr("upscale", "in", "-o", "out").code == 0  # the names differ
    assert files("out") == ["a_x4.jpg", "a_x4.png", "z_x4.png"]


def test_several_results_need_a_folder(wdsr: Wdsr) -> None:
    save("a.png")
    save("b.png")
    save("c.png")
    for call in (["a.png", "b.png", "-o", "c.png"], ["a.png", "b.png", "-o", "-"], [".", "-o-"]):
        ran = wdsr("upscale", *call)
        one_line(ran)
        assert ran.code == 2
    assert files() == ["a.png", "b.png", "c.png"]
    one_line(wdsr("upscale", "a.png", "b.png", "-o", "one.png"), "is a file name", "2 inputs")
    one_line(wdsr("upscale", ".", "-o", "one.PNG"), "one.PNG is a file name, but . is a folder")
    assert files() == ["a.png", "b.png", "c.png"]
    assert wdsr("upscale", "a.png", "b.png", "-o", "v1.5").code == 0
    assert files("v1.5") == ["a_x4.png", "b_x4.png"]


# Streams


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_streams_carry_the_bytes_that_files_hold(wdsr: Wdsr, kind: str) -> None:
    source = save(f"a.{kind}")
    assert wdsr("upscale", source, "-s", "2").code == 0
    expected = Path(f"a_x2.{kind}").read_bytes()
    sent = source.read_bytes()
    for call in (["-"], ["-", "-o", "-"], ["-i", "-", "-v"]):
        ran = wdsr("upscale", *call, "-s", "2", stdin=sent)
        assert (ran.code, ran.out) == (0, expected)
        assert "stdin -> stdout" in ran.err
    assert wdsr("upscale", source, "-o", "-", "-s", "2").out == expected
    assert wdsr("upscale", "-", "-o", f"new/b.{kind}", "-s", "2", stdin=sent).out == b""
    assert Path(f"new/b.{kind}").read_bytes() == expected


def test_a_streams_format_can_be_chosen(wdsr: Wdsr) -> None:
    ran = wdsr("upscale", "-", "-f", "webp", stdin=save("a.png").read_bytes())
    assert ran.code == 0
    assert pictures.read(ran.out).format == "webp"
    np.testing.assert_array_equal(pictures.read(ran.out).pixels, repeated(pixels(), 4))


def test_bad_streams(wdsr: Wdsr) -> None:
    for sent in (b"", b"no picture"):
        ran = wdsr("upscale", "-", stdin=sent)
        one_line(ran, "stdin")
        assert ran.code == 1
    Path("out").mkdir()
    ran = wdsr("upscale", "-", "-o", "out", stdin=save("a.png").read_bytes())
    one_line(ran, "stdin has no name")
    assert ran.code == 2


def test_a_real_pipe_carries_the_picture_and_nothing_else(wdsr: Wdsr) -> None:
    source = save("a.png").read_bytes()
    ran = subprocess.run(
        [*COMMAND, "upscale", "-v", "-"], input=source, capture_output=True, check=True
    )
    picture = pictures.read(ran.stdout)
    assert (picture.width, picture.height, picture.format) == (36, 24, "png")
    assert ran.stdout.endswith(b"IEND\xaeB`\x82")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout(wdsr: Wdsr) -> None:
    save("a.png")
    with Path("/dev/full").open("w") as full:
        ran = wdsr("upscale", "a.png", "-o", "-", stdout=full)
    one_line(ran, "stdout: cannot be written (No space left on device)")
    assert ran.code == 1


@pytest.mark.parametrize("buffering", [-1, 0])  # 0 as with PYTHONUNBUFFERED
def test_a_reader_that_leaves_hears_no_more(wdsr: Wdsr, buffering: int) -> None:
    save("a.png", pixels(100, 200))  # a result larger than a pipe holds
    reading, writing = os.pipe()

    def read_a_little() -> None:
        os.read(reading, 4)
        os.close(reading)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    with io.TextIOWrapper(os.fdopen(writing, "wb", buffering), write_through=True) as stdout:
        ran = wdsr("upscale", "a.png", "-f", "ppm", "-o", "-", stdout=stdout)
    reader.join()
    assert (ran.code, ran.out, ran.err) == (1, b"", "")


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


# What it says


def test_verbose_names_model_engine_and_precision(wdsr: Wdsr) -> None:
    save("a.png")
    ran = wdsr("upscale", "a.png", "-v", "-s", "8", "--suffix", "_v")
    assert ran.code == 0
    passes = chain(8, zoo.scales(zoo.DEFAULT_MODEL))
    assert "; ".join(f"{zoo.DEFAULT_MODEL}-x{s}, Nearest, float32" for s in passes) in ran.err
    assert "float32" not in wdsr("upscale", "a.png", "-s", "8").err


@pytest.mark.parametrize("arguments", [["--version"], ["upscale", "--version"]])
def test_version(wdsr: Wdsr, arguments: list[str]) -> None:
    ran = wdsr(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode().strip() == f"wdsr {package.__version__}"


def test_help(wdsr: Wdsr) -> None:
    ran = wdsr("upscale", "--help")
    assert (ran.code, ran.err) == (0, "")
    options = (
        "-i --input -o --output -s --scale --width --height --max-side -n --model -t --tile "
        "--backend --device --threads -x --self-ensemble -f --format -q --quality --suffix "
        "--precision -r --recursive -y --overwrite -v --verbose --strict --strip-private "
        "--drop-tags --consistent --version"
    )
    assert set(options.split()) < set(ran.out.decode().replace(",", "").split())
    bare = wdsr()
    assert bare.code == 2
    assert "upscale" in bare.err
    assert wdsr("--help").out.decode() == bare.err


def test_a_terminal_sees_progress_whatever_the_name(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich's word for: take it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    name = "[bold]name.png"  # which rich would read as markup
    save(Path("in") / name)
    save("in/plain.png")
    ran = wdsr("upscale", "in")
    assert (ran.code, ran.out) == (0, b"")
    assert f"1/2 {name}" in ran.err
    assert "%" in ran.err
    monkeypatch.undo()


def test_tiles_and_self_ensemble_change_the_work_not_the_size(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png", pixels(40, 60))
    runs = {}
    for name, options in {"plain": [], "tiles": ["-t", "16"], "mean": ["-x"]}.items():
        nearest.runs = 0
        assert wdsr("upscale", "a.png", "-o", f"{name}.png", *options).code == 0
        runs[name] = nearest.runs
        np.testing.assert_array_equal(load(f"{name}.png"), repeated(pixels(40, 60), 4))
    assert runs == {"plain": 1, "tiles": 3 * 4, "mean": 8}


# Files that fail


def truncated(path: str) -> Path:
    data = (PHOTOGRAPHS / "rocket.jpg").read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])
    return Path(path)


def not_a_number(path: str) -> Path:
    picture = pictures.Picture(np.full((6, 9, 3), np.nan, np.float32))
    pictures.write(picture, Path(path))
    return Path(path)


def renamed_text(path: str) -> Path:
    Path(path).write_text("I am a letter, not a picture.\n" * 9)
    return Path(path)


def empty(path: str) -> Path:
    Path(path).touch()
    return Path(path)


BAD: dict[str, Callable[[str], Path]] = {
    "missing.png": Path,
    "missing": Path,
    "cut.jpg": truncated,
    "letter.png": renamed_text,
    "empty.png": empty,
    "nan.tif": not_a_number,
    "x" * 250 + ".png": save,  # the result's name is too long
}


@pytest.mark.parametrize("name", BAD, ids=lambda name: name[-11:])
def test_a_bad_file_ends_with_1_and_one_line_that_names_it(wdsr: Wdsr, name: str) -> None:
    BAD[name](name)
    before = files()
    ran = wdsr("upscale", name)
    one_line(ran, name.removesuffix(".png"))
    assert ran.code == 1
    assert files() == before


def test_one_bad_file_does_not_stop_the_others(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    save("z.png")
    save("small.png", pixels(2, 2))
    for name, make in BAD.items():
        make(name)
    ran = wdsr("upscale", "a.png", *BAD, "z.png", "-o", "out")
    assert ran.code == 1
    assert files("out") == ["a_x4.png", "z_x4.png"]
    assert nearest.runs == 2
    assert len(ran.lines) == 2 + len(BAD) + 1
    for name, line in zip(BAD, ran.lines[1:-2], strict=True):
        assert line.startswith("wdsr: ")
        assert name.removesuffix(".png") in line
    assert ran.lines[-1] == f"wdsr: {len(BAD)} of {len(BAD) + 2} pictures failed, see above"


def test_a_picture_larger_than_the_target_fails_alone(wdsr: Wdsr) -> None:
    save("large.png", pixels(40, 40))
    save("small.png")
    ran = wdsr("upscale", "large.png", "small.png", "--max-side", "20", "-o", "out")
    assert ran.code == 1
    assert files("out") == ["small_max20.png"]
    assert ran.lines[0].startswith("wdsr: large.png: 20 x 20 is smaller")


def test_a_line_break_in_a_name_makes_no_second_line(wdsr: Wdsr) -> None:
    save("a.png")
    one_line(wdsr("upscale", "no\nsuch.png"), "no such.png")
    ran = wdsr("upscale", "no\nsuch.png", "a.png")
    assert len(ran.lines) == 3


def test_a_folder_without_pictures(wdsr: Wdsr) -> None:
    Path("in/deep").mkdir(parents=True)
    Path("in/notes.txt").write_text("no picture")
    for option in ([], ["-r"]):
        ran = wdsr("upscale", "in", *option)
        one_line(ran, "in: no pictures")
        assert ran.code == 1
    assert files() == ["in/notes.txt"]


def test_an_output_folder_that_cannot_be(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    save("b.png")
    Path("file").write_text("in the way")
    for call in (["a.png", "-o", "file/b.png"], ["a.png", "-o", "file/deep/folder"]):
        ran = wdsr("upscale", *call)
        one_line(ran, "file", "cannot be written")
        assert ran.code == 1
    ran = wdsr("upscale", "a.png", "b.png", "-o", "file/folder")
    assert ran.code == 1
    assert len(ran.lines) == 3
    assert files() == ["a.png", "b.png", "file"]
    assert nearest.runs == 0


def test_a_read_only_output_folder_is_refused_before_the_work(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    Path("out").mkdir()
    # Root may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    ran = wdsr("upscale", "a.png", "-o", "out")
    one_line(ran, "out", "cannot be written")
    assert ran.code == 1
    assert nearest.runs == 0


def test_an_output_folder_that_vanishes_during_the_work(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    run = nearest.run

    def run_and_remove(self: Any, batch: Any) -> Any:
        Path("out").rmdir()
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", run_and_remove)
    ran = wdsr("upscale", "a.png", "-o", "out")
    one_line(ran, "out/a_x4.png", "cannot be written")
    assert ran.code == 1
    assert files() == ["a.png"]


def test_too_little_memory_costs_one_file(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    save("big.png", pixels(20, 20))
    run = nearest.run

    def run_out(self: Any, batch: Any) -> Any:
        if batch.size > 3 * 39 * 39:
            raise MemoryError
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", run_out)
    ran = wdsr("upscale", "big.png")
    one_line(ran, "big.png", "out of memory")
    assert ran.code == 1
    assert wdsr("upscale", "big.png", "a.png").code == 1
    assert files() == ["a.png", "a_x4.png", "big.png"]


def test_a_damaged_model_file(wdsr: Wdsr) -> None:
    save("a.png")
    Path("bad.onnx").write_bytes(b"not a model")
    for name in ("bad.onnx", "missing.onnx"):
        ran = wdsr("upscale", "a.png", "-n", name)
        one_line(ran, name)
        assert ran.code == 1


def interrupted(
    arguments: list[str], ready: Callable[[], bool], by: signal.Signals
) -> tuple[int, str]:
    """Exit code and stderr of a command that gets Ctrl-C, say, once it is ready."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background ignores Ctrl-C, and that would be inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        until = time.monotonic() + 60
        while not ready():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(by)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    return process.returncode, err


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_whole_files_only(wdsr: Wdsr, by: signal.Signals, code: int) -> None:
    save("in/a.png")
    save("in/b.png", np.zeros((3000, 3000, 3), np.uint8))  # minutes of work
    ended, err = interrupted(["upscale", "in", "-o", "out"], Path("out/a_x4.png").exists, by)
    assert ended == code
    assert len(err.splitlines()) == 2  # of the first picture, and of the interrupt
    assert err.splitlines()[-1].endswith("ed; nothing half-written is left")
    assert files("out") == ["a_x4.png"]
    assert load("out/a_x4.png").shape == (24, 36, 3)


def test_an_interrupt_while_writing(wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch) -> None:
    save("a.png")
    Path("a_x4.png").write_bytes(b"precious")

    def interrupt(file: int) -> None:
        assert len(files()) == 3  # the file that is being written
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    ran = wdsr("upscale", "a.png", "-y")
    one_line(ran, "interrupted")
    assert ran.code == 130
    assert files() == ["a.png", "a_x4.png"]
    assert Path("a_x4.png").read_bytes() == b"precious"


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
