"""Animations through libvips, which keeps all frames, as shown, in one tall image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wdsr.formats.base import Array, Picture, Timing, split
from wdsr.formats.vips import decoded, field, new_image, opened, vips


def frames(data: bytes, loader: str, most: int, *, best_effort: bool = False) -> Picture:
    """A GIF or WebP: its only picture, or the first frame with the others and the timing."""
    image = opened(data, loader, most, best_effort=best_effort, n=-1)
    count = field(image, "n-pages") or 1
    if count == 1:
        return decoded(image)
    height = image.height // count
    delays = (list(field(image, "delay") or []) + count * [100])[:count]
    timing = Timing(tuple(max(int(delay), 0) for delay in delays), int(field(image, "loop") or 0))
    tall = decoded(image)
    array = tall.pixels if tall.alpha is None else np.dstack((tall.pixels, tall.alpha))
    first, *others = (split(array[at * height : (at + 1) * height]) for at in range(count))
    return replace(first, others=tuple(others), timing=timing)


def tall_image(picture: Picture) -> Any:
    """All frames one below the other as a libvips image in RGB, with alpha if any frame has it."""
    pages = picture.pages
    veiled = any(page.alpha is not None for page in pages)
    array = np.concatenate([_colours(page, veiled) for page in pages])
    image = new_image(array, Picture(array[:1, :1, :3]))
    if picture.timing is None:
        return image
    types = vips().GValue
    image.set_type(types.gint_type, "page-height", picture.height)
    image.set_type(types.array_int_type, "delay", list(picture.timing.delays))
    image.set_type(types.gint_type, "loop", picture.timing.plays)
    return image


def _colours(page: Picture, veiled: bool) -> Array:
    array = page.pixels.repeat(3 // page.pixels.shape[2], 2)
    if not veiled:
        return array
    solid = np.full(array.shape[:2], page.white, array.dtype)
    return np.dstack((array, solid if page.alpha is None else page.alpha))
