"""Published figures, and how a set is recognised or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from wdsr.evaluate import ANCESTOR, CLASSICAL, NTIRE
from wdsr.evaluate.published import recognise, rows


def test_rows_of_a_set_scale_and_protocol() -> None:
    found = rows("Set5", 4, CLASSICAL)
    assert [row.psnr for row in found] == sorted(row.psnr for row in found)
    by_name = {row.network: row for row in found}
    assert by_name["bicubic"].psnr == 28.42
    assert by_name["IMDN"].psnr == 32.21
    assert by_name["IMDN"].parameters == "0.7M"
    assert "WDSR-A 16x32" not in {row.network for row in rows("Set14", 4, CLASSICAL)}
    assert {row.network for row in rows("Set5", 3, CLASSICAL)} >= {"CARN-M", "bicubic"}
    assert all(row.source for row in found)


def test_protocols_are_never_mixed() -> None:
    assert [(r.network, r.psnr) for r in rows("DIV2K-val", 4, NTIRE)] == [("WDSR-A 16x32", 29.04)]
    assert [row.psnr for row in rows("DIV2K-val", 4, ANCESTOR)] == [28.91]
    assert rows("DIV2K-val", 4, CLASSICAL) == rows("Set5", 4, NTIRE) == rows("nix", 4, NTIRE) == []


@pytest.mark.parametrize(
    ("folder", "pictures", "bicubic", "name"),
    [
        ("bench/Set5", 5, 28.43, "Set5"),
        ("set_14", 14, 26.09, "Set14"),
        ("Set5/HR", 5, 28.43, "Set5"),
        ("BSDS100", 100, 25.96, "B100"),
        ("photos", 5, 28.43, "Set5"),
        ("photos", 14, 26.09, "Set14"),
        ("photos", 100, 23.20, "Urban100"),
    ],
)
def test_known_sets(folder: str, pictures: int, bicubic: float, name: str) -> None:
    found = recognise(Path("/data") / folder, pictures, bicubic, 4, CLASSICAL)
    assert found is not None
    assert (found.name, found.doubt) == (name, "")
    assert ("name of its folder" in found.how) == ("photos" not in folder)
    assert f"{bicubic:.2f} dB" in found.how


@pytest.mark.parametrize(
    ("folder", "pictures", "bicubic"),
    [("photos", 5, 28.60), ("photos", 6, 28.42), ("Set55", 50, 28.42), ("my-set5", 4, 28.42)],
)
def test_unknown_sets(folder: str, pictures: int, bicubic: float) -> None:
    assert recognise(Path("/data") / folder, pictures, bicubic, 4, CLASSICAL) is None


def test_a_folder_that_is_not_what_its_name_says() -> None:
    other = recognise(Path("/data/Set5"), 5, 27.9, 4, CLASSICAL)
    assert other is not None
    assert "27.90 dB here and 28.42 dB in papers" in other.doubt
    fewer = recognise(Path("/data/Set5"), 4, 28.42, 4, CLASSICAL)
    assert fewer is not None
    assert "4 pictures were scored, it has 5" in fewer.doubt
    valid = recognise(Path("/data/DIV2K_valid_HR"), 100, 26.7, 4, NTIRE)
    assert valid is not None
    assert (valid.name, valid.doubt) == ("DIV2K-val", "")
