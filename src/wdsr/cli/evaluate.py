"""`wdsr evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wdsr.errors import WdsrError


def evaluate(
    hr: Annotated[Path, typer.Option(help="Folder of HR pictures.")],
    scale: Annotated[int, typer.Option("-s", "--scale", help="2, 3, 4 ...")] = 4,
    model: Annotated[
        str, typer.Option("-n", "--model", help="Model name, .onnx file, or bicubic.")
    ] = "wdsr-b-8",
    backend: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bf16.")] = "auto",
    expect: Annotated[
        float | None, typer.Option(help="Fail unless the mean PSNR is this, within --tolerance.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="In dB.")] = 0.01,
) -> None:
    """Score a model by the classical protocol (Y-PSNR and SSIM, MATLAB bicubic LR)."""
    import statistics

    from wdsr import backends, zoo
    from wdsr import evaluate as protocol

    if model == "bicubic":
        method: protocol.Method = protocol.bicubic
    else:
        chosen = zoo.find(model, scale)
        method = protocol.model(backends.create(backend, chosen, precision=precision))
    rows = []
    typer.echo(f"{'picture':32} {'PSNR dB':>8} {'SSIM':>7} {'seconds':>8}")
    for row in protocol.evaluate(hr, scale, method):
        rows.append(row)
        typer.echo(f"{row.name[:32]:32} {row.psnr:8.3f} {row.ssim:7.4f} {row.seconds:8.2f}")
    mean = statistics.fmean(row.psnr for row in rows)
    similarity = statistics.fmean(row.ssim for row in rows)
    total = sum(row.seconds for row in rows)
    typer.echo(f"{f'mean of {len(rows)}':32} {mean:8.3f} {similarity:7.4f} {total:8.2f}")
    if expect is not None and abs(mean - expect) > tolerance:
        raise WdsrError(f"mean PSNR is {mean:.3f} dB, expected {expect} +- {tolerance}")
