"""Patches on their way: shared by processes, gathered on a device, degraded on the fly."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.train.helpers import Pixels, assert_same_bits, short

from wdsr.degrade import MARGIN, Preset
from wdsr.errors import TrainingError
from wdsr.resize import resize
from wdsr.train.data import Cut, Degraded, Pairs, stream
from wdsr.train.feed import Resident, corners, feed, gather
from wdsr.train.recipe import Stage


def fabric(rank: int = 0, ranks: int = 1) -> Any:
    return SimpleNamespace(device=torch.device("cpu"), global_rank=rank, world_size=ranks)


def test_processes_share_the_batch(pairs: Pairs) -> None:
    recipe = short(steps=3, batch=4, then=[Stage(steps=2, batch=6, patch=5)])
    whole = list(feed(pairs, recipe, 1, fabric=fabric()))
    assert [lr.shape for lr, _ in whole] == [(4, 3, 6, 6)] * 2 + [(6, 3, 5, 5)] * 2
    shares = [list(feed(pairs, recipe, 1, fabric=fabric(rank, 2))) for rank in (0, 1)]
    for step, (lr, hr) in enumerate(whole):
        for rank in (0, 1):
            torch.testing.assert_close(shares[rank][step][0], lr[rank::2], rtol=0, atol=0)
            torch.testing.assert_close(shares[rank][step][1], hr[rank::2], rtol=0, atol=0)


def test_workers_bring_the_same_in_the_same_order(pairs: Pairs) -> None:
    recipe = short(steps=7, candidates=3)
    alone, helped = (
        list(feed(pairs, recipe, 2, fabric=fabric(), workers=workers)) for workers in (0, 2)
    )
    assert len(alone) == len(helped) == 5
    for ours, theirs in zip(alone, helped, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_floats_are_levels_over_255_channels_last(pairs: Pairs) -> None:
    recipe = short()
    lr, hr = next(iter(feed(pairs, recipe, 4, fabric=fabric())))
    pixels, large = pairs.batch(seed=recipe.seed, step=4, places=range(2), patch=6)
    np.testing.assert_array_equal(lr.permute(0, 2, 3, 1) * 255, pixels)
    np.testing.assert_array_equal(torch.round(hr.permute(0, 2, 3, 1) * 255), large)
    assert hr.dtype == torch.float32
    assert hr.is_contiguous(memory_format=torch.channels_last)


def test_what_is_gathered_on_the_device_is_what_is_cut(pairs: Pairs) -> None:
    cuts = [pairs.cut(stream(3, step, 0), 6) for step in range(60)]
    assert {(cut.turn, cut.flip) for cut in cuts} == {(t, f) for t in range(4) for f in (0, 1)}
    resident = Resident(pairs, torch.device("cpu"))
    tables = (torch.from_numpy(corners(pairs, cuts, 6, s)) for s in (1, 2))
    lr, hr = resident.take(*tables)
    for row, cut in enumerate(cuts):
        np.testing.assert_array_equal(lr[row], cut.of(pairs.lr[cut.which], 6, 1))
        np.testing.assert_array_equal(hr[row], cut.of(pairs.hr[cut.which], 6, 2))


def test_gather_by_hand() -> None:
    pixels = torch.arange(12).view(4, 3)[:, :1].expand(4, 3)  # a 2 x 2 picture: 0 3 / 6 9
    turned = gather(pixels, torch.tensor([[1, -1, 2, 2]]))  # anticlockwise
    assert turned[0, :, :, 0].tolist() == [[3, 9], [0, 6]]


def test_a_pack_is_resident_only_on_a_gpu(pairs: Pairs) -> None:
    assert Resident.if_fits(pairs, torch.device("cpu")) is None


def test_sources_travel_by_path(pairs: Pairs) -> None:
    sent = pickle.dumps(pairs)
    assert len(sent) < 1000
    again = pickle.loads(sent)
    for ours, theirs in zip(again.lr, pairs.lr, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Choosing


def detail(patch: Pixels) -> float:
    return float(
        sum(np.abs(np.diff(patch[..., 1].astype(int), axis=axis)).mean() for axis in (0, 1))
    )


def test_the_candidate_with_most_detail_is_kept(pairs: Pairs) -> None:
    for step in range(20):
        chosen = pairs.cut(stream(0, step, 0), 8, candidates=4)
        rng = stream(0, step, 0)
        all_four = [pairs.cut(rng, 8) for _ in range(4)]
        # Seen at every second pixel, as at LR's sampling, and before it is turned.
        plain = [Cut(c.which, c.y, c.x, 0, False) for c in all_four]
        details = [detail(cut.of(pairs.hr[cut.which], 8, 2)[::2, ::2]) for cut in plain]
        assert chosen == all_four[int(np.argmax(details))]


# Degrading on the fly


def noisy_half(hr: Pixels, rng: np.random.Generator) -> Pixels:
    small = resize(hr, scale=0.5).astype(float) + rng.normal(0, 3, (1, 1, 3))
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def test_degraded_patches_are_a_pure_function_too(pairs: Pairs) -> None:
    source = Degraded(pairs.folder, 2, noisy_half, margin=3)
    lr, hr = source.batch(seed=1, step=5, places=range(6), patch=8)
    assert lr.shape == (6, 8, 8, 3)
    assert hr.shape == (6, 16, 16, 3)
    again = pickle.loads(pickle.dumps(source)).batch(seed=1, step=5, places=[4, 2], patch=8)
    np.testing.assert_array_equal(again[0], lr[[4, 2]])
    np.testing.assert_array_equal(again[1], hr[[4, 2]])
    other = source.batch(seed=1, step=6, places=range(6), patch=8)
    assert not np.array_equal(other[0], lr)


def test_degraded_patches_have_no_border_of_their_own(pairs: Pairs) -> None:
    """With a margin, LR is what is cut from the whole picture's LR, up to rounding."""
    source = Degraded(pairs.folder, 2, lambda hr, rng: resize(hr, scale=0.5), margin=4)
    lr, hr = source.batch(seed=0, step=0, places=range(30), patch=6)
    even = 0
    for place in range(30):
        cut = source.cut(stream(0, 0, place), 2 * (6 + 8))
        np.testing.assert_array_equal(hr[place], cut.of(pairs.hr[cut.which], 28, 1)[8:-8, 8:-8])
        if cut.y % 2 == cut.x % 2 == 0:  # where it lies on the grid of the whole picture's LR
            on_grid = Cut(cut.which, cut.y // 2, cut.x // 2, cut.turn, cut.flip)
            whole = on_grid.of(pairs.lr[cut.which], 14, 1)[4:-4, 4:-4].astype(int)
            np.testing.assert_allclose(lr[place], whole, atol=1)
            even += 1
    assert 3 < even < 20


def test_degrading_needs_no_lr_in_the_pack(pairs: Pairs, tmp_path: Path) -> None:
    for name in ("index.json", "hr.bin"):
        (tmp_path / name).write_bytes((pairs.folder / name).read_bytes())
    Degraded(tmp_path, 4, noisy_half).check(10)
    with pytest.raises(TrainingError, match="smaller than a patch"):
        Degraded(tmp_path, 4, noisy_half, margin=5).check(10)


def test_a_degradation_of_another_size_is_named(pairs: Pairs) -> None:
    source = Degraded(pairs.folder, 2, lambda hr, rng: hr)
    with pytest.raises(
        TrainingError, match=r"made uint8 \(12, 12, 3\) of \(12, 12, 3\), not .*6, 6"
    ):
        source.batch(seed=0, step=0, places=[0], patch=6)


def test_a_preset_travels_by_its_name(pairs: Pairs) -> None:
    source = Degraded(pairs.folder, 2, Preset("photo", 2), margin=MARGIN)
    recipe = short(steps=2, batch=2)
    alone, helped = (
        list(feed(source, recipe, 0, fabric=fabric(), workers=workers)) for workers in (0, 1)
    )
    assert_same_bits([list(step) for step in alone], [list(step) for step in helped])
    assert len(pickle.dumps(source)) < 1000
