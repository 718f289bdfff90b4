"""Attacks on a batch: kills, full disks, rivals, and files mutated at random.

The short series are seeded samples of the long ones, which are marked slow.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.helpers import unpacked

from wdsr import files, isolation
from wdsr import picture as pictures
from wdsr.batch import manifest
from wdsr.errors import DecoderError, PictureError

Wdsr = Callable[..., Any]  # see conftest.py
CALL = ["upscale", "in", "-r", "-o", "out", "--resume"]

# The command with an engine that repeats pixels, and a process that may die at one step.
COMMAND = """
import itertools, os, signal, sys
from pathlib import Path
import numpy as np
from wdsr import backends, cli, files
from wdsr.batch import manifest
class Nearest:
    precision = "float32"
    def __init__(self, card): self.card = card
    def run(self, batch):
        for axis in (1, 2) if batch.dtype == np.uint8 else (2, 3):
            batch = batch.repeat(self.card.scale, axis)
        return batch
backends.create = lambda name, model, **options: Nearest(model.card)
where, _, number = os.environ.get("DIE", "").partition(" ")
def dying(owner, name, when):
    honest = getattr(owner, name)
    calls = itertools.count(1)  # several threads take a number each
    def step(*arguments, **options):
        mine = next(calls) == int(number)
        if mine and when == "before": os.kill(os.getpid(), signal.SIGKILL)
        result = honest(*arguments, **options)
        if mine: os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, step)
if where:
    owner, name, when = where.split(":")
    owner = {"os": os, "path": Path, "files": files, "manifest": manifest.Manifest,
             "folders": manifest}[owner]
    dying(owner, name, when)
sys.argv[0] = "wdsr"
cli.main()
"""


def start(*arguments: str, die: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        env=os.environ | {"DIE": die},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fill(many: int) -> None:
    for seed in range(many):
        path = Path(f"in/{seed % 3}/{seed:03}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (8 + seed % 5, 9, 3), np.uint8)
        path.write_bytes(pictures.encode(pictures.Picture(noise), "png"))


def results() -> dict[str, bytes]:
    root = Path("out")
    return {
        str(path.relative_to(root)): unpacked(path.read_bytes())
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(manifest.NAME)
    }


def leftovers() -> list[str]:
    return [name for name in results() if name.endswith(".wdsr-part")]


@pytest.fixture
def expected(wdsr: Wdsr, nearest: object) -> dict[str, bytes]:
    """12 pictures in `in`; what an undisturbed run makes of them. `out` is gone again."""
    fill(12)
    assert wdsr(*CALL).code == 0
    whole = results()
    assert len(whole) == 12
    shutil.rmtree("out")
    return whole


def check_whole(expected: dict[str, bytes]) -> int:
    """Every result is absent or complete; how many there are."""
    there = {name: data for name, data in results().items() if not name.endswith(".wdsr-part")}
    assert there.items() <= expected.items()
    return len(there)


# Kills

STEPS = [
    ("os:fsync", 3),  # of a picture, or of a folder
    ("os:link", 2),
    ("path:unlink", 2),
    ("path:open", 4),
    ("files:claim", 2),
    ("manifest:note", 2),
    ("manifest:_keep", 13),
    ("folders:sync_folder", 1),
]
DEATHS = [f"{step}:{when} {n}" for step, n in STEPS for when in ("before", "after")]
few = [pytest.param(d, marks=[] if i % 5 == 0 else pytest.mark.slow) for i, d in enumerate(DEATHS)]


@pytest.mark.parametrize("death", few)
def test_a_kill_at_any_step_leaves_whole_files_and_can_be_resumed(
    wdsr: Wdsr, expected: dict[str, bytes], death: str
) -> None:
    process = start(*CALL, die=death)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    check_whole(expected)
    for part in Path("out").rglob("*.wdsr-part"):
        os.utime(part, (0, 0))  # as old as a resumed run usually finds them
    assert wdsr(*CALL).code == 0
    assert results() == expected


def test_leftovers_go_though_all_is_done(wdsr: Wdsr, expected: dict[str, bytes]) -> None:
    assert wdsr(*CALL).code == 0
    part = Path("out/2/.008_x4.png.e47a0462.wdsr-part")
    part.write_bytes(b"of a killed run")
    os.utime(part, (0, 0))
    assert wdsr(*CALL).code == 0
    assert results() == expected


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_at_random_moments(wdsr: Wdsr, expected: dict[str, bytes], kills: int) -> None:
    rng = np.random.default_rng(0)
    done = 0
    while done < kills:
        process = start(*CALL, "--json", "-j", str(rng.integers(1, 4)))
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(rng.integers(0, 6)):  # let it come so far
            process.stdout.readline()
        time.sleep(float(rng.random()) * 0.03)
        process.kill()
        process.communicate()
        done += process.returncode == -signal.SIGKILL
        if check_whole(expected) == len(expected):
            for part in Path("out").rglob("*.wdsr-part"):
                os.utime(part, (0, 0))
            assert wdsr(*CALL).code == 0
            assert results() == expected
            shutil.rmtree("out")
    if Path("out").exists():
        for part in Path("out").rglob("*.wdsr-part"):
            os.utime(part, (0, 0))
    assert wdsr(*CALL).code == 0
    assert results() == expected


def test_two_processes_on_one_folder(expected: dict[str, bytes]) -> None:
    call = [word for word in CALL if word != "--resume"]
    rivals = [start(*call, "--json") for _ in range(2)]
    said = [rival.communicate(timeout=120) for rival in rivals]
    for rival, (out, err) in zip(rivals, said, strict=True):
        assert rival.returncode == 0, out + err
        end = json.loads(out.splitlines()[-1])
        assert end["done"] + end["skipped"] == 12
        assert end["failed"] == 0
    assert results() == expected


# Full disks


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_after(honest: Callable[..., Any], left: int) -> Callable[..., Any]:
    """A step that fails for ever once it has been done `left` times."""

    def step(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            _full()
        return honest(*arguments, **options)

    return step


@pytest.mark.parametrize(
    ("owner", "step", "after"),
    [(os, "fsync", 3), (os, "link", 3), (Path, "open", 3), (files, "_rename", 3)],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_is_full_at_any_step(
    wdsr: Wdsr,
    expected: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    step: str,
    after: int,
    jobs: int,
) -> None:
    honest = getattr(owner, step)
    with monkeypatch.context() as patch:
        if step == "link":  # and renaming, to which we fall back
            patch.setattr(Path, "replace", _full)
        patch.setattr(owner, step, full_after(honest, after))
        ran = wdsr(*CALL, "-j", jobs)
    assert ran.code == 1
    assert all(line.startswith("wdsr: ") or " -> out/" in line for line in ran.lines), ran.err
    assert "No space left on device" in ran.err
    check_whole(expected)
    assert leftovers() == []
    assert wdsr(*CALL).code == 0
    assert results() == expected


def test_a_real_full_disk(wdsr: Wdsr, nearest: object, tmp_path: Path) -> None:
    """A file system of 400 KB, where mounting is permitted."""
    fill(12)
    Path("out").mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(tmp_path / "out")]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        ran = wdsr(*CALL, "-f", "bmp", "-s", "16")
        assert ran.code == 1
        assert "No space left on device" in ran.err
        assert leftovers() == []
        for name in results():
            pictures.read(Path("out", name))
    finally:
        subprocess.run(["umount", str(tmp_path / "out")], check=True)


def test_a_manifest_that_cannot_be_kept_loses_no_picture(
    wdsr: Wdsr, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "sync_folder", _full)
    ran = wdsr(*CALL)
    assert ran.code == 1
    assert "cannot be remembered" in ran.err
    monkeypatch.undo()
    check_whole(expected)


def test_inputs_that_vanish_cost_themselves(
    wdsr: Wdsr, expected: dict[str, bytes], nearest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = nearest.run

    def run_and_remove(self: Any, batch: Any) -> Any:
        shutil.rmtree("in/1", ignore_errors=True)
        return run(self, batch)

    monkeypatch.setattr(nearest, "run", run_and_remove)
    ran = wdsr(*CALL, "-j", "1")
    assert ran.code == 1
    assert ran.err.count("does not exist") == 4
    assert check_whole(expected) == 8


# Mutations

KINDS = list(pictures.FORMATS)


def subject(kind: str) -> tuple[bytes, NDArray[Any]]:
    """A file with smooth and noisy parts, and its pixels."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:48, 0:64]
    pixels = np.stack([4 * x, 5 * y, 2 * (x + y)], axis=2).astype(np.uint8)
    pixels[24:] ^= rng.integers(0, 64, (24, 64, 3), np.uint8)
    data = pictures.encode(pictures.Picture(pixels, dpi=(300, 300)), kind)
    return data, pictures.read(data).pixels


