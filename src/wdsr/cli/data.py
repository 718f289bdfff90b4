"""`wdsr data`: pictures brought here, and decoded once. Needs no torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from wdsr.cli.common import Command, bars
from wdsr.errors import UsageError

app = typer.Typer(
    help="Pictures for training: download and pack them.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


@app.command("pack", cls=Command)
def pack(
    folder: Annotated[Path, typer.Argument(help="Folder of HR pictures.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for packs.")],
    scale: Annotated[
        list[int] | None, typer.Option("-s", "--scale", help="May be repeated.")
    ] = None,
    lr: Annotated[
        Path | None, typer.Option(help="Folder with the LR of each. [made, bicubic]")
    ] = None,
) -> None:
    """Decode pictures once into memory-mapped arrays, which `wdsr train --data` takes too."""
    from wdsr.train import pack as packing

    scales = scale or [4]
    for value in scales:
        if value not in (1, 2, 3, 4, 8):
            raise UsageError(f"scale must be 1, 2, 3, 4 or 8, not {value}")
    if lr is not None and len(scales) > 1:
        raise UsageError("lr pictures are of one scale: give one --scale")
    target = out
    with bars() as shown:
        for value in scales:
            task = shown.add_task(f"packing x{value}", total=None, text="")
            target = packing.pack(
                folder,
                out,
                value,
                lr=lr,
                progress=lambda done, total, t=task: shown.update(t, completed=done, total=total),  # type: ignore[misc]
            )
    typer.echo(f"{target}: packed; `wdsr train RECIPE --data {target}` reads it")


@app.command("div2k", cls=Command)
def div2k(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the pictures.")] = Path(
        "DIV2K"
    ),
    kind: Annotated[str, typer.Option(help="bicubic, unknown, x8, mild or difficult.")] = "bicubic",
    scale: Annotated[
        int | None, typer.Option("-s", "--scale", help="2, 3, 4 or 8. [the kind's: 4, x8: 8]")
    ] = None,
    url: Annotated[str | None, typer.Option(help="A mirror of the official server.")] = None,
) -> None:
    """Download DIV2K's pictures (research only) and unpack them; run again to resume."""
    from wdsr.train import div2k as dataset

    if scale is None:
        scale = dataset.SCALES.get(kind, (4,))[-1]
    names = dataset.archives(kind, scale)
    with bars() as shown:
        tasks = {name: shown.add_task(name, total=None, text="") for name in names}
        began = time.monotonic()
        came: dict[str, int] = {}

        def report(name: str, done: int, total: int) -> None:
            first = came.setdefault(name, done)
            pace = (done - first) / max(time.monotonic() - began, 1e-3) / 1e6
            shown.update(tasks[name], completed=done, total=total, text=f"{pace:.1f} MB/s")

        dataset.download(out, names, url=(url or dataset.URL).rstrip("/") + "/", report=report)
    lr = dataset.folder(out, "train", kind, scale)
    valid_lr = dataset.folder(out, "valid", kind, scale)
    typer.echo(
        f"{out}: complete; `wdsr train RECIPE --data {out / 'DIV2K_train_HR'} --lr {lr} "
        f"--valid {out / 'DIV2K_valid_HR'} --valid-lr {valid_lr}` trains on it"
    )
