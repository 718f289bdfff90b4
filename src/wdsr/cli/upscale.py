"""`wdsr upscale`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wdsr.cli.common import Version, one_line
from wdsr.errors import PictureError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from wdsr.picture import Picture
    from wdsr.upscale import Upscaler

_STREAM = Path("-")


@dataclass(frozen=True)
class _Job:
    source: Path
    target: Path


@dataclass(frozen=True)
class _Writing:
    format: str | None  # that of the target's name if None
    quality: int | None
    overwrite: bool


def upscale(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INPUT", help="Pictures, folders of pictures, or - for stdin."),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Option("-i", "--input", help="Same as INPUT.", metavar="INPUT")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="File or folder to write, or - for stdout. [beside the input]",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("-s", "--scale", metavar="X", help="Times larger: 1 to 64, 2.5 too. [4]"),
    ] = None,
    width: Annotated[
        int | None, typer.Option(metavar="N", help="Width of the result in pixels.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(metavar="N", help="Height of the result in pixels.")
    ] = None,
    max_side: Annotated[
        int | None, typer.Option(metavar="N", help="Longer side of the result in pixels.")
    ] = None,
    model: Annotated[
        str,
        typer.Option("-n", "--model", metavar="NAME", help="See `wdsr models`; or an .onnx file."),
    ] = "wdsr-b-8",
    tile: Annotated[
        str,
        typer.Option(
            "-t", "--tile", metavar="N", help="Side of a tile in pixels of the input, or auto."
        ),
    ] = "auto",
    backend: Annotated[
        str, typer.Option(metavar="NAME", help="auto, openvino, onnxruntime or torch.")
    ] = "auto",
    device: Annotated[
        str, typer.Option(metavar="NAME", help="As the backend names it, e.g. CPU, GPU.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Processor threads. [all]")
    ] = None,
    self_ensemble: Annotated[
        bool,
        typer.Option("-x", "--self-ensemble", help="Mean over 8 flips and turns: 8 times slower."),
    ] = False,
    sharpness: Annotated[
        float | None,
        typer.Option(metavar="X", help="Of a GAN model: 0 (as its pixel model) to 1. [1]"),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            "-f",
            "--format",
            metavar="NAME",
            help="jpeg, png, webp, tiff, ... [that of the output's name]",
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option("-q", "--quality", metavar="N", help="1 to 100, for lossy formats. [95]"),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Added to file names; may be empty. [_x4]")
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="auto, float32, or bf16 for 8-bit pictures.")
    ] = "auto",
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Subfolders too.")] = False,
    overwrite: Annotated[
        bool, typer.Option("-y", "--overwrite", help="Replace existing outputs.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say which model, engine and precision.")
    ] = False,
    version: Version = False,
) -> None:
    """Enlarge pictures. Default: 4 times, written beside the input as NAME_x4.EXT."""
    from wdsr.upscale import Target, Upscaler

    sources = [*(inputs or []), *(more or [])]
    if not sources:
        raise UsageError("no input: give a picture, a folder, or - for stdin")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 to 100, not {quality}")
    if scale is None and width is None and height is None and max_side is None:
        scale = 4
    target = Target(scale=scale, width=width, height=height, max_side=max_side)
    upscaler = Upscaler(
        model,
        target,
        backend=backend,
        precision=precision,
        device=device,
        threads=threads,
        tile=_tile(tile),
        self_ensemble=self_ensemble,
        sharpness=sharpness,
    )
    writing = _Writing(_format(format) if format else None, quality, overwrite)
    added = target.suffix if suffix is None else suffix
    jobs = _plan(sources, output, added, writing.format, recursive)
    failed = 0
    with _progress() as bar:
        for number, job in enumerate(jobs, 1):
            try:
                count = f"{number}/{len(jobs)} " if len(jobs) > 1 else ""
                line = _one(upscaler, job, writing, bar, count, verbose)
            except BrokenPipeError:
                raise
            except (PictureError, UsageError, OSError, MemoryError) as error:
                fault = _fault(error, job)
                if len(jobs) == 1:
                    raise fault from error
                failed += 1
                line = f"wdsr: {fault}"
            # Words go to stderr, above the bar: stdout may be where the picture goes.
            bar.console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise PictureError(f"{failed} of {len(jobs)} pictures failed, see above")


def _one(
    upscaler: Upscaler, job: _Job, writing: _Writing, bar: Progress, count: str, verbose: bool
) -> str:
    """Enlarge one picture and return the line that says so."""
    from wdsr import picture as pictures

    began = time.perf_counter()
    to_stream = job.target == _STREAM
    if not to_stream and job.target.exists() and not writing.overwrite:
        raise PictureError(f"{job.target}: exists already; use -y to replace it")
    picture = _read(job.source)
    # Whatever can be refused is refused here, before the long work.
    size = upscaler.target.size(picture.height, picture.width)
    kind = writing.format or (
        picture.format or "png" if to_stream else pictures.format_of(job.target)
    )
    pictures.check_format(kind, *size, alpha=picture.alpha is not None)
    if not to_stream:
        _make_folder(job.target.parent)
    name = "stdin" if job.source == _STREAM else job.source.name
    task = bar.add_task(count + name, total=None)
    try:
        result = upscaler.upscale_picture(
            picture, lambda done, total: bar.update(task, completed=done, total=total)
        )
    finally:
        bar.remove_task(task)
    if to_stream:
        _send(pictures.encode(result, kind, quality=writing.quality))
    else:
        pictures.write(
            result, job.target, format=kind, quality=writing.quality, overwrite=writing.overwrite
        )
    line = (
        f"{name} -> {'stdout' if to_stream else job.target}: "
        f"{picture.width} x {picture.height} -> {result.width} x {result.height} "
        f"in {time.perf_counter() - began:.1f} s"
    )
    return f"{line} ({upscaler.describe(picture)})" if verbose else line


def _read(source: Path) -> Picture:
    from wdsr import picture as pictures

    if source == _STREAM:
        return pictures.read(sys.stdin.buffer.read(), name="stdin")
    return pictures.read(source)


def _send(data: bytes) -> None:
    left = memoryview(data)
    while left:  # with PYTHONUNBUFFERED set, a write may take only a part
        left = left[sys.stdout.buffer.write(left) :]
    sys.stdout.buffer.flush()


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(0, "not writable", str(folder))


def _fault(error: Exception, job: _Job) -> PictureError | UsageError:
    """The error as one of ours, with a message that names the file."""
    if isinstance(error, MemoryError):
        return PictureError(f"{job.source}: out of memory; enlarge less, or use a smaller --tile")
    if isinstance(error, OSError):
        where = "stdout" if job.target == _STREAM else error.filename or job.target
        return PictureError(f"{where}: cannot be written ({error.strerror}); choose another place")
    name = "stdin" if job.source == _STREAM else str(job.source)
    kind = UsageError if isinstance(error, UsageError) else PictureError
    return kind(str(error) if name in str(error) else f"{name}: {error}")


def _plan(
    sources: list[Path],
    output: Path | None,
    suffix: str,
    format: str | None,  # noqa: A002
    recursive: bool,
) -> list[_Job]:
    """What is to be written where. Raises UsageError if a file would be lost."""
    if Path(suffix).name != suffix:
        raise UsageError(f"suffix is added to a name and cannot be {suffix!r}")
    one = len(sources) == 1 and not sources[0].is_dir()
    # With one file in, OUT is a file, unless it is a folder or looks like one.
    into_file = output == _STREAM or (
        output is not None and one and bool(output.suffix) and not output.is_dir()
    )
    if output == _STREAM and not one:
        raise UsageError("stdout takes one picture: give one input, or an output folder")
    if output is not None and not into_file and output.is_file():
        raise UsageError(f"{output}: is a file; give a folder for the results")
    jobs: list[_Job] = []
    for source in sources:
        if source == _STREAM and output is not None and not into_file:
            raise UsageError("stdin has no name: give -o a file to write, or - for stdout")
        if source == _STREAM or into_file:
            jobs.append(_Job(source, output or _STREAM))
            continue
        if source.is_dir():
            root, folder = source, output or _beside(source, suffix)
            names = _pictures(source, folder, recursive)
        else:
            root, folder, names = source.parent, output or source.parent, [Path(source.name)]
        for name in names:
            result = f"{name.stem}{suffix}{_extension(name, format)}"
            jobs.append(_Job(root / name, folder / name.parent / result))
    if not jobs:
        raise PictureError("no pictures but those in the output folder")
    jobs = list(dict.fromkeys(jobs))  # a file named twice is one file
    _check_targets(jobs)
    return jobs


def _pictures(source: Path, folder: Path, recursive: bool) -> list[Path]:
    """The pictures of a folder, relative to it, without earlier results in `folder`."""
    from wdsr.files import list_files
    from wdsr.picture import READABLE_SUFFIXES

    found = list_files(source, READABLE_SUFFIXES, recursive=recursive)
    names = [path.relative_to(source) for path in found]
    root, results = source.resolve(), folder.resolve()
    if results == root or not results.is_relative_to(root):
        return names
    return [name for name in names if not name.is_relative_to(results.relative_to(root))]


def _beside(folder: Path, suffix: str) -> Path:
    """The folder for the results of a folder."""
    here = folder if folder.name not in ("", "..") else folder.resolve()
    if not here.name:
        raise UsageError(f"{folder}: give an output folder with -o")
    return here.with_name(here.name + (suffix or "_upscaled"))


def _check_targets(jobs: list[_Job]) -> None:
    sources = {job.source.resolve(): job.source for job in jobs if job.source != _STREAM}
    targets: dict[Path, Path] = {}
    for job in jobs:
        if job.target == _STREAM:
            continue
        target = job.target.resolve()
        if (other := sources.get(target)) == job.source and other is not None:
            raise UsageError(f"{job.source}: would replace the input; give -o or a --suffix")
        if other is not None:
            raise UsageError(
                f"{other}: is an input, and the result of {job.source} would replace it; "
                "leave one out, or give a folder with -o"
            )
        if (other := targets.setdefault(target, job.source)) != job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}")


def _format(text: str) -> str:
    """A format by its name or by a suffix of its files."""
    from wdsr.picture import FORMATS

    for name, form in FORMATS.items():
        if text.lower() in (name, *(suffix[1:] for suffix in form.suffixes)):
            return name
    raise UsageError(f"no format {text!r}: choose {', '.join(FORMATS)}")


def _extension(name: Path, format: str | None) -> str:  # noqa: A002
    from wdsr.picture import FORMATS

    if format is None or name.suffix.lower() in FORMATS[format].suffixes:
        return name.suffix
    return FORMATS[format].suffixes[0]


def _tile(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"tile must be auto or a number of pixels, not {text!r}")
    return int(text)


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),  # a file may be called [/]
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
