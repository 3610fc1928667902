"""Places for workers on a cluster: started, asked what they are, and filled again where a worker has died."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mic2e_bench import files
from mic2e_bench.errors import BadInput
from mic2e_bench.tools.distribute.units import Unit
from mic2e_bench.tools.distribute.worker import Worker

PLACED_WITHIN_S = 120.0
SET_BY_RAY = ("OMP_NUM_THREADS",)  # the worker has it as the driver has it


@dataclass(eq=False)
class Slot:
    """A place for a worker: its actor, what it said of its hardware (empty until then), and what it works on."""

    actor: Any
    about: Mapping[str, Any] = field(default_factory=dict)
    unit: Unit | None = None
    saying: Any = None  # the answer that is awaited
    since: float = 0.0  # when it was started (``time.monotonic``)
    starts: int = 0  # in a row, without a word

    @property
    def here(self) -> Mapping[str, Any]:
        """The environment that its records will have."""
        return self.about["here"]


@dataclass
class Slots:
    """The workers of a run. ``token``: a file in the results folder that each of them must see."""

    ray: Any
    options: Mapping[str, Any]
    device: str
    token: Path
    all: list[Slot] = field(default_factory=list)

    def begin(self, slot: Slot | None = None) -> Slot:
        """Start a worker, in the place of the one in ``slot`` where that has died; it says what it is when it can."""
        if slot is None:
            slot = Slot(None)
            self.all.append(slot)
        else:
            self.ray.kill(slot.actor)  # it may only be out of reach
        given = {name: os.environ.get(name) for name in SET_BY_RAY}
        slot.actor = self.ray.remote(Worker).options(max_restarts=0, **self.options).remote(os.getcwd(), given)
        slot.starts = slot.starts + 1 if not slot.about else 1
        slot.about, slot.saying, slot.since = {}, slot.actor.about.remote(self.device, self.token), time.monotonic()
        return slot

    def take(self, slot: Slot, timeout_s: float = PLACED_WITHIN_S) -> str:
        """Wait for what a worker says of itself; returns why it cannot be used, empty where it can."""
        try:
            slot.about = self.ray.get(slot.saying, timeout=timeout_s)
        except self.ray.exceptions.GetTimeoutError:
            return f"the cluster had no room for a worker within {PLACED_WITHIN_S:.0f} s: others may use it"
        except self.ray.exceptions.RayError as error:
            return f"a worker could not start: {said(error)}"
        if not slot.about["shared"]:
            return f"a worker on {slot.here['host']} does not see {self.token.parent}: it must be a shared folder"
        return ""

    def settle(self) -> list[Slot]:
        """The workers that have said what they are; where there is none yet, all of them are waited for.

        Those without use are named and dropped. Raises ``BadInput`` where none is left.
        """
        why, end = "", 0.0 if any(slot.about for slot in self.all) else time.monotonic() + PLACED_WITHIN_S
        for slot in [slot for slot in self.all if not slot.about]:
            left_s = max(0.0, end - time.monotonic())
            if (why := self.take(slot, left_s)) and (end or slot.about):
                self.drop(slot, why)
        if not self.all:
            raise BadInput(f"--executor ray: no worker is left: {why}.")
        return [slot for slot in self.all if slot.about]

    def drop(self, slot: Slot, why: str) -> None:
        """Do without a worker, and say why."""
        print(why, file=sys.stderr)
        self.all.remove(slot)
        self.ray.kill(slot.actor)


def said(error: Exception) -> str:
    """What Ray says, in one line of bounded length."""
    return " ".join(str(error).split())[:300]


@contextlib.contextmanager
def token(results: Path) -> Iterator[Path]:
    """A file in the results folder while a run lasts, by which a worker tells that it has the same folder."""
    path = results / f".shared-{uuid.uuid4().hex}"
    try:
        results.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise files.cannot_write(results, error) from None
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
