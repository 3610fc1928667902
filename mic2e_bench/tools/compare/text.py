"""A comparison for a terminal, as Markdown for a pull request, as one HTML page, and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json

from mic2e_bench import texts
from mic2e_bench.report import markup
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.compare import power
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, SAME, WORDS, WORSE, Verdict
from mic2e_bench.units import NONE, digits

MARKS = {WORSE: "✗", BETTER: "✓", SAME: "=", INCONCLUSIVE: "?"}
CLASSES = {WORSE: "error", INCONCLUSIVE: "not_applied", BETTER: "better", SAME: ""}
RULE = (
    "worse: all of the 95 % interval is a loss beyond the threshold; better: all of it is a gain beyond it; same: all "
    "of it lies within the threshold; inconclusive: neither, or fewer than six rounds. The interval of rounds holds "
    "however often more are added and looked at. * fails the check where it is worse."
)


def text(made: Comparison) -> str:
    """Everything for a terminal."""
    return "\n".join([_heading(made), *_facts(made), "", table(made, made.verdicts).text(), "", summary(made)])


def markdown(made: Comparison) -> str:
    """For a pull request: the summary, what is not the same, and all verdicts folded away."""
    moved = [verdict for verdict in made.verdicts if verdict.word != SAME]
    parts = [f"## {_safe(_heading(made))}", f"**{_safe(summary(made))}**"]
    parts += ["\n".join(f"- {_safe(fact)}" for fact in _facts(made))]
    if moved:
        parts.append(table(made, moved).markdown())
    every = table(made, made.verdicts).markdown()
    parts.append(_folded(f"All {len(made.verdicts)} verdicts", every))
    if made.power:
        parts.append(_folded("What so many rounds find", power.table(made.power).markdown()))
    return "\n\n".join(parts) + "\n"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n</details>"


def html(made: Comparison) -> str:
    """One page that needs nothing from outside."""
    values = {"title": _heading(made), "summary": summary(made), "facts": _facts(made)}
    return markup.render("compare.html", table=table(made, made.verdicts), **values)


def as_json(made: Comparison) -> str:
    """Everything that the other forms say, for programs; ``ci95`` and ``change`` are in ``unit``."""
    content = dataclasses.asdict(made) | {"summary": summary(made), "rule": RULE, "power_method": power.METHOD}
    for written, verdict in zip(content["verdicts"], made.verdicts, strict=True):
        written["fails"] = verdict.fails
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def summary(made: Comparison) -> str:
    """One line: what fails, what was asked and cannot be answered, or that nothing got worse; and the counts."""
    counts = ", ".join(f"{made.counts()[word]} {word}" for word in WORDS if made.counts()[word])
    parts = []
    if made.failures:
        names = "; ".join(f"{v.study} {v.label}: {v.metric} {change(v)}" for v in made.failures)
        parts.append(f"Worse: {names}.")
    if said := unanswered(made):
        parts.append(f"{said}.")
    if not made.failures:
        missing = [f"{len(made.open_questions)} inconclusive"] if made.open_questions else []
        missing += [f"{made.lost} trials of the base not measured at the head"] if made.lost else []
        so_far = f", as far as can be said: {', '.join(missing)}" if missing else ""
        parts.append(f"Nothing that is checked got worse{so_far}.")
    return f"{' '.join(parts)} ({counts})"


def unanswered(made: Comparison) -> str:
    """What was asked and cannot be said, on one line; empty where all can."""
    names = [
        f"{v.study} {v.label}: {v.metric} {change(v)}" + f" ({v.note})" * bool(v.note) for v in made.open_questions
    ]
    return f"NOT ANSWERED: {'; '.join(names)}" if names else ""


def change(verdict: Verdict) -> str:
    """``+10.2 % [+9.1, +11.4]``, or the two statuses."""
    if verdict.change is None:
        return f"{verdict.base} → {verdict.head}"
    ends = f" [{_signed(verdict.ci95[0])}, {_signed(verdict.ci95[1])}]" if verdict.ci95 else ""
    return f"{_signed(verdict.change)} {verdict.unit}".strip() + ends


def table(made: Comparison, verdicts: tuple[Verdict, ...] | list[Verdict]) -> Table:
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


def _facts(made: Comparison) -> list[str]:
    stand_ins = [f"Stand-ins: {made.stand_ins}"] if made.stand_ins else []
    return [f"Measured on {made.machine}", *stand_ins, *made.remarks, *power.worst(made.power)]


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{'+' if value > 0 else '-'}{digits(abs(value))}"


def _safe(text: str) -> str:
    """A text on one line that cannot become markup."""
    return texts.markdown(text).replace("*", "\\*")
