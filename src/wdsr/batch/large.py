"""Pictures that are enlarged row by row: plain ones, and large ones where that is possible."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wdsr import isolation, stream, zoo
from wdsr import picture as pictures
from wdsr.batch.memory import give_back_at_once
from wdsr.choose import sample
from wdsr.errors import PictureError, UsageError
from wdsr.formats import rows
from wdsr.headers import Header, Limits
from wdsr.upscale import described

if TYPE_CHECKING:
    from wdsr.backends import Backend
    from wdsr.choose import Choice
    from wdsr.picture import Picture
    from wdsr.upscale import Upscaler


_HELD_KINDS: tuple[stream.Kind, ...] = ("png", "jpeg")


@dataclass(frozen=True)
class Flow:
    """A picture that is enlarged row by row, so that its result is never held."""

    facts: Picture  # all that is to be carried; of a large one, the pixels take no room
    backend: Backend
    kind: stream.Kind
    tile: int | None
    self_ensemble: bool

    @classmethod
    def held(cls, upscaler: Upscaler, picture: Picture, kind: str, choice: Choice) -> Flow | None:
        """If a picture in memory is plain, and its result is more than one row of tiles.

        kind: format of the result; of TIFF, rows carry less.
        """
        if picture.others or picture.alpha is not None:
            return None
        source, dtype = stream.Held(picture), picture.pixels.dtype.name
        backend = flowing(upscaler, source.height, source.width, dtype, kind, choice.model)
        if backend is None or kind not in _HELD_KINDS:
            return None
        if stream.row_plan(source, backend, upscaler.tile).core[0] >= source.height:
            return None
        return cls(picture, backend, kind, upscaler.tile, upscaler.self_ensemble)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) before."""
        return self.facts.width, self.facts.height

    @property
    def result(self) -> tuple[int, int]:
        """(width, height) after."""
        scale = self.backend.card.scale
        return self.facts.width * scale, self.facts.height * scale

    @property
    def engine(self) -> str:
        """Model, engine and precision."""
        return described([self.backend])

    def opened(self) -> stream.Source:
        """The pixels, to be read from the top."""
        return stream.Held(self.facts)

    def write(
        self, part: Path, saving: stream.Saving, on_progress: Callable[[int, int], None]
    ) -> None:
        """Enlarge into a file. Raises PictureError if that fails."""
        stream.enlarge_into(
            self.opened(),
            part,
            self.backend,
            self.kind,
            saving,
            tile=self.tile,
            self_ensemble=self.self_ensemble,
            on_progress=on_progress,
        )

    def verify(self, part: Path, name: str) -> None:
        """Read the file as anyone would. Raises WriteError if it is not good."""
        width, height = self.result
        isolation.verify(part, name=name, width=width, height=height)


@dataclass(frozen=True)
class Large(Flow):
    """One that is too large for memory: decoded here, once a worker has tried it."""

    source: Path
    header: Header
    seen: rows.Look
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
                return cls(facts, passes[0], kind, upscaler.tile, False, source, header, seen)
        if pyramid:
            raise PictureError(
                f"{source}: a pyramid is made only of plain pictures (8 or 16 bits, opaque, "
                "upright) at a scale that the model has, without self-ensemble or --consistent"
            )
        return None

    @property
    def engine(self) -> str:
        """Model, engine and precision, and that it went this way."""
        return f"{super().engine}, row by row"

    def chosen(self, upscaler: Upscaler) -> tuple[Large, Choice]:
        """With the model that suits it, if there is a choice, and why that."""
        if upscaler.model != zoo.AUTO:
            return self, upscaler.choice(self.facts)
        source = self.opened()
        choice = upscaler.choice(sample(self.facts, lambda box: source.read(box, 0)))
        backends = upscaler.passes(source.height, source.width, source.white, choice.model)
        scale = self.backend.card.scale
        if [backend.card.scale for backend in backends] != [scale]:
            plain = f"by rows there is no {choice.model} x{scale}"
            choice = dataclasses.replace(choice, model=self.backend.card.name, reason=plain)
            backends = [self.backend]
        return dataclasses.replace(self, backend=backends[0]), choice

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

    def opened(self) -> stream.Source:
        """The pixels, as they are decoded."""
        return rows.opened(self.source, self.seen, self.walked)

    def write(
        self, part: Path, saving: stream.Saving, on_progress: Callable[[int, int], None]
    ) -> None:
        """As any other, in less memory."""
        give_back_at_once()
        super().write(part, saving, on_progress)

    def verify(self, part: Path, name: str) -> None:
        """Read the file's header, and not all that has taken minutes to make."""
        width, height = self.result
        isolation.verify(part, name=name, width=width, height=height, whole=False)


def flowing(
    upscaler: Upscaler, height: int, width: int, dtype: str, kind: str, model: str | None = None
) -> Backend | None:
    """What enlarges opaque pixels of a type into a format row by row; None if that cannot be."""
    fits = kind in _HELD_KINDS and dtype in pictures.FORMATS[kind].types
    if not fits or upscaler.consistent:
        return None
    white = {"uint8": 255.0, "uint16": 65535.0}[dtype]
    passes = upscaler.passes(height, width, white, model)
    scale = passes[0].card.scale if len(passes) == 1 else 0
    whole = upscaler.target.size(height, width) == (height * scale, width * scale)
    return passes[0] if whole else None


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
