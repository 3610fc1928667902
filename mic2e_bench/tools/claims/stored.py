"""A stored record as claims look at it, and a record with the one that it is compared to: the evidence for a claim."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.plan.settings import resolve
from mic2e_bench.records import comparable
from mic2e_bench.records.record import Record

FULL_SIZE = ("hub", "folder", "random")


@functools.cache
def defaults(pipeline: str) -> Mapping[str, Any]:
    """Every setting of a pipeline as it is where nobody asks for anything."""
    return resolve({}, registry.pipeline(pipeline), "")


@dataclass(frozen=True, eq=False)
class Stored:
    """A record with its path relative to the results folder and with every setting of today's pipeline."""

    record: Record
    path: str

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """A toggle younger than the record was at its default."""
        return {**defaults(self.record.pipeline), **self.record.settings}

    @property
    def is_measured(self) -> bool:
        return comparable.is_measured(self.record)

    @property
    def on_gpu(self) -> bool:
        return str(self.settings["device"]).startswith("cuda")

    @property
    def device(self) -> str:
        return str(self.record.environment.get("device", "an unknown device"))

    def is_on(self, devices: Sequence[str]) -> bool:
        """Whether it was measured on one of these devices, as guides name them."""
        return any(name.lower() in self.device.lower() or (name == "CPU" and not self.on_gpu) for name in devices)

    @property
    def is_disturbed(self) -> bool:
        return bool(comparable.disturbed(self.record))

    @property
    def is_full_size(self) -> bool:
        return self.record.model["source"] in FULL_SIZE

    @property
    def place(self) -> str:
        """The weights and the device, as tables name them."""
        return f"{self.weights} on {self.device}"

    @property
    def weights(self) -> str:
        return sources.label(self.record.model)


@dataclass(frozen=True)
class Evidence:
    """A record for a claim, with the one it is compared to; ``problem`` says why nothing may be credited to it."""

    after: Stored
    before: Stored | None = None
    remark: str = ""
    problem: str = ""
    baseline: Stored | None = None  # of the study that both are of

    @property
    def differing(self) -> set[str]:
        """The settings in which the two records differ."""
        mine, its = self.after.settings, self.before.settings if self.before else self.after.settings
        return {name for name in {**mine, **its} if mine.get(name) != its.get(name)}

    @property
    def records(self) -> tuple[Stored, ...]:
        return (self.after, *([self.before] if self.before else []))
