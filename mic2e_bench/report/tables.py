"""The tables of a study: for a terminal, as Markdown, as HTML, and every number unrounded as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas

from mic2e_bench import files, texts
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import show
from mic2e_bench.records.comparable import MEMORY_NAMES
from mic2e_bench.report import captions, findings, footnotes, made_from, record_page
from mic2e_bench.report.captions import ABOVE, UNSTEADY, warnings
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.metric_names import shown, title, unit
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing, scale

STATUS = {"not_applied": "NOT APPLIED"}
SETTINGS = ("steps", "resolution", "guidance", "precision")  # in a comparison also where they do not differ
CI95 = ("_ci95_low", "_ci95_high")

BY = "mic2e-bench report"  # who writes the files


def text(study: Study, results: Path, mixed: bool = False) -> str:
    """The main figures of a study for a terminal. Raises ``BadInput`` where environments are mixed."""
    found = findings.read(study, results, mixed)
    return f"{study.name} · {found.credit}\n{main(found, widest=60).text()}"


def main(found: Findings, widest: int = 10_000, base: str | None = None) -> Table:
    """A row a trial: speed, memory, the main metrics, and the status of what did not run as asked.

    ``widest`` cuts the reasons, for a terminal. ``base`` leads from where the table is shown to the pages of the
    records: empty in the study's folder, ``STUDY/`` above it; without it nothing is linked.
    """
    trials = found.trials
    columns = [("trial", _labels(found, base))]
    columns += [_latency(found), ("speed-up", footnotes.marked(found, _speedups(trials)))]
    columns += _memory(found)
    columns += [(title(name), _scores(found, name)) for name in found.main_metrics]
    if len(found.not_ok):
        columns.append(("status", [shorten(status(row), widest) for _, row in trials.iterrows()]))
    header, cells = zip(*columns, strict=True)
    left = (0, len(columns) - 1) if len(found.not_ok) else (0,)
    rows = list(zip(*cells, strict=True))
    return Table(header, rows, captions.particular(found), marks(found), left, captions.reading(found))


def comparison(found: Findings, base: str | None = None) -> Table:
    """Presets side by side: their settings, then speed and memory as ratios to the baseline, then quality."""
    trials = found.trials
    settings = dict.fromkeys((*SETTINGS, *found.study.varied))
    rows = [(name, *map(show, trials[name])) for name in settings if name in found.study.baseline.content["settings"]]
    columns = [_latency(found), ("speed against the baseline", footnotes.marked(found, _speedups(trials)))]
    *memory, weights = _memory(found)
    columns += [*memory, ("memory against the baseline", map(_times, trials["memory_ratio"]))]
    columns += [weights]
    rows += [(name, *values) for name, values in columns]
    rows += [(title(name), *_scores(found, name)) for name in found.main_metrics]
    if len(found.not_ok):
        rows.append(("status", *(status(row) for _, row in trials.iterrows())))
    header = ("", *_labels(found, base))
    return Table(header, rows, captions.particular(found), reading=captions.reading(found))


def more_metrics(found: Findings, base: str | None = None) -> list[Table]:
    """The metrics that the main table leaves out (parts of the image, known answers): a table for each family."""
    families: dict[str, list[str]] = {}
    for name in found.metrics:
        if name not in found.main_metrics:
            families.setdefault(name.partition(".")[0], []).append(name)
    made = []
    for family, names in families.items():
        header = (title(family), *(name.partition(".")[2].replace(".", ", ") or title(name) for name in names))
        labels = [label + footnotes.mark(found, id) for label, id in _named(found)]
        columns = [_linked(found, labels, base), *(_scores(found, name) for name in names)]
        made.append(Table(header, list(zip(*columns, strict=True)), captions.short(found), marks(found)))
    return made


def _named(found: Findings) -> list[tuple[str, str]]:
    """Label and id of every trial."""
    return list(zip(found.trials["label"], found.trials["id"], strict=True))


def _linked(found: Findings, texts: Sequence[str], base: str | None) -> list[str]:
    """A text a trial, each leading to the page of its record."""
    return [record_page.linked(found, id, text, base) for text, id in zip(texts, found.trials["id"], strict=True)]


def _labels(found: Findings, base: str | None) -> list[str]:
    return _linked(found, found.trials["label"], base)


def _scores(found: Findings, name: str) -> list[str]:
    return [shown(name, value) for value in found.trials[name]]


def status(row: pandas.Series) -> str:
    """The status with its reason; ``not_applied`` is shouted."""
    word = STATUS.get(row["status"], row["status"])
    return word if row["status"] == "ok" or not row["reason"] else f"{word}: {row['reason']}"


def marks(found: Findings) -> list[str]:
    """The class of each row of HTML: its status, and whether it is the baseline."""
    return [f"{row['status']}{' baseline' if row['baseline'] else ''}" for _, row in found.trials.iterrows()]


def _times(ratio: float, low: float | None = None, high: float | None = None) -> str:
    ends = "" if missing(low) else f" [{digits(low)}, {digits(high)}]"
    return NONE if missing(ratio) else f"{digits(ratio)}×{ends}"


def speedup(row: pandas.Series) -> str:
    """A trial's speed-up with its interval, where it has one."""
    return _times(*(row[f"speedup{end}"] for end in ("", *CI95)))


