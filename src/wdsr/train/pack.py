"""Packs: pictures decoded once, so that training never waits for decoding.

A pack is a folder with every picture's pixels, one after another:

    index.json     names, sizes and hashes of the pictures, in the order of the pixels
    hr.bin         uint8 RGB, (H, W, 3) each
    lr_x4.bin      the LR pictures: made by the MATLAB convention, or those given
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from wdsr.errors import TrainingError
from wdsr.files import claim, clean_leftovers, part_of
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
# Decoded at once: as many as cores may want, and no more than memory holds.
_PICTURES, _PIXELS = 32, 2**27


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
            clean_leftovers(target)  # perhaps gigabytes
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


def _groups(work: list[_Work]) -> Iterator[list[_Work]]:
    """The pictures in order, so many at a time as may be decoded at once."""
    group: list[_Work] = []
    pixels = 0
    for job in work:
        area = job.size[0] * job.size[1]
        if group and (len(group) == _PICTURES or pixels + area > _PIXELS):
            yield group
            group, pixels = [], 0
        group.append(job)
        pixels += area
    yield group


def _write(
    target: Path, wanted: list[str], work: list[_Work], scale: int, progress: Report
) -> None:
    """Write the wanted files of a pack under other names, then rename them all."""
    # Names of their own: two trainings may pack one folder at the same time.
    parts = {name: part_of(target / name) for name in wanted}
    sizes: list[tuple[int, int]] = []
    hashes: list[str] = []
    problems: list[str] = []
    try:
        with ExitStack() as stack:
            streams = {name: stack.enter_context(part.open("wb")) for name, part in parts.items()}
            for stream in streams.values():
                claim(stream.fileno())
            # Threads suffice: decoding and resizing spend their time outside the interpreter.
            pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
            for group in _groups(work):
                for found in pool.map(lambda job: _decode(job, scale), group):
                    if isinstance(found, TrainingError):
                        problems.append(str(found))  # the others are looked at too
                        continue
                    *pair, digest = found
                    sizes.append((pair[0].shape[0], pair[0].shape[1]))
                    hashes.append(digest)
                    for name, pixels in zip(("hr.bin", f"lr_x{scale}.bin"), pair, strict=True):
                        if name in streams:
                            streams[name].write(pixels.tobytes())
                    progress(len(sizes), len(work))
            _raise(problems)
            if "index.json" in streams:
                names = [job.hr.name for job in work]
                index = {"names": names, "sizes": sizes, "hashes": hashes}
                streams["index.json"].write(json.dumps(index).encode())
        for name, part in parts.items():
            part.replace(target / name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _decode(job: _Work, scale: int) -> tuple[Pixels, Pixels, str] | TrainingError:
    """(HR, LR, hash) of one picture, or what is wrong with it.

    HR is whole, one hr.bin for every scale; so is the hash, which is of given LR too.
    """
    try:
        hr = read_rgb(job.hr)
        content = hashlib.sha256(hr.data)
        if job.lr is None:
            return hr, make_pair(hr, scale)[0], content.hexdigest()[:16]
        lr = read_rgb(job.lr)
        content.update(lr.data)
        # MATLAB rounds sizes up: a row or column that has no whole HR partner is left out.
        lr = lr[: hr.shape[0] // scale, : hr.shape[1] // scale]
        return hr, lr, content.hexdigest()[:16]
    except TrainingError as error:
        return error


def check_patch(names: list[str], sizes: list[tuple[int, int]], patch: int, scale: int) -> None:
    """Raise TrainingError naming the pictures (LR sizes given) that are smaller than a patch."""
    small = [name for name, size in zip(names, sizes, strict=True) if min(size) < patch]
    if small:
        least = min(min(size) for size in sizes)
        raise TrainingError(
            f"{len(small)} of {len(names)} pictures are smaller than a patch of {patch * scale} "
            f"pixels ({some(small)}): take them out or use a smaller patch; in LR pixels, a "
            f"patch has {patch} and the smallest picture {least}"
        )
