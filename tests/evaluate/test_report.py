"""Reports as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from wdsr.errors import UsageError, WdsrError
from wdsr.evaluate import CLASSICAL, Row
from wdsr.evaluate.published import Published
from wdsr.evaluate.report import Report, check_target, columns, write

REPORT = Report(
    name="Set5",
    scale=4,
    protocol=CLASSICAL,
    command="wdsr evaluate --hr Set5 -s 4",
    rows=[
        Row("a|b.png", 30.125, 0.8, 0.9, 40.0, 0.5, method="bicubic"),
        Row("a|b.png", 31.5, 0.9, 0.95, math.inf, 1.5, method="wdsr-b-8"),
        Row("c.png", 29.0, 0.7, None, 42.0, 0.5, method="bicubic"),
        Row("c.png", 30.0, 0.8, None, 50.0, None, method="wdsr-b-8"),
    ],
    models=[{"name": "wdsr-b-8", "sha256": "00ff"}],
    published=[Published("IMDN", 32.21, "0.7M", "Hui et al., 2019")],
    notes=["Recognised."],
    skipped=["d.png: is bad"],
)


def written(path: Path) -> str:
    check_target(path)
    write(REPORT, path)
    return path.read_text("utf-8")


def test_csv(tmp_path: Path) -> None:
    rows = list(csv.DictReader(written(tmp_path / "scores.csv").splitlines()))
    assert len(rows) == 4
    assert rows[0] == {
        "picture": "a|b.png",
        "method": "bicubic",
        "scale": "4",
        "protocol": "classical",
        "psnr": "30.125",
        "ssim": "0.8",
        "ms_ssim": "0.9",
        "lr_psnr": "40",
        "seconds": "0.5",
    }
    assert rows[1]["lr_psnr"] == "inf"
    assert rows[3]["ms_ssim"] == rows[3]["seconds"] == ""


def test_json(tmp_path: Path) -> None:
    record = json.loads(written(tmp_path / "scores.JSON"))
    assert record["protocol"]["shave"] == 4
    assert record["command"] == REPORT.command
    assert record["models"] == REPORT.models
    assert record["published"][0]["psnr"] == 32.21
    assert record["skipped"] == ["d.png: is bad"]
    assert record["machine"]["cores"] > 0
    first, second = record["means"]
    assert (first["method"], first["psnr"], first["picture"]) == ("bicubic", 29.5625, "mean of 2")
    assert "ms_ssim" not in first  # not all pictures have it
    assert second["lr_psnr"] == "infinity"
    assert len(record["rows"]) == 4


def test_markdown(tmp_path: Path) -> None:
    text = written(tmp_path / "scores.md")
    assert text.startswith("# Set5 x4, classical protocol: luma, 4 pixels shaved\n")
    assert "| bicubic | 29.562 | 0.7500 | - | 41.00 | 0.500 |" in text
    assert "| IMDN | 32.21 | 0.7M | Hui et al., 2019 |" in text
    assert "| a/b.png | wdsr-b-8 | 31.500 | 0.9000 | 0.9500 | inf | 1.500 |" in text
    assert "Left out: 1\n\n- d.png: is bad" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
    assert widths == {7, 5, 8}  # three tables, none with a broken line


def test_only_columns_that_something_fills() -> None:
    assert columns(REPORT.rows) == ["psnr", "ssim", "ms_ssim", "lr_psnr", "seconds"]
    assert columns([Row("a", 1, 1, None, 1, None, dists=0.5)]) == [
        "psnr",
        "ssim",
        "lr_psnr",
        "dists",
    ]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"scores.txt: a report is .csv, .json, .md"):
        check_target(tmp_path / "scores.txt")
    with pytest.raises(UsageError, match="no folder"):
        check_target(tmp_path / "missing" / "scores.csv")
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(WdsrError, match=r"taken.csv: cannot be written"):
        write(REPORT, tmp_path / "taken.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]  # no half file
