"""`import wdsr` is quick and loads nothing heavy; every public name is there and described."""

from __future__ import annotations

import subprocess
import sys

import pytest

import wdsr

HEAVY = [
    "PIL",
    "h5py",
    "lightning",
    "matplotlib",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "pyvips",
]
HEAVY += ["rich.progress", "safetensors", "scipy", "skimage", "tifffile", "torch", "torchvision"]


def fresh(code: str) -> str:
    """What a new Python prints."""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stderr == ""
    return ran.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import wdsr",
        "import wdsr.cli, sys; sys.argv = ['wdsr', '--help']; run(wdsr.cli.main)",
        "import wdsr.cli, sys; sys.argv = ['wdsr', 'upscale', '--help']; run(wdsr.cli.main)",
        "import wdsr.cli, sys; sys.argv = ['wdsr', '--version']; run(wdsr.cli.main)",
    ],
)
def test_nothing_heavy_loads(code: str) -> None:
    lines = fresh(
        "def run(main):\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0\n"
        f"{code}\n"
        "import sys\n"
        f"print('loaded', *(name for name in {HEAVY} if name in sys.modules))\n"
    )
    assert lines.splitlines()[-1] == "loaded"


def test_only_the_engine_that_is_used_loads() -> None:
    loaded = fresh(
        "import sys, numpy, wdsr\n"
        "wdsr.load(scale=2).upscale(numpy.zeros((4, 4, 3), numpy.uint8))\n"
        "print(*sorted({'torch', 'onnx', 'onnxruntime', 'openvino'} & sys.modules.keys()))"
    )
    assert loaded.split() == ["openvino"]


def test_nothing_is_told_to_anyone() -> None:
    events = fresh(
        "import atexit, sys\n"
        "watched = {'os.fork', 'subprocess.Popen', 'socket.connect', 'socket.getaddrinfo'}\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, _: event in watched and seen.append(event))\n"
        "atexit.register(lambda: print(*seen))\n"
        "import numpy, wdsr\n"
        "wdsr.load(scale=2).upscale(numpy.zeros((4, 4, 3), numpy.uint8))\n"
    )
    assert events.split() == []


def test_import_is_quick() -> None:
    timed = "import time; t = time.perf_counter(); import wdsr; print(time.perf_counter() - t)"
    assert min(float(fresh(timed)) for _ in range(5)) < 0.15


@pytest.mark.parametrize("name", wdsr.__all__)
def test_public_names_are_there_and_described(name: str) -> None:
    found = getattr(wdsr, name)
    if not isinstance(found, str):
        assert found.__name__ == name
        assert len(found.__doc__ or "") > 20
        assert found.__module__.startswith("wdsr.")


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="'nix'"):
        _ = wdsr.nix
