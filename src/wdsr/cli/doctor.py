"""`wdsr doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wdsr.errors import BackendError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGES = ("openvino", "onnxruntime", "torch", "numpy", "pyvips", "pillow")


def doctor(
    measure: Annotated[
        bool, typer.Option(help="Time this machine for about ten seconds, and remember it.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Processor threads. [all]")
    ] = None,
) -> None:
    """Tell what this machine has and how fast it enlarges, and choose the best settings for it."""
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    from rich.console import Console

    facts: dict[str, Any] = {"machine": _machine(), "versions": _versions(), "models": _models()}
    if not as_json:
        _print(facts)
    if measure:
        console = Console(stderr=True)
        with console.status("measuring"):
            facts["speed"] = _speed(threads, lambda line: None if as_json else typer.echo(line))
        if not as_json:
            typer.echo(f"\n{_verdict(facts['speed'])}")
    if as_json:
        typer.echo(json.dumps(facts, indent=2))


def _machine() -> dict[str, Any]:
    from wdsr.backends import installed
    from wdsr.processor import cache_folder, memory_free, processor

    devices = None
    if "openvino" in installed():
        from wdsr.backends import openvino

        devices = openvino.devices()
    here, free = processor(), memory_free()
    return {
        "processor": here.name,
        "features": list(here.features),
        "cores": here.cores,
        "l2_cache_kb": here.l2 // 1024,
        "l3_cache_kb": here.l3 // 1024,
        "memory_free_mb": None if free is None else free // 10**6,
        "devices": devices,
        "remembered_in": str(cache_folder()),
    }


def _versions() -> dict[str, str | None]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import wdsr

    found: dict[str, str | None] = {"wdsr": wdsr.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _models() -> list[dict[str, Any]]:
    """Each shipped model; reading them checks their sums."""
    from wdsr import zoo

    return [
        {"model": model.card.title, "int8": zoo.quantised(model) is not None}
        for model in zoo.shipped()
    ]


def _print(facts: dict[str, Any]) -> None:
    machine, versions = facts["machine"], facts["versions"]
    typer.echo(f"processor  {machine['processor']}, {machine['cores']} cores")
    typer.echo(f"features   {' '.join(machine['features']) or 'unknown'}")
    caches = ", ".join(
        f"L{level} {machine[f'l{level}_cache_kb']} KB"
        for level in (2, 3)
        if machine[f"l{level}_cache_kb"]
    )
    typer.echo(f"caches     {caches or 'unknown'}")
    free = machine["memory_free_mb"]
    typer.echo(f"memory     {'unknown' if free is None else f'{free} MB'} free")
    typer.echo(f"devices    {', '.join(machine['devices'] or ['unknown'])}, for --device")
    have = [f"{name} {number}" for name, number in versions.items() if number]
    lack = [name for name, number in versions.items() if not number]
    typer.echo(f"versions   {', '.join(have)}")
    if lack:
        typer.echo(f"without    {', '.join(lack)}")
    int8 = [entry["model"] for entry in facts["models"] if entry["int8"]]
    typer.echo(f"models     {', '.join(entry['model'] for entry in facts['models'])}: whole")
    typer.echo(f"in int8    {', '.join(int8) or 'none'}")


def _speed(threads: int | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Rates of the default model in each precision, and the best tile for it."""
    from wdsr import backends, zoo
    from wdsr.estimate import BUSY, best, encoding_rate, tile_rate
    from wdsr.processor import Others

    others = Others()
    model = zoo.find(zoo.DEFAULT_MODEL, 4)
    quickest = backends.create("auto", model, threads=threads)
    rates: dict[str, float] = {}
    tile = None
    say("")
    for precision in ("float32", "bf16", "int8"):
        try:
            backend = backends.create("auto", model, precision=precision, threads=threads)
        except BackendError as error:
            say(f"{precision:8}   {error}")
            continue
        chosen = backend.precision == quickest.precision
        tile = best(backend) if chosen else tile
        rates[precision] = tile_rate(backend, again=True) / 1e6
        note = f", tiles of {tile} px: what is used for 8-bit pictures" if chosen else ""
        say(f"{precision:8}   {rates[precision]:.2f} LR megapixels a second{note}")
    png = encoding_rate("png", again=True) / 3e6
    say(f"PNG        {png:.0f} HR megapixels a second")
    taken = others.share()
    return {
        "model": model.card.title,
        "lr_mp_per_second": {name: round(rate, 3) for name, rate in rates.items()},
        "auto": quickest.precision,
        "tile": tile,
        "png_hr_mp_per_second": round(png, 1),
        "taken_by_other_programs": round(taken, 2),
        "remembered": taken < BUSY,
    }


def _verdict(speed: dict[str, Any]) -> str:
    from wdsr.estimate import BUSY

    rates, auto = speed["lr_mp_per_second"], speed["auto"]
    # Around a core of 172 px, a halo of 10 makes a quarter more pixels to compute.
    seconds = 1.25 * 2 / rates[auto] + 32 / speed["png_hr_mp_per_second"]
    line = f"A photograph of 2 megapixels, four times larger, takes about {seconds:.1f} s."
    if speed["taken_by_other_programs"] >= BUSY:
        return (
            f"{line}\nBut other programs took {speed['taken_by_other_programs']:.0%} of the "
            "processor meanwhile: this machine is faster than\nthat, and figures measured so are "
            "not remembered. Run this again when it is quiet."
        )
    quickest = max(rates, key=lambda name: rates[name])
    if rates[quickest] > 1.1 * rates[auto]:
        line += f" `--precision {quickest}` is quicker here than {auto}, which auto chooses."
    return line
