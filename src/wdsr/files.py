"""Files and folders: finding pictures, reading one, writing whole files or none."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import secrets
import stat
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from wdsr.errors import ExistsError, FileError, LimitError, PictureError

try:
    import fcntl
except ImportError:  # Windows: leftovers stay
    fcntl = None  # type: ignore[assignment]


def list_files(folder: Path, suffixes: Collection[str], *, recursive: bool = False) -> list[Path]:
    """A folder's files with one of these (lower-case) suffixes, sorted by path.

    As `find_files`, but a subfolder that cannot be read raises too.
    """
    return [folder / name for name in find_files(folder, suffixes, recursive=recursive)]


def find_files(
    folder: Path,
    suffixes: Collection[str],
    *,
    recursive: bool = False,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
    on_error: Callable[[OSError], None] | None = None,
    left_out: Counter[str] | None = None,
) -> list[str]:
    """A folder's files as paths relative to it, with one of these suffixes, sorted by path.

    Hidden files and folders are left out, and so is what is no file (a pipe, a
    broken link); links to folders are not followed, so a loop of links ends.

    include, exclude: shell patterns, see `matches`; a file must match one of
        `include`, if there are any, and none of `exclude`. A folder that is
        excluded is not entered.
    on_error: told of subfolders that cannot be read, which are then left out.
    left_out: counts what nobody asked to leave out, by the reason.

    Raises FileError if the folder cannot be read (a subfolder too, without
    `on_error`), PictureError if it has no such file.
    """

    def failed(error: OSError) -> None:
        if on_error is None or error.filename == str(folder):
            raise error
        on_error(error)

    found: list[str] = []
    try:
        for here, folders, names in os.walk(folder, onerror=failed):
            below = os.path.relpath(here, folder)
            below = "" if below == os.curdir else below + os.sep
            folders[:] = (
                name
                for name in folders
                if recursive and name[0] != "." and not matches(below + name, exclude)
            )
            for name in names:
                if name[0] == "." or matches(below + name, exclude):
                    continue
                if include and not matches(below + name, include):
                    continue
                path = os.path.join(here, name)  # noqa: PTH118
                fault = ""
                if os.path.splitext(name)[1].lower() not in suffixes:  # noqa: PTH122
                    fault = "without a picture suffix"
                elif not os.path.isfile(path):  # noqa: PTH113
                    fault = "dangling link" if os.path.islink(path) else "no file"  # noqa: PTH114
                if not fault:
                    found.append(below + name)
                elif left_out is not None:
                    left_out[fault] += 1
    except NotADirectoryError as error:
        raise FileError(f"{error.filename or folder}: is a file, not a folder") from error
    except OSError as error:
        raise FileError(
            f"{error.filename or folder}: cannot read this: {error.strerror}"
        ) from error
    if not found:
        deeper = "" if recursive else ", nor looked for in its subfolders"
        chosen = " that --include and --exclude let through" if include or exclude else ""
        raise PictureError(f"{folder}: no pictures in this folder{chosen}{deeper}")
    return sorted(found, key=lambda name: Path(name).parts)


def matches(path: str, patterns: Collection[str]) -> bool:
    """Whether a path below the searched folder fits one of the shell patterns.

    A pattern without a slash is for the last name, one with a slash for the whole
    path; `*` matches slashes too. Capital letters count.
    """
    if not patterns:
        return False
    path = path.replace(os.sep, "/")
    return any(
        fnmatch.fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)
        for pattern in patterns
    )


def read_file(path: Path, *, max_bytes: int, name: str = "") -> bytes:
    """The content of a regular file: never of a pipe or a device, which may not end.

    Raises FileError if it is none or cannot be read, LimitError if it is longer.
    """
    name = name or str(path)
    try:
        # Not blocking: opening a pipe would wait for somebody to write into it.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:  # noqa: PTH123
            state = os.fstat(file.fileno())
            _check_state(state, max_bytes, name)
            return file.read(state.st_size + 1)  # it may be growing: no more than that
    except OSError as error:
        raise _unreadable(name, error) from error


def check_file(path: Path, *, max_bytes: int) -> None:
    """Raises as `read_file` does, but that a file that may not be read is not seen."""
    try:
        _check_state(path.stat(), max_bytes, str(path))
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _check_state(state: os.stat_result, max_bytes: int, name: str) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise FileError(f"{name}: is not a file; name a picture file")
    if state.st_size > max_bytes:
        raise LimitError(
            f"{name}: has {state.st_size / 1e6:.0f} MB, at most {max_bytes / 1e6:.0f} "
            "are read; raise it with --limit bytes=N"
        )


def _unreadable(name: str, error: OSError) -> FileError:
    if isinstance(error, FileNotFoundError):
        return FileError(f"{name}: does not exist; name a picture file")
    if isinstance(error, IsADirectoryError):
        return FileError(f"{name}: is not a file; name a picture file")
    return FileError(f"{name}: cannot be read ({error.strerror}); check the file")


_CLAIM_SECONDS = 2  # a file younger than this may not have been locked by its writer yet
_PART = re.compile(r"\..{1,50}\.[0-9a-f]{8}\.wdsr-part", re.DOTALL)


def write_atomically(
    path: Path,
    content: bytes | Callable[[Path], None],
    *,
    overwrite: bool = True,
    verify: Callable[[Path], None] = lambda part: None,
    sync: bool = True,
) -> None:
    """Write a file so that it is there whole, or as it was before.

    The content goes to a hidden file of its own in the same folder, reaches the
    disk, is verified and gets its name; then the folder reaches the disk.

    content: or a function that writes it into the hidden file.
    overwrite: if not, a file that has this name is kept, even one that has just come.
    verify: called with the hidden file, raises if that is not good.
    sync: False leaves the last step, `sync_folder`, to the caller.

    Raises ExistsError if the file is there and may not be replaced, OSError as
    the system does; no temporary file is left behind.
    """
    part = part_of(path)
    try:
        with part.open("xb") as stream:
            claim(stream.fileno())
            if callable(content):
                content(part)
            else:
                stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            verify(part)
            _rename(part, path, overwrite)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


_TAKEN = "{}: exists already; use -y to replace it"


def _rename(part: Path, path: Path, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(part, path)  # fails if the name is taken, in one step, unlike a rename
        except FileExistsError as error:
            raise ExistsError(_TAKEN.format(path)) from error
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                raise ExistsError(_TAKEN.format(path)) from None
        else:
            part.unlink()
            return
    part.replace(path)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder reach the disk, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def part_of(path: Path) -> Path:
    """A hidden file of its own beside `path`, to be claimed, written and renamed to it."""
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.wdsr-part")


def clean_leftovers(folder: Path) -> list[Path]:
    """Remove the parts that a killed process left; whatever is being written stays.

    Returns what was removed. A folder that cannot be read or written is left as it is.
    """
    removed: list[Path] = []
    with contextlib.suppress(OSError):
        for part in list(_leftovers(folder)):
            with contextlib.suppress(OSError), part.open("rb") as stream:
                if not _is_claimed(stream.fileno()):
                    part.unlink()
                    removed.append(part)
    return removed


def _leftovers(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def claim(descriptor: int) -> bool | None:
    """Lock an open file until it is closed, or its writer ends or dies. False: another has it.

    None if that cannot be known: a system or a file system without locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_claimed(descriptor: int) -> bool:
    """Whether its writer may live."""
    young = time.time() - os.fstat(descriptor).st_mtime < _CLAIM_SECONDS
    return young or not claim(descriptor)
