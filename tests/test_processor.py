"""What a machine is, and what is remembered of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from wdsr import processor as machines
from wdsr.processor import Others, Processor, processor, recall, remember


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WDSR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_this_machine_is_known() -> None:
    here = processor()
    assert here.name
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert set(here.features) <= set(machines.FEATURES)
    assert here.name in str(here)


@pytest.mark.parametrize(
    ("name", "features", "int8", "bf16"),
    [
        ("x", (), None, False),
        ("x", ("asimd", "i8mm"), None, False),
        ("x", ("avx2",), True, False),
        ("Intel", ("avx2", "avx512_vnni", "avx512_bf16"), True, False),
        ("AMD EPYC", ("avx2", "avx512_vnni", "avx512_bf16"), True, True),
        ("AMD EPYC", ("avx2",), True, False),
        ("Intel", ("avx2", "amx_int8", "amx_bf16"), True, True),
    ],
)
def test_what_processors_do_well(
    name: str, features: tuple[str, ...], int8: bool | None, bf16: bool
) -> None:
    here = Processor(name, features, 2, 0, 0)
    assert here.runs_int8_well is int8
    assert here.runs_bf16_well is bf16


def test_what_was_remembered_is_recalled(cache: Path) -> None:
    assert recall("speed") is None
    remember("speed", {"a": 1.5})
    assert recall("speed") == {"a": 1.5}
    assert recall("other") is None
    remember("speed", 2)
    assert recall("speed") == 2


def test_another_processor_remembers_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember("speed", 3)
    other = replace(processor(), name="another")
    monkeypatch.setattr(machines, "processor", lambda: other)
    assert recall("speed") is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"result": ', b"null"])
def test_a_damaged_note_is_as_none(cache: Path, content: bytes) -> None:
    remember("speed", 3)
    (note,) = (cache / "measured").iterdir()
    note.write_bytes(content)
    assert recall("speed") is None


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WDSR_CACHE", str(tmp_path / "file"))
    remember("speed", 3)
    assert recall("speed") is None


def test_caches_go_where_systems_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WDSR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr(sys, "platform", "linux")
    assert machines.cache_folder() == Path("/somewhere/wdsr")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert machines.cache_folder() == Path.home() / "Library/Caches/wdsr"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert machines.cache_folder() == Path("/local/wdsr")


def test_what_others_take_is_not_what_we_take(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = processor().cores
    taken = {"busy": 0.0}
    monkeypatch.setattr("wdsr.processor.busy_seconds", lambda: taken["busy"])
    monkeypatch.setattr("time.process_time", lambda: taken["busy"] / 4)
    monkeypatch.setattr("time.perf_counter", lambda: taken["busy"] / cores)
    others = Others()
    taken["busy"] = 8.0  # all cores at work all the time, a quarter of it ours
    assert others.share() == pytest.approx(0.75)
    monkeypatch.setattr("wdsr.processor.busy_seconds", lambda: None)
    assert Others().share() == 0


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs /proc/stat")
def test_a_program_at_work_is_seen() -> None:
    work = "import time; end = time.time() + 30\nwhile time.time() < end: pass"
    busy = [subprocess.Popen([sys.executable, "-c", work]) for _ in range(processor().cores)]
    try:
        others = Others()
        time.sleep(1)
        assert others.share() > 0.5
    finally:
        for process in busy:
            process.kill()
            process.wait()
