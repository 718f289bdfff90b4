"""Files that are damaged, or made to do harm, are refused in one line and never run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save

from wdsr.errors import ModelError
from wdsr.importers import import_file
from wdsr.importers.tensors import read_tensors


def refused(path: Path, says: str = "") -> None:
    with pytest.raises(ModelError) as caught:
        import_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 600
    assert says in message


class Harm:
    """Unpickled freely, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("place", ["whole", "beside", "within"])
def test_code_in_a_pytorch_file_is_not_run(tmp_path: Path, new: bool, place: str) -> None:
    harm = Harm(tmp_path / "harm")
    content: Any = {"whole": harm, "beside": {"model_state_dict": {}, "args": harm}}.get(
        place, {"head.0.weight": torch.ones(3), "x": [harm]}
    )
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=new)
    refused(tmp_path / "x.pth", "could run code")
    assert not (tmp_path / "harm").exists()


def test_code_in_a_bare_pickle_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(pickle.dumps(Harm(tmp_path / "harm"), protocol=2))
    refused(tmp_path / "x.pt")
    assert not (tmp_path / "harm").exists()


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Conv2d(1, 1, 1), tmp_path / "x.pt")
    refused(tmp_path / "x.pt", "torch.nn.modules.conv.Conv2d")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([torch.ones(3)], "holds list"),
        ({"model_state_dict": [1]}, "holds list"),
        ({3: torch.ones(3)}, "holds dict"),
        ({}, "no weights"),
        ({"step": 3}, "step is no tensor"),
        ({"a": torch.ones(3).to_sparse()}, "a is no tensor"),
        ({"a": torch.ones(3, dtype=torch.complex64)}, "a is no tensor"),
        ({"a": torch.ones(1).expand(10**12)}, "larger than the file"),
    ],
)
def test_odd_contents(tmp_path: Path, content: Any, says: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", says)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(10**6)}, buffer)
    with (
        zipfile.ZipFile(buffer) as plain,
        zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    refused(tmp_path / "x.pth", "larger than the file")


def saved(**arrays: Any) -> bytes:
    return bytes(save(arrays))


@pytest.mark.parametrize("kind", ["pth", "old.pth", "safetensors", "h5"])
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    whole, path = tmp_path / f"whole.{kind}", tmp_path / f"x.{kind}"
    weights = {"a": torch.rand(100)}
    if kind == "h5":
        with h5py.File(whole, "w") as file:
            file.attrs["layer_names"] = [b"a"]
            file.create_group("a").attrs["weight_names"] = [b"a/kernel:0"]
            file["a/a/kernel:0"] = np.ones(100)
    elif kind == "safetensors":
        whole.write_bytes(save(weights))
    else:
        torch.save(weights, whole, _use_new_zipfile_serialization=kind == "pth")
    assert list(read_tensors(whole))  # it is what it should be
    content = whole.read_bytes()
    for length in (0, 1, 7, 40, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        refused(path)


def test_what_is_no_file_or_of_another_kind(tmp_path: Path) -> None:
    refused(tmp_path / "missing.pth", "does not exist")
    refused(tmp_path / "missing.safetensors", "does not exist")
    refused(tmp_path, "is not a file")
    os.mkfifo(tmp_path / "pipe.pth")
    refused(tmp_path / "pipe.pth", "is not a file")
    (tmp_path / "letter.pth").write_text("I am a letter.")
    refused(tmp_path / "letter.pth", "neither Keras .h5")
    (tmp_path / "weights.tar.gz").write_bytes(b"\x1f\x8b\x08\x00")
    refused(tmp_path / "weights.tar.gz", "unpack it")


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    for name in ("x.pth", "x.safetensors"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**31 + 1)  # takes no room on disk
        refused(tmp_path / name, "2.1 GB")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"{}" + b" " * 20,
        b'{"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}',
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"a":' * 100_000,
    ],
)
def test_safetensors_headers_that_lie(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    refused(tmp_path / "x.safetensors")


def keras(path: Path, name: str = "a/kernel:0") -> h5py.File:
    file = h5py.File(path, "w")
    file.attrs["layer_names"] = [b"a"]
    file.create_group("a").attrs["weight_names"] = [name.encode()]
    return file


def test_hdf5_does_not_lead_into_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"key " * 100)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["k"] = np.ones(3)
    with keras(tmp_path / "link.h5") as file:
        file["a/a/kernel:0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "k")
    refused(tmp_path / "link.h5", "not there")
    with keras(tmp_path / "soft.h5") as file:
        file["k"] = np.ones(3)
        file["a/a/kernel:0"] = h5py.SoftLink("/k")
    refused(tmp_path / "soft.h5", "not there")
    with keras(tmp_path / "raw.h5") as file:
        file["a"].create_dataset("a/kernel:0", (100,), "f4", external=[(str(secret), 0, 400)])
    refused(tmp_path / "raw.h5", "in another file")
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "k", (3,))
    with keras(tmp_path / "virtual.h5") as file:
        file["a"].create_virtual_dataset("a/kernel:0", layout)
    refused(tmp_path / "virtual.h5", "in another file")


def test_hdf5_arrays_are_no_larger_than_the_file(tmp_path: Path) -> None:
    with keras(tmp_path / "x.h5") as file:  # never written: no chunk is there
        file["a"].create_dataset("a/kernel:0", (10**6, 10**6), "f4", chunks=(100, 100))
    refused(tmp_path / "x.h5", "larger than the file")


def test_other_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["a"] = np.ones(3)
    refused(tmp_path / "data.h5", "no layer_names")
    for name in ("a/b", "/a", "", "a//kernel:0"):
        keras(tmp_path / "x.h5", name).close()
        refused(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = [b"a", b"b"]
        file.create_group("a")
    refused(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = 3
    refused(tmp_path / "x.h5")
