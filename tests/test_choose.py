from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image

from wdsr import choose, picture, zoo
from wdsr.choose import Look
from wdsr.picture import Picture
from wdsr.resize import resize
from wdsr.tiling import Box

Pixels = NDArray[np.uint8]

FOLDER = Path(skimage.__file__).parent / "data"
PHOTOGRAPHS = [
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the photo model is shipped."""
    monkeypatch.setattr(zoo, "is_shipped", lambda name: True)


def photograph(name: str) -> Pixels:
    with Image.open(FOLDER / name) as image:
        return np.asarray(image.convert("RGB"))


def encoded(image: Pixels, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def png(image: Pixels) -> bytes:
    return encoded(image, "PNG", compress_level=1)


def jpeg(image: Pixels, quality: int, subsampling: int = 2) -> bytes:
    return encoded(image, "JPEG", quality=quality, subsampling=subsampling)


def decoded(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def noisy(image: Pixels, sigma: float) -> Pixels:
    noise = np.random.default_rng(7).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


CLEAN: dict[str, Callable[[Pixels], bytes]] = {
    "half": lambda hr: png(resize(hr, scale=1 / 2)),
    "third": lambda hr: png(resize(hr, scale=1 / 3)),
    "good JPEG": lambda hr: jpeg(resize(hr, scale=1 / 2), 96, 0),
}
DAMAGED: dict[str, Callable[[Pixels], bytes]] = {
    "JPEG": lambda hr: jpeg(resize(hr, scale=1 / 2), 75),
    "JPEG, then PNG": lambda hr: png(decoded(jpeg(resize(hr, scale=1 / 2), 60))),
    "JPEG, cut, then PNG": lambda hr: png(decoded(jpeg(resize(hr, scale=1 / 2), 50))[3:, 5:]),
    "JPEG twice": lambda hr: jpeg(decoded(jpeg(resize(hr, scale=1 / 2), 50)), 95, 0),
    "noise": lambda hr: png(noisy(resize(hr, scale=1 / 2), 4)),
    "noise, then JPEG": lambda hr: jpeg(noisy(resize(hr, scale=1 / 2), 3), 75),
    "enlarged": lambda hr: png(resize(resize(hr, scale=1 / 2), scale=2)),
}


def cases() -> Iterator[tuple[str, str, bytes]]:
    """(name, right model, file) of every photograph in every state."""
    for name in PHOTOGRAPHS:
        hr = photograph(name)
        for model, states in ((zoo.DEFAULT_MODEL, CLEAN), (zoo.PHOTO_MODEL, DAMAGED)):
            for state, make in states.items():
                yield f"{name}, {state}", model, make(hr)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("size", [(47, 300), (48, 48), (100, 300), (512, 512)])
def test_a_picture_read_row_by_row_looks_alike(size: tuple[int, int]) -> None:
    data = jpeg(photograph("astronaut.png")[: size[0], : size[1]], 40)
    whole = picture.read(data)
    held = below = 0

    def read(box: Box) -> NDArray[Any]:
        nonlocal held, below
        assert box.top >= below  # from the top down
        held, below = max(held, box.height), box.bottom
        return whole.pixels[box.slices]

    found = choose.sample(whole, read)
    assert choose.look(found) == choose.look(whole)
    assert found.quality == whole.quality == 40
    assert held <= 48


def test_the_choice_is_right_in_95_percent_of_clean_and_of_damaged_pictures() -> None:
    rights: dict[str, list[bool]] = {zoo.DEFAULT_MODEL: [], zoo.PHOTO_MODEL: []}
    wrong = []
    for name, model, data in cases():
        choice = choose.choose(picture.read(data))
        rights[model].append(choice.model == model)
        if choice.model != model:
            wrong.append(f"{name} -> {choice.tell(figures=True)}")
    assert sum(map(len, rights.values())) >= 60
    for right in rights.values():
        assert np.mean(right) >= 0.95, "\n".join(wrong)


@pytest.mark.parametrize("sigma", [2, 4, 8])
def test_noise_is_estimated_within_15_percent(sigma: float) -> None:
    for name in ("chelsea.png", "rocket.jpg", "retina.jpg"):
        seen = choose.look(Picture(noisy(resize(photograph(name), scale=1 / 2), sigma)))
        assert seen is not None
        assert seen.noise == pytest.approx(sigma, rel=0.15), name
        assert seen.grain > 0.7, name


@pytest.mark.parametrize("cut", [(0, 0), (3, 5)])
def test_blocks_grow_with_compression_wherever_they_begin(cut: tuple[int, int]) -> None:
    hr = resize(photograph("coffee.png"), scale=1 / 2)
    found = []
    for quality in (95, 80, 60, 30):
        seen = choose.look(Picture(decoded(jpeg(hr, quality))[cut[0] :, cut[1] :]))
        assert seen is not None
        found.append(seen.blocks)
    assert found == sorted(found)
    assert found[0] < 0.1 < found[2]


def test_without_a_photo_model_there_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "is_shipped", lambda name: name == zoo.DEFAULT_MODEL)
    read = picture.read(jpeg(photograph("chelsea.png"), 20))
    assert choose.choose(read) == choose.Choice(zoo.DEFAULT_MODEL)
    assert choose.choose(read).tell(figures=True) == ""


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((47, 500, 3), np.uint8), "too small to judge"),
        (np.zeros((1, 1, 1), np.uint8), "too small to judge"),
        (np.full((100, 100, 3), 9000, np.uint16), "not of 8 bits"),
        (np.full((100, 100, 1), np.nan, np.float32), "not of 8 bits"),
    ],
)
def test_what_cannot_be_judged_is_classical_and_says_so(pixels: Any, reason: str) -> None:
    choice = choose.choose(Picture(pixels))
    assert choice.model == zoo.DEFAULT_MODEL
    assert choice.reason.startswith(reason)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("size", [(48, 48), (200, 49), (300, 300)])
def test_pictures_without_content_are_clean(level: int, size: tuple[int, int]) -> None:
    choice = choose.choose(Picture(np.full((*size, 1), level, np.uint8)))
    assert choice.tell() == f"{zoo.DEFAULT_MODEL}: clean"


@pytest.mark.usefixtures("both")
def test_tables_that_lie_are_not_believed() -> None:
    clean = resize(photograph("chelsea.png"), scale=1 / 2)
    choice = choose.choose(Picture(clean, quality=20))
    assert choice.model == zoo.DEFAULT_MODEL
    assert choice.reason == "in doubt: the file says JPEG quality 20, but has no blocks"
    other = choose.choose(Picture(decoded(jpeg(clean, 20)), quality=98))
    assert other.model == zoo.PHOTO_MODEL
    assert other.reason == "JPEG blocks, older than the last save at quality 98"


@pytest.mark.usefixtures("both")
def test_a_small_jpeg_is_judged_by_its_tables() -> None:
    choice = choose.choose(picture.read(jpeg(photograph("coffee.png")[:40, :40], 40)))
    assert choice.tell() == f"{zoo.PHOTO_MODEL}: JPEG quality 40"


def test_reasons_and_figures_are_told_in_one_line() -> None:
    seen = Look(quality=90, blocks=0.1, noise=1.26, grain=0.8, fineness=None, windows=36)
    choice = choose.weigh(seen, "classical", "photo")
    assert choice.tell() == "photo: JPEG quality 90, noise of 1.3 levels"
    assert choice.tell(figures=True) == (
        "photo: JPEG quality 90, noise of 1.3 levels (JPEG quality 90, blocks 0.10, noise 1.3, "
        "grain 0.80, fineness none, 36 windows)"
    )
    doubtful = Look(quality=90, blocks=0.0, noise=0.5, grain=0.5, fineness=0.3, windows=36)
    assert choose.weigh(doubtful, "classical", "photo").tell() == (
        "classical: in doubt: JPEG quality 90"
    )


def test_a_look_at_2_megapixels_takes_under_10_ms() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1224, 1632, 3), np.uint8)
    times = []
    for _ in range(10):
        began = time.process_time()
        choose.look(Picture(pixels))
        times.append(time.process_time() - began)
    assert min(times) < 0.010
