"""Packs: the memory they take, what a killed packing leaves, and how pictures are told apart."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.train.helpers import Pixels, waves

from wdsr.files import claim, part_of
from wdsr.train import pack as packing
from wdsr.train.data import Pairs
from wdsr.train.pack import pack


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Six, of 1600 pixels each."""
    (tmp_path / "hr").mkdir()
    for seed in range(6):
        Image.fromarray(waves(40, 40, seed)).save(tmp_path / "hr" / f"{seed}.png")
    return tmp_path / "hr"


@pytest.mark.parametrize(("pixels", "at_once"), [(1, 1), (3200, 2), (2**27, 6)])
def test_no_more_pixels_are_decoded_at_once_than_allowed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: int, at_once: int
) -> None:
    begun, ahead = [0], [0]

    def read(path: Path) -> Pixels:
        begun[0] += 1
        return np.asarray(Image.open(path))

    def progress(done: int, total: int) -> None:
        ahead.append(begun[0] - done + 1)
        time.sleep(0.01)  # the others have time to decode more than they may

    monkeypatch.setattr(packing, "_PIXELS", pixels)
    monkeypatch.setattr(packing, "read_rgb", read)
    folder = pack(pictures, tmp_path / "cache", 4, progress=progress)
    assert max(ahead) <= at_once
    for seed, hr in enumerate(Pairs(folder, 4).hr):
        np.testing.assert_array_equal(hr, waves(40, 40, seed))


def test_what_a_killed_packing_left_is_deleted(pictures: Path, tmp_path: Path) -> None:
    folder = pack(pictures, tmp_path / "cache", 4)
    left, young, written = (part_of(folder / "hr.bin") for _ in range(3))
    with written.open("wb") as stream:  # by another process
        assert claim(stream.fileno())
        for part in (left, young, written):
            part.write_bytes(b"pixels")
        for part in (left, written):
            os.utime(part, (1, 1))
        pack(pictures, tmp_path / "cache", 2)
    assert set(folder.glob(".*-part")) == {young, written}


def test_files_that_are_being_written_are_locked(pictures: Path, tmp_path: Path) -> None:
    seen: set[str] = set()

    def progress(done: int, total: int) -> None:
        for part in (tmp_path / "cache").rglob(".*-part"):
            with part.open("rb") as stream:
                assert claim(stream.fileno()) is False
            seen.add(part.name[1:].rsplit(".", 2)[0])

    pack(pictures, tmp_path / "cache", 4, progress=progress)
    assert seen == {"index.json", "hr.bin", "lr_x4.bin"}


def test_the_digest_tells_other_pixels_from_the_same(pictures: Path, tmp_path: Path) -> None:
    def digest(lr: Path | None = None) -> str:
        return Pairs(pack(pictures, tmp_path / "cache", 4, lr=lr), 4).digest

    made = digest()
    lr = tmp_path / "lr"
    lr.mkdir()
    for seed in range(6):
        Image.fromarray(waves(10, 10, seed)).save(lr / f"{seed}.png")
    given = digest(lr)
    Image.fromarray(waves(10, 10, 7)).save(lr / "3.png")
    other = digest(lr)
    hr = waves(40, 40, 0)
    hr[5, 5, 1] ^= 1
    Image.fromarray(hr).save(pictures / "0.png")
    assert len({made, given, other, digest()}) == 4
    # The same, packed again or elsewhere.
    Image.fromarray(waves(40, 40, 0)).save(pictures / "0.png", compress_level=0)
    os.utime(pictures / "5.png", (1, 1))
    assert digest() == made
    shutil.rmtree(tmp_path / "cache")
    assert digest() == made


def test_packs_of_older_versions_are_read(pictures: Path, tmp_path: Path) -> None:
    folder = pack(pictures, tmp_path / "cache", 4)
    index = json.loads((folder / "index.json").read_text())
    del index["hashes"]
    (folder / "index.json").write_text(json.dumps(index))
    assert len(Pairs(pack(pictures, tmp_path / "cache", 2), 2).hr) == 6
