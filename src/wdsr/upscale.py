"""From a picture to a larger picture: tiles, alpha, grey, bit depth, any size."""

from __future__ import annotations

import dataclasses
import itertools
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from wdsr import backends, zoo
from wdsr.backends import Backend
from wdsr.blend import softened
from wdsr.choose import Choice, candidates, choose
from wdsr.color import extend_under_alpha, is_neutral, within_neighbours
from wdsr.consistent import back_projected
from wdsr.errors import ModelError, PictureError, UsageError
from wdsr.inference import Image, plan_tiles, quantise, run_tiles
from wdsr.kinds import check_values, to_picture
from wdsr.picture import Picture
from wdsr.resize import resize
from wdsr.target import Target, chain, fitting
from wdsr.zoo import Model

Anything = TypeVar("Anything")
OnProgress = Callable[[int, int], None]  # (tiles done, tiles in all)

SMALLEST_TILE = 16  # pixels; with a halo of 10 that is 5 times the work, and 1 would be 441 times
SMALL = 100_000  # pixels: up to here, compiling for int8 takes longer than int8 saves


class Upscaler:
    """Enlarges pictures with one model, at any scale.

    Whole scales the model has are one pass. Other scales take the next larger
    product of passes, then an antialiased bicubic reduction.
    """

    def __init__(
        self,
        model: str = zoo.DEFAULT_MODEL,
        target: Target | None = None,
        *,
        backend: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        tile: int | None = None,
        self_ensemble: bool = False,
        deterministic: bool = False,
        sharpness: float | None = None,
        consistent: bool = False,
    ) -> None:
        """Nothing is loaded yet, but unknown models, backends and the like raise here.

        model: as for `zoo.find`, or "auto": the classical or the photo model,
            chosen for each picture by a look at it (see `choose`).
        target: 4 times larger unless given, or as the model's name says (`wdsr-b-8-x2`).
        tile: side of a tile's core in LR pixels, 16 or more; None chooses. The result is
            the same.
        self_ensemble: mean over the eight flips and turns; slower by eight, a
            little better (about 0.1 dB).
        deterministic: leave nothing to measurements: the same pixels on any machine
            with the same processor and versions. "auto" precision is then float32.
        sharpness: of a GAN model, 0 (as its pixel model) to 1; None leaves it as it is.
        consistent: afterwards move the result by as little as is needed so that,
            made small again, it is the input; see `wdsr.consistent`.
        """
        for name, number, least in (("tile", tile, SMALLEST_TILE), ("threads", threads, 1)):
            if number is not None and not isinstance(number, numbers.Integral):
                raise UsageError(f"{name} must be a whole number or None, not {number!r}")
            if number is not None and number < least:
                raise UsageError(f"{name} must be at least {least}, not {number}")
        for name, choice, known in (
            ("backend", backend, ("auto", *backends.ENGINES)),
            ("precision", precision, backends.PRECISIONS),
        ):
            if choice not in known:
                raise UsageError(f"no {name} {choice!r}: choose {', '.join(known)}")
        self.model = model
        self.target = fitting(model, target)
        self.tile = tile
        self.self_ensemble = self_ensemble
        if deterministic and precision == "auto":
            precision = "float32"
        self.sharpness = sharpness
        self.consistent = consistent
        self._options: dict[str, Any] = {
            "precision": precision,
            "device": device,
            "threads": threads,
        }
        self._backend_name = backend
        names = candidates() if model == zoo.AUTO else [model]
        self._scales = {name: zoo.scales(name) for name in names}
        if min(min(scales) for scales in self._scales.values()) < 2:
            raise ModelError(f"{model}: does not enlarge; give another model")
        if sharpness is not None:
            if model == zoo.AUTO:
                raise UsageError("sharpness is for a GAN model: name one with model, not auto")
            for scale in self._scales[model]:  # what cannot be blended is known before any work
                self._model(model, scale)
        self._backends: dict[tuple[str, int, str, bool], Backend] = {}

    def __repr__(self) -> str:
        """Which model, how large, by which engine and in which precision, as far as it is known."""
        loaded = self._backends.values()
        engine = self._backend_name
        if engine == "auto":
            engine = (backends.installed() or ["none"])[0]
        precision = sorted({backend.precision for backend in loaded}) or [
            self._options["precision"]
        ]
        target = self.target.suffix.removeprefix("_")
        return f"<Upscaler {self.model}, {target}, {engine}, {' and '.join(precision)}>"

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every model that may be used."""
        models = (self._model(name, s) for name, scales in self._scales.items() for s in scales)
        return {model.card.title: model.sha256 for model in models}

    @property
    def settings(self) -> dict[str, Any]:
        """What shapes a result beside the model's weights, as plain values."""
        return {
            "target": dataclasses.asdict(self.target),
            "backend": self._backend_name,
            "precision": self._options["precision"],
            "device": self._options["device"],
            "self_ensemble": self.self_ensemble,
            "sharpness": self.sharpness,
            "consistent": self.consistent,
        }

    @overload
    def upscale(
        self,
        x: str | Path,
        *,
        output: str | Path | None = None,
        overwrite: bool = False,
        on_progress: OnProgress = ...,
    ) -> Path: ...
    @overload
    def upscale(
        self, x: Anything, *, data_range: float | None = None, on_progress: OnProgress = ...
    ) -> Anything: ...
    def upscale(
        self,
        x: Any,
        *,
        output: str | Path | None = None,
        overwrite: bool = False,
        data_range: float | None = None,
        on_progress: OnProgress = lambda *_: None,
    ) -> Any:
        """Enlarge whatever a picture is held in, and give back the same kind.

        x: a path (a new file is written beside it, or at `output`, and its path
            returned), bytes of a picture file, a PIL image, or an array of shape
            (H, W), (H, W, 1), RGB (H, W, 3) or with alpha (H, W, 2 or 4), of
            uint8, uint16 or floats. Integers are rounded and clipped; floats are
            neither, so that a result may reach a little below 0 and above white.
        overwrite: whether a file that has the result's name is replaced; else it
            raises, before any work.
        data_range: the value of white in an array, if that is not 1 for floats or
            the largest value for integers: 4095 for 12 bits in a uint16.

        Raises UsageError for a wrong call, PictureError for a picture that
        cannot be read or written.
        """
        picture, back = to_picture(
            x,
            output=None if output is None else Path(output),
            overwrite=overwrite,
            name=self.target.suffix,
            size=self.target.size,
            data_range=data_range,
        )
        return back(self.upscale_picture(picture, on_progress))

    def upscale_picture(
        self, picture: Picture, on_progress: OnProgress = lambda *_: None
    ) -> Picture:
        """A larger picture of the same kind: mode, bit depth, profile and the rest.

        Pages and frames are enlarged one by one. Resolution grows with the pixels,
        so that the size in print stays.

        Raises UsageError if the target is smaller than the picture, PictureError
        for pixels that are not numbers.
        """
        name = self.choice(picture).model  # one for all pages, or frames would flicker
        jobs = [self._job(page, name) for page in picture.pages]
        tick = _counter(on_progress, jobs, self.tile)
        pages = []
        for number, job in enumerate(jobs, 1):
            try:
                pages.append(self._enlarge_page(job, tick))
            except PictureError as error:
                kind = "frame" if picture.timing else "page"
                where = f"{kind} {number}: " if len(jobs) > 1 else ""
                raise PictureError(f"{where}{error}") from error
        return dataclasses.replace(pages[0], others=tuple(pages[1:]), timing=picture.timing)

    def sizes(self, picture: Picture) -> list[tuple[int, int]]:
        """(height, width) of each page of the result. Raises as `Target.size` does."""
        return [self.target.size(page.height, page.width) for page in picture.pages]

    def _job(self, page: Picture, name: str) -> _Job:
        height, width = self.target.size(page.height, page.width)
        passes = self.passes(page.height, page.width, page.white, name)
        # An alpha channel that is the same everywhere needs no network.
        flat = page.alpha is not None and bool((page.alpha == page.alpha.flat[0]).all())
        return _Job(page, (height, width), passes, flat)

    def _enlarge_page(self, job: _Job, tick: Callable[[], None]) -> Picture:
        page, size = job.page, job.size
        check_values(page)
        colour, alpha = page.pixels, page.alpha
        if alpha is not None and not job.flat:
            colour = extend_under_alpha(colour, alpha)
        neutral = is_neutral(colour)
        colour = colour[..., :1] if neutral else colour
        pixels = self._enlarge(colour, job.passes, size, page.white, tick)
        pixels = pixels.repeat(3, axis=2) if neutral else pixels
        if alpha is not None and job.flat:
            alpha = np.full(size, np.clip(alpha.flat[0], 0, page.white), alpha.dtype)
        elif alpha is not None:
            grey = self._enlarge(alpha[..., None], job.passes, size, page.white, tick)
            alpha = np.clip(within_neighbours(grey[..., 0], alpha), 0, page.white)
        return page.enlarged(pixels, alpha)

    def choice(self, picture: Picture) -> Choice:
        """The model for a picture: the one asked for, or with "auto" the one that suits it."""
        return choose(picture) if self.model == zoo.AUTO else Choice(self.model)

    def describe(self, picture: Picture) -> str:
        """What would be used for a picture, e.g. `wdsr-b-8-x4, OpenVINO, float32`."""
        return described(self._passes(picture))

    def passes(
        self, height: int, width: int, white: float, model: str | None = None
    ) -> list[Backend]:
        """The backends that enlarge a picture one after another.

        height, width, white: of the picture.
        model: instead of the one asked for; with "auto" the default one else.
        """
        name = self._name(model)
        # 8 bits hide the rounding of bf16 and int8; 16 bits and floats do not.
        precision = self._options["precision"] if white == 255 else "float32"
        small = height * width < SMALL
        return [self._backend(name, s, precision, small) for s in self.steps(height, width, model)]

    def steps(self, height: int, width: int, model: str | None = None) -> list[int]:
        """The scales of the `passes` that a picture of this size takes; loads nothing."""
        wanted = self.target.size(height, width)
        scale = max(wanted[0] / height, wanted[1] / width)
        return chain(scale, self._scales[self._name(model)])

    def _name(self, model: str | None) -> str:
        return model or (zoo.DEFAULT_MODEL if self.model == zoo.AUTO else self.model)

    def _passes(self, picture: Picture) -> list[Backend]:
        name = self.choice(picture).model
        return self.passes(picture.height, picture.width, picture.white, name)

    def _backend(self, name: str, scale: int, precision: str, small: bool) -> Backend:
        key = name, scale, precision, small and precision == "auto"
        if key not in self._backends:
            model = self._model(name, scale)
            if key[3] and not model.card.quantised:
                precision = "float32"
            if model.card.channels != 3:
                raise ModelError(
                    f"{model.source}: for pictures of {model.card.channels} channels, not RGB"
                )
            self._backends[key] = backends.create(
                self._backend_name, model, **{**self._options, "precision": precision}
            )
        return self._backends[key]

    def _model(self, name: str, scale: int) -> Model:
        model = zoo.find(name, scale)
        return model if self.sharpness is None else softened(model, self.sharpness)

    def _enlarge(
        self,
        image: Image,
        passes: Sequence[Backend],
        size: tuple[int, int],
        white: float,
        tick: Callable[[], None],
    ) -> Image:
        """All passes, then the reduction to exactly `size`; (H, W, C) of one dtype in and out."""
        dtype, work = image.dtype, image
        for number, backend in enumerate(passes, 1):
            s = backend.card.scale
            last = number == len(passes) and size == (work.shape[0] * s, work.shape[1] * s)
            # Only a result that needs no further step may be rounded.
            kind = dtype if last and not self.consistent else np.dtype(np.float32)
            work = run_tiles(
                work,
                backend,
                white=white if work.dtype == dtype else 1.0,
                dtype=kind,
                tile=_no_larger(self.tile, *work.shape[:2]),
                self_ensemble=self.self_ensemble,
                tick=tick,
            )
        if work.shape[:2] != size:
            work = resize(work, size=size)
        if self.consistent and passes:
            work = back_projected(work, image.astype(np.float32) / np.float32(white), dtype=dtype)
        return work if work.dtype == dtype else quantise(work, white, dtype)