def _speedups(trials: pandas.DataFrame) -> list[str]:
    return [speedup(row) for _, row in trials.iterrows()]


def _latency(found: Findings) -> tuple[str, list[str]]:
    trials = found.trials
    factor, unit_name = scale("latency_s", trials["latency_s"])
    cells = []
    for _, row in trials.iterrows():
        middle, low, high = (row[name] for name in ("latency_s", "latency_q1_s", "latency_q3_s"))
        spread = "" if missing(low) or low == high else f" ± {digits((high - low) / 2 * factor, 2)}"
        mark = (UNSTEADY if warnings(found, row["id"]) else "") + footnotes.mark(found, row["id"])
        cells.append(NONE if missing(middle) else digits(middle * factor) + spread + mark)
    return f"latency ({unit_name})", cells


def _memory(found: Findings) -> list[tuple[str, list[str]]]:
    """Columns of the peak, of what is above the loaded pipeline, where records say it, and of the weights."""
    names = {found.memory: MEMORY_NAMES[found.memory], ABOVE: "above loaded", "weights_bytes": "weights"}
    if found.trials[ABOVE].isna().all():
        del names[ABOVE]
    return [_bytes(found.trials, column, name) for column, name in names.items()]


def _bytes(trials: pandas.DataFrame, column: str, name: str) -> tuple[str, list[str]]:
    factor, unit_name = scale(column, trials[column])
    return f"{name} ({unit_name})", [digits(value * factor) for value in trials[column]]


def csv(found: Findings) -> str:
    """Every number as it was stored: SI units, named in the header, nothing rounded."""
    trials = found.trials.drop(columns=["images", "path"], errors="ignore")
    units = {name: unit(name).replace("%", "percent") for name in found.metrics if unit(name)}
    names = {f"{name}{end}": f"{name}{end}_{word}" for name, word in units.items() for end in ("", "_low", "_high")}
    names |= {f"speedup{end}": f"speedup_ratio{end}" for end in ("", *CI95)}
    plain = trials.apply(lambda column: column.map(_plain) if column.dtype == object else column)
    plain = plain.rename(columns=names).map(texts.csv_cell)
    return plain.rename(columns=texts.csv_cell).to_csv(index=False)


def _plain(value: Any) -> Any:
    return show(value) if isinstance(value, (list, tuple, bool)) else value


def write(found: Findings) -> None:
    """Write ``table.md`` and ``table.csv`` beside the records, and note what they were made from.

    The Markdown leads to the records' pages where these are written already.
    """
    base = "" if all((found.folder / record_page.name(id)).exists() for id in found.records) else None
    heading = f"# {found.study.name}\n\n"
    files.write_whole(found.folder / "table.md", (heading + main(found, base=base).markdown()).encode())
    files.write_whole(found.folder / "table.csv", csv(found).encode())
    written = [found.folder / name for name in ("table.md", "table.csv")]
    made_from.note(found.folder.parent, written, found.digests, BY)
