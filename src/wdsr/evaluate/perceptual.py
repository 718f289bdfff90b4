"""LPIPS and DISTS, through torchmetrics, with weights that the user already has.

Both compare what a classification network sees in two pictures. torchmetrics brings
the metrics' own small weights; those of the network (AlexNet 233 MB, VGG16 528 MB) are
the user's to get. torchvision would fetch them unasked, so they are looked for first.

Sources: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual
metric", 2018 (version 0.1, AlexNet); Ding et al., "Image quality assessment: unifying
structure and texture similarity", 2020.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
from numpy.typing import NDArray

from wdsr.errors import BackendError, ModelError, UsageError
from wdsr.evaluate.scores import Metric

# Name -> (network's weights in torchvision, module and class in torchmetrics, its arguments)
_METRICS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "lpips": (
        "AlexNet_Weights",
        "torchmetrics.image.lpip",
        "LearnedPerceptualImagePatchSimilarity",
        {"net_type": "alex", "normalize": True},
    ),
    "dists": (
        "VGG16_Weights",
        "torchmetrics.image.dists",
        "DeepImageStructureAndTextureSimilarity",
        {},
    ),
}
NAMES = tuple(_METRICS)


def create(name: str) -> Metric:
    """ "lpips" or "dists" of RGB pictures: 0 for equal ones, lower is better.

    Raises UsageError for another name, BackendError if a package is missing or does
    not fit, ModelError if the network's weights are not there. Fetches nothing.
    """
    if name not in _METRICS:
        raise UsageError(f"no metric {name!r}: choose {' or '.join(_METRICS)}")
    weights, module, kind, arguments = _METRICS[name]
    for package in ("torch", "torchvision", "torchmetrics"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"{name} needs {package}: pip install 'wdsr[perceptual]'")
    import torch

    try:
        models = importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError, OSError) as error:
        # torch and torchvision are built for each other; a mixed pair fails like this.
        fault = str(error).splitlines()[0]
        raise BackendError(
            f"{name}: torchvision does not fit this torch ({fault}); install both from one place"
        ) from error
    url = getattr(models, weights).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not path.is_file():
        raise ModelError(
            f"{name} needs the weights {path.name}, which wdsr does not fetch: "
            f"get {url} and put it into {path.parent}"
        )
    metric = getattr(importlib.import_module(module), kind)(**arguments).eval()

    def tensor(image: NDArray[Any]) -> Any:
        floats = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
        return torch.from_numpy(floats / np.float32(255))  # (1, 3, H, W) from 0 to 1

    def score(sr: NDArray[Any], hr: NDArray[Any]) -> float:
        metric.reset()
        with torch.inference_mode():
            return float(metric(tensor(sr), tensor(hr)))

    return score
