"""Packs: pictures decoded once, so that training never waits for decoding.

A pack is a folder with every picture's pixels, one after another:

    index.json     names and sizes of the pictures, in the order of the pixels
    hr.bin         uint8 RGB, (H, W, 3) each
    lr_x4.bin      the LR pictures: made by the MATLAB convention, or those given
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from wdsr.errors import TrainingError
from wdsr.train.pictures import (
    Pixels,
    fits,
    list_pictures,
    make_pair,
    match,
    read_rgb,
    size_of,
    some,
)

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class _Work:
    """A picture to be packed."""

    hr: Path
    lr: Path | None  # made from HR if None
    size: tuple[int, int]  # of HR


def pack(
    folder: Path,
    cache: Path,
    scale: int,
    *,
    lr: Path | None = None,
    progress: Report = lambda done, total: None,
) -> Path:
    """Pack a folder of HR pictures below `cache` and return the pack's folder.

    lr: a folder with the LR picture of each, named as `pictures.match` says; made
    by the MATLAB convention if not given.

    The pack is named after the pictures' names, sizes and times, so a changed
    folder gets a new pack and an unchanged one is packed once per scale. Raises
    TrainingError naming the pictures that cannot be used, all at once where
    their headers tell; nothing is left half-written.
    """
    files = list_pictures(folder)
    partners = match(files, list_pictures(lr), scale) if lr else []
    facts = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in (*files, *partners)]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    target = cache / key
    wanted = ["index.json", "hr.bin", f"lr_x{scale}.bin"]
    wanted = [name for name in wanted if not (target / name).exists()]
    if wanted:
        work = _inspect(files, partners, scale)
        try:
            target.mkdir(parents=True, exist_ok=True)
            _check_space(target, work, scale)
            _write(target, wanted, work, scale, progress)
        except OSError as error:
            raise TrainingError(f"{target}: cannot write the pack: {error.strerror}") from error
    return target


def is_pack(folder: Path) -> bool:
    """Whether a folder is a pack and not one of pictures."""
    return (folder / "index.json").is_file() and (folder / "hr.bin").is_file()


def inspect(folder: Path, scale: int, *, lr: Path | None = None, patch: int = 1) -> None:
    """Look at the headers of a folder's pictures: can patches of this side be cut from LR?

    Raises TrainingError with all that is wrong.
    """
    files = list_pictures(folder)
    work = _inspect(files, match(files, list_pictures(lr), scale) if lr else [], scale)
    sizes = [(job.size[0] // scale, job.size[1] // scale) for job in work]
    check_patch([job.hr.name for job in work], sizes, patch, scale)


def _inspect(files: list[Path], partners: list[Path], scale: int) -> list[_Work]:
    """Look at every header. Raises TrainingError with all that is wrong."""
    work, problems = [], []
    for number, path in enumerate(files):
        partner = partners[number] if partners else None
        try:
            size = size_of(path)
            small = size_of(partner) if partner else None
        except TrainingError as error:
            problems.append(str(error))
            continue
        if min(size) < scale:
            problems.append(f"{path}: {size[1]} x {size[0]} pixels are too few")
        elif small and not fits(size, small, scale):
            problems.append(
                f"{partner}: {small[1]} x {small[0]} pixels, not 1/{scale} of "
                f"{size[1]} x {size[0]} ({path.name})"
            )
        work.append(_Work(path, partner, size))
    _raise(problems)
    return work


def _raise(problems: list[str]) -> None:
    if problems:
        more = f"; and {len(problems) - 5} more" if problems[5:] else ""
        raise TrainingError("; ".join(problems[:5]) + more)


def _check_space(target: Path, work: list[_Work], scale: int) -> None:
    need = sum(3 * h * w + 3 * (h // scale) * (w // scale) for h, w in (job.size for job in work))
    free = shutil.disk_usage(target).free
    if free < need:
        raise TrainingError(
            f"{target}: the pack needs {need / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free"
        )


def _write(
    target: Path, wanted: list[str], work: list[_Work], scale: int, progress: Report
) -> None:
    """Write the wanted files of a pack under other names, then rename them all."""
    # The process id: two trainings may pack one folder at the same time.
    parts = {name: target / f"{name}.{os.getpid()}.part" for name in wanted}
    sizes: list[tuple[int, int]] = []
    problems: list[str] = []
    try:
        with ExitStack() as stack:
            streams = {name: stack.enter_context(part.open("wb")) for name, part in parts.items()}
            # Threads suffice: decoding and resizing spend their time outside the interpreter.
            pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
            for first in range(0, len(work), 32):  # in groups, to bound memory
                group = work[first : first + 32]
                for pair in pool.map(lambda job: _decode(job, scale), group):
                    if isinstance(pair, TrainingError):
                        problems.append(str(pair))  # the others are looked at too
                        continue
                    sizes.append((pair[0].shape[0], pair[0].shape[1]))
                    for name, pixels in zip(("hr.bin", f"lr_x{scale}.bin"), pair, strict=True):
                        if name in streams:
                            streams[name].write(pixels.tobytes())
                    progress(len(sizes), len(work))
            _raise(problems)
            if "index.json" in streams:
                index = {"names": [job.hr.name for job in work], "sizes": sizes}
                streams["index.json"].write(json.dumps(index).encode())
        for name, part in parts.items():
            part.replace(target / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _decode(job: _Work, scale: int) -> tuple[Pixels, Pixels] | TrainingError:
    """(HR, LR) of one picture, or what is wrong with it; HR whole: one hr.bin for every scale."""
    try:
        hr = read_rgb(job.hr)
        if job.lr is None:
            return hr, make_pair(hr, scale)[0]
        # MATLAB rounds sizes up: a row or column that has no whole HR partner is left out.
        return hr, read_rgb(job.lr)[: hr.shape[0] // scale, : hr.shape[1] // scale]
    except TrainingError as error:
        return error


def check_patch(names: list[str], sizes: list[tuple[int, int]], patch: int, scale: int) -> None:
    """Raise TrainingError naming the pictures (LR sizes given) that are smaller than a patch."""
    small = [name for name, size in zip(names, sizes, strict=True) if min(size) < patch]
    if small:
        raise TrainingError(
            f"{len(small)} of {len(names)} pictures are smaller than a patch of {patch * scale} "
            f"pixels ({some(small)}): take them out or use a smaller patch"
        )
