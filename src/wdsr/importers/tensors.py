"""The named arrays of a weights file of any kind, read without running anything in it.

PyTorch files go through its restricted unpickler, which makes tensors and plain
containers only; HDF5 files are walked by name, within the file itself. No array
is made whose size the file's own size does not account for.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wdsr.backends import engine_errors
from wdsr.errors import BackendError, ModelError

Array = NDArray[Any]

LARGEST = 2**31  # bytes of a file; WDSR's largest are a hundredth of that


class Tensors:
    """The arrays of one file by name, in the file's order.

    `take` hands one out and remembers it, so that `leftover` knows what a layout
    did not account for: nothing is loaded in part.
    """

    def __init__(self, source: str, arrays: Mapping[str, Array]) -> None:
        self.source = source  # how messages name the file
        self._arrays = dict(arrays)
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def take(self, name: str) -> NDArray[np.float64]:
        """The numbers of this name. Raises ModelError if there are none, or not finite ones."""
        if name not in self:
            raise ModelError(f"{self.source}: has no {name!r}")
        array = self._arrays[name]
        if array.dtype.kind not in "fb":
            raise ModelError(f"{self.source}: {name} holds {array.dtype}, not floating point")
        if not np.isfinite(array).all():
            raise ModelError(f"{self.source}: {name} holds NaN or infinite values")
        self._taken.add(name)
        return array.astype(np.float64)

    def leftover(self) -> list[str]:
        """Names that nobody took, each with its shape."""
        rest = [name for name in self if name not in self._taken]
        return [f"{name} {self._arrays[name].shape}" for name in rest]

    def highest(self, pattern: str) -> int:
        """The largest number that the pattern's group finds at the start of a name; -1 if none."""
        found = (re.match(pattern, name) for name in self)
        return max((int(match[1]) for match in found if match), default=-1)


def read_tensors(path: Path) -> Tensors:
    """The arrays in a PyTorch, safetensors or Keras HDF5 file; its first bytes tell which.

    Raises ModelError for a file that is missing, damaged, unknown, or holds
    more than plain weights; BackendError if a package is missing.
    """
    try:
        if not path.is_file():
            raise ModelError(f"{path}: {'is not a file' if path.exists() else 'does not exist'}")
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise ModelError(f"{path}: cannot read this model: {error.strerror}") from error
    if size > LARGEST:
        raise ModelError(f"{path}: {size / 1e9:.1f} GB is too large for weights of such a network")
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        arrays = _hdf5(path, size)
    elif start.startswith((b"PK\x03\x04", b"\x80\x02")):  # its zip, and the pickle of before 1.6
        arrays = _torch(path, size)
    elif start[8:9] == b"{" and int.from_bytes(start[:8], "little") < size:
        arrays = _safetensors(path)
    elif start.startswith(b"\x1f\x8b"):
        raise ModelError(f"{path}: an archive; unpack it (tar xf) and import the file inside")
    else:
        raise ModelError(
            f"{path}: neither Keras .h5, PyTorch .pth or .pt, nor .safetensors, or damaged"
        )
    if not arrays:
        raise ModelError(f"{path}: holds no weights")
    return Tensors(str(path), arrays)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn whatever a library raises over a file into a ModelError that begins with `what`."""
    try:
        with engine_errors(what):
            yield
    except BackendError as error:
        raise ModelError(str(error)) from error


def _torch(path: Path, size: int) -> dict[str, Array]:
    import torch

    with _reading(f"{path}: damaged"):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # torch does not compress what it saves
                if sum(entry.file_size for entry in archive.infolist()) > size:
                    raise ModelError(f"{path}: its parts claim to be larger than the file")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            if "weights_only" not in str(error).lower():
                raise
            found = re.search(r"(?:GLOBAL|class|function) ([\w.]+\.\w+)", str(error))
            what = f" ({found[1]})" if found else ""
            raise ModelError(
                f"{path}: holds more than plain weights{what}, which could run code, so nothing "
                "was loaded; save its state_dict alone"
            ) from error
    if isinstance(content, dict):
        content = content.get("model_state_dict", content)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ModelError(f"{path}: holds {type(content).__name__}, not tensors by name")
    strange = [n for n, t in content.items() if not isinstance(t, torch.Tensor) or _is_odd(t)]
    if strange:
        raise ModelError(f"{path}: not a state_dict: {', '.join(strange[:3])[:200]} is no tensor")
    # An expanded tensor may be far larger than what is stored for it.
    if sum(tensor.numel() for tensor in content.values()) > size:
        raise ModelError(f"{path}: its tensors claim to be larger than the file")
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name.removeprefix(prefix): _numpy(tensor) for name, tensor in content.items()}


def _numpy(tensor: Any) -> Array:
    """As an array; whatever is floating point (numpy has no bfloat16) in float64."""
    floats = tensor.double() if tensor.is_floating_point() else tensor
    return np.asarray(floats.detach().numpy())


def _is_odd(tensor: Any) -> bool:
    import torch

    return bool(tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex())


def _safetensors(path: Path) -> dict[str, Array]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise _missing("safetensors") from error
    with _reading(f"{path}: not a safetensors file, or damaged"):
        return {name: _numpy(tensor) for name, tensor in load_file(path).items()}


def _hdf5(path: Path, size: int) -> dict[str, Array]:
    """Keras 2's layout: a group for each layer, named in order by `layer_names`.

    Weights are called by layer and by the last part of their own name, without
    TensorFlow's `:0`: `weight_normalization_3.kernel`.
    """
    try:
        import h5py
    except ImportError as error:
        raise _missing("h5py") from error
    arrays: dict[str, Array] = {}
    with _reading(f"{path}: damaged HDF5 file"), h5py.File(path, "r") as file:
        whole = "model_weights" in file  # and not the weights alone
        root = _inside(file, "model_weights", path) if whole else file
        if "layer_names" not in root.attrs:
            raise ModelError(f"{path}: an HDF5 file, but not one of Keras 2 (no layer_names)")
        for layer in _names(root.attrs["layer_names"]):
            group = _inside(root, layer, path)
            for weight in _names(group.attrs["weight_names"]):
                dataset = _inside(group, weight, path)
                if dataset.is_virtual or dataset.external:
                    raise ModelError(f"{path}: {layer}/{weight} lies in another file")
                size -= dataset.size
                if size < 0:
                    raise ModelError(f"{path}: its arrays claim to be larger than the file")
                name = f"{layer}.{weight.rpartition('/')[2].partition(':')[0]}"
                if name in arrays:
                    raise ModelError(f"{path}: {layer} holds two weights named {weight}")
                arrays[name] = np.asarray(dataset[()])
    return arrays


def _names(attribute: Any) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in attribute]


def _inside(group: Any, name: str, path: Path) -> Any:
    """A member of a group, reached by links within the file only."""
    import h5py

    for part in name.split("/"):
        link = group.get(part, getlink=True) if part in group else None
        if type(link) is not h5py.HardLink:
            raise ModelError(f"{path}: {name} is named in it, but not there")
        group = group[part]
    return group


def _missing(package: str) -> BackendError:
    return BackendError(f"reading this file needs {package}: pip install 'wdsr[import]'")
