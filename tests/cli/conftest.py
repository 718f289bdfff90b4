"""The command, run in this process as a shell would run it, and an engine whose result is known."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest
from tests.helpers import Nearest

from wdsr import backends
from wdsr.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Of stderr."""
        return self.err.splitlines()


Wdsr = Callable[..., Ran]


@pytest.fixture
def wdsr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Wdsr:
    """`wdsr("upscale", "a.png")`, in an empty folder; what C libraries print is caught too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object, stdin: bytes = b"", stdout: TextIO | None = None) -> Ran:
        monkeypatch.setattr(sys, "argv", ["wdsr", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdout", stdout or sys.stdout)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        out, err = capfdbinary.readouterr()
        return Ran(end.value.code, out, err.decode())

    return run


@pytest.fixture
def nearest(monkeypatch: pytest.MonkeyPatch) -> type[Nearest]:
    """The fake engine in the place of every real one."""

    def create(name: str, model: Any, **options: object) -> Nearest:
        return Nearest(model.card)

    monkeypatch.setattr(backends, "create", create)
    monkeypatch.setattr(Nearest, "runs", 0)
    return Nearest
