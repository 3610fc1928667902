"""``params/claims.yaml`` becomes claims: one for each pipeline and figure. The file's head explains its keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.pipeline import Pipeline
from mic2e_bench.errors import BadInput, unknown
from mic2e_bench.paths import root
from mic2e_bench.plan.settings import check, show

# quantity: (which direction is better, the figure of no change or None, unit)
QUANTITIES: Mapping[str, tuple[str, float | None, str]] = {
    "speed": ("higher", 1, "×"),
    "throughput": ("higher", 1, "×"),
    "vram": ("lower", 1, "×"),
    "ram": ("lower", 1, "×"),
    "load": ("lower", 1, "×"),
    "first": ("lower", 1, "×"),
    "quality": ("higher", None, "%"),
    "seconds": ("lower", None, "s"),
    "images_per_minute": ("higher", None, "images/min"),
    "vram_gb": ("lower", None, "GB"),
    "ram_gb": ("lower", None, "GB"),
    "load_s": ("lower", None, "s"),
    "first_s": ("lower", None, "s"),
    "weights_gb": ("lower", None, "GB"),
    "scaling": ("higher", 1, "×"),
    "growth": ("lower", 1, "×"),
    "over_peer": ("higher", 1, "×"),
}
SERVED = ("scaling", "growth", "over_peer")  # what throughput studies measure
ABSOLUTE = ("seconds", "images_per_minute", "vram_gb", "ram_gb", "load_s", "first_s", "weights_gb")
WORDS = {"faster": (1, None), "slower": (None, 1), "less": (None, 1), "more": (1, None), "unchanged": (100, 100)}
KEYS = ("guide", "section", "what", "pipeline", "pipelines", "from", "to", "instead", "besides", "together", "obstacle",
        "by", "figures")  # fmt: skip
NEEDED = ("guide", "section", "what", "figures")


@dataclass(frozen=True)
class Claim:
    """One figure of a guide on one pipeline. ``low`` and ``high`` are its range, an end ``None`` where it is open."""

    key: str  # of the entry in the file; several claims of one entry share it
    guide: str
    section: str
    what: str
    pipeline: Pipeline
    of: str  # the quantity
    says: str
    low: float | None
    high: float | None
    before: Mapping[str, Any] | None  # None: an absolute figure of ``after`` alone
    after: Mapping[str, Any]
    instead: tuple[Mapping[str, Any], ...] = ()
    besides: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    obstacle: str = ""
    note: str = ""  # on how the words are measured
    by: str = ""  # the params files whose trials answer it, with changes, as `mic2e-bench run` takes them
    together: tuple[Claim, ...] = ()  # claims about pipelines that are loaded side by side; ``pipeline`` is the first's

    @property
    def has_figure(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def claimed(self) -> str:
        """The quantity and the guide's words."""
        words = f"{self.says} ({self.note})" if self.note else self.says
        if words.lower().startswith(self.of):  # the guide names the quantity itself
            return words
        return f"{self.of.replace('_', ' ').removesuffix(' gb').removesuffix(' s')}: {words}"


def path() -> Path:
    return root() / "params" / "claims.yaml"


def load() -> list[Claim]:
    """Every claim of the workbench's file, in its order. Raises ``BadInput``."""
    entries = files.read_yaml(path(), advice="Run from the workbench's folder.") or {}
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise BadInput(f"{path()}: write KEY: {{{', '.join(KEYS)}}}.")
    # a key with a dot in front only holds anchors
    return [claim for key, entry in entries.items() if not key.startswith(".") for claim in _claims(key, entry)]


