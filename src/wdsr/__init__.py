"""Image super-resolution with WDSR networks.

>>> import wdsr
>>> wdsr.load("wdsr-b-8", scale=4).upscale("photo.jpg")  # doctest: +SKIP
PosixPath('photo_x4.jpg')

Importing this loads neither an engine nor torch; they load when first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes long to import
if TYPE_CHECKING:
    from typing import Any

    from wdsr.errors import PictureError, UsageError, WdsrError
    from wdsr.metrics import psnr, ssim
    from wdsr.target import Target
    from wdsr.upscale import Upscaler, load

__version__ = "0.1.0"

_PUBLIC = {
    "PictureError": "wdsr.errors",
    "Target": "wdsr.target",
    "Upscaler": "wdsr.upscale",
    "load": "wdsr.upscale",
    "psnr": "wdsr.metrics",
    "ssim": "wdsr.metrics",
    "UsageError": "wdsr.errors",
    "WdsrError": "wdsr.errors",
}
__all__ = [
    "PictureError",
    "Target",
    "Upscaler",
    "UsageError",
    "WdsrError",
    "__version__",
    "load",
    "psnr",
    "ssim",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'wdsr' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PUBLIC[name]), name)
