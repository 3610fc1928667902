"""One point to measure, frozen and fully resolved. Its identity is a hash of its content; names are only labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mic2e_bench import texts
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.toggle import Phase
from mic2e_bench.plan import protocol


@dataclass(frozen=True)
class Trial:
    """Everything that decides what is measured. The names and ``is_baseline`` are no part of the identity."""

    study: str
    label: str
    pipeline: str
    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    protocol: Mapping[str, Any]
    is_baseline: bool = False  # whether a study measures the others against it

    @classmethod
    def of(cls, study: str, label: str, content: Mapping[str, Any]) -> Trial:
        """The trial that has this ``content``."""
        settings = dict(content["settings"])
        varied = {name: settings.pop(name) for name in protocol.VARIED if name in settings}
        return cls(
            study,
            texts.one_line(label),
            **{**content, "settings": settings, "protocol": {**content["protocol"], **varied}},
        )

    @cached_property
    def content(self) -> dict[str, Any]:
        """What the record stores under ``trial`` and the identity is made of.

        What a study may vary of the protocol stands among the settings: so it is a column like theirs, and records
        from when it was one of them are the same.
        """
        varied = {name: value for name, value in self.protocol.items() if name in protocol.VARIED}
        return {
            "pipeline": self.pipeline,
            "model": dict(self.model),
            "settings": {**self.settings, **varied},
            "inputs": dict(self.inputs),
            "protocol": {name: value for name, value in self.protocol.items() if name not in varied},
        }

    @cached_property
    def id(self) -> str:
        """Sixteen hexadecimal digits of the SHA-256 of the content's canonical JSON."""
        return fingerprint(identifying(self.content))

    @cached_property
    def build_key(self) -> str:
        """Trials of one build key differ only in the call, so one loaded pipeline serves them all."""
        known, settings = registry.toggles(), self.content["settings"]
        called = {name for name in self.settings if known[name].phase == Phase.CALL}
        built = {name: value for name, value in settings.items() if name not in called}
        return fingerprint(identifying({"pipeline": self.pipeline, "model": dict(self.model), "settings": built}))

    @property
    def is_in_rounds(self) -> bool:
        """Whether its timed calls take turns with other trials' (not where each call has its own process)."""
        return self.protocol.get("interleave", False) and not self.restarts

    @property
    def restarts(self) -> bool:
        """Whether each of its timed calls has a process of its own."""
        return self.protocol.get("process") == "per_call"

    @property
    def work(self) -> float:
        """A rough size of the work, for the progress bar only: calls x steps x pixels."""
        images = len(self.inputs["items"]) * len(self.protocol["seeds"])
        calls = protocol.most_calls(self.protocol) + images
        side = self.settings.get("resolution", 512)
        pixels = side[0] * side[1] if isinstance(side, (list, tuple)) else side * side
        return calls * (self.settings.get("steps", 1) + 2) * pixels


Group = list[Trial]  # of one build


def grouped(trials: Iterable[Trial]) -> list[Group]:
    """The trials of each study by the build that they share."""
    groups: dict[tuple[str, str], Group] = {}
    for trial in trials:
        groups.setdefault((trial.study, trial.build_key), []).append(trial)
    return list(groups.values())


# by part: where a file lies, how a commit was called, how long we wait and how often do not change what is measured
NOT_IDENTITY = {"model": ("path", "asked"), "inputs": ("path",), "protocol": ("timeout_s", "retries")}
# settings that came when there were records already: at these values they are no part of the identity
LATER, NOT_LATER = {"wait_policy": "default"}, object()


def identifying(content: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a content without what does not change what is measured."""
    left_out = {part: NOT_IDENTITY[part] for part in content if part in NOT_IDENTITY}
    kept = {part: {key: content[part][key] for key in content[part] if key not in left_out[part]} for part in left_out}
    if isinstance(settings := content.get("settings"), Mapping):
        kept["settings"] = {name: settings[name] for name in settings if settings[name] != LATER.get(name, NOT_LATER)}
    return {**content, **kept}


def fingerprint(content: Any) -> str:
    """The identity of any JSON content."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]
