"""Where results go: what is there already, what may be replaced, what is remembered."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from wdsr.batch.manifest import Entry, Manifest
from wdsr.batch.plan import STREAM, Job
from wdsr.errors import ExistsError, WriteError
from wdsr.files import clean_leftovers, write_atomically

_FRESH_SECONDS = 5  # notes are kept once a second


def check_free(job: Job) -> None:
    """Raise ExistsError for a job whose name is taken, unless a manifest may know by what."""
    if job.target != STREAM and not job.root and is_there(job.target):
        raise ExistsError(f"{job.target}: exists already; use -y to replace it")


class Results:
    """The files that a run writes. Its methods may be called from several threads.

    key: SHA-256 of the model and all settings that shape a result; called once, and
        only if a manifest is kept.
    overwrite: replace whatever has a result's name.
    resume: replace our own older results, and take for done what is there
        unremembered but the same to the last byte.
    """

    def __init__(self, key: Callable[[], bytes], *, overwrite: bool, resume: bool) -> None:
        self._make_key = key
        self._key = b""
        self._overwrite, self._resume = overwrite, resume
        self._lock = threading.Lock()  # of what follows
        self._manifests: dict[str, Manifest] = {}
        self._cleaned: set[Path] = set()
        self._twin_lock = threading.Lock()
        self._twins: dict[tuple[int, int], str] = {}  # of files written -> name

    def check(self, job: Job) -> None:
        """Refuse at once, before any reading, what `may_replace` would refuse."""
        if not (self._overwrite or self._resume):
            check_free(job)

    def may_replace(self, job: Job, digest: bytes) -> bool | None:
        """Whether the job may replace its target; None if the target needs no doing again.

        digest: SHA-256 of the input.
        """
        target = job.target
        if target == STREAM or not is_there(target):
            return self._overwrite
        manifest = self._manifest(job)
        known = manifest.find(target) if manifest else None
        if known and known.input == digest and known.settings == self._key:
            same = not target.is_symlink() and target.stat().st_size == known.size
            if same and (self._resume or not self._overwrite):
                self._clean(target.parent)
                return None
        if self._overwrite:
            return True
        if job.root and not known and time.time() - target.lstat().st_mtime < _FRESH_SECONDS:
            return False  # by another process, perhaps, that has yet to note it: see `put`
        if not self._resume:
            fault = "exists already; use -y to replace it, or --resume if an earlier run made it"
            raise ExistsError(f"{target}: {fault}")
        # Ours, untouched since, but of another input or other settings. Any other
        # file stays, unless the result turns out to be the same: see `put`.
        return known is not None and _digest(target) == known.output

    def put(
        self,
        job: Job,
        content: bytes | Callable[[Path], None],
        digest: bytes,
        replaces: bool | None,
        verify: Callable[[Path], None],
    ) -> None:
        """Write a result, or find it there, and remember it.

        digest: SHA-256 of the input. content, verify: see `write_atomically`.

        Raises ExistsError, WriteError.
        """
        manifest = self._manifest(job)
        whole = content if isinstance(content, bytes) else None  # None: it is written in parts
        with self._twin_lock if job.twin else contextlib.nullcontext():
            if job.twin:
                self._check_twin(job)
            # What another run has left, or another process that does the same has just written.
            mergeable = not replaces and (self._resume or manifest is not None)
            if not (
                mergeable
                and whole is not None
                and is_there(job.target)
                and _holds(job.target, whole)
            ):
                try:
                    write_atomically(
                        job.target,
                        content,
                        overwrite=bool(replaces),
                        verify=verify,
                        sync=manifest is None,  # which syncs folders for several names at a time
                    )
                except ExistsError:
                    if not mergeable or whole is None:
                        raise
                    if not _holds(job.target, whole):
                        fault = "is there already and is not what this would write"
                        raise ExistsError(f"{job.target}: {fault}; use -y to replace it") from None
                except OSError as error:  # which names the temporary file
                    raise unwritable(job.target, error) from error
            if job.twin:
                state = job.target.stat()
                self._twins[state.st_dev, state.st_ino] = job.target_name
        if manifest:
            output = _digest(job.target) if whole is None else hashlib.sha256(whole).digest()
            length = job.target.stat().st_size if whole is None else len(whole)
            manifest.note(job.target, Entry(digest, self._key, output, length))

    def prepare(self, folder: Path) -> None:
        """Make a folder, and clean it of what a killed run has left. Raises OSError.

        One that vanishes later, with its disk perhaps, is not made again.
        """
        self._clean(folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(0, "gone or not writable", str(folder))

    def _clean(self, folder: Path) -> None:
        with self._lock:
            if folder not in self._cleaned:
                folder.mkdir(parents=True, exist_ok=True)
                self._cleaned.add(folder)
                clean_leftovers(folder)

    def keep(self, *, at_once: bool) -> None:
        """Make what was remembered reach the disk, at once or if it is time."""
        for manifest in self._manifests.copy().values():
            manifest.keep(at_once=at_once)

    def close(self) -> None:
        """Make what was done reach the disk. Raises WriteError if it cannot."""
        while self._manifests:
            self._manifests.popitem()[1].close()

    def _manifest(self, job: Job) -> Manifest | None:
        if not job.root:
            return None
        with self._lock:
            if job.root not in self._manifests:
                Path(job.root).mkdir(parents=True, exist_ok=True)
                self._key = self._key or self._make_key()
                self._manifests[job.root] = Manifest(Path(job.root))
            return self._manifests[job.root]

    def _check_twin(self, job: Job) -> None:
        """Refuse to replace a result of this run that has the name in another spelling."""
        try:
            state = job.target.stat()
        except OSError:
            return
        other = self._twins.get((state.st_dev, state.st_ino), job.target_name)
        if other != job.target_name:
            raise WriteError(
                f"{job.target}: this file system takes the name for that of {other}, which would "
                "be lost; rename one of their inputs"
            )


def is_there(path: Path) -> bool:
    """Whether the name is taken. Raises OSError if the system could not even use it."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def unwritable(where: Path | str, error: OSError) -> WriteError:
    """The error for a place that the system does not let us write to."""
    return WriteError(f"{where}: cannot be written ({error.strerror}); choose another place")


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
