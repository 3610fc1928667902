"""What a comparison answers: whether a part of the update makes the difference that is looked for."""

from __future__ import annotations

from mic2e_bench import statistics
from mic2e_bench.tools.bisect import search
from mic2e_bench.tools.bisect.search import Answer
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.thresholds import RATIOS
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, SAME, STATUS, WORSE, Verdict

PART = 1 / 3  # of the whole change: what is surely less is not what is looked for


def is_ratio(metric: str) -> bool:
    return metric in RATIOS and metric != "weights"


def differing(made: Comparison) -> list[Verdict]:
    """What is checked and got worse or better, first what changed by the most of its threshold, or does not run."""
    found = [one for one in made.verdicts if one.gated and one.word in (WORSE, BETTER)]
    return sorted(found, key=_size, reverse=True)


def _size(one: Verdict) -> float:
    """A change in units of its threshold; without limit where there is no figure."""
    return float("inf") if one.change is None else abs(one.change) / (one.threshold or 1.0)


def same_metric(made: Comparison, followed: Verdict) -> Verdict | None:
    """The verdict on the metric and trial of another comparison's."""
    key = (followed.label, followed.metric)
    return next((one for one in made.verdicts if (one.label, one.metric) == key), None)


def is_decided(made: Comparison, followed: Verdict | None, rounds: int) -> bool:
    """Whether more rounds would tell nothing more."""
    if followed is not None:
        return answered(made, followed).word != search.UNKNOWN
    found = differing(made)
    if rounds < statistics.ENOUGH:  # speed cannot be told yet, and may have changed by more
        return any(one.metric == STATUS for one in found)
    return bool(found) or not made.open_questions


def answered(made: Comparison, followed: Verdict | None) -> Answer:
    """Whether it differs, as ``followed`` did; without one, whether anything does.

    What is surely less than ``PART`` of the change that is followed counts as the same, even where its interval lies
    across a threshold: of a large change, few rounds then tell.
    """
    one = same_metric(made, followed) if followed else next(iter(differing(made)), None)
    if one is None and followed is None:
        return Answer(search.UNKNOWN if made.open_questions else search.SAME)
    if one is None:
        there = [v for v in made.verdicts if v.label == followed.label]
        failed = next((v for v in there if v.metric == STATUS), None)
        if failed:
            return Answer(search.UNKNOWN, note=f"it does not run: {failed.head}: {failed.note}")
        return Answer(search.SAME if there and followed.metric == STATUS else search.UNKNOWN)
    if followed is None or one.word == followed.word:
        return Answer(search.DIFFERS, one.change, one.ci95, f"{one.head}: {one.note}" if one.metric == STATUS else "")
    is_open = one.word == INCONCLUSIVE and not _is_small(one, followed)
    word = search.SAME if one.word in (SAME, INCONCLUSIVE, WORSE, BETTER) and not is_open else search.UNKNOWN
    return Answer(word, one.change, one.ci95, one.note if is_open else "")


def _is_small(one: Verdict, followed: Verdict) -> bool:
    """Whether all that an interval holds is less than a part of the change that is followed, and than its interval."""
    if one.ci95 is None or followed.change is None:
        return False
    least = min(PART * abs(followed.change), *map(abs, followed.ci95 or [followed.change]))
    return max(end * (1 if followed.change > 0 else -1) for end in one.ci95) < least


def said(answer: Answer, followed: Verdict | None) -> str:
    """The change of an answer, after a comma; empty where it has none."""
    if answer.change is None:
        return f" ({answer.note})" if answer.note else ""
    unit = followed.unit if followed else "%"
    one = Verdict("", "", "", "", answer.change, answer.ci95, unit=unit)
    return f", {followed.metric if followed else 'change'} {compare_text.change(one)}"
