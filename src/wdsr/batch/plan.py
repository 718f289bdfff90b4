"""Which file becomes which: names of results, and what would be lost among them."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from wdsr.batch.manifest import results_in
from wdsr.errors import FileError, PictureError, UsageError
from wdsr.files import find_files
from wdsr.picture import FORMATS, READABLE_SUFFIXES

STREAM = Path("-")


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be enlarged. Plain text inside: there may be millions."""

    source_name: str
    target_name: str
    root: str = ""  # folder whose manifest remembers this; none if empty
    twin: bool = False  # some file systems take the target's name for that of another
    clash: str = ""  # why it cannot be done: see `make_plan`

    @property
    def source(self) -> Path:
        """The file to read, or STREAM."""
        return Path(self.source_name)

    @property
    def target(self) -> Path:
        """The file to write, or STREAM."""
        return Path(self.target_name)

    @property
    def name(self) -> str:
        """What messages call the input."""
        return "stdin" if self.source == STREAM else self.source_name


@dataclass(frozen=True)
class Naming:
    """Which files of a folder to take, and what to call the results."""

    output: Path | None = None  # a file, a folder, or STREAM; beside the input if None
    suffix: str = ""  # added to the stem
    format: str | None = None  # key of FORMATS; as the input if None
    recursive: bool = False
    include: Collection[str] = ()  # shell patterns, see `files.matches`
    exclude: Collection[str] = ()
    remember: bool = False  # keep a manifest for single files in an output folder too


@dataclass(frozen=True)
class Plan:
    """What is to be done, the subfolders that could not be looked into, and what was no picture."""

    jobs: list[Job]
    faults: list[FileError]
    left_out: Counter[str] = field(default_factory=Counter)  # files of folders, by the reason


def make_plan(sources: list[Path], naming: Naming, *, lenient: bool = False) -> Plan:
    """What is to be written where.

    The structure of a folder is mirrored. A picture keeps its suffix unless a
    format is asked for, so `a.png` and `a.jpg` become two files.

    lenient: mark jobs by which a file would be lost as clashes, instead of raising.

    Raises UsageError if a file would be lost: if a result would replace an input,
    or two results have one name; PictureError if there is nothing to do.
    """
    output = naming.output
    if Path(naming.suffix).name != naming.suffix:
        raise UsageError(f"suffix is added to a name and cannot be {naming.suffix!r}")
    one = len(sources) == 1 and not sources[0].is_dir()
    # With one file in, OUT is a file, unless it is a folder or looks like one.
    into_file = output == STREAM or (
        output is not None and one and bool(output.suffix) and not output.is_dir()
    )
    if output == STREAM and not one:
        raise UsageError("stdout takes one picture: give one input, or an output folder")
    if output is not None and not into_file and not output.is_dir():
        if output.exists():
            raise UsageError(f"{output}: is a file; give a folder for the results")
        if output.suffix.lower() in READABLE_SUFFIXES:
            there = (
                f"there are {len(sources)} inputs"
                if len(sources) > 1
                else f"{sources[0]} is a folder"
            )
            raise UsageError(f"{output} is a file name, but {there}; give a folder")
    jobs: list[Job] = []
    faults: list[FileError] = []
    left_out: Counter[str] = Counter()
    for source in sources:
        if source == STREAM and output is not None and not into_file:
            raise UsageError("stdin has no name: give -o a file to write, or - for stdout")
        if source == STREAM or into_file:
            jobs.append(Job(str(source), str(output or STREAM)))
        elif source.is_dir():
            jobs += _folder(source, naming, faults, left_out)
        else:
            folder = output or source.parent
            target = str(folder / _result(source.name, naming))
            root = str(output) if output is not None and naming.remember else ""
            jobs.append(Job(str(source), target, root))
    if not jobs:
        raise PictureError("no pictures but those in the output folder")
    jobs = list(dict.fromkeys(jobs))  # a file named twice is one file
    return Plan(_checked(jobs, lenient), faults, left_out)


def _folder(
    source: Path, naming: Naming, faults: list[FileError], left_out: Counter[str]
) -> list[Job]:
    """The jobs of a folder, without earlier results in the folder they go to."""

    def failed(error: OSError) -> None:
        reason = f"{error.filename}: cannot read this folder: {error.strerror}"
        faults.append(FileError(f"{reason}; its pictures are left out"))

    results = naming.output or _beside(source, naming.suffix)
    names = find_files(
        source,
        READABLE_SUFFIXES,
        recursive=naming.recursive,
        include=naming.include,
        exclude=naming.exclude,
        on_error=failed,
        left_out=left_out,
    )
    below, above = results.resolve(), source.resolve()
    if below == above:
        earlier = results_in(results)
        names = [name for name in names if name not in earlier]
    elif below.is_relative_to(above):
        inside = str(below.relative_to(above)) + os.sep
        names = [name for name in names if not name.startswith(inside)]
    return [
        Job(str(source / name), str(results / _result(name, naming)), str(results))
        for name in names
    ]


def _result(name: str, naming: Naming) -> str:
    """`deep/a.png` -> `deep/a_x4.png`."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - much quicker, and this is per file
    if naming.format and suffix.lower() not in FORMATS[naming.format].suffixes:
        suffix = FORMATS[naming.format].suffixes[0]
    return f"{stem}{naming.suffix}{suffix}"


def _beside(folder: Path, suffix: str) -> Path:
    """The folder for the results of a folder."""
    here = folder if folder.name not in ("", "..") else folder.resolve()
    if not here.name:
        raise UsageError(f"{folder}: give an output folder with -o")
    return here.with_name(here.name + (suffix or "_upscaled"))


def _checked(jobs: list[Job], lenient: bool) -> list[Job]:
    """The jobs, twins marked, and clashes too unless they are to raise."""
    resolve = functools.lru_cache(maxsize=1024)(os.path.realpath)

    def real(name: str) -> str:
        if os.path.islink(name):  # noqa: PTH114 - quick ways, since this is per file
            return os.path.realpath(name)
        folder, base = os.path.split(name)
        return os.path.join(resolve(folder or os.curdir), base)  # noqa: PTH118

    sources = {real(job.source_name): job.source_name for job in jobs if job.source != STREAM}
    targets: dict[str, str] = {}
    folded: dict[str, int] = {}
    checked: list[Job] = []
    for job in jobs:
        if job.target != STREAM:
            target = real(job.target_name)
            clash = _clash(job, sources.get(target), targets.setdefault(target, job.source_name))
            if clash and not lenient:
                raise UsageError(clash)
            folded[_fold(target)] = folded.get(_fold(target), 0) + 1
            job = replace(job, clash=clash) if clash else job
        checked.append(job)
    if len(folded) == len(targets):
        return checked
    return [
        replace(job, twin=job.target != STREAM and folded[_fold(real(job.target_name))] > 1)
        for job in checked
    ]


def _clash(job: Job, source: str | None, maker: str) -> str:
    """What is wrong with a job whose target is the input `source`, or is made of `maker` too."""
    if source == job.source_name:
        return f"{source}: the result would replace the input; give it another name"
    if source is not None:
        return (
            f"{source}: is an input, and the result of {job.source_name} would replace it; "
            "leave one out, or give a folder with -o"
        )
    if maker != job.source_name:
        return (
            f"{maker} and {job.source_name} would both become {job.target_name}; leave one out "
            "with --exclude, or rename it"
        )
    return ""


def _fold(name: str) -> str:
    """The same for names that some file systems hold for one: capital letters, accents apart."""
    if name.isascii() and name.islower():
        return name
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
