"""What all commands share: names that are empty, numbers that are none, and the help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("upscale |", "INPUT"),
        ("upscale a.png|", "INPUT"),
        ("upscale -i|", "--input"),
        ("upscale -o||a.png", "--output"),
        ("upscale --output=|a.png", "--output"),
        ("upscale a.png|-n|", "--model"),
        ("upscale in|--include|", "--include"),
        ("evaluate --hr|", "--hr"),
        ("compare --hr|in|-o|", "--output"),
        ("info |", "FILE"),
        ("degrade |", "PICTURE"),
        ("train x|--data|", "--data"),
        ("export |", "RUN"),
        ("import |", "FILE"),
        ("quantise |--data|in", "MODEL"),
        ("data pack||-o|out", "FOLDER"),
    ],
)
def test_an_empty_name_is_not_the_current_folder(wdsr: Any, call: str, name: str) -> None:
    Image.new("RGB", (9, 6)).save("a.png")
    command, _, rest = call.partition(" ")
    ran = wdsr(command, *rest.split("|"))
    assert ran.err == f"wdsr: empty name for {name}: is a shell variable unset?\n"
    assert (ran.code, ran.out) == (2, b"")
    assert [path.name for path in Path().iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("upscale a.png -s abc", "--scale must be a number, not 'abc'"),
        ("upscale a.png --width 7.5", "--width must be a whole number, not '7.5'"),
        ("evaluate --hr in -s x", "--scale must be a whole number, not 'x'"),
    ],
)
def test_what_is_no_number_is_told_in_words(wdsr: Any, call: str, told: str) -> None:
    ran = wdsr(*call.split())
    assert (ran.code, ran.err) == (2, f"wdsr: {told}\n")


def test_the_help_cuts_nothing_short(wdsr: Any) -> None:
    for call in ([], ["data"]):
        text = wdsr(*call, "--help").out.decode()
        assert "…" not in text
        assert "..." not in text.partition("Commands:")[2]
    words = " ".join(wdsr("--help").out.decode().split())
    assert "compare a picture with its enlargement. degrade" in words


def test_the_many_options_of_upscale_come_in_groups(wdsr: Any) -> None:
    text = wdsr("upscale", "--help").out.decode()
    headings = [line for line in text.splitlines() if line and line[0] != " "][1:]
    expected = "Arguments: Output: Size: Model: Speed: Many files: Care: Options:"
    assert " ".join(headings) == expected
    rest = text.partition("\nOptions:")[2]
    options = {word.strip(",") for word in rest.split() if word.startswith("-")}
    assert options == {"-i", "--input", "-v", "--verbose", "--version", "-h", "--help"}
