"""JSON Schema, the part of it that our own files use, as a function that is quick enough for ten thousand records.

``type required properties additionalProperties items minItems maxItems minimum exclusiveMinimum maximum enum pattern
anyOf`` and ``$ref`` to ``definitions``. Libraries that know all of it take several times as long as reading the JSON.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# what is wrong with a value, its place within the value first (``.timing.load_s must be ...``); empty where nothing is
Check = Callable[[Any], str]
TYPES = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "integer": (int,), "number": (int, float),
}  # fmt: skip


@functools.cache
def of(path: Path) -> Check:
    """The check against the schema of a file."""
    return compiled(json.loads(path.read_text(encoding="utf-8")))


def compiled(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None) -> Check:
    """The check of a value against a schema. Values are as ``json.loads`` makes them."""
    known = definitions or schema.get("definitions", {})
    if "$ref" in schema:
        return compiled(known[schema["$ref"].rpartition("/")[2]], known)
    if "anyOf" in schema:
        return _any_of([compiled(each, known) for each in schema["anyOf"]])
    names = schema.get("type", list(TYPES))
    names = [names] if isinstance(names, str) else names
    makers = {"object": _object, "array": _array, "string": _string, "integer": _number, "number": _number}
    kinds = {kind: makers[name](schema, known) if name in makers else _accept for name in names for kind in TYPES[name]}
    refusal = f" must be {' or '.join(names)}"

    def check(value: Any) -> str:
        of_kind = kinds.get(type(value))
        return refusal if of_kind is None else of_kind(value)

    check.plain = frozenset(kind for kind, of_kind in kinds.items() if of_kind is _accept)
    return check


def _plain(check: Check) -> frozenset[type]:
    """The types of which every value is right, so that containers need not ask: most of a record's values have one."""
    return getattr(check, "plain", frozenset())


def not_plain(value: Any, place: str = "") -> str:
    """The place of the first value that is no text, number, true or false, nothing, list or mapping of such."""
    if value is None or isinstance(value, (str, bool, int, float, os.PathLike)):
        return ""
    if isinstance(value, Mapping):
        pairs = [(f"{place}.{key}" if place else str(key), each) for key, each in value.items()]
    elif isinstance(value, (list, tuple)):
        pairs = [(f"{place}[{index}]", each) for index, each in enumerate(value)]
    else:
        return f"{place}: {value!r:.60} (a {type(value).__name__})"
    return next(filter(None, (not_plain(each, name) for name, each in pairs)), "")


def _accept(value: Any) -> str:
    return ""


def _any_of(checks: list[Check]) -> Check:
    def check(value: Any) -> str:
        said = [each(value) for each in checks]
        return "" if "" in said else max(said, key=len)  # the one that went deepest is the one that was meant

    return check


def _object(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Check:
    required = frozenset(schema.get("required", ()))
    checks = {name: compiled(each, known) for name, each in schema.get("properties", {}).items()}
    others = compiled(schema["additionalProperties"], known) if "additionalProperties" in schema else None
    named = {name: (_plain(each), each) for name, each in checks.items()}
    unnamed = (_plain(others), others) if others else None

    def check(value: dict[str, Any]) -> str:
        if not required <= value.keys():
            return f" must have {', '.join(sorted(required - value.keys()))}"
        for name, each in value.items():
            of_name = named.get(name, unnamed)
            if of_name and type(each) not in of_name[0] and (said := of_name[1](each)):
                return f".{name}{said}"
        return ""

    return check if required or named or others else _accept


def _array(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Check:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    of_each = compiled(schema.get("items", {}), known)
    plain = _plain(of_each)

    def check(value: list[Any]) -> str:
        if len(value) < least or (most is not None and len(value) > most):
            return f" must have {least}{'' if most == least else ' or more' if most is None else f' to {most}'} items"
        for index, each in enumerate(value):
            if type(each) not in plain and (said := of_each(each)):
                return f"[{index}]{said}"
        return ""

    return check


def _string(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Check:
    words, pattern = schema.get("enum"), re.compile(schema.get("pattern", ""))
    if words:
        return lambda value: "" if value in words else f" must be one of {', '.join(words)}"
    if not pattern.pattern:
        return _accept
    return lambda value: "" if pattern.search(value) else f" must be written as {pattern.pattern}"


def _number(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Check:
    low, high = schema.get("minimum", -float("inf")), schema.get("maximum", float("inf"))
    above = schema.get("exclusiveMinimum", -float("inf"))
    said = f" is no positive number to {high:g}" if above == 0 else f" is no number from {low:g} to {high:g}"
    # NaN is in no range
    return lambda value: "" if low <= value <= high and (value > above or above == -float("inf")) else said
