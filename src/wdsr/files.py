"""Files and folders: finding pictures, writing whole files or none."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from pathlib import Path

from wdsr.errors import PictureError


def list_files(folder: Path, suffixes: Collection[str], *, recursive: bool = False) -> list[Path]:
    """A folder's files with one of these (lower-case) suffixes, sorted by path.

    Hidden files and folders are left out, and so is what is no file (a pipe, a
    broken link); links to folders are not followed.

    Raises PictureError if the folder cannot be read or has none.
    """
    found: list[Path] = []
    try:
        if recursive:
            for here, folders, names in os.walk(folder, onerror=_raise):
                folders[:] = [name for name in folders if not name.startswith(".")]
                found += (Path(here) / name for name in names)
        else:
            found += folder.iterdir()
        files = sorted(
            path
            for path in found
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise PictureError(
            f"{error.filename or folder}: cannot read this: {error.strerror}"
        ) from error
    if not files:
        deeper = "" if recursive else ", nor looked for in its subfolders"
        raise PictureError(f"{folder}: no pictures in this folder{deeper}")
    return files


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or as it was before.

    Raises OSError as the system does; no temporary file is left behind.
    """
    part = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _raise(error: OSError) -> None:
    raise error
