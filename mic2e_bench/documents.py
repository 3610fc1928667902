"""YAML and JSON as people and programs write them: plain values, and limits that no document here comes near.

YAML is read as YAML 1.2 means it: ``true`` and ``false``, ``null`` and ``~``, decimal numbers such as ``8``, ``0.5``
and ``1e-3``. All else is text as it is written: ``yes``, ``off``, ``010``, ``1:30``, ``1_000``, ``2026-01-01``. So are
all keys, and the values of ``TEXTS`` even where they look like numbers: a picture's name ``010``, a study ``0010``.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import re
from typing import Any, ClassVar

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from mic2e_bench.errors import BadInput

MOST_DEPTH = 50  # lists and mappings in one another
MOST_VALUES = 20_000  # of a YAML file, what an alias stands for counted each time
MOST_DOCUMENTS = 100  # in a file, with a line --- between them
MOST_DIGITS = 30  # of a whole number
TEXTS = frozenset((
    "study", "pipeline", "model", "source", "revision", "inputs", "names", "baseline", "presets", "metrics", "label",
    "inherits", "about", "prompt", "caption", "text", "kind",
))  # fmt: skip

_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}
_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
)
_DIGITS = "-+0123456789"
_KINDS = (("null", _NULL, "~nN"), ("bool", _BOOL, "tTfF"), ("int", _INT, _DIGITS), ("float", _FLOAT, f".{_DIGITS}"))
_UNUSABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # no text has these in it; a terminal obeys some


class _Reader(yaml.SafeLoader):
    """PyYAML's safe loader with the values above, without other tags, and with the limits."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.values = 0
        self.known: dict[int, tuple[int, int]] = {}  # of each node: its values, and how deep they go

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self.known:
                raise _problem(f"the alias *{event.anchor} stands within what it names", event)
            values, height = self.known[id(node)]
            self._count(values, height, event)
            return node
        before = self.values
        self._count(1, 1, event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        below = [self.known[id(part)][1] for part in inner] if not isinstance(node, yaml.ScalarNode) else []
        self.known[id(node)] = self.values - before, 1 + max(below, default=0)
        return node

    def _count(self, values: int, height: int, event: Any) -> None:
        self.values += values
        if self.values > MOST_VALUES:
            raise _problem(f"more than {MOST_VALUES:,} values, each alias counted as all it stands for", event)
        if self.depth + height > MOST_DEPTH:
            raise _problem(f"more than {MOST_DEPTH} lists or mappings in one another", event)

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _problem("a key is a word, no list or mapping", key)
            if key.value in seen and key.tag != f"{_TAG}merge":
                raise _problem(f"the key '{key.value[:100]}' is there twice", key)
            seen.add(key.value)
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise _problem("here is no mapping", node)
        self.flatten_mapping(node)
        return {key: self.under(key, value) for key, value in ((self.text(key), value) for key, value in node.value)}

    def under(self, key: str, node: Any) -> Any:
        """The value of a key: of one of ``TEXTS`` as it is written, and each of a list of them."""
        if key in TEXTS and node.tag == f"{_TAG}seq" and isinstance(node, yaml.SequenceNode):
            return [self.text(part) if isinstance(part, yaml.ScalarNode) else self.construct_object(part, deep=True)
                    for part in node.value]  # fmt: skip
        if key in TEXTS and isinstance(node, yaml.ScalarNode) and node.tag != f"{_TAG}null":
            return self.text(node)
        return self.construct_object(node, deep=True)

    def text(self, node: Any) -> str:
        """What a scalar says, as it is written."""
        if node.tag not in self.yaml_constructors:
            self.construct_unknown(node)
        text = self.construct_scalar(node)
        with contextlib.suppress(UnicodeDecodeError):  # JSON escapes a character in two halves
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        if found := _UNUSABLE.search(text):
            raise _problem(f"a text with the character U+{ord(found[0]):04X}, which cannot be written or shown", node)
        return text

    def construct_plain(self, node: Any) -> Any:
        """The value of a null, a truth or a number."""
        text, kind = self.construct_scalar(node), node.tag.removeprefix(_TAG)
        if not next(pattern for name, pattern, _ in _KINDS if name == kind).match(text):
            raise _problem(f"'{text[:100]}' is not what its tag !!{kind} says", node)
        if kind == "int":
            try:
                return _whole(text)
            except ValueError as error:
                raise _problem(str(error), node) from None
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text.lower() == "true" if kind == "bool" else None

    def construct_unknown(self, node: Any) -> Any:
        tag = node.tag.replace(_TAG, "!!")[:100]
        raise _problem(f"the tag {tag} is for values that no file here has; write plain ones", node)


for _kind, _pattern, _first in _KINDS:
    _Reader.add_implicit_resolver(f"{_TAG}{_kind}", _pattern, [*_first, *([""] if _kind == "null" else [])])
    _Reader.add_constructor(f"{_TAG}{_kind}", _Reader.construct_plain)
_Reader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<\Z"), ["<"])
_Reader.add_constructor(f"{_TAG}str", _Reader.text)
_Reader.add_constructor(f"{_TAG}merge", _Reader.text)
_Reader.add_constructor(f"{_TAG}seq", lambda loader, node: loader.construct_sequence(node, deep=True))
_Reader.add_constructor(f"{_TAG}map", _Reader.construct_mapping)
_Reader.add_constructor(None, _Reader.construct_unknown)


class _Writer(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes what any reader would take for something else than text."""


for _kind, _pattern, _first in _KINDS:
    _Writer.add_implicit_resolver(f"{_TAG}{_kind}", _pattern, list(_first))


def _problem(what: str, place: Any) -> ConstructorError | ComposerError:
    return ConstructorError(None, None, what, place.start_mark)


def yaml_values(text: str) -> list[Any]:
    """The documents of a YAML text, ``None`` for an empty one. Raises ``yaml.YAMLError`` with what is wrong."""
    return copy.deepcopy(_read(text))


# a page of several studies reads the same files again and again; the file of claims takes a tenth of a second
@functools.lru_cache(maxsize=64)
def _read(text: str) -> list[Any]:
    reader, found = _Reader(text), []
    while reader.check_node():
        if len(found) == MOST_DOCUMENTS:
            raise _problem(f"more than {MOST_DOCUMENTS} documents", reader.peek_event())
        node = reader.get_node()
        found.append(reader.construct_document(node))
    return found


def yaml_value(text: str, key: str = "") -> Any:
    """The value that a YAML text of one document is, under this key. Raises ``yaml.YAMLError``."""
    reader = _Reader(text)
    node = reader.get_single_node()
    return None if node is None else reader.under(key, node)


def as_yaml(value: Any, **style: Any) -> str:
    """Plain values as YAML that every reader takes for the same, in the order of their keys."""
    return yaml.dump(value, Dumper=_Writer, sort_keys=False, **style)


def json_value(content: bytes) -> Any:
    """What a JSON text says that a program wrote. Raises ``ValueError``: no UTF-8, no JSON (NaN is none), too deep."""
    too_deep = f"it has more than {MOST_DEPTH} lists or mappings in one another"
    try:
        value = json.loads(content.decode(), parse_int=_whole, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(too_deep) from None
    if _may_be_deep(content) and _depth(value) > MOST_DEPTH:
        raise ValueError(too_deep)
    return value


_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _may_be_deep(text: bytes) -> bool:
    """Whether there may be more than ``MOST_DEPTH`` brackets in each other, those in texts counted: quick to say no."""
    brackets = text.translate(None, _BUT_BRACKETS)
    for _ in range(MOST_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level := [each for each in level if isinstance(each, (dict, list)) and each]:
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        depth += 1
    return depth


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def switched(value: Any) -> Any:
    """``yes``, ``no``, ``on`` and ``off``, which older YAML takes for true and false, as that; others as they are."""
    return _SWITCHES.get(value.lower(), value) if isinstance(value, str) else value


def switch(value: Any, where: str) -> bool:
    """A value that is true or false. Raises ``BadInput``."""
    if not isinstance(found := switched(value), bool):
        raise BadInput(f"{where}: {value!r} is not true or false.")
    return found


def truth(value: Any, where: str) -> bool:
    """The truth that a value of a command line means, where all are texts. Raises ``BadInput``."""
    found = {**_SWITCHES, "true": True, "false": False, "1": True, "0": False}.get(str(value).strip().lower())
    if found is None:
        raise BadInput(f"{where}: {value!r} is not true or false.")
    return found


def named(value: Any, where: str) -> str:
    """A name, which must be a text: what read it before us may have made 8 of 010. Raises ``BadInput``."""
    if not isinstance(value, str):
        raise BadInput(f"{where}: {value!r} is no text: write it in quotes (for papermill: -r NAME VALUE).")
    return value


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits; the most is {MOST_DIGITS}")
    return int(text)
