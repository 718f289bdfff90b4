"""`wdsr export`: what is refused before the work, and the scores on the card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.files import one_line, save
from tests.helpers import Nearest

from wdsr import zoo
from wdsr.cli import export

Wdsr = Callable[..., Any]  # see conftest.py


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ('{"training": 3}', ["training must be a JSON object, not 3"]),
        ('{"scores": [1]}', ["scores must be a JSON object, not [1]"]),
        ('{"licence": 4}', ["licence must be text, not 4"]),
        ('{"data": null}', ["data must be text, not None"]),
        ('{"notes": {}}', ["notes must be text, not {}"]),
        ('{"softer": true}', ["softer must be text, not True"]),
        ('{"scores": {"flat": NaN}}', ["cannot read these facts"]),
        ('{"scores": {"flat": -Infinity}}', ["cannot read these facts"]),
        ('{"scores": {"flat": 1e999}}', ["cannot read these facts"]),
        ('{"training": ' + '{"a":' * 100_000, ["cannot read these facts"]),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_facts_that_no_card_can_hold(wdsr: Wdsr, facts: str, words: list[str]) -> None:
    Path("facts.json").write_text(facts)
    one_line(wdsr("export", "run", "--facts", "facts.json"), "facts.json: ", *words)


def test_a_set_named_twice(wdsr: Wdsr) -> None:
    ran = wdsr("export", "run", "--score", "A=one", "--score", "B=two", "--score", "A=three")
    one_line(ran, "score has 'A' twice: one and three")
    assert ran.code == 2


def test_a_blank_page_has_a_score_that_json_can_say(wdsr: Wdsr, nearest: type[Nearest]) -> None:
    save("flat/white.png", np.full((32, 32, 3), 255, np.uint8))
    model = zoo.find("wdsr-b-8", 2)
    scores = export._scores(model, {"flat": Path("flat")})
    assert scores["classical"]["flat"]["psnr"] == 100
    json.dumps(scores, allow_nan=False)
