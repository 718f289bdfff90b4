"""`wdsr upscale`: what the words of the call mean; `batch` does the work."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from wdsr.cli.common import Command, Version
from wdsr.errors import PictureError, UsageError

if TYPE_CHECKING:
    from wdsr.batch.plan import Job, Naming, Plan
    from wdsr.headers import Limits


class Upscale(Command):
    """With its many options in groups."""

    panels: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Output": ("output", "overwrite", "format", "quality", "suffix", "compression", "pyramid"),
        "Size": ("scale", "width", "height", "max_side"),
        "Model": ("model", "sharpness", "self_ensemble", "consistent"),
        "Speed": ("precision", "tile", "backend", "device", "threads", "deterministic", "dry_run"),
        "Many files": ("recursive", "include", "exclude", "resume", "watch", "jobs", "events"),
        "Care": ("strict", "strip_private", "drop_tags", "best_effort", "limit"),
    }


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
            help="File or folder to write, or - for stdout. [NAME_x4 beside the input]",
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
        typer.Option(
            "-n",
            "--model",
            metavar="NAME",
            help="See `wdsr models`; or an .onnx file; or auto: clean or damaged, by a look.",
        ),
    ] = "auto",
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
        str, typer.Option(metavar="NAME", help="auto, float32; or int8, bf16 for 8-bit pictures.")
    ] = "auto",
    compression: Annotated[
        int, typer.Option(metavar="N", help="Of PNG 0 to 9, of TIFF 3 to 9: 9 is smallest.")
    ] = 1,
    pyramid: Annotated[
        bool, typer.Option("--pyramid", help="TIFF with smaller copies inside, for viewers.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same pixels on any machine of this kind.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be made, how long it would take.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Of folders, only files like this, e.g. '*.jpg'."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Of folders, no files or folders like this."),
    ] = None,
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Subfolders too.")] = False,
    overwrite: Annotated[
        bool, typer.Option("-y", "--overwrite", help="Replace existing outputs.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on after a run that was stopped: do what is missing."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Wait for new files in the folders, until Ctrl-C.")
    ] = False,
    best_effort: Annotated[
        bool, typer.Option("--best-effort", help="Take what is left of damaged pictures.")
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=N",
            help="What a file may hold or take: bytes, pixels, frames, bands, metadata, seconds, "
            "memory.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", metavar="N", help="Files under way at once. [2; 1 if one]"),
    ] = None,
    events: Annotated[
        bool, typer.Option("--json", help="Print events on stdout, one JSON object a line.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse what would lose anything, instead of warning.")
    ] = False,
    strip_private: Annotated[
        bool, typer.Option("--strip-private", help="Leave out GPS position and serial numbers.")
    ] = False,
    drop_tags: Annotated[
        bool, typer.Option("--drop-tags", help="Read GeoTIFF and OME-TIFF too, without these tags.")
    ] = False,
    consistent: Annotated[
        bool,
        typer.Option("--consistent", help="Make the result, when made small again, be the input."),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Say which model, engine and precision, and compare with the input (slower).",
        ),
    ] = False,
    version: Version = False,
) -> None:
    """Enlarge pictures. Default: 4 times, written beside the input as NAME_x4.EXT."""
    from wdsr import isolation

    sources = [*(inputs or []), *(more or [])]
    if not sources:
        raise UsageError("no input: give a picture, a folder, or - for stdin")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 to 100, not {quality}")
    if jobs is not None and not 1 <= jobs <= 64:
        raise UsageError(f"jobs must be from 1 to 64, not {jobs}")
    if watch and not all(source.is_dir() for source in sources):
        raise UsageError("--watch is for folders: give nothing else")
    if not 0 <= compression <= 9:
        raise UsageError(f"compression must be from 0 to 9, not {compression}")
    isolation.start()  # gets ready while we and the engine do
    from wdsr.batch.plan import STREAM, Naming
    from wdsr.batch.run import Batch
    from wdsr.batch.settings import Settings
    from wdsr.cli.dryrun import tell
    from wdsr.cli.report import Report
    from wdsr.target import Target
    from wdsr.upscale import Upscaler

    if output == STREAM or (STREAM in sources and output is None):
        if events:
            raise UsageError("--json needs stdout for itself: give -o a file to write")
        if sys.stdout.isatty() and not dry_run:
            raise UsageError(
                "stdout is a terminal: send it to a file or a pipe, or name one with -o"
            )
    sizes = {"scale": scale, "width": width, "height": height, "max_side": max_side}
    chosen = any(size is not None for size in sizes.values())
    upscaler = Upscaler(
        model,
        Target(**sizes) if chosen else None,  # type: ignore[arg-type]
        backend=backend,
        precision=precision,
        device=device,
        threads=threads,
        tile=_tile(tile),
        self_ensemble=self_ensemble,
        deterministic=deterministic,
        sharpness=sharpness,
        consistent=consistent,
    )
    settings = Settings(
        format=_format(format) if format else None,
        quality=quality,
        compression=compression,
        pyramid=pyramid,
        best_effort=best_effort,
        strip_private=strip_private,
        drop_tags=drop_tags,
        strict=strict,
        measure=verbose or consistent,
        overwrite=overwrite,
        resume=resume or watch,
        limits=_limits(limit or []),
    )
    naming = Naming(
        output=output,
        suffix=upscaler.target.suffix if suffix is None else suffix,
        format=settings.format,
        recursive=recursive,
        include=include or (),
        exclude=exclude or (),
        remember=resume,
    )
    todo, total, plan = _todo(sources, naming, watch)
    faults = plan.faults
    if dry_run:
        if watch or STREAM in sources:
            raise UsageError("--dry-run reads the headers of files that are there: give those")
        tell(upscaler, todo, settings, alone=total == 1, events=events)
        return
    report = Report(
        total if not faults else len(faults) + (total or 0), verbose=verbose, events=events
    )
    batch = Batch(upscaler, settings, report.outcome, report.on_tile)
    with contextlib.closing(batch), report.shown():
        report.left_out(plan.left_out)
        for fault in faults:
            report.fault(fault)
        # Standard input is read where Ctrl-C arrives: in this thread.
        batch.run(todo, 1 if total == 1 or STREAM in sources else jobs or 2)
    counts = report.counts
    if counts["skipped"] and not events:
        typer.echo(f"{counts['skipped']} of {sum(counts.values())} were done already", err=True)
    if counts["failed"]:
        raise PictureError(
            f"{counts['failed']} of {sum(counts.values())} pictures failed, see above"
        )


def _todo(
    sources: list[Path], naming: Naming, watched: bool
) -> tuple[Iterator[Job | None], int | None, Plan]:
    """The jobs, how many there are if they end, and what was planned."""
    from wdsr.batch.plan import Plan, make_plan
    from wdsr.batch.watch import watch

    if watched:
        return watch(sources, naming), None, Plan([], [])
    plan = make_plan(sources, naming)
    return iter(plan.jobs), len(plan.jobs), plan


def _limits(texts: list[str]) -> Limits:
    """`["pixels=1e9"]` -> Limits(pixels=1000000000)."""
    from wdsr.headers import Limits

    known = {field.name for field in dataclasses.fields(Limits)}
    values: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise UsageError(f"no limit {name!r}: choose {', '.join(sorted(known))}")
        try:
            number = float(value)
        except ValueError:
            raise UsageError(f"limit {name} must be a number, not {value!r}") from None
        if not math.isfinite(number) or not 0 < number < 2**63:
            raise UsageError(f"limit {name} must be a number above 0, not {value!r}")
        values[name] = number if name == "seconds" else int(number)
    return Limits(**values)  # type: ignore[arg-type]


def _format(text: str) -> str:
    """A format by its name or by a suffix of its files."""
    from wdsr.picture import FORMATS

    for name, form in FORMATS.items():
        if text.lower() in (name, *(suffix[1:] for suffix in form.suffixes)):
            return name
    raise UsageError(f"no format {text!r}: choose {', '.join(FORMATS)}")


def _tile(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"tile must be auto or a number of pixels, not {text!r}")
    return int(text)
