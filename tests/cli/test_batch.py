"""Batches: what is remembered, done again, skipped, resumed, watched, and left alone."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.files import save_noise as save
from tests.cli.files import tree

from wdsr import picture as pictures
from wdsr.batch import manifest, memory
from wdsr.batch.plan import Naming, make_plan
from wdsr.errors import BackendError, UsageError

Wdsr = Callable[..., Any]  # see conftest.py
pytestmark = pytest.mark.usefixtures("nearest")


def settle() -> None:
    """Make results look older than those that another process may be noting."""
    for path in Path("out").rglob("*.*"):
        os.utime(path, (0, 0))


def events(ran: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


# The manifest


def test_a_second_run_does_only_what_is_missing(wdsr: Wdsr, nearest: Any) -> None:
    for seed in range(5):
        save(f"in/{seed % 2}/{seed}.png", seed)
    assert wdsr("upscale", "in", "-r", "-o", "out").code == 0
    whole = tree("out")
    assert (len(whole), nearest.runs) == (5, 5)
    Path("out/0/2_x4.png").unlink()
    made = Path("out/1/3_x4.png").read_bytes()
    Path("out/1/3_x4.png").write_bytes(made[:-1])  # no longer as we left it
    ran = wdsr("upscale", "in", "-r", "-o", "out")
    assert (ran.code, nearest.runs) == (1, 6)
    assert "3_x4.png: exists already" in ran.err
    Path("out/1/3_x4.png").unlink()
    ran = wdsr("upscale", "in", "-r", "-o", "out")
    assert (ran.code, nearest.runs) == (0, 7)
    assert ran.lines[-1] == "4 of 5 were done already"
    assert tree("out") == whole
    assert wdsr("upscale", "in", "-r", "-o", "out", "-y").code == 0
    assert nearest.runs == 12


@pytest.mark.parametrize("change", ["input", "settings"])
def test_what_was_made_otherwise_is_kept_or_made_anew(
    wdsr: Wdsr, nearest: Any, change: str
) -> None:
    save("in/a.png", 1)
    call = ["upscale", "in", "-o", "out", "-f", "jpeg"]
    assert wdsr(*call).code == 0
    before = tree("out")
    if change == "input":
        save("in/a.png", 2)
    else:
        call += ["-q", "30"]
    ran = wdsr(*call)
    assert (ran.code, nearest.runs) == (1, 1)
    assert "--resume" in ran.err
    assert tree("out") == before
    assert wdsr(*call, "--resume").code == 0  # ours, untouched: stale
    assert tree("out") != before
    Path("out/a_x4.jpg").write_bytes(b"precious")
    ran = wdsr(*call, "--resume")
    assert (ran.code, Path("out/a_x4.jpg").read_bytes()) == (1, b"precious")
    assert "is not what this would write" in ran.err


def test_resume_takes_whole_results_that_nobody_remembers(wdsr: Wdsr) -> None:
    """As a kill between the rename and the note leaves them."""
    save("in/a.png")
    assert wdsr("upscale", "in", "-o", "out").code == 0
    before = tree("out")
    Path("out", manifest.NAME).unlink()
    settle()
    assert wdsr("upscale", "in", "-o", "out").code == 1
    assert wdsr("upscale", "in", "-o", "out", "--resume").code == 0
    assert tree("out") == before
    assert "1 of 1 were done" in wdsr("upscale", "in", "-o", "out").err


def test_single_files_are_remembered_when_told(wdsr: Wdsr, nearest: Any) -> None:
    save("a.png")
    for _ in range(3):
        assert wdsr("upscale", "a.png", "-o", "out", "--resume").code == 0
    assert nearest.runs == 1


@pytest.mark.parametrize("content", [b"", b"no database" * 100, None])
def test_a_manifest_that_is_none_ends_in_one_line(wdsr: Wdsr, content: bytes | None) -> None:
    save("in/a.png")
    path = Path("out", manifest.NAME)
    path.parent.mkdir()
    if content is None:
        with sqlite3.connect(path) as base:
            base.execute("PRAGMA user_version=99")
        base.close()
    else:
        path.write_bytes(content)
    ran = wdsr("upscale", "in", "-o", "out")
    if content == b"":
        assert ran.code == 0
    else:
        assert (ran.code, tree("out"), len(ran.lines)) == (1, {}, 1)
        assert manifest.NAME in ran.err


def test_names_that_are_no_text_are_remembered_and_told(wdsr: Wdsr, nearest: Any) -> None:
    name = os.fsdecode(b"in/\xff\xfe \x1b[31m.png")
    save(name)
    for _ in range(2):
        ran = wdsr("upscale", "in", "-o", "out", "--json")
        assert ran.code == 0
    assert nearest.runs == 1
    save(os.fsdecode(b"in/\x80.png"))
    ran = wdsr("upscale", "in", "-o", "out")
    assert ran.code == 0
    assert "\\udc80_x4.png" in ran.err
    Path(name).write_bytes(b"bad")
    ran = wdsr("upscale", "in", "-o", "new")
    assert ran.code == 1
    assert "\x1b" not in ran.err


def test_results_among_the_inputs_are_not_inputs(wdsr: Wdsr, nearest: Any) -> None:
    save("in/a.png")
    for _ in range(2):
        assert wdsr("upscale", "in", "-o", "in").code == 0
    assert sorted(tree("in")) == ["a.png", "a_x4.png"]
    assert nearest.runs == 1


# Which files


def test_include_and_exclude(wdsr: Wdsr) -> None:
    for name in ("a.png", "b.png", "thumbs/a.png", "deep/thumbs/c.png", "deep/a.png", "deep/d.png"):
        save(Path("in") / name)

    def chosen(*options: str) -> list[str]:
        shutil.rmtree("out", ignore_errors=True)
        assert wdsr("upscale", "in", "-r", "-o", "out", "--suffix", "", *options).code == 0
        return sorted(tree("out"))

    assert chosen("--exclude", "thumbs") == ["a.png", "b.png", "deep/a.png", "deep/d.png"]
    assert chosen("--include", "a*") == ["a.png", "deep/a.png", "thumbs/a.png"]
    assert chosen("--include", "deep/*", "--exclude", "*/thumbs") == ["deep/a.png", "deep/d.png"]
    assert chosen("--include", "b.png", "--include", "c.png") == ["b.png", "deep/thumbs/c.png"]
    ran = wdsr("upscale", "in", "-o", "out", "--include", "*.jpg")
    assert (ran.code, len(ran.lines)) == (1, 1)
    assert "--include" in ran.err


def test_a_folder_that_cannot_be_read_costs_its_pictures(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("in/a.png")
    save("in/locked/b.png")
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as root, whom nothing stops
    ran = wdsr("upscale", "in", "-r", "-o", "out")
    assert ran.code == 1
    assert sorted(tree("out")) == ["a_x4.png"]
    assert "locked: cannot read this folder: Permission denied" in ran.lines[0]


def test_names_that_differ_in_form_only_are_both_kept_or_refused(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed, apart = "é.png", "e\u0301.png"
    save(f"in/{composed}", 1)
    save(f"in/{apart}", 2)
    assert wdsr("upscale", "in", "-o", "out").code == 0
    assert len(set(tree("out").values())) == 2
    jobs = make_plan([Path("in")], Naming(Path("out"), "_x4")).jobs
    assert [job.twin for job in jobs] == [True, True]
    # A file system that takes both names for one: its second file is the first one.
    stat = Path.stat

    def folding(self: Path, **options: Any) -> os.stat_result:
        return stat(self.with_name(self.name.replace("e\u0301", "é")), **options)

    monkeypatch.setattr(Path, "stat", folding)
    ran = wdsr("upscale", "in", "-o", "out", "-y")
    assert ran.code == 1
    assert "this file system takes the name for that of" in ran.err


@pytest.fixture
def clashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save("in/a.png")
    shutil.copy("in/a.png", "in/a.jpg")
    save("in/b.png")
    return Path("in")


def test_a_clash_is_refused_unless_lenient(clashing: Path) -> None:
    naming = Naming(Path("out"), "_x4", "webp")
    with pytest.raises(UsageError, match=r"in/a.jpg and in/a.png would both become .*--exclude"):
        make_plan([clashing], naming)
    jobs = make_plan([clashing], naming, lenient=True).jobs
    assert [bool(job.clash) for job in jobs] == [False, True, False]


def test_planning_many_files_is_quick_and_small(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3000):
        (folder / f"{i}.png").touch()
    began = time.process_time()
    jobs = make_plan([folder], Naming(tmp_path / "out", "_x4")).jobs
    assert len(jobs) == 3000
    assert time.process_time() - began < 1.5  # 0.5 ms a file, and what a busy machine adds


# Going on


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_several_at_once_do_the_same_in_the_same_order(wdsr: Wdsr, jobs: int) -> None:
    for seed in range(12):
        save(f"in/{seed:02}.png", seed, 5 + seed, 7)
    Path("in/05.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    ran = wdsr("upscale", "in", "-o", "out", "-j", jobs)
    assert ran.code == 1
    assert len(tree("out")) == 11
    assert ["05" in line for line in ran.lines[:-1]] == [i == 5 for i in range(12)]
    for seed in (0, 11):
        found = pictures.read(Path(f"out/{seed:02}_x4.png"))
        assert (found.height, found.width) == (4 * (5 + seed), 28)


def test_events(wdsr: Wdsr) -> None:
    save("in/a.png")
    Path("in/b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    ran = wdsr("upscale", "in", "-o", "out", "--json")
    assert ran.code == 1
    done, failed, end = events(ran)
    assert (done["event"], done["output"]) == ("done", "out/a_x4.png")
    assert (done["from"], done["to"]) == ([9, 6], [36, 24])
    assert (failed["event"], failed["error"]) == ("failed", "DamageError")
    assert "in/b.png" in failed["message"]
    assert end == {"event": "end", "done": 1, "skipped": 0, "failed": 1, "megapixels": 0.0}
    skipped, *_ = events(wdsr("upscale", "in", "-o", "out", "--json"))
    assert (skipped["event"], skipped["input"]) == ("skipped", "in/a.png")
    (alone, _) = events(wdsr("upscale", "in/b.png", "--json"))
    assert alone["error"] == "DamageError"
    ran = wdsr("upscale", "in/a.png", "-o", "-", "--json")
    assert (ran.code, ran.out) == (2, b"")


def test_limits_and_best_effort(wdsr: Wdsr) -> None:
    save("a.png", height=60, width=60)
    ran = wdsr("upscale", "a.png", "--limit", "pixels=3599")
    assert (ran.code, len(ran.lines)) == (1, 1)
    assert "a.png: declares 60 x 60 pixels, at most 3599" in ran.err
    assert wdsr("upscale", "a.png", "--limit", "pixels=3.6e3").code == 0
    for wrong in ("pixels", "pixels=", "pixels=-1", "pixels=nan", "colour=3", "=5"):
        assert wdsr("upscale", "a.png", "--limit", wrong).code == 2
    data = Path("a.png").read_bytes()
    Path("cut.png").write_bytes(data[: len(data) // 2])
    assert wdsr("upscale", "cut.png").code == 1
    ran = wdsr("upscale", "cut.png", "--best-effort")
    assert ran.code == 0
    told = (
        "taken all the same, the missing part grey or black: cut.png: cannot be decoded as png to"
    )
    assert told in ran.lines[0]
    assert pictures.read(Path("cut_x4.png")).width == 240


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        (["-s", "4"], 2 * 36 * 24 * 3),  # of 9 x 6: the result, and the file
        # Float samples at x2, and as many of the result as between and after the reduction.
        (["-s", "1.5"], 14 * 9 * 3 + 4 * 3 * (18 * 12 + 2 * 14 * 9)),
        (["-s", "8"], 72 * 48 * 3 + 4 * 3 * (36 * 24 + 72 * 48)),  # x4, then x2
        (["-s", "2", "--consistent"], 18 * 12 * 3 + 4 * 3 * 4 * 18 * 12),
    ],
)
def test_a_result_that_cannot_fit_is_refused(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch, options: list[str], needed: int
) -> None:
    save("a.png")
    monkeypatch.setattr(memory, "_SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: needed - 1)
    ran = wdsr("upscale", "a.png", *options)
    assert (ran.code, len(ran.lines)) == (1, 1)
    assert "a.png: the result of " in ran.err
    monkeypatch.setattr(memory, "free_memory", lambda: needed)
    assert wdsr("upscale", "a.png", *options).code == 0


@pytest.mark.parametrize(
    ("error", "word"),
    [(ValueError("odd\nthing"), "please report"), (BackendError("the GPU is gone"), "GPU is gone")],
)
def test_a_fault_of_ours_or_of_the_engine_costs_one_file(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, word: str
) -> None:
    for seed in range(4):
        save(f"in/{seed}.png", seed)
    run = nearest.run

    def fail(self: Any, batch: Any) -> Any:
        if nearest.runs == 2:
            nearest.runs += 1
            raise error
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", fail)
    ran = wdsr("upscale", "in", "-o", "out")
    assert ran.code == 1
    assert sorted(tree("out")) == ["0_x4.png", "1_x4.png", "3_x4.png"]
    (line,) = [line for line in ran.lines if word in line]
    assert line.startswith("wdsr: in/2.png: ")
    monkeypatch.setattr(nearest, "run", run)
    assert wdsr("upscale", "in", "-o", "out", "--resume").code == 0


def test_an_engine_that_never_works_ends_the_run(
    wdsr: Wdsr, nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, batch: Any) -> Any:
        raise BackendError("no such device")

    monkeypatch.setattr(nearest, "run", fail)
    for seed in range(4):
        save(f"in/{seed}.png", seed)
    ran = wdsr("upscale", "in", "-o", "out")
    assert (ran.code, ran.lines) == (1, ["wdsr: no such device"])


def test_a_result_that_cannot_be_read_again_is_not_kept(
    wdsr: Wdsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png")
    encode = pictures.encode
    monkeypatch.setattr(pictures, "encode", lambda *a, **o: encode(*a, **o)[:-30])
    ran = wdsr("upscale", "a.png")
    assert ran.code == 1
    assert "a_x4.png: was written but cannot be read again" in ran.err
    assert list(tree(".")) == ["a.png"]
