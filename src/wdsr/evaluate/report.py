"""An evaluation on paper: lines for a terminal, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wdsr.errors import UsageError, WdsrError
from wdsr.evaluate.protocols import Protocol
from wdsr.evaluate.published import Published
from wdsr.evaluate.scores import Row, mean
from wdsr.files import write_atomically

# Field of Row -> heading and digits after the point.
COLUMNS = {
    "psnr": ("PSNR dB", 3),
    "ssim": ("SSIM", 4),
    "ms_ssim": ("MS-SSIM", 4),
    "lr_psnr": ("LR-PSNR", 2),
    "lpips": ("LPIPS", 4),
    "dists": ("DISTS", 4),
    "seconds": ("seconds", 3),
}


@dataclass(frozen=True)
class Report:
    """Everything that was found out about one folder of pictures."""

    name: str  # of the set, or of its folder
    scale: int
    protocol: Protocol
    command: str
    rows: Sequence[Row]  # of all pictures, the methods of each together
    models: Sequence[Mapping[str, Any]]  # name, file hash, parameters, engine, precision
    published: Sequence[Published] = ()
    notes: Sequence[str] = ()
    skipped: Sequence[str] = ()  # why each picture was left out

    @property
    def means(self) -> list[Row]:
        """The mean of each method, in the order in which they were scored."""
        by_method: dict[str, list[Row]] = {}
        for row in self.rows:
            by_method.setdefault(row.method, []).append(row)
        return [mean(rows) for rows in by_method.values()]

    @property
    def title(self) -> str:
        """`Set5 x4, classical protocol: luma, 4 pixels shaved`."""
        return f"{self.name} x{self.scale}, {self.protocol.name} protocol: " + self.protocol.words(
            self.scale
        )


def columns(rows: Sequence[Row]) -> list[str]:
    """The fields worth a column: those that some row has."""
    return [name for name in COLUMNS if any(getattr(row, name) is not None for row in rows)]


def cells(row: Row, fields: Sequence[str]) -> list[str]:
    """A row's numbers as they are printed; `-` for what it lacks."""
    values = ((getattr(row, name), COLUMNS[name][1]) for name in fields)
    return ["-" if value is None else f"{value:.{digits}f}" for value, digits in values]


def to_csv(report: Report) -> str:
    """A line for each picture and method; the means are left to the reader."""
    fields = columns(report.rows)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["picture", "method", "scale", "protocol", *fields])
    for row in report.rows:
        values = [getattr(row, name) for name in fields]
        numbers = ["" if value is None else f"{value:.6g}" for value in values]
        writer.writerow([row.name, row.method, report.scale, report.protocol.name, *numbers])
    return stream.getvalue()


def to_json(report: Report) -> str:
    """Everything, with the machine and the versions. An infinite score is "infinity"."""
    record = {
        "set": report.name,
        "scale": report.scale,
        "protocol": {
            **dataclasses.asdict(report.protocol),
            "shave": report.protocol.shave(report.scale),
        },
        "command": report.command,
        "date": str(datetime.date.today()),
        "machine": machine(),
        "models": [dict(model) for model in report.models],
        "means": [_plain(row) for row in report.means],
        "rows": [_plain(row) for row in report.rows],
        "published": [dataclasses.asdict(row) for row in report.published],
        "notes": list(report.notes),
        "skipped": list(report.skipped),
    }
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(report: Report) -> str:
    """The means, what papers report, and a table of all pictures."""
    fields = columns(report.rows)
    head = [COLUMNS[name][0] for name in fields]
    lines = [f"# {report.title}", "", f"`{report.command}`", ""]
    lines += _table(["", *head], [[row.method, *cells(row, fields)] for row in report.means])
    if report.published:
        lines += ["", "Published:", ""]
        values = ([p.network, f"{p.psnr:.2f}", p.parameters, p.source] for p in report.published)
        lines += _table(["network", "PSNR dB", "parameters", "source"], values)
    lines += [f"\n{note}" for note in report.notes]
    if report.skipped:
        lines += ["", f"Left out: {len(report.skipped)}", ""]
        lines += [f"- {reason}" for reason in report.skipped]
    lines += ["", "## Pictures", ""]
    values = ([row.name, row.method, *cells(row, fields)] for row in report.rows)
    lines += _table(["picture", "method", *head], values)
    return "\n".join(lines) + "\n"


WRITERS = {".csv": to_csv, ".json": to_json, ".md": to_markdown}


def check_target(path: Path) -> None:
    """Refuse a file that could not be written, before the long work. Raises UsageError."""
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"{path}: a report is {', '.join(WRITERS)}; give one of these suffixes")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first")


def write(report: Report, path: Path) -> None:
    """Write a report in the format of the file's suffix, whole or not at all."""
    try:
        write_atomically(path, WRITERS[path.suffix.lower()](report).encode())
    except OSError as error:
        raise WdsrError(f"{path}: cannot be written: {error.strerror or error}") from error


def machine() -> dict[str, str | int]:
    """What the seconds were measured on."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), name)
    return {
        "processor": name,
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        **{package: version(package) for package in ("wdsr", "numpy", "pillow")},
    }


def _plain(row: Row) -> dict[str, Any]:
    """Without what the row lacks, and as JSON can say it."""
    values = {"picture": row.name, "method": row.method}
    for name in COLUMNS:
        value = getattr(row, name)
        if value is not None:
            values[name] = round(value, 6) if math.isfinite(value) else "infinity"
    return values


def _table(head: Sequence[str], rows: Any) -> list[str]:
    def line(values: Sequence[str]) -> str:
        return f"| {' | '.join(value.replace('|', '/') for value in values)} |"

    return [line(head), "|" + "---|" * len(head), *(line(row) for row in rows)]
