"""Large pictures, which are enlarged in the command's own process: a worker tries them first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wdsr import isolation, stream
from wdsr import picture as pictures
from wdsr.batch import large

Wdsr = Callable[..., Any]  # see conftest.py
pytestmark = pytest.mark.usefixtures("nearest")


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """Pixels that count as large; half as many do not."""
    monkeypatch.setattr(stream, "LARGE", 4 * 60 * 4 * 50)
    monkeypatch.setattr(large, "_LEAST_BYTES", 0)
    return np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that a decoder of this process has seen."""
    seen: list[Path] = []
    header, opened = stream.header, stream.opened

    def see_header(source: Path) -> stream.Header:
        seen.append(source)
        return header(source)

    monkeypatch.setattr(stream, "header", see_header)
    monkeypatch.setattr(stream, "opened", lambda source, kind: opened(source, kind))
    return seen


def save(name: str, pixels: np.ndarray[Any, Any]) -> Path:
    path = Path(name)
    path.write_bytes(pictures.encode(pictures.Picture(pixels), "png"))
    return path


def test_a_large_picture_is_tried_then_enlarged(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], streamed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[str] = []
    ask = isolation.Worker.ask

    def see(self: isolation.Worker, task: str, *rest: Any) -> Any:
        tasks.append(task)
        return ask(self, task, *rest)

    monkeypatch.setattr(isolation.Worker, "ask", see)
    save("a.png", noise)
    assert wdsr("upscale", "a.png").code == 0
    expected = noise.repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(pictures.read(Path("a_x4.png")).pixels, expected)
    assert tasks == ["walk", "verify"]  # of the input, and of the result's header
    assert streamed == [Path("a.png")]


def test_an_ordinary_picture_meets_no_decoder_of_ours(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], streamed: list[Path]
) -> None:
    save("a.png", noise[:30])
    assert wdsr("upscale", "a.png").code == 0
    assert streamed == []


@pytest.mark.parametrize("where", [0.3, 0.95])
def test_a_damaged_large_picture_is_refused_before_the_work(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], nearest: Any, where: float
) -> None:
    data = save("a.png", noise).read_bytes()
    Path("a.png").write_bytes(data[: int(len(data) * where)])
    ran = wdsr("upscale", "a.png")
    assert (ran.code, len(ran.lines), nearest.runs) == (1, 1, 0)
    assert "a.png: cannot be decoded as png" in ran.err
    assert not Path("a_x4.png").exists()
    assert wdsr("upscale", "a.png", "--best-effort").code == 0


@pytest.mark.parametrize("target", ["out.png", "out.jpg"])
def test_one_ordinary_picture_is_written_as_it_is_enlarged(
    wdsr: Wdsr,
    noise: np.ndarray[Any, Any],
    target: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Decoded by a worker, verified as a whole, and never held as a whole."""
    monkeypatch.setattr(stream, "LARGE", 10**8)
    pixels = noise.repeat(8, 0)  # several rows of tiles
    save("a.png", pixels)
    checks: list[dict[str, Any]] = []
    verify = isolation.verify

    def see(part: Path, **facts: Any) -> None:
        checks.append(facts)
        verify(part, **facts)

    monkeypatch.setattr(isolation, "verify", see)
    monkeypatch.setattr(pictures, "encode", None)  # which would need it whole
    assert wdsr("upscale", "a.png", "-o", target).code == 0
    assert [(check["height"], check["width"], check.get("whole", True)) for check in checks] == [
        (4 * len(pixels), 4 * pixels.shape[1], True)
    ]
    if target == "out.png":
        expected = pixels.repeat(4, 0).repeat(4, 1)
        np.testing.assert_array_equal(pictures.read(Path(target)).pixels, expected)
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", target]


def test_a_picture_that_is_not_plain_is_held(
    wdsr: Wdsr, noise: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With alpha, at other scales, into TIFF: as before, to the right size."""
    monkeypatch.setattr(stream, "LARGE", 10**8)
    tall = noise.repeat(8, 0)
    veil = np.arange(tall.shape[0] * tall.shape[1]).reshape(tall.shape[:2]).astype(np.uint8)
    Path("veil.png").write_bytes(pictures.encode(pictures.Picture(tall, veil), "png"))
    save("a.png", tall)
    for call, scale in (("veil.png", 4), ("a.png", 2.5), ("a.png", 4)):
        target = f"{scale}.tif" if (call, scale) == ("a.png", 4) else f"{scale}-{call}"
        assert wdsr("upscale", call, "-s", scale, "-o", target).code == 0
        found = pictures.read(Path(target))
        assert (found.height, found.width) == tuple(round(side * scale) for side in tall.shape[:2])
