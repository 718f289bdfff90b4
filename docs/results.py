"""Makes docs/results.md and its pictures from records: `python -m docs.results`.

Every number comes from a file in `benchmarks/records/` or from the published figures
that `wdsr evaluate` prints; crops are made on the spot by the shipped models, from
photographs that scikit-image ships. Needs the `notebooks` extra.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import skimage
from matplotlib.figure import Figure

from wdsr import backends, zoo
from wdsr.evaluate import PROTOCOLS, compare, draw, pairs, published
from wdsr.evaluate.scores import bicubic, model, timed

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "records"
PAGE = ROOT / "docs" / "results.md"
IMAGES = ROOT / "docs" / "images"
PHOTOGRAPHS = {  # from scikit-image's wheel; what the crop shows
    "chelsea.png": "a cat, by Stéfan van der Walt, CC0",
    "coffee.png": "a cup, by Rachel Michetti, CC0",
}
CROP_SCALE = 4

Record = dict[str, Any]


def main() -> None:
    """Write the page and draw its pictures."""
    records = quality_records()
    curves()
    crops()
    PAGE.write_text(page(records), "utf-8")


def quality_records() -> list[Record]:
    """The newest record of each set, scale and protocol."""
    newest: dict[tuple[str, int, str], Record] = {}
    for path in sorted(RECORDS.glob("quality-*.json")):  # their names begin with the date
        record = {**json.loads(path.read_text("utf-8")), "file": path.name}
        newest[record["set"], record["scale"], record["protocol"]["name"]] = record
    return list(newest.values())


def page(records: list[Record]) -> str:
    """The whole page as Markdown."""
    lines = [
        "# Results",
        "",
        "<!-- Made by `python -m docs.results` from benchmarks/records. Do not edit. -->",
        "",
        "By the classical protocol: HR cropped to a multiple of the scale, LR by MATLAB's bicubic",
        "in 8 bits, PSNR in dB and SSIM of BT.601 luma with `scale` pixels shaved, mean over the",
        "pictures. `wdsr evaluate --self-check` proves it on pictures with known answers.",
        "*Published* rows are as papers report them. Copies of Set14 differ in their grey and",
        "odd-sized pictures, by up to 0.1 dB: see bicubic in both kinds of rows.",
    ]
    sets = sorted({record["set"] for record in records}, key=lambda name: (len(name), name))
    for name in sets:
        own = sorted((r for r in records if r["set"] == name), key=lambda r: r["scale"])
        lines += ["", f"## {name}", "", *_quality(name, own), "", *_consistency(own)]
    lines += [
        "",
        "## Crops",
        "",
        f"x{CROP_SCALE}, the window where bicubic and model differ most.",
        "",
    ]
    for file, words in PHOTOGRAPHS.items():
        lines.append(f"![{words}: LR, bicubic, models and HR side by side]({_crop_image(file)})")
        lines += ["", f"*{words[0].upper()}{words[1:]}, from scikit-image.*", ""]
    lines += [
        "## Training",
        "",
        "Validation PSNR by training steps and by hours, from the `log.csv` of",
    ]
    lines += ["each stage (numbers). A stage begins with the weights of the one before; at x3, the"]
    lines += ["last two with those of x4. The photo model begins with `wdsr-b-8`, and is scored on"]
    lines += ["damaged pictures.", ""]
    lines += ["![validation PSNR by step for each run](images/results-curves.svg)", ""]
    return "\n".join([*lines, "## Records", "", *_sources(records)]) + "\n"


def _quality(name: str, records: list[Record]) -> list[str]:
    """One table: bicubic, our models, then published rows, at all scales."""
    scales = [record["scale"] for record in records]
    head = [f"x{scale}" for scale in scales]
    lines = [f"| | parameters | {' | '.join(head)} |", "|---|---|" + "---|" * len(scales)]
    ours: dict[str, dict[int, str]] = defaultdict(dict)
    parameters: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for mean in record["means"]:
            ours[mean["method"]][record["scale"]] = f"{mean['psnr']:.2f} / {mean['ssim']:.4f}"
        for facts in record["models"]:
            parameters[facts["name"]].append(f"{facts['parameters'] / 1000:.0f}K")
    for method, row in ours.items():
        size = " / ".join(parameters[method])
        cells = " | ".join(row.get(scale, "") for scale in scales)
        lines.append(f"| **{method}** | {size} | {cells} |")
    others: dict[str, dict[int, float]] = defaultdict(dict)
    sizes = {}
    for scale in scales:
        for figure in published.rows(name, scale, PROTOCOLS["classical"]):
            others[figure.network][scale] = figure.psnr
            sizes[figure.network] = figure.parameters
    base = others["bicubic"]
    gains = {net: fmean(found[s] - base[s] for s in found) for net, found in others.items()}
    for network in sorted(gains, key=gains.__getitem__):
        found = others[network]
        cells = " | ".join(f"{found[s]:.2f}" if s in found else "" for s in scales)
        lines.append(f"| *published:* {network} | {sizes[network]} | {cells} |")
    return lines


def _consistency(records: list[Record]) -> list[str]:
    lines = ["| at | method | MS-SSIM | LR-PSNR, dB |", "|---|---|---|---|"]
    for record in records:
        for mean in record["means"]:
            several = f"{mean['ms_ssim']:.4f}" if "ms_ssim" in mean else "-"
            at = f"x{record['scale']}"
            lines.append(f"| {at} | {mean['method']} | {several} | {mean['lr_psnr']:.1f} |")
    lines += ["", "LR-PSNR: how near SR, shrunk again, comes to the LR it was made from."]
    return lines


def _sources(records: list[Record]) -> list[str]:
    shipped = {model.card.title: model.sha256 for model in zoo.shipped()}
    lines = []
    for record in sorted(records, key=lambda r: (r["set"], r["scale"])):
        old = [m["name"] for m in record["models"] if shipped.get(m["title"]) != m["sha256"]]
        stale = f" Not the weights shipped now: {', '.join(old)}." if old else ""
        engines = ", ".join(sorted({f"{m['engine']} {m['precision']}" for m in record["models"]}))
        lines.append(
            f"- [{record['file']}](../benchmarks/records/{record['file']}): "
            f"`{record['command']}`, {record['date']}, {engines}, "
            f"numpy {record['machine']['numpy']}.{stale}"
        )
    return lines


def curves() -> None:
    """images/results-curves.svg: the stages of each scale in a row, by steps and by hours."""
    stages: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for path in sorted(RECORDS.glob("*-train-*.csv")):  # by date
        found = re.fullmatch(r"[\d-]{10}-train-(.+)-x(\d)(?:-stage(\d+))?", path.stem)
        if found and found[1] == zoo.DEFAULT_MODEL:
            stages[f"x{found[2]}"].append((int(found[3] or 2), path))
        elif (
            found and found[1] == zoo.PHOTO_MODEL and found[3] == "1"
        ):  # begun anew: the newest is shipped
            stages[f"{zoo.PHOTO_MODEL} x{found[2]}"] = [(1, path)]
    figure = Figure(figsize=(3.4 * len(stages), 6), layout="constrained")
    axes = figure.subplots(2, len(stages), squeeze=False)
    order = sorted(stages.items(), key=lambda named: (len(named[0]), named[0]))
    for column, (title, paths) in enumerate(order):
        steps = hours = 0.0
        for number, path in sorted(paths):
            ends, scored = walk(path, steps, hours)
            for axis, which in zip(axes[:, column], (0, 1), strict=True):
                x, y = [point[which] for point in scored], [point[2] for point in scored]
                axis.plot(x, y, marker=".", markersize=4, linewidth=1.2, color=draw.INK)
                axis.axvline((steps / 1000, hours)[which], color=draw.MUTED, linewidth=0.6)
                axis.annotate(
                    f" {number}", ((steps / 1000, hours)[which], 0.02), fontsize=7,
                    xycoords=("data", "axes fraction"), color=draw.MUTED,
                )  # fmt: skip
            steps, hours = ends
        axes[0, column].set_title(title, fontsize=11, color=draw.INK)
        for axis, label in zip(
            axes[:, column], ("thousand steps", "hours, on one core"), strict=True
        ):
            axis.set_xlabel(label, fontsize=9)
            axis.grid(color="#d5dce3", linewidth=0.7)
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=8, colors=draw.MUTED)
    for axis in axes[:, 0]:
        axis.set_ylabel("validation PSNR, dB", fontsize=9)
    draw.save(figure, IMAGES / "results-curves.svg")


def walk(
    path: Path, steps: float, hours: float
) -> tuple[tuple[float, float], list[tuple[float, float, float]]]:
    """A log, begun after so many steps and hours: where it ends, and (thousands, hours, dB)."""
    scored, before = [], 0
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            done = int(row["step"]) - before
            before += done
            steps += done
            hours += done / float(row["steps_per_second"]) / 3600
            if row.get("psnr"):
                scored.append((steps / 1000, hours, float(row["psnr"])))
    return (steps, hours), scored


def crops() -> None:
    """images/results-*.png: strips by every shipped model that has the scale."""
    makers = {"bicubic": timed(bicubic)}
    for chosen in zoo.shipped():
        if chosen.card.scale == CROP_SCALE:
            backend = backends.create("auto", chosen, precision="float32")
            makers[chosen.card.name] = timed(model(backend))
    for file in PHOTOGRAPHS:
        (pair,) = pairs(Path(skimage.__file__).parent / "data" / file, CROP_SCALE)
        found = compare.Comparison.of(pair, makers)
        draw.save(draw.strip(found, compare.choose_crop(found)), PAGE.parent / _crop_image(file))


def _crop_image(file: str) -> str:
    return f"images/results-{Path(file).stem}.png"


if __name__ == "__main__":
    main()
