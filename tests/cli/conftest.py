"""The command, run in this process as a shell would run it, and an engine whose result is known."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pytest

from wdsr import backends
from wdsr.backends import Batch
from wdsr.card import ModelCard
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


class Nearest:
    """An engine that repeats pixels: at whole scales the right result is `np.repeat`."""

    precision = "float32"
    runs = 0  # over all engines

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def run(self, batch: Batch) -> Batch:
        type(self).runs += 1
        for axis in (1, 2) if batch.dtype == np.uint8 else (2, 3):
            batch = batch.repeat(self.card.scale, axis)
        return batch


@pytest.fixture
def nearest(monkeypatch: pytest.MonkeyPatch) -> type[Nearest]:
    """The fake engine in the place of every real one."""

    def create(name: str, model: Any, **options: object) -> Nearest:
        return Nearest(model.card)

    monkeypatch.setattr(backends, "create", create)
    monkeypatch.setattr(Nearest, "runs", 0)
    return Nearest
