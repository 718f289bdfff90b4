"""Everything that can go wrong, as one tree.

    WdsrError
    ├── UsageError          the call is wrong: a scale of 0, an unknown model  (exit 2)
    ├── PictureError        a picture cannot be read, or not be written        (exit 1)
    ├── ModelError          a model file is missing, damaged or does not fit   (exit 1)
    ├── BackendError        an engine is not installed or refuses the model    (exit 1)
    └── TrainingError       data, recipe or checkpoint that training cannot use (exit 1)

Each message is one line: what happened, where, and what to do about it.
"""

from __future__ import annotations


class WdsrError(Exception):
    """Base of all errors that wdsr raises on purpose."""

    exit_code = 1


class UsageError(WdsrError, ValueError):
    """The call itself is wrong; nothing was tried."""

    exit_code = 2


class PictureError(WdsrError):
    """A picture cannot be read or written."""


class ModelError(WdsrError):
    """A model file is missing, damaged, or does not fit what was asked."""


class BackendError(WdsrError):
    """An inference engine is not installed or cannot run the model."""


class TrainingError(WdsrError):
    """Data, recipe or checkpoint that training cannot use."""
