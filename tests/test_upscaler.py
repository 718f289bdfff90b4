"""How an upscaler goes about it: what it loads, tells and refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.helpers import noise, repeated

import wdsr
from wdsr import zoo
from wdsr.card import ModelCard
from wdsr.errors import ModelError, UsageError
from wdsr.picture import Picture
from wdsr.target import Target, chain

SCALES = zoo.scales(zoo.DEFAULT_MODEL)


def test_nothing_loads_before_it_is_needed(nearest: list[dict[str, Any]]) -> None:
    upscaler = wdsr.load(scale=4)
    assert nearest == []
    for _ in range(3):
        upscaler.upscale(noise((5, 6, 3), "uint8"))
    assert len(nearest) == 1  # and it is kept


def test_options_reach_the_engine(nearest: list[dict[str, Any]]) -> None:
    upscaler = wdsr.load(scale=2, backend="onnxruntime", precision="bf16", device="GPU", threads=3)
    upscaler.upscale(noise((5, 6, 3), "uint8"))
    upscaler.upscale(noise((5, 6, 3), "uint16"))
    engine = {"name": "onnxruntime", "scale": 2, "device": "GPU", "threads": 3}
    # bf16 has fewer bits than a 16-bit picture.
    assert nearest == [engine | {"precision": "bf16"}, engine | {"precision": "float32"}]


def test_describe(nearest: object) -> None:
    picture = Picture(noise((5, 6, 3), "uint8"))
    assert wdsr.load(scale=4).describe(picture) == "wdsr-b-8-x4, Nearest, float32"
    assert wdsr.load(scale=8).describe(picture).count("Nearest") == len(chain(8, SCALES))
    assert "no model" in wdsr.load(scale=1).describe(picture)


@pytest.mark.parametrize("scale", [2, 2.5, 8])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_progress_counts_every_tile_up_to_the_last(
    nearest: object, scale: float, tile: int | None, channels: int
) -> None:
    told: list[tuple[int, int]] = []
    upscaler = wdsr.load(scale=scale, tile=tile)
    upscaler.upscale(
        noise((20, 30, channels), "uint8"), on_progress=lambda *step: told.append(step)
    )
    total = told[0][1]
    assert told == [(n, total) for n in range(1, total + 1)]
    if tile and scale == 2:
        assert total == 2 * 2 * (2 if channels == 4 else 1)


@pytest.mark.parametrize("scale", [2, 8])
def test_a_tile_larger_than_the_picture_costs_no_more(nearest: object, scale: int) -> None:
    array = noise((5, 6, 3), "uint8")
    result = wdsr.load(scale=scale, tile=10**6).upscale(array)
    np.testing.assert_array_equal(result, repeated(array, scale))


@pytest.mark.parametrize(
    "options",
    [
        {"model": "wdsr-z-99"},
        {"scale": 0},
        {"backend": "cuda"},
        {"precision": "int3"},
        {"tile": 0},
        {"threads": 0},
    ],
)
def test_a_wrong_call_fails_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        wdsr.load(**options)
    assert "\n" not in str(error.value)


def test_models_that_do_not_fit(nearest: object, monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.find(zoo.DEFAULT_MODEL, 2)

    def card(**changes: Any) -> None:
        values = {name: getattr(model.card, name) for name in model.card.__dataclass_fields__}
        odd = zoo.Model(ModelCard(**(values | changes)), model.onnx, "odd.onnx")
        monkeypatch.setattr(zoo, "read_model", lambda path: odd)

    card(channels=1)
    with pytest.raises(ModelError, match=r"odd\.onnx: for pictures of 1 channels"):
        wdsr.load("odd.onnx", scale=2).upscale(noise((4, 4, 3), "uint8"))
    card(scale=1)
    with pytest.raises(ModelError, match=r"odd\.onnx: does not enlarge"):
        wdsr.load("odd.onnx", scale=2)


def test_a_picture_is_not_touched_even_at_scale_1(nearest: object) -> None:
    for dtype in ("uint8", "float32"):
        array = noise((5, 6, 4), dtype)
        before = array.copy()
        result = wdsr.load(scale=1).upscale(array)
        result[:] = 0
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": "4"}, "scale must be a number, not '4'"),
        ({"scale": 4, "tile": "auto"}, "tile must be a whole number or None, not 'auto'"),
        ({"scale": 4, "threads": 1.5}, "threads must be a whole number or None, not 1.5"),
    ],
)
def test_options_of_a_wrong_type(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        wdsr.load(**options)
    with pytest.raises(UsageError, match=r"width must be a whole number, not 9\.5"):
        Target(width=9.5)  # type: ignore[arg-type]
    assert Target(scale=np.float32(2)).suffix == "_x2"  # type: ignore[arg-type]


def test_an_upscaler_tells_what_it_is(nearest: object) -> None:
    upscaler = wdsr.load("wdsr-b-8", scale=2, backend="openvino")
    assert repr(upscaler) == "<Upscaler wdsr-b-8, x2, openvino, auto>"
    upscaler.upscale(np.zeros((4, 4, 3), np.uint8))
    assert repr(upscaler) == "<Upscaler wdsr-b-8, x2, openvino, float32>"


def test_a_models_name_may_say_its_scale() -> None:
    assert wdsr.load("wdsr-b-8-x3").target == Target(scale=3)
    assert wdsr.load("wdsr-b-8").target == wdsr.load("wdsr-b-8-x4", scale=4).target
    with pytest.raises(UsageError, match="wdsr-b-8-x3 enlarges 3 times, not 4: give wdsr-b-8 for"):
        wdsr.load("wdsr-b-8-x3", scale=4)
