"""Everything that can go wrong, as one tree.

    WdsrError
    ├── UsageError          the call is wrong: a scale of 0, an unknown model  (exit 2)
    ├── PictureError        a picture cannot be read, or not be written        (exit 1)
    │   ├── FileError       missing, no file, not readable
    │   ├── DamageError     damaged or cut short: what could be decoded is not all
    │   ├── LimitError      declares, or would become, more than is allowed
    │   ├── DecoderError    its decoder crashed, ran out of memory or of time
    │   ├── ExistsError     the result is there already and may not be replaced
    │   └── WriteError      the result cannot be written: disk full, folder gone
    ├── ModelError          a model file is missing, damaged or does not fit   (exit 1)
    │   └── UnsafeModelError  it could do harm, or its card lies: not run
    ├── BackendError        an engine is not installed or refuses the model    (exit 1)
    └── TrainingError       data, recipe or checkpoint that training cannot use (exit 1)

Each message is one line: what happened, where, and what to do about it. A class
is for programs (`--json` names it); the exit code says no more than the line of
its branch above, and 130 that Ctrl-C, 143 that the system ended the command.
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


class FileError(PictureError):
    """The file is missing, is no file, or may not be read."""


class DamageError(PictureError):
    """The file is damaged or cut short."""


class LimitError(PictureError):
    """The file declares, or its result would take, more than is allowed."""


class DecoderError(PictureError):
    """The decoder of the file crashed, or took more memory or time than is allowed."""


class ExistsError(PictureError):
    """The result is there already and may not be replaced."""


class WriteError(PictureError):
    """The result cannot be written."""


class LossWarning(UserWarning):
    """An output that Python code asked for does not hold all that its input did."""


class ModelError(WdsrError):
    """A model file is missing, damaged, or does not fit what was asked."""


class UnsafeModelError(ModelError):
    """A model file holds what could do harm, or a card that is not true; nothing was run."""


class BackendError(WdsrError):
    """An inference engine is not installed or cannot run the model."""


class TrainingError(WdsrError):
    """Data, recipe or checkpoint that training cannot use."""
