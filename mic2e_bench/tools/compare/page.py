"""A comparison as one HTML page: the answer, the ratios as a picture, the pictures that changed, and every verdict."""

from __future__ import annotations

from mic2e_bench.report import markup
from mic2e_bench.tools.compare import forest, outcome, pictures, power
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.compare import Comparison

MOST_ROWS = 2000  # of verdicts: more make a page that no browser opens quickly


def html(made: Comparison) -> str:
    """One page that needs nothing from outside."""
    table = compare_text.table(made, made.verdicts[:MOST_ROWS])
    found = outcome.of(made, strict=True)
    return markup.render(
        "compare.html",
        title=f"{made.base} → {made.head}",
        answer={outcome.FAILED: "fails", outcome.OPEN: "open", outcome.PASSED: "passes"}[found.code],
        reason=found.reason,
        summary=compare_text.summary(made),
        facts=compare_text.facts(made),
        missing=made.missing,
        plot=forest.plot(made.verdicts),
        said=compare_text.change,
        pictures=pictures.shown(made.pictures) if made.pictures else None,
        changed=compare_text.pictures_changed(made),
        table=table,
        left_out=len(made.verdicts) - len(table.rows),
        powers=power.table(made.power[:MOST_ROWS]) if made.power else None,
    )