def _claims(key: str, entry: Mapping[str, Any]) -> Iterator[Claim]:
    where = f"{path()}: {key}"
    for name in entry:
        if name not in KEYS:
            raise unknown("key", name, KEYS, where)
    for name in NEEDED:
        if not entry.get(name):
            raise BadInput(f"{where}: '{name}' is missing.")
    parts = entry.get("together", ())
    for name in entry.get("pipelines") or [parts[0].get("pipeline") if parts else entry.get("pipeline")]:
        pipeline = registry.pipeline(str(name), f"{where}: pipeline")
        shared = {name: entry[name] for name in ("guide", "section", "what")} | {"key": key, "pipeline": pipeline}
        shared |= _settings(entry, pipeline, where) | {"by": _by(entry.get("by", ""), pipeline, where)}
        for of, figure in entry["figures"].items():
            low, high = _range(of, figure, f"{where}: figures.{of}")
            devices = tuple(figure.get("device", ()))
            words = {"says": figure["says"], "note": figure.get("note", "")}
            claim = Claim(**shared, **words, of=of, low=low, high=high, devices=devices)
            alone = {name: value for name, value in entry.items() if name not in ("together", "figures")}
            inner = [next(_claims(key, {**alone, **part, "figures": {of: figure}})) for part in parts]
            yield replace(claim, together=tuple(inner))


def _by(given: Any, pipeline: Pipeline, where: str) -> str:
    """What ``by`` says of a pipeline: the arguments of a command, or a mapping of pipelines to them."""
    found = given.get(pipeline.name, "") if isinstance(given, dict) else given
    if not isinstance(found, str):
        raise BadInput(f"{where}: by: {given!r} is neither a params file nor {{PIPELINE: params file}}.")
    return found


def _settings(entry: Mapping[str, Any], pipeline: Pipeline, where: str) -> dict[str, Any]:
    """The settings of both sides in their canonical form; the obstacle, where this version cannot have them."""
    found = {"obstacle": entry.get("obstacle", ""), "besides": tuple(entry.get("besides", ()))}
    try:
        found["before"] = _checked(entry["from"], pipeline, f"{where}: from") if "from" in entry else None
        found["after"] = _checked(entry.get("to", {}), pipeline, f"{where}: to")
    except BadInput as error:
        # a claim about a setting that a pipeline lacks is a claim still: its row says what is missing
        found |= {"before": None, "after": {}, "obstacle": str(error).partition(f"{where}: ")[2].partition(".")[0]}
    found["instead"] = ()
    for settings in entry.get("instead", ()):
        with contextlib.suppress(BadInput):  # a pipeline without this setting cannot answer with it
            found["instead"] += (_checked(settings, pipeline, where),)
    return found


def _checked(settings: Mapping[str, Any], pipeline: Pipeline, where: str) -> dict[str, Any]:
    return {name: check(name, value, pipeline, where) for name, value in settings.items()}


def _range(of: str, figure: Any, where: str) -> tuple[float | None, float | None]:
    """The claimed range of a quantity; both ends ``None`` where the guide gives no figure."""
    if of not in QUANTITIES:
        raise unknown("quantity", of, QUANTITIES, where)
    known = isinstance(figure, dict) and not set(figure) - {"says", "note", "is", "device"}
    if not known or not isinstance(figure.get("says"), str):
        raise BadInput(f"{where}: write {{says: words, note: words, is: FIGURE, device: [names]}}; given: {figure!r}.")
    value = figure.get("is")
    if value is None:
        return None, None
    if isinstance(value, str):
        if value not in WORDS:
            raise unknown("word", value, WORDS, where)
        return WORDS[value]
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) == 2 and ends[1] is None and type(ends[0]) in (int, float):  # more than
        return ends[0], None
    if len(ends) != 2 or not all(type(end) in (int, float) and end > 0 for end in ends) or ends[0] > ends[1]:
        raise BadInput(f"{where}: is: {value!r} is not a figure, [LOW, HIGH] or one of {', '.join(WORDS)}.")
    return ends[0], ends[1]


def words(settings: Mapping[str, Any]) -> str:
    """Settings as people read them: ``steps 20, precision fp32``."""
    return ", ".join(f"{name} {show(value)}" for name, value in settings.items())
