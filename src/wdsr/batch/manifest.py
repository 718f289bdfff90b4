"""What a folder of results remembers: which input, model and settings made each file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wdsr.errors import WriteError
from wdsr.files import sync_folder

NAME = ".wdsr.sqlite"
_VERSION = 1
_TABLE = """CREATE TABLE IF NOT EXISTS done (
    target BLOB PRIMARY KEY,  -- relative to the folder; names need not be text
    input BLOB NOT NULL,      -- SHA-256 of the input file
    settings BLOB NOT NULL,   -- SHA-256 of the model and of all that shapes the result
    output BLOB NOT NULL,     -- SHA-256 of the result
    size INTEGER NOT NULL     -- of the result, in bytes
) WITHOUT ROWID"""

_INSERT = "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Entry:
    """One result."""

    input: bytes
    settings: bytes
    output: bytes
    size: int


class Manifest:
    """The memory of one folder of results, in a hidden SQLite file; several processes may use it.

    An entry is noted only after its result has its name, and is kept only after
    that name has reached the disk: a few results at a time, so that a folder is
    not synced for each.
    """

    def __init__(self, folder: Path) -> None:
        """Raises WriteError if the folder or an old manifest in it cannot be used."""
        self._folder = folder
        self._path = folder / NAME
        self._lock = threading.Lock()
        self._waiting: dict[bytes, Entry] = {}
        self._folders: set[Path] = set()
        self._kept = time.monotonic()
        with self._faults():
            self._base = sqlite3.connect(
                self._path, timeout=30, check_same_thread=False, isolation_level=None
            )
            # A lost entry costs doing one file again: it need not be synced by itself.
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                self._base.close()
                raise WriteError(f"{self._path}: is of another wdsr; remove it to start anew")
            self._base.execute(_TABLE)
            self._base.execute(f"PRAGMA user_version={_VERSION}")

    def find(self, target: Path) -> Entry | None:
        """What is known of a result."""
        key = self._key(target)
        with self._lock, self._faults():
            if key in self._waiting:
                return self._waiting[key]
            row = self._base.execute(
                "SELECT input, settings, output, size FROM done WHERE target = ?", (key,)
            ).fetchone()
        return Entry(*row) if row else None

    def note(self, target: Path, entry: Entry) -> None:
        """Remember a result that has its name."""
        with self._lock:
            self._waiting[self._key(target)] = entry
            self._folders.add(target.parent)
            self._keep(at_once=False)

    def keep(self, *, at_once: bool = True) -> None:
        """Make what was noted reach the disk, at once or if it is time.

        Raises WriteError if it cannot.
        """
        with self._lock:
            self._keep(at_once=at_once)

    def close(self) -> None:
        """`keep`, and give the file back."""
        try:
            self.keep()
        finally:
            self._base.close()

    def _keep(self, *, at_once: bool) -> None:
        late = time.monotonic() - self._kept > 1
        if not self._waiting or not (at_once or late or len(self._waiting) >= 64):
            return
        self._kept = time.monotonic()
        with self._faults():
            for folder in self._folders:
                sync_folder(folder)
            rows = [
                (key, e.input, e.settings, e.output, e.size) for key, e in self._waiting.items()
            ]
            self._base.execute("BEGIN IMMEDIATE")
            try:
                self._base.executemany(_INSERT, rows)
                self._base.execute("COMMIT")
            except sqlite3.Error:
                with contextlib.suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                raise
        self._waiting.clear()
        self._folders.clear()

    def _key(self, target: Path) -> bytes:
        return os.fsencode(os.path.relpath(target, self._folder))

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise WriteError(
                f"{self._path}: results cannot be remembered ({error}); those written are whole, "
                "--resume takes them up"
            ) from error


def results_in(folder: Path) -> set[str]:
    """Paths of all remembered results, relative to the folder; none where nothing can be read."""
    if not (folder / NAME).exists():
        return set()
    try:
        with contextlib.closing(sqlite3.connect(folder / NAME, timeout=30)) as base:
            return {os.fsdecode(row[0]) for row in base.execute("SELECT target FROM done")}
    except sqlite3.Error:
        return set()
