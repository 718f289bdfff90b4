"""Whatever a decoder does, it costs one file; and what a worker answers is what was decoded."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from wdsr import isolation
from wdsr import picture as pictures
from wdsr.errors import DamageError, DecoderError, LimitError, PictureError, WriteError
from wdsr.headers import Limits
from wdsr.isolation import wire

# A worker whose decoder does what the file says.
SPOILED = """
import ctypes, os, stat, sys, time
from wdsr import picture
honest = picture.read
def read(data, **options):
    if data == b"abort": os.abort()
    if data == b"segfault": ctypes.string_at(0)
    if data == b"leave": os._exit(3)
    if data == b"spin":
        while True: pass
    if data == b"sleep": time.sleep(1000)
    if data == b"swell": return bytearray(1 << 36)
    if data == b"swell slowly":
        heap = []
        while True: heap.append(bytearray(1 << 20))
    if data == b"stumble": raise IndexError("list index\\nout of range")
    if data == b"babble": os.write(1, b"x" * 1000); print("y" * 1000)
    if data == b"rubbish": os.write(answers(), b"\\xff" * 1000)
    if data == b"code": return Evil()
    return honest(data if data[:4] == b"\\x89PNG" else PNG, **options)
class Evil:
    def __reduce__(self): return os.mkdir, ("opened",)
def answers():  # the pipe that was stdout
    return next(fd for fd in range(3, 30) if is_pipe(fd))
def is_pipe(fd):
    try: return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError: return False
