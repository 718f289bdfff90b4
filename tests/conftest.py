"""Settings that must stand before torch or an engine loads."""

from __future__ import annotations

import os

from hypothesis import settings

# Two threads that sleep when idle: tests stay fast beside other work (see shared facts).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "2")

# The same examples on every run, no time limit on a busy machine, no folder left behind.
settings.register_profile("wdsr", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("wdsr")
