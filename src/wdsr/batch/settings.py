"""What a batch is told, and what it tells of each job."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wdsr.batch.plan import Job
from wdsr.errors import WdsrError
from wdsr.headers import Limits

if TYPE_CHECKING:
    from wdsr.choose import Choice

Size = tuple[int, int]  # (width, height)


@dataclass(frozen=True)
class Settings:
    """How to read and write; what shapes a result is marked `shapes`, for the manifest."""

    format: str | None = dataclasses.field(default=None, metadata={"shapes": True})
    quality: int | None = dataclasses.field(default=None, metadata={"shapes": True})
    compression: int = dataclasses.field(default=1, metadata={"shapes": True})  # of PNG
    pyramid: bool = dataclasses.field(default=False, metadata={"shapes": True})  # of TIFF
    best_effort: bool = dataclasses.field(default=False, metadata={"shapes": True})
    strip_private: bool = dataclasses.field(default=False, metadata={"shapes": True})
    drop_tags: bool = dataclasses.field(default=False, metadata={"shapes": True})  # of GeoTIFF, OME
    strict: bool = False  # refuse what would lose anything
    measure: bool = False  # how far the result, made small again, is from its input
    overwrite: bool = False  # replace whatever has a result's name
    resume: bool = False  # replace our own older results; take whole unremembered ones as done
    limits: Limits = dataclasses.field(default_factory=Limits)

    @property
    def shaping(self) -> dict[str, object]:
        """What shapes a result."""
        fields = dataclasses.fields(self)
        return {f.name: getattr(self, f.name) for f in fields if f.metadata.get("shapes")}


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    error: WdsrError | None = None
    before: Size | None = None
    after: Size | None = None
    seconds: float = 0.0
    engine: str = ""  # model, engine, precision
    choice: Choice | None = None  # which model was taken and why
    warning: str = ""  # what is wrong with a picture that was taken all the same
    lost: tuple[str, ...] = ()  # what the result does not hold of its input, a line each
    residual: str = ""  # how far it is from its input, if that was measured
