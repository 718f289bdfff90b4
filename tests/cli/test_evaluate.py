"""`wdsr evaluate`: the table, reports, `--expect`, warnings and what does not fit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from PIL import Image

from wdsr import evaluate as protocol
from wdsr.evaluate import check

Wdsr = Callable[..., Any]  # see conftest.py

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


@pytest.fixture
def hr(wdsr: Wdsr) -> Path:
    """A folder of two small photographs."""
    folder = Path("hr")
    folder.mkdir()
    for name in ("chelsea", "coffee"):
        with Image.open(PHOTOGRAPHS / f"{name}.png") as image:
            image.crop((100, 80, 180, 140)).save(folder / f"{name}.png")
    return folder


def shrunk(folder: str, mode: Image.Resampling, ending: str = "x2") -> Path:
    """LR of the two, by Pillow."""
    Path(folder).mkdir()
    for path in Path("hr").iterdir():
        with Image.open(path) as image:
            small = image.resize((40, 30), mode)
        small.save(Path(folder) / f"{path.stem}{ending}.png")
    return Path(folder)


def test_bicubic(wdsr: Wdsr, hr: Path) -> None:
    ran = wdsr("evaluate", "--hr", hr, "-s", "2", "-n", "bicubic")
    assert (ran.code, ran.err) == (0, "")
    head, *lines, mean = ran.out.decode().splitlines()
    assert (
        head
        == "picture              method              PSNR dB     SSIM  MS-SSIM  LR-PSNR  seconds"
    )
    rows = list(protocol.evaluate(hr, 2, protocol.bicubic))
    for line, row in zip(lines, rows, strict=True):
        name, method, psnr, ssim, ms_ssim, _, _ = line.split()
        assert (name, method, ms_ssim) == (row.name, "bicubic", "-")
        assert (psnr, ssim) == (f"{row.psnr:.3f}", f"{row.ssim:.4f}")
    expected = sum(row.psnr for row in rows) / 2
    assert mean.split()[:5] == ["mean", "of", "2", "bicubic", f"{expected:.3f}"]

    within = f"{expected + 0.05:.3f}"
    call = ["evaluate", "--hr", hr, "-s", "2", "-n", "bicubic", "--expect", within]
    assert wdsr(*call, "--tolerance", "0.06").code == 0
    ran = wdsr(*call)
    assert ran.code == 1
    assert ran.lines == [f"wdsr: mean PSNR is {expected:.3f} dB, expected {within} +- 0.01"]
    ran = wdsr(*call, "--tolerance", "-1")
    assert (ran.code, ran.lines) == (2, ["wdsr: --tolerance must be 0 or more, not -1.0"])


def test_models_stand_beside_bicubic(wdsr: Wdsr, hr: Path, nearest: Any) -> None:
    ran = wdsr("evaluate", "--hr", hr, "-s", "2", "-n", "wdsr-b-8", "-n", "lanczos")
    assert ran.code == 0
    assert nearest.runs == 2
    methods = [line[21:39].strip() for line in ran.out.decode().splitlines()[1:]]
    assert methods == ["bicubic", "wdsr-b-8", "lanczos"] * 3
    # `--expect` is about the model, not about bicubic.
    mean = ran.out.decode().splitlines()[-2].split()[1]
    call = ["evaluate", "--hr", hr, "-s", "2", "--expect", mean]
    assert wdsr(*call).code == 0
    ran = wdsr(*call, "-n", "wdsr-b-8", "-n", "lanczos")
    assert ran.code == 2
    assert "--expect is for one model" in ran.err


def test_reports(wdsr: Wdsr, hr: Path, nearest: Any) -> None:
    call = ["evaluate", "--hr", hr, "-s", "2", "--protocol", "ntire"]
    assert wdsr(*call, "-o", "a.csv", "-o", "a.json", "-o", "a.md").code == 0
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["bicubic", "wdsr-b-8"] * 2
    record = json.loads(Path("a.json").read_text())
    assert record["command"] == "wdsr evaluate --hr hr -s 2 -n wdsr-b-8 --protocol ntire"
    assert record["models"][0]["title"] == "wdsr-b-8-x2"
    assert record["models"][0]["precision"] == "float32"
    assert len(record["models"][0]["sha256"]) == 64
    assert record["protocol"]["shave"] == 8
    assert f"{record['means'][1]['psnr']:.3f}" in Path("a.md").read_text()


def test_lr_of_another_resizer_is_named(wdsr: Wdsr, hr: Path) -> None:
    box = shrunk("box", Image.Resampling.BOX)
    call = ["evaluate", "--hr", hr, "-s", "2", "-n", "bicubic"]
    ran = wdsr(*call, "--lr", box, "-o", "a.json")
    assert ran.code == 0
    [line] = ran.lines
    assert line.startswith("wdsr: warning: 2 of 2 LR pictures were not made by the protocol's")
    assert "OpenCV INTER_AREA" in line
    [note] = json.loads(Path("a.json").read_text())["notes"]
    assert "OpenCV INTER_AREA" in note
    Path("hr").rename("Set5")  # as if it were a known set: no published rows beside this
    ran = wdsr("evaluate", "--hr", "Set5", "--lr", box, "-s", "2", "-n", "bicubic")
    assert "Not compared with published scores of Set5: its LR" in ran.out.decode()
    assert "published   " not in ran.out.decode()
    Path("Set5").rename("hr")
    Path("own").mkdir()
    for pair in protocol.pairs(hr, 2):
        Image.fromarray(pair.lr).save(Path("own") / pair.name)
    ran = wdsr(*call, "--lr", "own")
    assert (ran.code, ran.err) == (0, "")


def test_finished_pictures(wdsr: Wdsr, hr: Path) -> None:
    shrunk("lr", Image.Resampling.BICUBIC)
    assert wdsr("upscale", "lr", "-s", "2", "-o", "made").code == 0
    ran = wdsr("evaluate", "--hr", hr, "--lr", "lr", "-s", "2", "--sr", "made", "-n", "wdsr-b-8")
    assert ran.code == 0
    means = ran.out.decode().splitlines()[-3:]
    assert [line[21:39].strip() for line in means] == ["bicubic", "wdsr-b-8", "made"]
    ours, made = (line[39:].split() for line in means[1:])
    assert ours[0] == made[0]  # scored from files as when made here
    assert made[-1] == "-"  # it took no time here


def test_bad_pictures(wdsr: Wdsr, hr: Path) -> None:
    Image.fromarray(np.zeros((60, 80), np.uint16)).save(hr / "deep.png")
    call = ["evaluate", "--hr", hr, "-s", "2", "-n", "bicubic"]
    ran = wdsr(*call)
    assert ran.code == 1
    assert ran.lines == [
        "wdsr: hr/deep.png: has 16-bit samples, scores are for 8 bits; convert it first"
    ]
    ran = wdsr(*call, "--skip-bad", "-o", "a.json")
    assert ran.code == 0
    assert ran.lines[0] == "wdsr: left out 1:"
    assert "deep.png" in ran.lines[1]
    assert "mean of 2" in ran.out.decode()
    record = json.loads(Path("a.json").read_text())
    assert "deep.png" in record["skipped"][0]
    assert record["command"].endswith("-n bicubic --skip-bad")
    # One method's bad picture is left out for all, so that means stay comparable.
    Path("sr").mkdir()
    for name in ("chelsea", "coffee", "deep"):
        size = 80, 60 if name == "coffee" else 58
        Image.new("RGB", size, (9, 99, 50)).save(f"sr/{name}.png")
    ran = wdsr(*call, "--sr", "sr", "--skip-bad")
    assert ran.code == 0
    assert "left out 2" in ran.err
    assert "chelsea.png: is 80 x 58" in ran.err
    assert ran.out.decode().count("mean of 1") == 1
    Path("hr/coffee.png").unlink()
    ran = wdsr(*call, "--sr", "sr", "--skip-bad")
    assert ran.code == 1
    assert "nothing could be scored" in ran.err


def test_self_check(wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = wdsr("evaluate", "--self-check")
    assert ran.code == 0
    *cases, last = ran.out.decode().splitlines()
    assert all(line.startswith("ok ") for line in cases)
    assert last == "every protocol gives what its definition says"
    monkeypatch.setattr(
        check, "run", lambda: iter([check.Case("a", 1, 1, 0), check.Case("b", 1, 2, 0)])
    )
    ran = wdsr("evaluate", "--self-check")
    assert ran.code == 1
    assert ran.out.decode().splitlines()[1].startswith("FAILED b")
    assert "1 of the cases failed" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "--hr"),
        (["--hr", "hr", "-n", "nix"], 2, "nix"),
        (["--hr", "hr", "-s", "7"], 2, "x7"),
        (["--hr", "hr", "-s", "0", "-n", "bicubic"], 2, "scale"),
        (["--hr", "hr", "--backend", "nix"], 2, "nix"),
        (["--hr", "hr", "--protocol", "nix"], 2, "classical, ntire, ancestor"),
        (["--hr", "hr", "--metric", "nix"], 2, "lpips or dists"),
        (["--hr", "hr", "-o", "a.txt"], 2, "a.txt"),
        (["--hr", "hr", "-o", "missing/a.csv"], 2, "missing"),
        (["--hr", "missing"], 1, "missing"),
        (["--hr", "."], 1, "no pictures"),
        (["--hr", "hr", "--lr", "missing"], 1, "missing"),
        (["--hr", "hr", "--sr", "."], 1, "no pictures"),
        (["--hr", "hr", "-s", "4", "--lr", "hr"], 1, "chelsea.png: is 80 x 60"),
    ],
)
def test_bad_calls(wdsr: Wdsr, hr: Path, arguments: list[str], code: int, words: str) -> None:
    ran = wdsr("evaluate", *arguments)
    assert ran.code == code
    assert len(ran.lines) == 1
    assert words in ran.err
