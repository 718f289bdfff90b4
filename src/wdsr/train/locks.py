"""Locks on files, which the system opens again when their holder ends or is killed.

Of the standard library: pictures are brought and packed where torch, and so filelock, may not be.
"""

from __future__ import annotations

from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: nobody is kept out
    fcntl = None  # type: ignore[assignment]


def lock(stream: BinaryIO) -> bool | None:
    """Lock an open, writable file until it is closed. False if another holds it.

    None if that cannot be known: a system or a file system without locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
