"""A comparison for a terminal, and as Markdown for a pull request: the answer first, then the worst."""

from __future__ import annotations

from collections.abc import Sequence

from mic2e_bench import texts
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.compare import power
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.missing import NO_RECORD, NO_VALUE
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, MISSING, SAME, STATUS, WORDS, WORSE, Verdict
from mic2e_bench.units import NONE, digits

MARKS = {WORSE: "✗", BETTER: "✓", SAME: "=", INCONCLUSIVE: "?", MISSING: "∅"}
CLASSES = {WORSE: "error", INCONCLUSIVE: "not_applied", BETTER: "better", SAME: "", MISSING: "missing"}
RULE = (
    "worse: all of the 95 % interval is a loss beyond the threshold; better: all of it is a gain beyond it; same: all "
    "of it lies within the threshold; inconclusive: neither, or fewer than six rounds. The interval of rounds holds "
    "however often more are added and looked at. missing: one side measured what the other did not. "
    "* fails the check where it is worse or missing."
)
MOST_ROWS = 200  # in a terminal
MOST_MOVED, MOST_FOLDED = 40, 100  # in Markdown: a comment on GitHub has at most 65,536 characters
MOST_NAMES = 8  # in the summary


def text(made: Comparison) -> str:
    """Everything for a terminal."""
    shown = made.verdicts[:MOST_ROWS]
    left_out = _left_out(made.verdicts, shown, "--json")
    return "\n".join([_heading(made), *facts(made), "", table(made, shown).text(), *left_out, "", summary(made)])


def markdown(made: Comparison, page: str = "") -> str:
    """For a pull request: the summary, the worst first, all verdicts folded away. ``page`` is the HTML's address."""
    moved = [verdict for verdict in made.verdicts if verdict.word != SAME]
    parts = [f"**{_safe(summary(made))}**", f"## {_safe(_heading(made))}"]
    if moved:
        parts += [table(made, moved[:MOST_MOVED]).markdown(), *_left_out(moved, moved[:MOST_MOVED], "All verdicts")]
    if changed := pictures_changed(made):
        parts.append(f"{_safe(changed)}{f' [Look at them]({page})' if page else ''}")
    parts.append("\n".join(f"- {_safe(fact)}" for fact in facts(made)))
    every = made.verdicts[:MOST_FOLDED]
    more = _left_out(made.verdicts, every, "--json")
    parts.append(_folded(f"All {len(made.verdicts)} verdicts", "\n\n".join([table(made, every).markdown(), *more])))
    if made.power:
        parts.append(_folded("What so many rounds find", power.table(made.power[:MOST_MOVED]).markdown()))
    return "\n\n".join(parts) + "\n"


def _left_out(every: Sequence[Verdict], shown: Sequence[Verdict], where: str) -> list[str]:
    """A line that says how many rows there are beside those that are shown, if any."""
    return (
        [f"{len(every) - len(shown)} more, none of them worse than these: {where}."] if len(every) > len(shown) else []
    )


def pictures_changed(made: Comparison) -> str:
    """In how many trials the pictures are not the same; nothing where all are, or none could be compared."""
    if not made.pictures:
        return ""
    trials = {(one.study, one.label) for one in made.verdicts}
    count = sum(one.changed for one in made.pictures)
    return f"Pictures changed in {len(made.pictures)} of {len(trials)} trials ({count} in all)."


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n</details>"


def summary(made: Comparison) -> str:
    """One line: what fails, what was asked and cannot be answered, or that nothing got worse; and the counts."""
    counts = ", ".join(f"{made.counts()[word]} {word}" for word in WORDS if made.counts()[word])
    worse = [verdict for verdict in made.failures if verdict.word == WORSE]
    parts = []
    if worse:
        parts.append(f"Worse: {_names([f'{v.study} {v.label}: {v.metric} {change(v)}' for v in worse])}.")
    if said := unanswered(made):
        parts.append(f"{said}.")
    if said := absent(made):
        parts.append(f"{said}.")
    if not worse:
        beside = [f"{len(made.open_questions)} inconclusive"] if made.open_questions else []
        beside += [f"{len(made.absent)} measured on one side only"] if made.absent else []
        so_far = f", as far as can be said: {', '.join(beside)}" if beside else ""
        parts.append(f"Nothing that is checked got worse{so_far}.")
    return f"{' '.join(parts)} ({counts})"


def absent(made: Comparison) -> str:
    """The trials and metrics that only one side measured, on one line; empty where there are none."""
    found = []
    for side in ("head", "base"):
        names = [_what(v) for v in made.absent if _lacks(v) == side]
        if names:
            found.append(f"MISSING at the {side}: {_names(names)}")
    return "; ".join(found)


def _lacks(verdict: Verdict) -> str:
    return "head" if verdict.head in (NO_RECORD, NO_VALUE) else "base"


def _what(verdict: Verdict) -> str:
    name = f"{verdict.study} {verdict.label}"
    return name if verdict.metric == STATUS else f"{name}: {verdict.metric}"


def _names(names: list[str]) -> str:
    """Names, as many as one line is for."""
    return "; ".join([*names[:MOST_NAMES], *([f"and {len(names) - MOST_NAMES} more"] if names[MOST_NAMES:] else [])])


def unanswered(made: Comparison) -> str:
    """What was asked and cannot be said, on one line; empty where all can."""
    names = [
        f"{v.study} {v.label}: {v.metric} {change(v)}" + f" ({v.note})" * bool(v.note) for v in made.open_questions
    ]
    return f"NOT ANSWERED: {_names(names)}" if names else ""


def change(verdict: Verdict) -> str:
    """``+10.2 % [+9.1, +11.4]``, or the two statuses."""
    if verdict.change is None:
        return f"{verdict.base} → {verdict.head}"
    ends = f" [{_signed(verdict.ci95[0])}, {_signed(verdict.ci95[1])}]" if verdict.ci95 else ""
    return f"{_signed(verdict.change)} {verdict.unit}".strip() + ends


def table(made: Comparison, verdicts: Sequence[Verdict]) -> Table:
    """A row a verdict."""
    rows = [
        (
            f"{v.study} {v.label}", f"{v.metric}{'*' if v.gated else ''}", v.base or NONE, v.head or NONE, change(v),
            f"± {digits(v.threshold, 2)} {v.unit}".strip() if v.change is not None else NONE,
            f"{MARKS[v.word]} {v.word}", v.note,
        )
        for v in verdicts
    ]  # fmt: skip
    header = ("trial", "metric", "base", "head", "change [95 %]", "threshold", "verdict", "remark")
    caption = f"{made.stand_ins}. {RULE}" if made.stand_ins else RULE
    return Table(header, rows, caption, [CLASSES[v.word] for v in verdicts], left=(0, 1, 6, 7))


def _heading(made: Comparison) -> str:
    return f"{made.base} → {made.head}"


def facts(made: Comparison) -> list[str]:
    """What a reader must know beside the verdicts."""
    stand_ins = [f"Stand-ins: {made.stand_ins}"] if made.stand_ins else []
    return [f"Measured on {made.machine}", *stand_ins, *made.remarks, *power.worst(made.power)]


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{'+' if value > 0 else '-'}{digits(abs(value))}"


def _safe(text: str) -> str:
    """A text on one line that cannot become markup."""
    return texts.markdown(text).replace("*", "\\*")
