"""A study on its workers: units of work wait, are worked on, leave records, and wait again where a worker dies."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from mic2e_bench.errors import BadInput
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.trial import Trial
from mic2e_bench.records import record
from mic2e_bench.run.outcomes import Outcomes
from mic2e_bench.tools.distribute import slots, units
from mic2e_bench.tools.distribute.slots import Slot, Slots
from mic2e_bench.tools.distribute.units import Unit

MOST_ATTEMPTS = 3  # of a trial whose worker died
SHOWN_EVERY_S = 1.0  # the records that have come meanwhile


class Spread:
    """A study on these of the workers. ``fits`` says why a worker that takes another's place has no part in it."""

    def __init__(
        self,
        workers: Slots,
        mine: Sequence[Slot],
        fits: Callable[[Slot], str],
        study: Study,
        outcomes: Outcomes,
        pending: Sequence[Trial],
    ) -> None:
        self.workers, self.slots, self.fits = workers, list(mine), fits
        self.study, self.outcomes = study, outcomes
        self.before = {trial.id: self._file(trial) for trial in pending}  # with --rerun there are older records
        self.waiting = deque(units.of(pending, study.baseline))
        self.too_large: list[Trial] = []
        self.shown: set[str] = set()
        self.asked: dict[Any, Slot] = {}  # by what is awaited: a unit's end, or a worker's first word
        boots = {slot.here["boot"] for slot in self.slots}
        self.host = "" if len(boots) == 1 else f"cluster of {self.slots[0].here['device']}"

    def all(self) -> None:
        """Until every trial has its record. The others wait for the baseline's, whose repeats theirs need.

        Raises ``BadInput`` where no worker is left and the cluster has no room for one.
        """
        while self.waiting or any(slot.unit for slot in self.asked.values()):
            for slot in self._free():
                if self.waiting:
                    slot.unit = self.waiting.popleft()
                    self.asked[self.begin(slot)] = slot
            if not self.asked:
                raise self._nobody_left()
            done, _ = self.workers.ray.wait(list(self.asked), timeout=SHOWN_EVERY_S)
            for one in done:
                slot = self.asked.pop(one)
                self._taken(slot, one) if slot.unit else self._joined(slot)
            self._look()

    def _free(self) -> list[Slot]:
        """The workers that can begin a unit: one, with the first, until the baseline has its record."""
        free = [slot for slot in self.slots if slot.about and not slot.unit]
        base = self.study.baseline
        if base.id not in self.before or self._is_new(base):
            return free
        return [] if any(slot.unit for slot in self.slots) else free[:1]

    def begin(self, slot: Slot) -> Any:
        results, force = self.outcomes.results, self.outcomes.force
        given = (slot.unit.trials, self.study.baseline, results, force, self.host, self.too_large)
        return slot.actor.measure.remote(*given)

    def _taken(self, slot: Slot, done: Any) -> None:
        """Take a unit's records into the summary; what of it has none waits again, for this worker or another."""
        unit, slot.unit, died = slot.unit, None, ""
        ray, summary = self.workers.ray, self.outcomes.summary
        try:
            found = ray.get(done)
            summary.calls_s += found["calls_s"]
            summary.import_s = max(summary.import_s, found["import_s"])
            self.too_large += [trial for trial in found["too_large"] if trial not in self.too_large]
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # a full disk, a folder that is gone
        except ray.exceptions.RayError as error:
            died = slots.said(error)
        left = [trial for trial in unit.trials if not self._is_new(trial)]
        for trial in (trial for trial in unit.trials if trial not in left):
            one = self._show(trial)
            summary.measured += "calls_s" in one.raw["timing"]
        if died:
            rest = f"{len(left)} of its {len(unit.trials)} trials wait again"
            print(f"{self.study.name}: a worker on {slot.here['host']} died; {rest}", file=sys.stderr)
            self.asked[self.workers.begin(slot).saying] = slot
        if left:
            self._again(left, unit.attempts + 1, died)

    def _again(self, left: list[Trial], attempts: int, died: str) -> None:
        """Trials without a record wait again. The first one is what each worker ended with: at last it is given up."""
        if attempts < MOST_ATTEMPTS:
            self.waiting.appendleft(Unit(left, attempts))
            return
        given_up = left if left[0].is_in_rounds else left[:1]
        for trial in given_up:
            self.outcomes.write(trial, "error", f"{MOST_ATTEMPTS} workers left no record of it: {died}")
        if rest := left[len(given_up) :]:
            self.waiting.appendleft(Unit(rest))

    def _joined(self, slot: Slot) -> None:
        """A worker has taken the place of one that died: it works on, where it is of the study's hardware."""
        why = self.workers.take(slot)
        if why and not slot.about and slot.starts < MOST_ATTEMPTS:  # it was put on the machine that was going down
            self.asked[self.workers.begin(slot).saying] = slot
            return
        if why:
            self.workers.drop(slot, f"{self.study.name}: {why}")
        elif why := self.fits(slot):
            print(why, file=sys.stderr)
        if why:
            self.slots.remove(slot)

    def _look(self) -> None:
        """Show which records have come; give up waiting for workers that find no place, where nobody else works."""
        for slot in (slot for slot in self.slots if slot.unit):
            for trial in slot.unit.trials:
                if trial.id not in self.shown and self._is_new(trial):
                    self._show(trial)
        late = [slot for slot in self.asked.values() if time.monotonic() - slot.since > slots.PLACED_WITHIN_S]
        if self.slots and all(slot in late and not slot.unit for slot in self.slots):
            raise self._nobody_left()

    def _nobody_left(self) -> BadInput:
        return BadInput(
            f"{self.study.name}: no worker is left, and the cluster has no room for another. What is measured has its "
            "record; the same command goes on."
        )

    def _show(self, trial: Trial) -> record.Record:
        """The new record of a trial, in the summary; the progress hears of it once."""
        one = self.outcomes.summary.records[trial.id] = record.read(self._path(trial))
        if trial.id not in self.shown:
            self.shown.add(trial.id)
            self.outcomes.progress.done(trial, one.status)
        return one

    def _is_new(self, trial: Trial) -> bool:
        return self._file(trial) not in (None, self.before[trial.id])

    def _path(self, trial: Trial) -> Any:
        return record.path_of(self.outcomes.results, trial.study, trial.id)

    def _file(self, trial: Trial) -> tuple[int, int] | None:
        """What tells a record's file from one that is written later; ``None`` where there is none."""
        try:
            there = self._path(trial).stat()
        except FileNotFoundError:
            return None
        return there.st_ino, there.st_mtime_ns
