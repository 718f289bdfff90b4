"""`wdsr evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdsr.cli.common import one_line
from wdsr.errors import PictureError, UsageError, WdsrError

if TYPE_CHECKING:
    from wdsr.evaluate import Protocol, Row
    from wdsr.evaluate.published import Recognised
    from wdsr.evaluate.report import Report
    from wdsr.evaluate.scores import Maker

DEFAULT_MODEL = "wdsr-b-8"


def evaluate(
    hr: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of HR pictures, or one of them.")
    ] = None,
    lr: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Their LR. [made by MATLAB's bicubic]")
    ] = None,
    sr: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Finished SR pictures to score; may be repeated."),
    ] = None,
    scale: Annotated[int, typer.Option("-s", "--scale", metavar="N", help="2, 3, 4 ...")] = 4,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "-n",
            "--model",
            metavar="NAME",
            help="Model name or file, bicubic or lanczos; may be repeated. [wdsr-b-8]",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(metavar="NAME", help="classical, ntire or ancestor.")
    ] = "classical",
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="lpips or dists besides; may be repeated."),
    ] = None,
    backend: Annotated[
        str, typer.Option(metavar="NAME", help="auto, openvino, onnxruntime or torch.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="float32, or auto or bf16 as in use.")
    ] = "float32",
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", metavar="FILE", help=".csv, .json or .md; may be repeated."),
    ] = None,
    expect: Annotated[
        float | None,
        typer.Option(metavar="DB", help="Fail unless the mean PSNR is this, within --tolerance."),
    ] = None,
    tolerance: Annotated[float, typer.Option(metavar="DB", help="For --expect.")] = 0.01,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out pictures that do not fit, and count them.")
    ] = False,
    self_check: Annotated[
        bool, typer.Option("--self-check", help="Prove the protocols on known answers, and end.")
    ] = False,
) -> None:
    """Score models on pictures whose HR is known, beside bicubic and published scores.

    classical: PSNR and SSIM of luma, SCALE pixels shaved, as in most papers. ntire:
    RGB, SCALE + 6 pixels shaved. ancestor: RGB, full frame. LR-PSNR says how near SR,
    shrunk again, comes to the LR it was made from.
    """
    if self_check:
        _self_check()
        return
    from wdsr.evaluate import PROTOCOLS, report

    if hr is None:
        raise UsageError("give --hr, a folder of HR pictures (wdsr evaluate --help)")
    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol!r}: choose {', '.join(PROTOCOLS)}")
    names = list(dict.fromkeys(model or ([] if sr else [DEFAULT_MODEL])))
    folders = list(dict.fromkeys(sr or []))
    if expect is not None and len(names) + len(folders) != 1:
        raise UsageError("--expect is for one model: give one -n or one --sr")
    if not tolerance >= 0:
        raise UsageError(f"--tolerance must be 0 or more, not {tolerance}")
    for path in output or []:
        report.check_target(path)
    skipped: list[str] = []

    def leave_out(fault: PictureError) -> None:
        if not skip_bad:
            raise fault
        skipped.append(one_line(str(fault)))

    makers, models = find_makers(
        names, folders, hr, scale, backend=backend, precision=precision, on_bad=leave_out
    )
    call = ["wdsr evaluate", f"--hr {hr.resolve().name}", f"-s {scale}"]
    call += [f"--lr {lr.resolve().name}"] if lr else []
    call += [f"-n {name}" for name in names] + [f"--sr {path.resolve().name}" for path in folders]
    call += [] if protocol == "classical" else [f"--protocol {protocol}"]
    call += [] if precision == "float32" else [f"--precision {precision}"]
    call += [f"--metric {name}" for name in metric or []] + ["--skip-bad"] * skip_bad
    result = _run(
        hr, lr, scale, PROTOCOLS[protocol], makers, metric or [], leave_out,
        command=" ".join(call), models=models, skipped=skipped,
    )  # fmt: skip
    for path in output or []:
        report.write(result, path)
    asked = result.means[0 if names == ["bicubic"] else -1]
    if expect is not None and not abs(asked.psnr - expect) <= tolerance:
        raise WdsrError(f"mean PSNR is {asked.psnr:.3f} dB, expected {expect} +- {tolerance}")


def find_makers(
    names: list[str],
    folders: list[Path],
    hr: Path,
    scale: int,
    *,
    backend: str,
    precision: str,
    on_bad: Any = None,
) -> tuple[dict[str, Maker], list[dict[str, Any]]]:
    """Everything that makes SR, bicubic first, by the name its rows will have; models' facts."""
    from importlib.metadata import version

    from wdsr import backends, zoo
    from wdsr.evaluate import scores

    if scale < 2:
        raise UsageError(f"scale must be at least 2, not {scale}")
    makers = {"bicubic": scores.timed(scores.bicubic)}
    facts = []
    for name in names:
        if name == "bicubic":
            continue
        if name == "lanczos":
            makers[name] = scores.timed(scores.lanczos)
            continue
        chosen = zoo.find(name, scale)
        engine = backends.create(backend, chosen, precision=precision)
        package = type(engine).__module__.rpartition(".")[2]
        known = package in backends.ENGINES
        label = Path(name).stem if Path(name).suffix else name
        label = name if label in makers else label
        makers[label] = scores.timed(scores.model(engine))
        facts.append(
            {
                "name": label,
                "title": chosen.card.title,
                "parameters": chosen.card.parameters,
                "sha256": chosen.sha256,
                "engine": f"{package} {version(backends.ENGINES[package])}" if known else package,
                "precision": engine.precision,
            }
        )
    for folder in folders:
        label = str(folder) if folder.resolve().name in makers else folder.resolve().name
        makers[label] = scores.Finished(folder, hr, scale, on_bad=on_bad)
    return makers, facts