def load(
    model: str = zoo.DEFAULT_MODEL,
    *,
    scale: float | None = None,
    backend: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    tile: int | None = None,
    self_ensemble: bool = False,
    sharpness: float | None = None,
    consistent: bool = False,
) -> Upscaler:
    """A model ready to enlarge pictures.

    Example: `wdsr.load("wdsr-b-8", scale=4).upscale("photo.jpg")`

    model: the name of a shipped model (`wdsr models` lists them), maybe with its
        scale, `wdsr-b-8-x4`; or the path of an .onnx or .safetensors file that
        `wdsr export` or `wdsr import` wrote.
    scale: 1 to 64, not necessarily whole. 4 unless given, or as the model's name says.
    The rest: see `Upscaler`.
    """
    return Upscaler(
        model,
        None if scale is None else Target(scale=scale),
        backend=backend,
        precision=precision,
        device=device,
        threads=threads,
        tile=tile,
        self_ensemble=self_ensemble,
        sharpness=sharpness,
        consistent=consistent,
    )


@dataclass(frozen=True)
class _Job:
    """One page to enlarge."""

    page: Picture
    size: tuple[int, int]  # (height, width) of the result
    passes: Sequence[Backend]
    flat: bool  # alpha is the same everywhere

    @property
    def layers(self) -> int:
        """Images that go through the network: colour, and alpha that is not flat."""
        return 1 if self.page.alpha is None or self.flat else 2


def described(passes: Sequence[Backend]) -> str:
    """Models, engines and precisions, e.g. `wdsr-b-8-x4, OpenVINO, float32`."""
    steps = [
        f"{p.card.title}, {type(p).__name__.removesuffix('Backend')}, {p.precision}" for p in passes
    ]
    return "; ".join(steps) or "no model: the size stays"


def _no_larger(tile: int | None, height: int, width: int) -> int | None:
    """A tile's side that wastes no work beyond the picture; None stays None."""
    return None if tile is None else min(tile, max(height, width))


def _counter(on_progress: OnProgress, jobs: Sequence[_Job], tile: int | None) -> Callable[[], None]:
    """A function to call after each tile, which reports how many of all are done."""
    total = 0
    for job in jobs:
        height, width = job.page.height, job.page.width
        for backend in job.passes:
            fitting = _no_larger(tile, height, width)
            total += job.layers * len(plan_tiles(height, width, backend, fitting))
            height, width = height * backend.card.scale, width * backend.card.scale
    done = itertools.count(1)
    return lambda: on_progress(next(done), total)
