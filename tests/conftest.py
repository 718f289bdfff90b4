"""Settings that must stand before torch or an engine loads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from wdsr.upscale import Upscaler

# Two threads that sleep when idle: tests stay fast beside other work (see shared facts).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "2")

# The same examples on every run, no time limit on a busy machine, no folder left behind.
settings.register_profile("wdsr", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("wdsr")


@pytest.fixture
def nearest(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A fake in place of every engine; lists with which options each was made."""
    from tests.helpers import Nearest

    from wdsr import backends

    made = []

    def create(name: str, model: Any, **options: Any) -> Nearest:
        made.append({"name": name, "scale": model.card.scale, **options})
        return Nearest(model.card)

    monkeypatch.setattr(backends, "create", create)
    return made


@pytest.fixture(scope="module")
def x2() -> Upscaler:
    """The shipped x2 model on the default engine, in float32, which every machine has."""
    import wdsr

    return wdsr.load(scale=2, precision="float32")
