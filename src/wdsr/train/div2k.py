"""DIV2K: which archives there are, and bringing them here whole.

Source: Agustsson and Timofte, "NTIRE 2017 Challenge on Single Image
Super-Resolution: Dataset and Study". The pictures are for research only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from wdsr.errors import TrainingError, UsageError
from wdsr.files import claim, write_atomically

URL = "http://data.vision.ee.ethz.ch/cvl/DIV2K/"
SCALES = {
    "bicubic": (2, 3, 4),
    "unknown": (2, 3, 4),
    "x8": (8,),
    "mild": (4,),
    "difficult": (4,),
}
# MD5 as public loaders list them; of the others, what came first is recorded.
KNOWN = {
    "DIV2K_train_HR.zip": "bdc2d9338d4e574fe81bf7d158758658",
    "DIV2K_valid_HR.zip": "9fcdda83005c5e5997799b69f955ff88",
}
RECORD = "DIV2K.sha256.json"
ATTEMPTS = 20  # in a row that bring nothing, before it is given up
_CHUNK = 1 << 18

# (archive, bytes done, bytes in all)
Report = Callable[[str, int, int], None]


def archives(kind: str, scale: int) -> list[str]:
    """The archives with HR and LR for training and validation. Raises UsageError if there are none.

    >>> archives("bicubic", 2)[1:3]
    ['DIV2K_valid_HR.zip', 'DIV2K_train_LR_bicubic_X2.zip']
    """
    if kind not in SCALES:
        raise UsageError(f"kind must be one of {', '.join(SCALES)}, not {kind!r}")
    if scale not in SCALES[kind]:
        have = ", ".join(map(str, SCALES[kind]))
        raise UsageError(f"DIV2K has {kind} at scale {have}, not {scale}")
    mark = f"{kind}_X{scale}" if kind in ("bicubic", "unknown") else kind
    return [
        f"DIV2K_{part}_{what}.zip" for what in ("HR", f"LR_{mark}") for part in ("train", "valid")
    ]


def folder(root: Path, part: str, kind: str, scale: int) -> Path:
    """Where the LR pictures of a kind lie once unpacked; `part` is train or valid."""
    inside = root / f"DIV2K_{part}_LR_{kind}"
    return inside / f"X{scale}" if kind in ("bicubic", "unknown") else inside


def download(
    root: Path,
    names: list[str],
    *,
    url: str = URL,
    report: Report = lambda name, done, total: None,
    pause: float = 1.0,
) -> None:
    """Download and unpack archives below `root`; what is there already is left alone.

    A dropped connection is taken up where it broke, after a pause in seconds
    that doubles; run again, it goes on too. Raises UsageError if `url` is none,
    TrainingError if the disk is too small, the server does not answer, what came
    is not what it should be, or another process downloads into `root`.
    """
    if root.exists() and not root.is_dir():
        raise TrainingError(f"{root}: is a file; choose another folder")
    if not (wanted := [name for name in names if not _is_done(root, name)]):
        return
    sizes = {name: _size(url + name, pause) for name in wanted}
    with _held(root):
        have = sum(p.stat().st_size for n in wanted if (p := root / f"{n}.part").exists())
        # The archive and its contents, about as large (PNGs do not shrink), side by side.
        need, free = sum(sizes.values()) * 2 - have, shutil.disk_usage(root).free
        if need > free:
            raise TrainingError(
                f"{root}: {need / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
            )
        for name in wanted:
            _bring(root, name, url + name, sizes[name], report, pause)


def _bring(root: Path, name: str, address: str, size: int, report: Report, pause: float) -> None:
    """One archive, from where an earlier try ended to its pictures."""
    part = root / f"{name}.part"
    _fetch(address, part, size, lambda done: report(name, done, size), pause)
    digest = _verify(root, name, part)
    _unpack(root, name, part)
    recorded = _recorded(root) | {name: digest}  # not before it is known to be whole
    write_atomically(root / RECORD, json.dumps(recorded, indent=1).encode())
    _done(root, name).touch()
    part.unlink()


def _done(root: Path, name: str) -> Path:
    """The mark of an archive that was unpacked."""
    return root / f".{name}.done"


def _is_done(root: Path, name: str) -> bool:
    """Whether an archive was unpacked and its pictures are still there."""
    inside, _, scale = name.removesuffix(".zip").partition("_X")
    pictures = root / inside / f"X{scale}" if scale else root / inside
    return _done(root, name).exists() and any(pictures.glob("*.png"))


@contextmanager
def _held(root: Path) -> Iterator[None]:
    """Keep a folder to this process: two would write into one archive."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("ab") as stream:
        if claim(stream.fileno()) is False:
            raise TrainingError(
                f"{root}: another process downloads into this folder; let it end, or use another"
            )
        yield


