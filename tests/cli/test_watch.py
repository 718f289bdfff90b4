"""Watched folders: what is new or has changed, once it has come to rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cli.files import save_noise as save
from tests.cli.files import tree

from wdsr.batch.plan import Naming
from wdsr.batch.watch import watch

Wdsr = Callable[..., Any]  # see conftest.py
pytestmark = pytest.mark.usefixtures("nearest")


class _Enough(Exception):  # noqa: N818
    pass


def looks(steps: Sequence[Callable[[], object]], naming: Naming) -> Iterator[list[str]]:
    """Names of the jobs that come between looks; after each look, the next step is done."""
    waiting = iter(steps)

    def sleep(_: float) -> None:
        step = next(waiting, None)
        if step is None:
            raise _Enough
        step()

    found: list[str] = []
    try:
        for job in watch([Path("in")], naming, sleep=sleep):
            if job is None:
                yield found
                found = []
            else:
                found.append(job.source.name)
    except _Enough:
        return


def test_watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("in/a.png")
    nothing = lambda: None  # noqa: E731
    steps = [
        nothing,
        lambda: save("in/new.png"),
        lambda: save("in/new.png", 5, 50),  # still growing
        nothing,
        lambda: save("in/a.png", 7, 8),
        nothing,
        lambda: shutil.rmtree("in"),
        lambda: save("in/back.png"),
        nothing,
    ]
    seen = list(looks(steps, Naming(Path("out"), "_x4")))
    assert seen == [[], ["a.png"], [], [], ["new.png"], [], ["a.png"], [], [], ["back.png"]]


def test_the_command_watches_until_it_is_interrupted(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch, nearest: Any
) -> None:
    save("in/a.png")
    nothing: Callable[[], object] = lambda: None  # noqa: E731
    steps = iter([nothing, lambda: save("in/b.png"), nothing, nothing])

    def sleep(_: float) -> None:
        try:
            next(steps)()
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("wdsr.batch.watch.time.sleep", sleep)
    monkeypatch.setattr(watch, "__kwdefaults__", {"seconds": 1.0, "sleep": sleep})
    ran = wdsr("upscale", "in", "-o", "in", "--watch")  # results are not watched
    assert ran.code == 130
    assert sorted(tree("in")) == ["a.png", "a_x4.png", "b.png", "b_x4.png"]
    assert nearest.runs == 2
    assert wdsr("upscale", "in/a.png", "--watch").code == 2
