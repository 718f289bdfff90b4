"""`wdsr doctor`: what is here, how fast it is, and what follows."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from wdsr import zoo
from wdsr.processor import processor


def test_it_tells_what_is_here(wdsr: Any) -> None:
    ran = wdsr("doctor", "--no-measure")
    assert (ran.code, ran.err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in ran.out.decode().splitlines())
    assert {"processor", "features", "caches", "memory", "versions", "models"} <= told.keys()
    for model in zoo.shipped():
        assert model.card.title in told["models"]
        assert (model.card.title in told["in"]) == (zoo.quantised(model) is not None)


def test_it_speaks_json(wdsr: Any) -> None:
    facts = json.loads(wdsr("doctor", "--no-measure", "--json").out)
    assert facts["machine"]["cores"] >= 1
    assert "CPU" in facts["machine"]["devices"]
    assert facts["versions"]["openvino"]
    assert {entry["model"] for entry in facts["models"]} == {m.card.title for m in zoo.shipped()}


def test_threads_are_checked_before_anything_else(wdsr: Any) -> None:
    for more in ([], ["--no-measure"]):
        ran = wdsr("doctor", "--threads", 0, *more)
        assert (ran.code, ran.out) == (2, b"")
        assert "threads must be at least 1, not 0" in ran.err


def test_it_measures_remembers_and_judges(
    wdsr: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WDSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("wdsr.processor.busy_seconds", lambda: None)  # others may be busy
    monkeypatch.setattr("wdsr.estimate.SIDES", (32, 48))
    monkeypatch.setattr("wdsr.inference.AUTO_SIDE", 48)
    ran = wdsr("doctor")
    assert ran.code == 0
    text = ran.out.decode()
    assert "float32    0." in text
    assert "LR megapixels a second" in text
    assert "A photograph of 2 megapixels" in text.splitlines()[-1]
    assert list((tmp_path / "cache" / "measured").iterdir())


def test_on_a_busy_machine_it_says_so_and_remembers_nothing(
    wdsr: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WDSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("wdsr.estimate.SIDES", (32, 48))
    monkeypatch.setattr("wdsr.inference.AUTO_SIDE", 48)
    cores = processor().cores
    # Others keep all cores at work, beside what this process does.
    monkeypatch.setattr(
        "wdsr.processor.busy_seconds", lambda: time.process_time() + cores * time.perf_counter()
    )
    assert json.loads(wdsr("doctor", "--json").out)["speed"]["remembered"] is False
    text = wdsr("doctor").out.decode()
    assert "other programs took 100% of the processor" in text
    assert "not remembered" in text
    noted = [json.loads(note.read_text()) for note in tmp_path.glob("cache/measured/*")]
    assert not [note["what"] for note in noted if "rate" in note["what"] or "side" in note["what"]]