def _run(
    hr: Path,
    lr: Path | None,
    scale: int,
    protocol: Protocol,
    makers: dict[str, Maker],
    metrics: list[str],
    leave_out: Any,
    *,
    command: str,
    models: list[dict[str, Any]],
    skipped: list[str],
) -> Report:
    import dataclasses

    from wdsr.cli.common import row_progress
    from wdsr.evaluate import origin, pairs, perceptual, published, scores
    from wdsr.evaluate.pairing import hr_files
    from wdsr.evaluate.report import Report

    extra = {name: perceptual.create(name) for name in metrics}
    table = _Table(list(makers), ["psnr", "ssim", "ms_ssim", "lr_psnr", *extra, "seconds"])
    rows: list[Row] = []
    origins = []
    with row_progress() as bar:
        task = bar.add_task("scoring", total=len(hr_files(hr)))
        for pair in pairs(hr, scale, lr=lr, on_bad=leave_out):
            try:
                found = scores.side_by_side(pair, makers, protocol, extra=extra)
            except PictureError as fault:
                leave_out(fault)
                continue
            if pair.given:
                origins.append(origin.origin(pair.hr, pair.lr, scale))
            rows += found
            table.add(found)
            bar.advance(task)
    if not rows:
        raise PictureError(f"{hr}: nothing could be scored; {skipped[0]}")
    by_method = [[row for row in rows if row.method == name] for name in makers]
    means = [scores.mean(column) for column in by_method]
    table.add(means)
    known = published.recognise(hr, len(by_method[0]), means[0].psnr, scale, protocol)
    if known and any(found.harmful for found in origins):
        known = dataclasses.replace(known, doubt="its LR was made by another resizer")
    others = published.rows(known.name, scale, protocol) if known and not known.doubt else []
    for other in others:
        table.published(other.network, other.psnr, other.parameters)
    warning = origin.warning(origins)
    notes = _on_set(known, bool(others))
    for note in notes:
        typer.echo(note)
    if skipped:
        typer.echo(f"wdsr: left out {len(skipped)}:", err=True)
        for reason in skipped:
            typer.echo(f"wdsr: {reason}", err=True)
    if warning:
        typer.echo(f"wdsr: warning: {warning}", err=True)
        notes.append(f"Warning: {warning}.")
    name = known.name if known else hr.resolve().stem
    return Report(name, scale, protocol, command, rows, models, others, notes, skipped)


def _on_set(known: Recognised | None, published: bool) -> list[str]:
    if known is None:
        return []
    if known.doubt:
        return [f"Not compared with published scores of {known.name}: {known.doubt}."]
    if not published:
        return [f"Recognised as {known.name} {known.how}; no published scores to set beside it."]
    return [f"Recognised as {known.name} {known.how}."]


class _Table:
    """Prints rows under one another as they come."""

    def __init__(self, methods: list[str], fields: list[str]) -> None:
        from wdsr.evaluate.report import COLUMNS

        self.fields = fields
        self.width = max(18, *(len(method) for method in methods))
        self.heads = [COLUMNS[name][0] for name in fields]

    def add(self, rows: list[Row]) -> None:
        """The rows of one picture, or the means."""
        from wdsr.evaluate.report import cells

        if self.heads:  # not before there is a row: what comes first may be an error
            self._print("picture", "method", *self.heads)
            self.heads = []
        for i, row in enumerate(rows):
            self._print("" if i else row.name, row.method, *cells(row, self.fields))

    def published(self, network: str, psnr: float, parameters: str) -> None:
        """What a paper reports; two digits are all there are."""
        self._print("published", network, f"{psnr:.2f} ", parameters)

    def _print(self, name: str, method: str, *cells: str) -> None:
        numbers = " ".join(f"{cell:>8}" for cell in cells)
        typer.echo(f"{one_line(name)[:20]:20} {method:{self.width}} {numbers}".rstrip())


def _self_check() -> None:
    from wdsr.evaluate import check

    failed = 0
    for case in check.run():
        failed += not case.passed
        sign = "ok    " if case.passed else "FAILED"
        typer.echo(f"{sign} {case.name:58} {case.found:10.5g}  expected {case.expected:.5g}")
    if failed:
        raise WdsrError(f"{failed} of the cases failed: do not trust scores of this installation")
    typer.echo("every protocol gives what its definition says")
