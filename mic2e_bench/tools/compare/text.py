"""A comparison for people: for a terminal, as Markdown for a pull request, and as one HTML page."""

from __future__ import annotations

from mic2e_bench import texts
from mic2e_bench.report import markup
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.compare.compare import Comparison
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, SAME, WORDS, WORSE, Verdict
from mic2e_bench.units import NONE, digits

MARKS = {WORSE: "✗", BETTER: "✓", SAME: "=", INCONCLUSIVE: "?"}
CLASSES = {WORSE: "error", INCONCLUSIVE: "not_applied", BETTER: "better", SAME: ""}
RULE = (
    "worse: all of the 95 % interval is a loss beyond the threshold; better: all of it is a gain beyond it; same: all "
    "of it lies within the threshold; inconclusive: neither. * fails the check where it is worse."
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
    parts.append(f"<details><summary>All {len(made.verdicts)} verdicts</summary>\n\n{every}\n</details>")
    return "\n\n".join(parts) + "\n"


def html(made: Comparison) -> str:
    """One page that needs nothing from outside."""
    values = {"title": _heading(made), "summary": summary(made), "facts": _facts(made)}
    return markup.render("compare.html", table=table(made, made.verdicts), **values)


def summary(made: Comparison) -> str:
    """One line: what fails, or that nothing does, and the count of each verdict."""
    counts = ", ".join(f"{made.counts()[word]} {word}" for word in WORDS if made.counts()[word])
    if made.failures:
        names = "; ".join(f"{v.study} {v.label}: {v.metric} {change(v)}" for v in made.failures)
        return f"Worse: {names}. ({counts})"
    said, missing = "Nothing that is checked got worse", []
    if made.open_questions:
        missing.append(f"{len(made.open_questions)} inconclusive")
    if made.lost:
        missing.append(f"{made.lost} trials of the base not measured at the head")
    if missing:
        said += f", as far as can be said: {', '.join(missing)}"
    return f"{said}. ({counts})"


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
    return [f"Measured on {made.machine}", *stand_ins, *made.remarks]


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{'+' if value > 0 else '-'}{digits(abs(value))}"


def _safe(text: str) -> str:
    """A text on one line that cannot become markup."""
    return texts.markdown(text).replace("*", "\\*")