def mutate(data: bytes, seed: int) -> tuple[bytes, bool]:
    """The file with one to eight faults, and whether it was only cut short."""
    rng = np.random.default_rng(seed)
    if seed % 5 == 0:
        return data[: int(rng.integers(1, len(data)))], True
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        # Half of them hit the first bytes: headers are where a little does much.
        where = int(rng.integers(min(len(damaged), 64) if rng.random() < 0.5 else len(damaged)))
        length = int(rng.integers(1, 33))
        kind = rng.integers(5)
        if kind == 0:
            damaged[where] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            damaged[where : where + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(4)
        elif kind == 2:
            del damaged[where : where + length]
        elif kind == 3:
            damaged[where:where] = rng.bytes(length)
        else:
            damaged[where : where + length] = bytes(length)
        if not damaged:
            break
    return bytes(damaged), False


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("many", [40, pytest.param(2000, marks=pytest.mark.slow)])
def test_mutated_files_are_refused_or_whole(kind: str, many: int) -> None:
    data, pixels = subject(kind)
    slowest, refused, taken = 0.0, 0, 0
    for seed in range(many):
        damaged, cut = mutate(data, seed)
        began = time.perf_counter()
        try:
            picture = isolation.read(damaged, name="m")
        except DecoderError as error:
            pytest.fail(f"{kind} {seed}: {error}")  # a crash, a hang or a blow-up, if contained
        except PictureError as error:
            assert "\n" not in str(error)  # noqa: PT017
            refused += 1
        else:
            taken += 1
            # A checksum, or the end of the file, must have told.
            if cut or kind == "png":
                np.testing.assert_array_equal(picture.pixels, pixels, f"{kind} {seed}")
        slowest = max(slowest, time.perf_counter() - began)
    print(f"{kind}: {refused} refused, {taken} taken, slowest {slowest:.3f} s")
    assert refused > many / 4
    assert slowest < 2


def test_half_a_picture_is_taken_only_when_told() -> None:

    data, _ = subject("jpeg")
    cut = data[: len(data) * 2 // 3]
    with pytest.raises(PictureError):
        isolation.read(cut)
    assert isolation.read(cut, best_effort=True).pixels.shape == (48, 64, 3)