def _fetch(
    address: str, part: Path, size: int, report: Callable[[int], None], pause: float
) -> None:
    """Bring a file here, from where an earlier try ended."""
    fruitless = 0
    while (done := part.stat().st_size if part.exists() else 0) < size:
        try:
            _read_on(address, part, done, report)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno == 28:  # the disk, not the net
                raise
            reason = error
        else:
            reason = HTTPException("the connection was closed early")
        came = part.stat().st_size if part.exists() else 0
        fruitless = 0 if came > done else fruitless + 1
        if fruitless >= ATTEMPTS:
            raise TrainingError(f"{address}: nothing more comes ({reason}); run again to go on")
        if came < size:
            time.sleep(min(pause * 2**fruitless, 60))
    if done > size:
        part.unlink()
        raise TrainingError(f"{part}: larger than the server says; run again to begin anew")


def _read_on(address: str, part: Path, done: int, report: Callable[[int], None]) -> None:
    request = urllib.request.Request(address, headers={"Range": f"bytes={done}-"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        # A server that knows no ranges sends all from the begin.
        resumed = answer.status == 206
        done = done if resumed else 0
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := answer.read(_CHUNK):
                stream.write(chunk)
                done += len(chunk)
                report(done)


def _size(address: str, pause: float) -> int:
    """Bytes of a file on the server."""
    reason: Exception = HTTPException("no size given")
    for attempt in range(4):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            request = urllib.request.Request(address, method="HEAD")  # noqa: S310
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                if (length := answer.headers["Content-Length"] or "").isdecimal():
                    return int(length)
        except urllib.error.HTTPError as error:
            raise TrainingError(
                f"{address}: the server says {error.code} {error.reason}"
            ) from error
        except (OSError, HTTPException) as error:
            reason = error
        except ValueError as error:
            raise UsageError(f"{address}: no address ({error}); url is to be like {URL}") from error
    why = getattr(reason, "reason", reason)  # what is wrong, without urllib's words around it
    raise TrainingError(f"{address}: cannot be reached ({getattr(why, 'strerror', None) or why})")


def _verify(root: Path, name: str, part: Path) -> str:
    """Compare with the hash that is known, or recorded at the first download: the SHA-256."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with part.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            md5.update(chunk)
            sha256.update(chunk)
    digest = sha256.hexdigest()
    wrong = md5.hexdigest() != KNOWN.get(name, md5.hexdigest())
    if wrong or _recorded(root).get(name, digest) != digest:
        part.unlink()
        raise TrainingError(f"{name}: not the file it should be (its hash differs); run again")
    return digest


def _recorded(root: Path) -> dict[str, str]:
    """Archive -> SHA-256. A record that cannot be read is none: it must not stop a download."""
    try:
        recorded = json.loads((root / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    facts = recorded.items() if isinstance(recorded, dict) else ()
    return {name: digest for name, digest in facts if isinstance(digest, str)}


def _unpack(root: Path, name: str, part: Path) -> None:
    """Unpack beside, then rename, so that a picture folder is whole or not there."""
    beside = root / f".{name}.unpacking"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        _extract(name, part, beside)
        _merge(beside, root)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _extract(name: str, part: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(part) as archive:
            archive.extractall(target)
    except Exception as error:  # zipfile and its decoders raise many kinds for a damaged one
        if isinstance(error, MemoryError) or getattr(error, "errno", None):
            raise  # it is this machine, not the archive
        part.unlink()
        why = str(error) or type(error).__name__
        raise TrainingError(f"{name}: damaged ({why}); run again") from error


def _merge(source: Path, target: Path) -> None:
    """Move what is in `source` into `target`, into folders that are there too."""
    for path in source.iterdir():
        there = target / path.name
        if path.is_dir() and there.is_dir():
            _merge(path, there)
        else:
            path.replace(there)
