"""What the card of an exported run says of its past, and what it must not hold."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.train.games import pixel_model
from tests.train.helpers import run_of, short

from wdsr import zoo
from wdsr.card import ModelCard
from wdsr.errors import ModelError
from wdsr.train.data import Pairs
from wdsr.train.export import export_run
from wdsr.train.warm import run_weights

SHIPPED = zoo.find("wdsr-b-8", 2).card
INHERITED = f"{SHIPPED.licence} (of {SHIPPED.title}, from which training began)"


@pytest.fixture(autouse=True)
def no_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate has tests of its own."""
    monkeypatch.setattr("wdsr.train.export.check_parity", lambda *_: {})


def exported(run: Path, **facts: Any) -> ModelCard:
    return zoo.read_model(export_run(run, run.parent / "out", name=run.name, facts=facts)).card


def noted(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run / "run.json").read_text("utf-8"))
    return facts


def test_a_run_stopped_before_its_first_row_is_exported(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(), pairs, tmp_path / "run", max_minutes=0)
    (tmp_path / "run" / "log.csv").unlink()  # as if it had been killed
    card = exported(tmp_path / "run")
    assert card.training["validation"] == {}
    assert card.data == f"pictures packed under the digest {pairs.digest}"
    assert exported(tmp_path / "run", data="my cats").data == "my cats"


def test_rows_that_cannot_be_read_are_no_validations(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(steps=1), pairs, tmp_path / "run")
    rows = ["step,loss,psnr", "1,0.5,", "2,0.5", "3,0.5,30.12345", "4,0.5,inf", "x", "5,0.5,?", "6"]
    (tmp_path / "run" / "log.csv").write_bytes("\n".join(rows).encode() + b"\n\0\xff\0,")
    assert exported(tmp_path / "run").training["validation"] == {"3": 30.123}
    (tmp_path / "run" / "log.csv").write_text("another,table\n1,2\n")
    assert exported(tmp_path / "run").training["validation"] == {}


def test_a_licence_is_inherited_over_two_trainings(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_of(short(steps=1, start=SHIPPED.title), pairs, Path("first"), start=pixel_model())
    second = short(steps=1, start="first")
    run_of(second, pairs, Path("second"), start=run_weights(Path("first")))
    start = {"title": SHIPPED.title, "licence": SHIPPED.licence}
    assert noted(Path("first"))["start"] == noted(Path("second"))["start"] == start
    Path("first").rename("gone")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    card = exported(tmp_path / "second")
    assert card.licence == INHERITED
    assert card.training["start"] == start
    assert exported(tmp_path / "second", licence="mine").licence == "mine"


def test_runs_of_older_versions_are_followed_as_far_as_they_can_be(
    pairs: Pairs, tmp_path: Path
) -> None:
    """They noted nothing but the start's name."""
    first, second = tmp_path / "first", tmp_path / "second"
    run_of(short(steps=1, start=SHIPPED.title), pairs, first, start=pixel_model())
    run_of(short(steps=1, start=str(first)), pairs, second, start=pixel_model())
    for run in (first, second):
        facts = noted(run)
        del facts["start"]
        (run / "run.json").write_text(json.dumps(facts))
    assert exported(second).licence == INHERITED
    facts = noted(first)
    facts["recipe"]["start"] = str(second)  # two that name each other
    (first / "run.json").write_text(json.dumps(facts))
    assert exported(second).licence == ""
    (first / "run.json").write_text("[]")
    assert exported(second).licence == ""
    (first / "run.json").unlink()
    assert exported(second).licence == ""


def test_a_resumed_run_keeps_what_it_began_from(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, recipe = tmp_path / "run", short(start=SHIPPED.title)
    run_of(recipe, pairs, run, start=pixel_model(), max_minutes=0)
    start = noted(run)["start"]
    monkeypatch.setattr(zoo, "split_title", lambda name: (name, None))  # as if it were gone
    told: list[str] = []
    run_of(recipe, pairs, run, max_minutes=0, notice=told.append)
    assert told[0] == "going on from step 1"
    assert noted(run)["start"] == start


def test_a_start_of_no_known_licence_leaves_no_trace(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(steps=1), pairs, tmp_path / "first")
    start = str(tmp_path / "first")
    run_of(short(steps=1, start=start), pairs, tmp_path / "second", start=pixel_model())
    assert "start" not in noted(tmp_path / "second")
    assert exported(tmp_path / "second").licence == ""


def test_an_exported_card_is_json(pairs: Pairs, tmp_path: Path) -> None:
    run_of(short(steps=1), pairs, tmp_path / "run")
    with pytest.raises(ModelError, match="run-x2: cannot write its card: NaN or infinite"):
        exported(tmp_path / "run", scores={"classical": {"blank": {"psnr": math.inf}}})
    assert not (tmp_path / "out").exists()
