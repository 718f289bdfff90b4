"""A measurement as Markdown and as a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from wdsr import zoo


def slug(name: str) -> str:
    """A processor's name as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]


def markdown(results: dict[str, Any]) -> str:
    """Tables of the parts that were run."""
    here = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in here["versions"].items())
    lines = [
        f"# Speed of wdsr-b-8 x4, {here['date']}",
        "",
        f"Command: `python -m benchmarks.speed --threads {here['threads']}`; interleaved rounds, "
        "the best of each counts.",
        f"Machine: {here['processor']} ({' '.join(here['features'])}), {here['cores']} cores, "
        f"L2 {here['caches_kb'][0]} KB, L3 {here['caches_kb'][1]} KB; load before: "
        f"{here['load_before']}; Python {here['python']}; {versions}.",
    ]
    if part := results.get("engines"):
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in part["gemm_gops"].items())
        lines += ["", f"Matrix product of 4096 x 512 x 512, OpenVINO, same run: {rates} GOP/s.", ""]
        lines += ["| engine, 640 x 480 in | LR MP/s | times eager |", "|---|---|---|"]
        lines += [
            f"| {r['engine']} | {r['lr_mp_per_second']:.3f} | {r['times_eager']:.1f} |"
            for r in part["rows"]
        ]
        shares = ", ".join(f"{n} {s:.0%}" for n, s in part["roofline_share"].items())
        lines += [
            "",
            "Share of the roofline (every layer at the matrix rate of its own precision, ",
        ]
        lines[-1] += f"channels padded to 8, halo counted as work): {shares}."
    if part := results.get("sizes"):
        lines += ["", f"Default path, engine only, tiles of {part['tile_side']} px:", ""]
        lines += ["| megapixels in | seconds | LR MP/s |", "|---|---|---|"]
        lines += [
            f"| {r['megapixels']:.3f} | {r['seconds']:.3f} | {r['megapixels'] / r['seconds']:.3f} |"
            for r in part["rows"]
        ]
    if part := results.get("cores"):
        lines += ["", "| threads | seconds, 640 x 480 |", "|---|---|"]
        lines += [f"| {r['threads']} | {r['seconds']:.2f} |" for r in part["rows"]]
    if part := results.get("wide"):
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in part["gemm_gops"].items())
        lines += ["", f"| network, 640 x 480 in ({rates} GOP/s) | LR MP/s | at the matrix rate |"]
        lines += ["|---|---|---|"]
        lines += [
            f"| {r['network']} | {r['lr_mp_per_second']:.3f} | {r['bound']:.3f} |"
            for r in part["rows"]
        ]
    if (part := results.get("peers")) and part["rows"]:
        lines += ["", f"| tool, {part['width']} x {part['height']} x4 | seconds |", "|---|---|"]
        lines += [f"| {r['tool']} | {r['seconds']:.3f} |" for r in part["rows"]]
    rows = [row for name in ("processes", "large") for row in results.get(name, {}).get("rows", [])]
    if rows:
        lines += ["", "| `wdsr upscale`, shell to file | seconds | processor seconds | peak MB |"]
        lines += ["|---|---|---|---|"]
        lines += [
            f"| {r['width']} x {r['height']} to {r['to']} | {r['seconds']:.2f} | "
            f"{r['processor']:.2f} | {r['peak_mb']:.0f} |"
            for r in rows
        ]
    return "\n".join(lines) + "\n"


def plot(results: dict[str, Any], path: Path) -> None:
    """Throughput against size, and quality against time for every shipped model."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    rows = results.get("sizes", {}).get("rows", [])
    left.plot(
        [r["megapixels"] for r in rows],
        [r["megapixels"] / r["seconds"] for r in rows],
        "o-",
        color="#0072b2",
    )
    left.set(
        xscale="log",
        xlabel="input, megapixels",
        ylabel="input megapixels a second",
        title="wdsr-b-8 x4: throughput against size",
    )
    left.set_ylim(bottom=0)
    left.grid(alpha=0.3)
    model = zoo.find("wdsr-b-8", 4)
    score = model.card.scores.get("classical", {}).get("Set5", {}).get("psnr", 0)
    int8 = zoo.quantised(model)
    loss = int8.card.quantised["loss_db"].get("Set5", 0) if int8 else 0
    rows = results.get("engines", {}).get("rows", [])
    labels = {True: 0, False: 0}  # above and below the points, so many
    for row in sorted(rows, key=lambda row: row["lr_mp_per_second"]):
        name, seconds = row["engine"], 1 / row["lr_mp_per_second"]
        psnr = score - loss * ("int8" in name)
        ours = name.startswith("wdsr")
        colour = "#0072b2" if ours else "#777777"
        right.plot(seconds, psnr, "o" if ours else "s", color=colour)
        above = psnr == score
        step = 13 * (labels[above] % 8)
        labels[above] += 1
        right.annotate(
            name.replace("wdsr, ", "").replace(", whole picture", "").replace(", NCHW", ""),
            (seconds, psnr),
            xytext=(0, 14 + step if above else -22 - step),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "lw": 0.6},
        )
    right.set(
        xscale="log",
        xlabel="seconds for an input megapixel",
        ylabel="Set5 PSNR, dB (classical)",
        title="quality against time",
        ylim=(score - 0.15, score + 0.15),
    )
    right.xaxis.set_major_formatter(ticker.ScalarFormatter())
    right.xaxis.set_minor_formatter(ticker.NullFormatter())
    right.set_xticks([1, 2, 5, 10, 20, 50])
    right.margins(x=0.2)
    right.grid(alpha=0.3)
    here = results["machine"]
    figure.suptitle(f"{here['processor']}, {here['threads']} threads, {here['date']}", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
