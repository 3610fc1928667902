"""A run that ends by a given time: what still fits, what ends it, and what it says of the rest.

The clock of a command starts with its process; a reserve is kept for tables, packing and the process's end. Measuring
comes first, then the scores. What is estimated here decides only what is started; what was started and takes longer
is ended without a record, and the time it had is remembered, so that it is not tried again with less.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mic2e_bench.errors import BadInput, UsedUp
from mic2e_bench.plan.trial import Group, Trial, grouped
from mic2e_bench.records import record
from mic2e_bench.run import forkserver
from mic2e_bench.tools.budget.durations import Durations, builds, rounds_key
from mic2e_bench.units import duration, working_time

if TYPE_CHECKING:
    from mic2e_bench.plan.params import Study

END_S, END_SHARE, END_MOST_S = 3.0, 0.01, 10.0  # kept for the end: tables, the closing line, the interpreter's own end


def parse(text: str, where: str = "--budget") -> float:
    """Seconds of ``90s``, ``10m``, ``1h``. Raises ``BadInput``."""
    return working_time(text, where)


def process_age_s() -> float:
    """Seconds since this process was started."""
    started = psutil.Process().create_time()
    if hasattr(time, "CLOCK_BOOTTIME"):  # psutil's own boot time cancels out: it is only good to a second
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - (started - psutil.boot_time()))
    return max(0.0, time.time() - started)


def of_process(text: str, where: str = "--budget") -> Budget:
    """The budget of a command, from the start of its process. Raises ``BadInput``."""
    seconds = parse(text, where)
    atexit.register(end_servers)
    return Budget(seconds, process_age_s())


def end_servers(but: Collection[psutil.Process] = ()) -> None:
    """End this process's fork servers: they import on, or take seconds to end, and hold its output open."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child not in but and any("forkserver" in word for word in child.cmdline()):
                child.kill()


