"""From two locks, or two commits, to the package or the commit that made the difference.

The rounds lie under ``results/STUDY/bisect/ID``, and are all that is kept: the id is of what is compared, of the study
and of this harness, so that the same command goes on where one was killed, and a finished one is told again from its
rounds. Environments and trees lie in a working folder, and are removed however this ends, but by a kill; what that
leaves the same command uses, and then removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mic2e_bench import files, paths, within
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.records import folder as record_folder
from mic2e_bench.tools.bisect import answers, commits, contest, lock, search, sides
from mic2e_bench.tools.bisect.contest import Contest, Step
from mic2e_bench.tools.bisect.measured import Asked, Side
from mic2e_bench.tools.bisect.outcome import Blamed, Outcome
from mic2e_bench.tools.bisect.search import Answer

Measure = Callable[[Side, Path, bool], float]


@dataclass(frozen=True)
class Request:
    """What a person asked for. ``measure`` takes the place of a round's process."""

    params: Path
    changes: tuple[str, ...] = ()
    results: Path | None = None
    work: Path | None = None
    fail_on: tuple[str, ...] = ()
    most: int = 20
    measure: Measure | None = None

    def contest(self, kept: Path, good: Callable[[], Side]) -> Contest:
        asked = self.asked()
        usual = contest.OF_MASKS if asked.study.pipeline.task == "segmentation" else contest.USUAL
        return Contest(asked, kept, good, self.fail_on or usual, self.most, self.measure or asked.measure)

    def asked(self) -> Asked:
        return Asked(params.read(self.params, self.changes), self.params.absolute(), self.changes)


def of_locks(request: Request, good: Path, bad: Path) -> Outcome:
    """Which package. Raises ``BadInput`` for locks that cannot be compared and a study that does not run on GOOD."""
    both = lock.read(good), lock.read(bad)
    moves = {move.name: move for move in lock.moves(*both)}
    if not moves:
        raise BadInput(f"bisect: {good} and {bad} pin the same packages: nothing changed.")
    with _place(request, [harness(), *(lock.written(pins) for pins in both)]) as (kept, work):
        made = request.contest(kept, lambda: packages.good())
        packages = sides.Packages(*both, work, made.say)
        made.say(f"{len(moves)} of {len({*both[0], *both[1]})} packages changed: {', '.join(map(str, moves.values()))}")
        made.steps_left = 1 + search.most_steps(len(moves))
        whole = made.step("all", "BAD", packages.bad)
        if whole.answer.word != search.DIFFERS:
            return Outcome.without(whole, made)
        packages.found = _stored(kept / "groups.json", packages.look)
        return _search(made, whole, packages, moves)


def _search(made: Contest, whole: Step, packages: sides.Packages, moves: dict[str, lock.Move]) -> Outcome:
    groups, followed = packages.found["groups"], answers.differing(whole.made)[0]
    remarks = [*packages.found["reasons"]]
    for side, lines in packages.found["complaints"].items():
        remarks += [f"{side}'s own packages do not fit each other: {lines[0]}"] if lines else []
    for line in remarks:
        made.say(line)

    def names(subset: Collection[int]) -> list[str]:
        return [name for at in sorted(subset) for name in groups[at]]

    def step(subset: frozenset[int]) -> Step:
        if len(subset) == len(groups):
            return whole
        title = ", ".join(str(moves[name]) for name in names(subset))
        return made.step(sides.named("mix", names(subset)), title, lambda: packages.mixed(names(subset)), followed)

    made.steps_left = search.most_steps(len(groups))
    found = search.all_of(len(groups), whole.answer, lambda subset: step(subset).answer)
    blamed = [
        Blamed(tuple(str(moves[name]) for name in names(one.members)), len(one.members), one.is_sure, one.answer,
               step(frozenset(one.members)).made if one.is_sure else None)
        for one in found
    ]  # fmt: skip
    return Outcome.of(whole, followed, blamed, made, remarks)


def of_commits(request: Request, good: str, bad: str, repo: Path | None = None) -> Outcome:
    """Which commit, of this repository or of another checkout. Raises ``BadInput``."""
    checkout = sides.toplevel(repo or paths.PACKAGE.parent)
    first, after = commits.between(checkout, good, bad)
    here = [] if repo is None else [harness()]
    with _place(request, [*here, first, after[-1], json.dumps(environment.packages())]) as (kept, work):
        at = sides.Commits(checkout, repo is None, work)
        made = request.contest(kept, lambda: at.side("good", first))

        def title(number: int) -> str:
            return commits.titled(checkout, after[number - 1])

        made.say(f"{len(after)} commits after {commits.titled(checkout, first)}, up to {title(len(after))}")
        made.steps_left = search.most_steps(len(after))
        whole = made.step("all", "BAD", lambda: at.other(after[-1]))
        if whole.answer.word != search.DIFFERS:
            return Outcome.without(whole, made)
        followed = answers.differing(whole.made)[0]
        known = {len(after): whole}

        def ask(number: int) -> Answer:
            commit = after[number - 1]
            known[number] = made.step(f"commit-{commit[:12]}", title(number), lambda: at.other(commit), followed)
            return known[number].answer

        low, high = search.first(0, len(after), ask)
        step = known[high]
        blamed = Blamed(tuple(map(title, range(low + 1, high + 1))), 1, high == low + 1, step.answer, step.made)
        return Outcome.of(whole, followed, [blamed], made, [])


def _stored(path: Path, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What both environments told, where that was written down; else they tell it."""
    if not path.exists():
        files.write_whole(path, files.as_json(look()))
    return files.read_json(path)


@contextlib.contextmanager
def _place(request: Request, parts: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """The folder of the rounds, for this process alone, and the working folder, which is removed."""
    if not 6 <= request.most <= 48:
        raise BadInput(f"bisect: --most-rounds {request.most}: six rounds tell something, and no more than 48 count.")
    study = request.asked().study
    results = paths.results_of(request.results)
    every = [study.name, *(trial.id for trial in study.trials), lock.HERE, *parts]
    id = hashlib.sha256(json.dumps(every).encode()).hexdigest()[:12]
    kept = paths.of_study(results, study.name) / "bisect" / id
    if within.is_outside(kept, results):
        raise BadInput(f"bisect: {kept} is a link out of {results}: nothing is written there.")
    of_results = hashlib.sha256(str(results.resolve()).encode()).hexdigest()[:6]
    work = (request.work.absolute() if request.work else paths.cache() / "bisect") / f"{id}-{of_results}"
    made = [place for folder in (kept, work) for place in folder.parents if not place.exists()]
    try:
        with record_folder.locked(kept):
            try:
                yield kept, work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    finally:
        if not any(kept.glob("*/other/*/done.json")):  # nothing that could be compared
            shutil.rmtree(kept, ignore_errors=True)
        for place in (*made, *(folder.parent for folder in (kept, work))):
            with contextlib.suppress(OSError):  # it is not empty
                place.rmdir()


def harness() -> str:
    """The hash of this package's code, which measures all sides."""
    found = hashlib.sha256()
    for path in sorted(paths.PACKAGE.rglob("*.py")):
        found.update(path.relative_to(paths.PACKAGE).as_posix().encode() + path.read_bytes())
    return found.hexdigest()
