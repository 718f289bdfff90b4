"""docs/results.md says what the records say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_results_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    from docs import results  # type: ignore[import-not-found, unused-ignore]

    text = results.page(results.quality_records())
    assert text == results.PAGE.read_text("utf-8"), "run `python -m docs.results`"
    for line in text.splitlines():
        if line.startswith("!["):
            assert (ROOT / "docs" / line.rpartition("(")[2].rstrip(")")).is_file()
    assert text.count("wdsr-b-8** | 152K / 158K / 166K |") == 2
