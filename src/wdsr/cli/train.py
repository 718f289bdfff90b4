"""`wdsr train`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from wdsr.cli import materials
from wdsr.cli.common import bars, need
from wdsr.errors import TrainingError, UsageError, WdsrError

_T = TypeVar("_T")


def train(
    recipe: Annotated[str, typer.Argument(help="Name, e.g. wdsr-b-8-x4, or a .toml file.")],
    data: Annotated[Path, typer.Option(help="Folder of HR pictures, or of `wdsr data pack`.")],
    lr: Annotated[
        Path | None, typer.Option(help="Folder with the LR of each. [made, bicubic]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Run folder; resumed if there. [runs/RECIPE]")
    ] = None,
    valid: Annotated[Path | None, typer.Option(help="Folder of held-out HR pictures.")] = None,
    valid_lr: Annotated[
        Path | None, typer.Option(help="Folder with the LR of each. [made, bicubic]")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded pictures are kept. [OUT/../cache]")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Of the first stage.")] = None,
    batch: Annotated[int | None, typer.Option(help="Patches a step, of the first stage.")] = None,
    patch: Annotated[int | None, typer.Option(help="Side of an LR patch, first stage.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak rate, first stage.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Weights to begin from: MODEL-xSCALE, a model file or a run folder."),
    ] = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(help="Folder with VGG's weights, for perceptual losses. [torch's cache]"),
    ] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Stop cleanly after so long.")] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads. [all]")] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bf16.")] = "auto",
    devices: Annotated[int, typer.Option(help="GPUs, or processes on the CPU.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that cut patches; 0: none.")] = 0,
    validate_every: Annotated[
        int | None, typer.Option(help="Steps between validations. [2000, or a fifth of all]")
    ] = None,
    log_every: Annotated[int, typer.Option(help="Steps between rows of log.csv.")] = 100,
    save_minutes: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 5,
) -> None:
    """Train a network; run the same command again to resume."""
    need("torch", "lightning")
    faults = _Faults()
    for name, value, least in (
        ("threads", threads, 1),
        ("devices", devices, 1),
        ("workers", workers, 0),
        ("validate-every", validate_every, 1),
        ("log-every", log_every, 1),
        ("save-minutes", save_minutes, 0),
        ("max-minutes", max_minutes, 0),
    ):
        if value is not None and not value >= least:
            faults.add(UsageError(f"{name} must be at least {least}, not {value}"))
    if precision not in ("auto", "float32", "bf16"):
        faults.add(UsageError(f"precision must be auto, float32 or bf16, not {precision!r}"))
    if valid_lr is not None and valid is None:
        faults.add(UsageError("valid-lr goes with valid"))
    # torch reads both when it loads, just below. Threads that spin while they wait starve
    # whatever else computes, and with it themselves.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads is not None and threads > 0:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    from wdsr.train.checkpoint import held
    from wdsr.train.device import keep_memory
    from wdsr.train.loop import train as run_training
    from wdsr.train.losses import weighted
    from wdsr.train.pictures import list_pictures
    from wdsr.train.preflight import check, resumable
    from wdsr.train.recipe import Recipe
    from wdsr.train.recorder import Intervals

    changes: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "learning_rate": learning_rate,
        "seed": seed,
        "start": start,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    named = faults.watch(lambda: materials.recipe_named(recipe))
    chosen = faults.watch(lambda: dataclasses.replace(named or Recipe(), **changes))
    chosen = chosen if named else None
    run = out or Path("runs") / Path(recipe).stem
    # What can be known before the work: everything wrong is said at once.
    for folder in filter(None, (lr, valid_lr)):
        faults.watch(lambda folder=folder: list_pictures(folder))  # type: ignore[misc]
    faults.watch(lambda: materials.look(data, lr, chosen))
    if valid is not None:
        faults.watch(lambda: materials.look_held_out(valid, valid_lr, chosen))
    faults.watch(lambda: materials.check_writable(run, data, lr, valid, valid_lr))
    weights = teacher = None
    if chosen is None:
        faults.watch(lambda: materials.weights(start, "start"))
    else:
        begun = faults.watch(lambda: resumable(run, chosen))
        if begun is None:  # else a checkpoint holds all that came of it
            weights = faults.watch(lambda: materials.weights(chosen.start, "start"))
        teacher = faults.watch(lambda: materials.teacher(chosen))
        faults.watch(lambda: [weighted(s.losses, pretrained) for s in chosen.stages])
        if chosen.degradation and (lr or valid_lr):
            faults.add(UsageError("lr pictures and a recipe's degradation exclude each other"))
    faults.raise_all()
    assert chosen is not None

    rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))
    with bars(quiet=rank > 0) as shown:

        def say(text: str) -> None:
            shown.console.print(text, highlight=False, markup=False, soft_wrap=True)

        source, held_out = materials.pictures(
            chosen, data, lr, valid, valid_lr, cache or run.parent / "cache", shown
        )
        check(chosen, source, devices, pretrained)
        keep_memory()
        say(materials.summary(chosen, source, precision, devices))
        for remark in chosen.remarks():
            say(remark)
        task = shown.add_task("training", total=chosen.total, text="")

        def report(progress: Any) -> None:
            text = f"loss {progress.loss:.5f}  {progress.steps_per_second:.1f} steps/s"
            if progress.best is not None:
                text += f"  best {progress.best:.3f} dB"
            if progress.skipped:
                text += f"  {progress.skipped} skipped"
            shown.update(task, completed=progress.step, text=text)
            if progress.psnr is not None or not shown.console.is_terminal:
                score = f"  PSNR {progress.psnr:.3f} dB" if progress.psnr is not None else ""
                left = (progress.steps - progress.step) / progress.steps_per_second / 60
                say(f"step {progress.step} of {progress.steps}: {text}{score}  {left:.0f} min left")

        try:
            with held(run) if rank == 0 else nullcontext():
                run_training(
                    chosen,
                    source,
                    run,
                    validation=held_out,
                    start=weights,
                    teacher=teacher,
                    pretrained=pretrained,
                    precision=precision,  # type: ignore[arg-type]
                    devices=devices,
                    workers=workers,
                    max_minutes=max_minutes,
                    intervals=Intervals(
                        log_every,
                        validate_every or max(min(2000, chosen.total // 5), 1),
                        save_minutes,
                    ),
                    report=report,
                    notice=say,
                )
        except MemoryError as error:
            raise TrainingError("out of memory: take a smaller batch or patch") from error
    if rank == 0:
        typer.echo(f"{run}: checkpoint and logs are there; `wdsr export {run}` makes a model file")


class _Faults:
    """Everything wrong with a call, to be said at once."""

    def __init__(self) -> None:
        self._found: list[WdsrError] = []

    def add(self, fault: WdsrError) -> None:
        """Remember a fault; twice the same is one."""
        if str(fault) not in map(str, self._found):
            self._found.append(fault)

    def watch(self, action: Callable[[], _T]) -> _T | None:
        """Do something; None if it raises one of our errors, which is remembered."""
        try:
            return action()
        except WdsrError as fault:
            self.add(fault)
            return None

    def raise_all(self) -> None:
        """Raise what was found as one error."""
        if self._found:
            usage = any(isinstance(fault, UsageError) for fault in self._found)
            raise (UsageError if usage else TrainingError)("; ".join(map(str, self._found)))
