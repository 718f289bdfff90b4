"""Checkpoints: written whole, synced, verified when read; the last two are kept.

A file's name holds its step and the start of its SHA-256: `step-00012000-3f2a9c....ckpt`.
So one rename publishes both, and a damaged file is known without trusting it. A
checkpoint from which a run can be extended is kept as `trunk-...` too.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout  # comes with torch

from wdsr.errors import TrainingError
from wdsr.files import clean_leftovers, write_atomically

State = dict[str, Any]
KEPT = 2


def save(run: Path, state: State, *, trunk: bool = False) -> Path:
    """Write `state` as the run's newest checkpoint; `state["step"]` names it.

    Raises TrainingError if the disk does not take it; older ones stay as they are.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    path = run / f"{'trunk' if trunk else 'step'}-{state['step']:08d}-{_digest(content)}.ckpt"
    try:
        write_atomically(path, content)
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot write this checkpoint ({error.strerror}); older ones are unharmed"
        ) from error
    others = [old for old in _files(run, trunk=trunk) if old != path]
    for old in others:
        if _step(old) == state["step"]:  # the same, written by an earlier sitting
            old.unlink()
    for old in [old for old in others if _step(old) != state["step"]][0 if trunk else KEPT - 1 :]:
        old.unlink()
    return path


def newest(run: Path) -> State | None:
    """The state of a run's newest whole checkpoint, on the CPU; None if it has none.

    Raises TrainingError if there are checkpoints and all of them are damaged.
    """
    return next(iter(whole(run)), None)


def whole(run: Path, notice: Callable[[str], None] = lambda text: None) -> list[State]:
    """A run's newest whole checkpoint, then its trunk: those of the two that there are.

    notice: is told of each damaged file that is passed over.
    Raises TrainingError if there are checkpoints and all of them are damaged.
    """
    found, damaged = [], []
    for trunk in (False, True):
        for path in _files(run, trunk=trunk):
            if (state := _read(path)) is not None:
                found.append(state)
                break
            damaged.append(path)
    if damaged and not found:
        names = ", ".join(path.name for path in damaged)
        raise TrainingError(f"{run}: no whole checkpoint is left, damaged are {names}")
    for path in damaged:
        notice(f"{path}: damaged and passed over")
    return found


@contextmanager
def held(run: Path, patience: float = 10) -> Iterator[None]:
    """Keep a run folder to this process. Raises TrainingError if another one trains there.

    patience: seconds to wait for it: worker processes outlive a killed one a little.
    """
    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / ".lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise TrainingError(f"{run}: another process trains in this folder") from None
    except NotImplementedError:
        pass  # what filelock says of a file system without locks: there, nobody is kept out
    try:
        clean_leftovers(run)  # of a process that was killed while it wrote
        yield
    finally:
        lock.release()


def forget_after(run: Path, step: int) -> None:
    """Delete checkpoints past a step, from which the run now goes on another way."""
    for path in _files(run, trunk=False):
        if _step(path) > step:
            path.unlink()


def is_finite(state: Any) -> bool:
    """Whether no number in a state is infinite or NaN."""
    if isinstance(state, torch.Tensor):
        return bool(state.isfinite().all())
    if isinstance(state, dict):
        return all(is_finite(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return all(is_finite(value) for value in state)
    return True


def _files(run: Path, *, trunk: bool) -> list[Path]:
    """Newest first."""
    pattern = "trunk-*.ckpt" if trunk else "step-*.ckpt"
    return sorted(run.glob(pattern), key=_step, reverse=True)


def _step(path: Path) -> int:
    number = path.stem.split("-")[1]
    return int(number) if number.isdecimal() else -1


def _read(path: Path) -> State | None:
    """None if damaged. Raises TrainingError if it cannot be read: it may be whole."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        digest = path.stem.split("-")[2:]  # none in files of the first version
        if digest and digest[0] != _digest(content):
            return None
        state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception:  # torch raises many kinds for a damaged file
        return None
    return state


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
