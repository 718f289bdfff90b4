"""Large pictures, which are enlarged row by row where that is possible."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wdsr import isolation, stream
from wdsr import picture as pictures
from wdsr.errors import PictureError, UsageError
from wdsr.formats import rows
from wdsr.headers import Header, Limits

if TYPE_CHECKING:
    from wdsr.backends import Backend
    from wdsr.picture import Picture
    from wdsr.upscale import Upscaler


@dataclass(frozen=True)
class Large:
    """A picture that is to be enlarged row by row: decoded here, once a worker has tried it."""

    source: Path
    header: Header
    seen: rows.Look
    facts: Picture  # all that the file holds, of pixels that take no room
    backend: Backend
    kind: stream.Kind
    walked: rows.Walk = dataclasses.field(default_factory=rows.Walk)  # by a worker

    @classmethod
    def of(
        cls,
        upscaler: Upscaler,
        source: Path,
        kind: str,
        *,
        limits: Limits | None = None,
        pyramid: bool = False,
        strip_private: bool = False,
    ) -> Large | None:
        """If the result is large, or a pyramid is wanted, and the picture is of the plain kind.

        kind: format of the result. No decoder of this process sees the file.
        strip_private: as for `isolation.read`.

        Raises LimitError for a header that declares too much, UsageError and
        PictureError for a pyramid that cannot be made.
        """
        if pyramid and kind != "tiff":
            raise UsageError("only TIFF holds a pyramid: give the result a name like .tif")
        limits = limits or Limits()
        if kind not in stream.KINDS or not _may_be(source, limits, pyramid):
            return None
        header = isolation.header(source, limits=limits)
        if not pyramid and not _is_large(upscaler, header.height, header.width):
            return None
        seen = isolation.look(source, header, limits=limits, strip_private=strip_private)
        if not pyramid and not _is_large(upscaler, seen.height, seen.width):
            return None
        height, width = upscaler.target.size(seen.height, seen.width)
        pictures.check_format(kind, height, width)
        passes = upscaler.passes(seen.height, seen.width, seen.white)
        if len(passes) == 1 and not upscaler.self_ensemble and not upscaler.consistent:
            scale = passes[0].card.scale
            whole = (height, width) == (seen.height * scale, seen.width * scale)
            if whole and (facts := seen.plain):
                return cls(source, header, seen, facts, passes[0], kind)
        if pyramid:
            raise PictureError(
                f"{source}: a pyramid is made only of plain pictures (8 or 16 bits, opaque, "
                "upright) at a scale that the model has, without self-ensemble or --consistent"
            )
        return None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) before."""
        return self.seen.width, self.seen.height

    @property
    def result(self) -> tuple[int, int]:
        """(width, height) after."""
        scale = self.backend.card.scale
        return self.seen.width * scale, self.seen.height * scale

    @property
    def engine(self) -> str:
        """Model, engine and precision."""
        name = type(self.backend).__name__.removesuffix("Backend")
        return f"{self.backend.card.title}, {name}, {self.backend.precision}, row by row"

    @property
    def lost(self) -> list[str]:
        """What the result will not hold, a line each."""
        return stream.carried(self.facts, self.kind) + pictures.noted(self.facts)

    def rehearsed(self, limits: Limits) -> Large:
        """Let a worker decode all of it and keep nothing. Raises as `isolation.read` does."""
        walked = isolation.walk(self.source, self.seen, self.header, limits=limits)
        return dataclasses.replace(self, walked=walked)

    def digest(self) -> bytes:
        """SHA-256 of the file."""
        with self.source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def write(
        self, part: Path, saving: stream.Saving, on_progress: Callable[[int, int], None]
    ) -> None:
        """Enlarge into a file. Raises PictureError if that fails."""
        picture = rows.opened(self.source, self.seen, self.walked)
        stream.enlarge_into(picture, part, self.backend, self.kind, saving, on_progress=on_progress)


# A smaller file than this is no large picture, unless it is nearly empty: then memory is no care.
_LEAST_BYTES = 1_000_000


def _may_be(source: Path, limits: Limits, pyramid: bool) -> bool:
    """Whether a file deserves a closer look, by its length."""
    if not source.is_file():
        return False
    length = source.stat().st_size
    return 0 < length <= limits.bytes and (length >= _LEAST_BYTES or pyramid)


def _is_large(upscaler: Upscaler, height: int, width: int) -> bool:
    if not height or not width:  # it does not say
        return False
    height, width = upscaler.target.size(height, width)
    return height * width >= stream.LARGE
