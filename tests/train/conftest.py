"""Pictures to train on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from PIL import Image
from tests.train.helpers import waves

from wdsr.train.data import Pairs
from wdsr.train.pack import pack


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks so small are slower with two, and on a busy machine much slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Four small pictures, packed for x2."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(4):
        Image.fromarray(waves(72, 80, seed)).save(folder / f"{seed}.png")
    return Pairs(pack(folder, tmp_path_factory.mktemp("cache"), 2), 2)
