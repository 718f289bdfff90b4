"""The openvino package, without what it loads and nobody calls."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov
    from openvino import opset13 as ops
else:
    # Importing openvino loads its model converter too, which takes as long as all the rest and
    # tells a web service so. Nothing here tells anyone anything, nor converts: without its
    # converter, or its telemetry package, openvino does with less or with stubs of its own.
    absent = {"openvino_telemetry", "openvino.tools.ovc"} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(absent))
    try:
        ov = importlib.import_module("openvino")
        ops = importlib.import_module("openvino.opset13")
    finally:
        for name in absent:
            del sys.modules[name]
    if not hasattr(ov, "convert_model"):  # whoever else uses openvino here shall find it
        ov.convert_model = lambda *args, **options: importlib.import_module(
            "openvino.tools.ovc"
        ).convert_model(*args, **options)

__all__ = ["ops", "ov"]
