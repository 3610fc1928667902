"""A verdict for every metric of every trial that both sides have."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.report import frame
from mic2e_bench.tools.compare import changes, images, missing, pictures, power, remarks, thresholds
from mic2e_bench.tools.compare import match as compare_match
from mic2e_bench.tools.compare.changes import Change, Pairing
from mic2e_bench.tools.compare.images import Values
from mic2e_bench.tools.compare.match import Matches, Results
from mic2e_bench.tools.compare.pictures import Changed
from mic2e_bench.tools.compare.power import Power
from mic2e_bench.tools.compare.thresholds import RATIOS, Threshold
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, MISSING, STATUS, WORSE, Verdict, judge, worst_first
from mic2e_bench.units import digits

MACHINE = ("host", "device", "driver")


@dataclass(frozen=True)
class Comparison:
    """All verdicts, the worst first. ``remarks`` is what a reader must know beside them, ``lost`` how many trials of
    the base the head has no record of, ``power`` what so many rounds could find, ``pictures`` which trials' pictures
    are not the same, ``host`` where the head was measured.
    """

    base: str
    head: str
    machine: str
    verdicts: tuple[Verdict, ...]
    remarks: tuple[str, ...]
    lost: int
    stand_ins: str
    power: tuple[Power, ...] = ()
    pictures: tuple[Changed, ...] = ()
    host: str = ""

    @property
    def failures(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.fails]

    @property
    def open_questions(self) -> list[Verdict]:
        """The gated verdicts that are inconclusive."""
        return [verdict for verdict in self.verdicts if verdict.is_open]

    @property
    def absent(self) -> list[Verdict]:
        """One of each trial that only one side measured, and of each metric that only the base has."""
        return [verdict for verdict in self.verdicts if verdict.word == MISSING]

    @property
    def missing(self) -> list[Verdict]:
        """Those of trials."""
        return [verdict for verdict in self.absent if verdict.metric == STATUS]

    def counts(self) -> Counter[str]:
        return Counter(verdict.word for verdict in self.verdicts)


def compare(
    base: Path, head: Path, fail_on: Sequence[str] = (), across_machines: bool = False, allow_missing: bool = False
) -> Comparison:
    """Compare two folders of records; ``match``, ``statistics`` and ``verdict`` state the rules.

    Raises ``BadInput`` for one folder given twice, for folders without records or without a common trial, for a
    threshold that cannot be read, and for records of different machines unless ``across_machines``. Trials that one
    side lacks fail the comparison unless ``allow_missing``.
    """
    if os.path.isdir(base) and os.path.isdir(head) and os.path.samefile(base, head):
        raise BadInput(f"BASE and HEAD are the same folder, {base}: give the records from before and those from after.")
    one, other = compare_match.read(base), compare_match.read(head)
    matches = compare_match.match(one, other)
    machine = _machine(one, other, across_machines)
    known = _known(matches)
    asked = thresholds.read(fail_on, known) if fail_on else thresholds.by_default(known)
    pairings = [Pairing(match, one, other, across_machines) for match in matches.matches]
    scored, problems = _scored(pairings, asked)
    verdicts = [
        verdict
        for at, pairing in enumerate(pairings)
        for verdict in _of(pairing, asked, scored.get(at, {}), allow_missing)
    ]
    verdicts = worst_first([*verdicts, *missing.verdicts(matches, allow_missing)])
    said = (*remarks.of(one, other, matches, across_machines), *problems)
    shown = [match.head.record for match in matches.matches]
    stand_ins = dict.fromkeys(filter(None, (frame.stand_ins(one.model, frame.backbones(one)) for one in shown)))
    powers = [found for pairing in pairings for found in power.of(pairing, asked)]
    order = {(one.study, one.label): at for at, one in reversed(list(enumerate(verdicts)))}
    changed = sorted(
        (each for pairing in pairings for each in pictures.of(pairing)),
        key=lambda one: order.get((one.study, one.label), len(order)),
    )
    host = str(other.trials[0].record.environment.get("host") or "")
    return Comparison(
        str(base), str(head), machine, tuple(verdicts), said, len(matches.gone), "; ".join(stand_ins),
        tuple(powers), tuple(changed), host,
    )  # fmt: skip


def _machine(one: Results, other: Results, across: bool) -> str:
    """The machine of all records in words. Raises ``BadInput`` where there are several and that was not asked for."""
    seen = []
    for side in (one, other):
        runs = [run.record.environment for trial in side.trials for run in trial.runs if run.record.environment]
        found = dict.fromkeys(" ".join(str(here[name]) for name in MACHINE if here.get(name)) for here in runs)
        if len(found) > 1:
            raise BadInput(f"{side.folder}: its records are of several machines ({' and '.join(found)}): give one's.")
        seen.append(next(iter(found), "an unknown machine"))
    if seen[0] != seen[1] and not across:
        raise BadInput(
            f"{one.folder} was measured on {seen[0]}, {other.folder} on {seen[1]}: measure both on one machine, or "
            "compare each with its own baseline only: --across-machines."
        )
    return " and ".join(dict.fromkeys(seen))


def _known(matches: Matches) -> list[str]:
    """The metrics that can be asked for."""
    keys = {key for match in matches.matches for key in match.base.record.quality}
    families = {key.partition(".")[0] for key in keys}
    return [*RATIOS, *sorted({*keys, *families, "quality", "lpips", "quality.base", "lpips.base"})]


def _scored(
    pairings: Sequence[Pairing], asked: Sequence[Threshold]
) -> tuple[Mapping[int, dict[str, Values]], list[str]]:
    """The values of the pictures that are not the same on both sides, and what could not be scored."""
    jobs = []
    for number, pairing in enumerate(pairings):
        match = pairing.match
        measured = match.base.measured and match.head.measured and match.head.record.images
        if measured and not pairing.across and not pairing.same_everything:
            keys = [key for key in changes.quality_keys(pairing, _named(asked)) if key in match.head.record.quality]
            jobs.append(images.job(number, match, pairing.base, pairing.head, keys))
    return images.score(jobs, paths.cache() / "logs" / "compare.log")


def _named(asked: Sequence[Threshold]) -> list[str]:
    return [threshold.metric for threshold in asked]


def _of(
    pairing: Pairing, asked: Sequence[Threshold], scored: Mapping[str, Values], allow_missing: bool
) -> list[Verdict]:
    """The verdicts of one trial; where a side did not measure it, one of its status."""
    base, head = pairing.match.base, pairing.match.head
    if not base.measured or not head.measured:
        words = {"base": base.record.status, "head": head.record.status}
        word = WORSE if base.measured else BETTER if head.measured else INCONCLUSIVE
        note = (head if base.measured else base).record.reason
        gated, took = word == WORSE, missing.took(head)
        return [Verdict(head.study, head.label, STATUS, word, **words, unit="", gated=gated, note=note, **took)]
    ratios = [name for name in RATIOS if name in changes.USUAL_RATIOS or name in _named(asked)]
    keys = changes.quality_keys(pairing, _named(asked))
    found = [_judged(pairing, change, asked) for change in changes.of(pairing, ratios, keys, scored)]
    found += missing.metrics(pairing.match, [*ratios, *keys], lambda name: not allow_missing and _is_gated(name, asked))
    took = missing.took(head)
    return [replace(verdict, **took) for verdict in found]


def _is_gated(metric: str, asked: Sequence[Threshold]) -> bool:
    return any(one.covers(metric) for one in asked)


def _judged(pairing: Pairing, change: Change, asked: Sequence[Threshold]) -> Verdict:
    """The verdict on a change; a threshold below the metric's noise floor is raised to it."""
    least, notes = thresholds.of(change.metric, asked), [change.note, *pairing.match.notes]
    if change.noise > least:
        notes.append(f"the threshold is the noise floor, {digits(change.noise)} {change.unit}")
    threshold = max(least, change.noise)
    exact = change.metric.partition(".")[0] not in RATIOS
    word = judge(change.value, change.ci95, threshold, thresholds.lower_is_better(change.metric), exact)
    gated = _is_gated(change.metric, asked)
    head = pairing.match.head
    return Verdict(
        head.study, head.label, change.metric, word, change.value, change.ci95, threshold, change.unit, change.base,
        change.head, gated, "; ".join(filter(None, notes)),
    )  # fmt: skip