@dataclass
class Budget:
    """``seconds`` in all, of which ``passed_s`` are gone; what is known of durations, and what was left."""

    seconds: float
    passed_s: float = 0.0
    durations: Durations = field(default_factory=Durations)
    unscored: int = 0  # records whose scores are left for the next run
    packing_s: float = 0.0  # that the last packing of results took
    force: bool = False  # refused trials are measured, too

    def __post_init__(self) -> None:
        self.start = time.monotonic() - self.passed_s
        self.ready_s = self.passed_s  # until measuring can begin, but for the import of the libraries
        self.rounds: tuple[str, float] = "", 0.0  # the interleaved trials that were begun last, and when

    @property
    def reserve_s(self) -> float:
        """What is kept for the end."""
        return min(END_S + END_SHARE * self.seconds, END_MOST_S) + self.packing_s

    @property
    def deadline(self) -> float:
        """By the monotonic clock: nothing is measured or scored beyond it."""
        return self.start + self.seconds - self.reserve_s

    @property
    def left_s(self) -> float:
        """Seconds that measuring and scoring still have."""
        return max(0.0, self.deadline - time.monotonic())

    def has_time_for(self, seconds: float) -> bool:
        return seconds <= self.left_s

    def take(self, groups: list[Group]) -> Group:
        """Take the first group of which something fits, what fits in front; empty where nothing does."""
        for index, group in enumerate(groups):
            left_s, fitting = self.left_s - self.durations.load_s(group[0]), []
            for trial in group:
                if (seconds := self.durations.trial_s(trial)) <= left_s:
                    left_s -= seconds
                    fitting.append(trial)
            if fitting:
                groups.pop(index)
                return [*fitting, *(trial for trial in group if trial not in fitting)]
        return []

    def begins(self, groups: Sequence[Group]) -> bool:
        """Whether interleaved trials fit, as a whole; they count as begun then."""
        self.rounds = rounds_key(groups), time.monotonic()
        return self.has_time_for(self.together_s(groups))

    def together_s(self, groups: Sequence[Group]) -> float:
        """All of these in rounds, and where those are spread over builds, one trial a second time."""
        known = self.durations.bounds.get(rounds_key(groups), 0.0)
        twice = [groups[0][:1]] if builds(groups[0][0]) > 1 else []
        return max(known, sum(self.durations.group_s(group) for group in (*groups, *twice)))

    def cut(self, trial: Trial, loaded: bool, seconds: float, folder: Path) -> None:
        """End what is being measured; remembers beside the study that it takes longer than what it had.

        Raises ``UsedUp``, always.
        """
        if trial.is_in_rounds:
            self.durations.cut(self.rounds[0], time.monotonic() - self.rounds[1])
        else:
            self.durations.cut(trial.id if loaded else trial.build_key, seconds)
        self.durations.write(folder)
        raise UsedUp

    def check(self, studies: Iterable[Study], results: Path) -> None:
        """Read what is known of durations. Raises ``BadInput`` where trials have no record and none of them fits."""
        studies = list(studies)
        for study in studies:
            self.durations.read(results / study.name)
        self.ready_s = time.monotonic() - self.start
        left = [trial for study in studies for trial in left_of(study, results, self.force)]
        if not left:
            return
        trial, least = self.least(left)
        import_s = 0.0 if forkserver.context.cache_info().currsize else self.durations.import_s
        if import_s + least > self.left_s:
            needed = math.ceil(self.ready_s + import_s + least + self.reserve_s) + 1
            raise BadInput(
                f"--budget {self.seconds:g}s is too short for any trial that is left. The shortest, '{trial.label}' of "
                f"{trial.study}, needs about {duration(least)} (estimated), after {duration(self.ready_s + import_s)} "
                f"until the libraries are imported and before {duration(self.reserve_s)} that are kept for the end. "
                f"Give --budget {needed}s or more; nothing was started."
            )

    def least(self, left: Sequence[Trial]) -> tuple[Trial, float]:
        """Of these trials (with those that it must take turns with) the one that takes the least, and its seconds."""
        together: dict[str, list[Group]] = {}
        for group in grouped([trial for trial in left if trial.is_in_rounds]):
            together.setdefault(group[0].study, []).append(group)
        needs = [(groups[0][0], self.together_s(groups)) for groups in together.values()]
        needs += [(trial, self.durations.group_s([trial])) for trial in left if not trial.is_in_rounds]
        return min(needs, key=lambda pair: pair[1])

    @contextlib.contextmanager
    def alarm(self, until: float | None = None) -> Iterator[None]:
        """Raise ``UsedUp`` in the block at ``until`` (default: the deadline), whatever it waits for.

        Python has signals in the main thread only: elsewhere the block takes as long as it takes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, _raise)
        try:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, (until or self.deadline) - time.monotonic()))
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextlib.contextmanager
    def importing(self, least_s: float = 0.0) -> Iterator[None]:
        """Bound a wait for the import of the libraries, and learn how long it takes.

        Raises ``UsedUp``, at once where no ``least_s`` are left.
        A server that runs already answers at once, and one that is interrupted then would end.
        """
        if self.left_s <= least_s:
            raise UsedUp
        if forkserver.context.cache_info().currsize:
            yield
            return
        others, begin = set(psutil.Process().children()), time.monotonic()
        try:
            with self.alarm():
                yield
        except UsedUp:
            end_servers(but=others)
            raise
        finally:
            self.durations.imports = [time.monotonic() - begin]

    def closing(self, studies: Sequence[Study], results: Path) -> str:
        """What was done within the budget and what is left, in one line."""
        left = [trial for study in studies for trial in left_of(study, results, self.force)]
        total = sum(len(study.trials) for study in studies)
        used_up, end = f"budget of {self.seconds:g} s used up", "the same command goes on"
        scores = [f"the scores of {self.unscored} records are left"] if self.unscored else []
        if not left:
            if not scores:
                return f"within the budget of {self.seconds:g} s: all {total} trials have their record"
            return "; ".join([f"{used_up}: all {total} trials have their record", *scores, end])
        work = duration(sum(map(self.durations.group_s, grouped(left))))
        needed = self.ready_s + self.durations.import_s + self.least(left)[1] + self.reserve_s
        if needed > self.seconds:
            end = f"none of them fits into such a budget: give --budget {math.ceil(needed) + 1}s or more"
        done = f"{used_up}: {total - len(left)} of {total} trials are measured"
        rest = f"{len(left)} {'is' if len(left) == 1 else 'are'} left (about {work}, estimated)"
        return "; ".join([done, rest, *(f"{text} as well" for text in scores), end])


def left_of(study: Study, results: Path, force: bool = False) -> Group:
    """The trials of a study that have no record and are to be measured; ``force``: the refused ones, too."""
    known = {path.stem for path in record.paths(Path(results) / study.name)}
    known |= set() if force else set(study.refused)
    return [trial for trial in study.trials if trial.id not in known]


def _raise(*signal_and_frame: object) -> None:
    raise UsedUp