picture.read = read
"""


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    isolation.close()
    start, rest = isolation._RUN.split("from ", 1)
    png = f"PNG = {pictures.encode(gradient(3, 4), 'png')!r}\n"
    monkeypatch.setattr(isolation, "_RUN", f"{start}\n{png}{SPOILED}\nfrom {rest}")
    yield
    isolation.close()


def gradient(height: int, width: int) -> pictures.Picture:
    y, x = np.mgrid[0:height, 0:width]
    return pictures.Picture(np.stack([x, y, x + y], axis=2).astype(np.uint8))


LIMITS = Limits(seconds=0.5, memory=64 * 2**20)
FAULTS = {
    b"abort": r"crashed, or wanted more than 67 MB \(signal 6\)",
    b"segfault": r"crashed, .*\(signal 11\)",
    b"leave": r"exit code 3",
    b"spin": "decoding took more than",
    b"swell": "more memory",
    b"swell slowly": "more memory",
    b"rubbish": "crashed",
    b"code": "crashed",
}


@pytest.mark.usefixtures("spoiled")
def test_a_decoder_that_goes_wrong_costs_one_file(tmp_path: Path) -> None:
    for content, words in FAULTS.items():
        with pytest.raises(DecoderError, match=f"^bad.png: .*{words}") as caught:
            isolation.read(content, name="bad.png", limits=LIMITS)
        assert "\n" not in str(caught.value)
        picture = isolation.read(b"good", name="good.png", limits=LIMITS)
        np.testing.assert_array_equal(picture.pixels, gradient(3, 4).pixels)
    with pytest.raises(
        DamageError, match=r"bad.png: its decoder fails .IndexError: list index out"
    ):
        isolation.read(b"stumble", name="bad.png")
    assert isolation.read(b"babble", limits=LIMITS).width == 4
    assert list(tmp_path.iterdir()) == []  # no answer was run


@pytest.mark.usefixtures("spoiled")
def test_a_decoder_that_sleeps_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    isolation.read(b"good")
    monkeypatch.setattr(isolation, "_GRACE_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(DecoderError, match="sleepy: decoding took more than 1 s"):
        isolation.read(b"sleep", name="sleepy", limits=Limits(seconds=0.05))
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("spoiled")
def test_processor_time_of_earlier_files_does_not_count() -> None:
    for _ in range(2):
        with pytest.raises(DecoderError):
            isolation.read(b"spin", limits=LIMITS)
        for _ in range(20):
            isolation.read(b"good", limits=LIMITS)


@pytest.mark.parametrize("kind", pictures.FORMATS)
def test_a_picture_comes_through_as_it_was_decoded(kind: str) -> None:
    data = pictures.encode(gradient(40, 31), kind)
    here, there = pictures.read(data, name="x"), isolation.read(data, name="x")
    np.testing.assert_array_equal(here.pixels, there.pixels)
    assert (here.format, here.dpi, here.lossy) == (there.format, there.dpi, there.lossy)


def test_depth_alpha_and_metadata_come_through() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (9, 7, 4), np.uint16)
    picture = pictures.Picture(deep[..., :3], deep[..., 3], dpi=(300, 200))
    found = isolation.read(pictures.encode(picture, "png"))
    np.testing.assert_array_equal(found.pixels, picture.pixels)
    np.testing.assert_array_equal(found.alpha, picture.alpha)
    assert found.dpi == pytest.approx((300, 200), abs=0.1)


def test_errors_come_through_with_their_class() -> None:
    with pytest.raises(DamageError, match=r"cut.png: cannot be decoded"):
        isolation.read(pictures.encode(gradient(90, 90), "png")[:200], name="cut.png")
    with pytest.raises(PictureError, match="letter: is none of"):
        isolation.read(b"Dear reader", name="letter")
    with pytest.raises(LimitError, match="big: declares 90 x 90"):
        isolation.read(
            pictures.encode(gradient(90, 90), "bmp"), name="big", limits=Limits(pixels=9)
        )


def test_best_effort_takes_what_is_left() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    data = pictures.encode(pictures.Picture(noise), "png")
    picture = isolation.read(data[: len(data) // 2], best_effort=True)
    assert picture.pixels.shape == (200, 200, 3)
    np.testing.assert_array_equal(picture.pixels[:50], noise[:50])


def test_verify(tmp_path: Path) -> None:
    data = pictures.encode(gradient(20, 30), "webp")
    path = tmp_path / "a.webp"
    path.write_bytes(data)
    isolation.verify(path, name="a.webp", height=20, width=30)
    with pytest.raises(WriteError, match=r"a.webp: should have become 30 x 21 but is 30 x 20"):
        isolation.verify(path, name="a.webp", height=21, width=30)
    path.write_bytes(data[:-40])
    with pytest.raises(WriteError, match=r"a.webp: was written but cannot be read again"):
        isolation.verify(path, name="a.webp", height=20, width=30)


def test_threads_share_workers_and_mix_nothing_up() -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        for i in range(20):
            picture = gradient(5 + seed, 5 + i)
            found = isolation.read(pictures.encode(picture, "png"))
            if not np.array_equal(found.pixels, picture.pixels):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(isolation._idle) <= 3


def test_a_file_in_the_folder_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("numpy", "pyvips", "json", "wdsr"):
        Path(f"{name}.py").write_text("import os; os.mkdir('opened')")
    isolation.close()
    assert isolation.read(pictures.encode(gradient(3, 4), "png")).width == 4
    isolation.close()
    assert not Path("opened").exists()


def test_workers_end_with_their_master() -> None:
    code = (
        "import os, signal; from wdsr import isolation; isolation.start(); "
        "print(isolation._idle[0]._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    until = time.monotonic() + 30
    while runs(int(ran.stdout)):
        assert time.monotonic() < until
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_only_data_is_unpacked() -> None:
    value = ("done", {"a": [1, 2.5, None, b"x"], "p": gradient(3, 4)})
    parts = [bytearray(memoryview(part).cast("B")) for part in wire.pack(value)]
    verdict, found = wire.unpack(parts)
    assert verdict == "done"
    np.testing.assert_array_equal(found["p"].pixels, gradient(3, 4).pixels)
    for evil in (os.system, Path("x"), DamageError("x"), subprocess.Popen, print, pictures.read):
        with pytest.raises(EOFError, match="no data"):
            wire.unpack([bytearray(pickle.dumps(evil))])


def test_a_message_may_not_be_longer_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "message"
    with path.open("wb") as file:
        wire.send(file, [b"abc", np.arange(5.0).tobytes()])
    with path.open("rb") as file:
        first, second = wire.receive(file, 43)
    assert first == b"abc"
    np.testing.assert_array_equal(np.frombuffer(second), np.arange(5.0))
    with path.open("rb") as file, pytest.raises(EOFError, match="longer"):
        wire.receive(file, 42)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with path.open("rb") as file, pytest.raises(EOFError):
            wire.receive(file, 100)
