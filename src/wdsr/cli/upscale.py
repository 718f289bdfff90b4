"""`wdsr upscale`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wdsr.errors import PictureError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from wdsr.upscale import Upscaler

_STREAM = Path("-")


@dataclass(frozen=True)
class _Job:
    source: Path
    target: Path


def upscale(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INPUT...", help="Pictures, folders of pictures, or - for stdin."),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Option("-i", "--input", help="Same as INPUT.", metavar="INPUT")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File or folder to write, or - for stdout. [beside the input]"
        ),
    ] = None,
    scale: Annotated[
        float | None, typer.Option("-s", "--scale", help="Times larger, 1 to 64. [4]")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of the result in pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of the result in pixels.")] = None,
    max_side: Annotated[int | None, typer.Option(help="Longer side of the result.")] = None,
    model: Annotated[
        str, typer.Option("-n", "--model", help="Name (see `wdsr models`) or .onnx file.")
    ] = "wdsr-b-8",
    tile: Annotated[
        str, typer.Option("-t", "--tile", help="Side of a tile in pixels of the input, or auto.")
    ] = "auto",
    backend: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    device: Annotated[str, typer.Option(help="As the backend names it, e.g. CPU, GPU.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Processor threads. [all]")] = None,
    self_ensemble: Annotated[
        bool,
        typer.Option("-x", "--self-ensemble", help="Mean over 8 flips and turns: 8 times slower."),
    ] = False,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            "-f", "--format", help="jpeg, png, webp, tiff, ... [that of the output's name]"
        ),
    ] = None,
    quality: Annotated[
        int | None, typer.Option("-q", "--quality", help="1 to 100, for lossy formats.")
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(help="Added to file names; may be empty. [_x4]")
    ] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bf16.")] = "auto",
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Subfolders too.")] = False,
    overwrite: Annotated[
        bool, typer.Option("-y", "--overwrite", help="Replace existing outputs.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say what is used.")] = False,
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
    )
    jobs = _plan(sources, output, target.suffix if suffix is None else suffix, format, recursive)
    failed = 0
    with _progress() as bar:
        for job in jobs:
            try:
                line = _one(upscaler, job, bar, format, quality, overwrite, verbose)
            except (PictureError, UsageError) as error:
                if len(jobs) == 1:
                    raise
                failed += 1
                line = f"wdsr: {error}"
            # Words go to stderr, above the bar: stdout may be where the picture goes.
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise PictureError(f"{failed} of {len(jobs)} pictures failed, see above")


def _one(
    upscaler: Upscaler,
    job: _Job,
    bar: Progress,
    format: str | None,  # noqa: A002
    quality: int | None,
    overwrite: bool,
    verbose: bool,
) -> str:
    """Enlarge one picture and return the line that says so."""
    from wdsr import picture as pictures

    began = time.perf_counter()
    if job.target != _STREAM and job.target.exists() and not overwrite:
        raise PictureError(f"{job.target}: exists already; use -y to replace it")
    picture = pictures.read(sys.stdin.buffer.read() if job.source == _STREAM else job.source)
    size = upscaler.target.size(picture.height, picture.width)
    kind = format or (
        picture.format or "png" if job.target == _STREAM else pictures.format_of(job.target)
    )
    pictures.check_format(kind, *size, alpha=picture.alpha is not None)
    name = "stdin" if job.source == _STREAM else job.source.name
    task = bar.add_task(name, total=None)
    try:
        result = upscaler.upscale_picture(
            picture, lambda done, total: bar.update(task, completed=done, total=total)
        )
    finally:
        bar.remove_task(task)
    if job.target == _STREAM:
        sys.stdout.buffer.write(pictures.encode(result, kind, quality=quality))
        sys.stdout.buffer.flush()
    else:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        pictures.write(result, job.target, format=kind, quality=quality, overwrite=overwrite)
    line = (
        f"{name} -> {'stdout' if job.target == _STREAM else job.target}  "
        f"{picture.width} x {picture.height} -> {result.width} x {result.height}, "
        f"{time.perf_counter() - began:.1f} s"
    )
    return f"{line} ({upscaler.describe(picture)})" if verbose else line


def _plan(
    sources: list[Path],
    output: Path | None,
    suffix: str,
    format: str | None,  # noqa: A002
    recursive: bool,
) -> list[_Job]:
    """What is to be written where. Raises UsageError if two results would be one file."""
    from wdsr import picture as pictures
    from wdsr.files import list_files

    jobs: list[_Job] = []
    extension = _extension(format) if format else None
    one = len(sources) == 1 and not sources[0].is_dir()
    # With one file in, OUT is a file, unless it is a folder or looks like one.
    into_file = output is not None and one and not output.is_dir() and bool(output.suffix)
    for source in sources:
        if source.is_dir():
            folder = output or source.with_name(f"{source.resolve().name}{suffix or '_upscaled'}")
            for path in list_files(source, pictures.READABLE_SUFFIXES, recursive=recursive):
                name = f"{path.stem}{suffix}{extension or path.suffix}"
                jobs.append(_Job(path, folder / path.relative_to(source).parent / name))
        elif source == _STREAM:
            jobs.append(_Job(source, output or _STREAM))
        elif output == _STREAM or into_file:
            assert output is not None
            jobs.append(_Job(source, output))
        else:
            name = f"{source.stem}{suffix}{extension or source.suffix}"
            jobs.append(_Job(source, (output or source.parent) / name))
    if output == _STREAM and len(jobs) != 1:
        raise UsageError("stdout takes one picture: give one input, or an output folder")
    _check_targets(jobs)
    return jobs


def _check_targets(jobs: list[_Job]) -> None:
    targets: dict[Path, Path] = {}
    for job in jobs:
        if job.target == _STREAM:
            continue
        if job.source != _STREAM and job.target.resolve() == job.source.resolve():
            raise UsageError(f"{job.source}: would replace the input; give -o or a --suffix")
        if (other := targets.setdefault(job.target, job.source)) != job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}")


def _extension(format: str) -> str:  # noqa: A002
    from wdsr.picture import FORMATS

    if format not in FORMATS:
        raise UsageError(f"no format {format!r}: choose {', '.join(FORMATS)}")
    return sorted(FORMATS[format].suffixes, key=len)[0]


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
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
