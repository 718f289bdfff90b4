"""Dataclasses and files: whether plain values fit the fields, and the values as TOML."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import typing
from types import UnionType
from typing import Any


def names(cls: type) -> list[str]:
    """The fields of a dataclass, in order."""
    return [field.name for field in dataclasses.fields(cls)]


def sift(cls: type, values: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """What is wrong with the keys and types of these values, and those that are right."""
    hints = typing.get_type_hints(cls)
    known = names(cls)
    problems, right = [], {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
            problems.append(f"{key} is unknown{f', is it {near[0]}?' if near else ''}")
        elif not _fits(value, hints[key]):
            choices = typing.get_args(hints[key])
            if typing.get_origin(hints[key]) is typing.Literal:
                problems.append(f"{key} must be one of {', '.join(choices)}, not {value!r}")
            else:
                problems.append(f"{key} must be {_words(hints[key])}, not {value!r}")
        else:
            right[key] = value
    return problems, right


def _words(hint: Any) -> str:
    """What fits a field, as people say it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is UnionType:
        return _words(next(choice for choice in arguments if choice is not type(None)))
    if origin is list:
        return f"a list, each {_words(arguments[0])}"
    if origin is dict:
        return f"a table, each value {_words(arguments[1])}"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return words.get(hint, "a table of settings")


def _fits(value: object, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is UnionType:
        return any(_fits(value, choice) for choice in arguments)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, arguments[1]) for v in value.values())
    if origin is list:
        return isinstance(value, list) and all(_fits(v, arguments[0]) for v in value)
    if origin is typing.Literal:
        return value in arguments
    if isinstance(value, bool):  # which Python counts as an int
        return hint is bool
    if isinstance(value, int) and abs(value) >= 2**63:  # TOML's largest; a float may not hold it
        return False
    return isinstance(value, (int, float) if hint is float else hint)


def toml(values: dict[str, Any]) -> str:
    """Plain values as a TOML document; None is left out, as TOML has no word for it.

    >>> print(toml({"steps": 5, "losses": {"l1": 1.0}, "then": [{"steps": 2}]}), end="")
    steps = 5
    losses = {l1 = 1.0}
    <BLANKLINE>
    [[then]]
    steps = 2
    """
    lines = []
    tables: list[tuple[str, dict[str, Any]]] = []
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [(f"[[{key}]]", table) for table in value]
        elif isinstance(value, dict) and key == "network":
            tables.append((f"[{key}]", value))
        elif value is not None:
            lines.append(f"{key} = {_inline(value)}\n")
    for head, table in tables:
        lines.append(f"\n{head}\n")
        lines += [f"{k} = {_inline(v)}\n" for k, v in table.items() if v is not None]
    return "".join(lines)


def for_json(value: Any) -> Any:
    """Plain values without infinities, for which JSON has no word: they become TOML's, `inf`."""
    if isinstance(value, dict):
        return {key: for_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [for_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf, nan: TOML's words too
    return json.dumps(value, ensure_ascii=False)
