"""The tables of a study: for a terminal, as Markdown, as HTML, and every number unrounded as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas

from mic2e_bench import files, texts
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import show, words
from mic2e_bench.records import comparable, ratios
from mic2e_bench.records.comparable import MEMORY_NAMES, RSS
from mic2e_bench.report import findings, footnotes, made_from
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.metric_names import title, unit
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing, scale

STATUS = {"not_applied": "NOT APPLIED"}
SETTINGS = ("steps", "resolution", "guidance", "precision")  # in a comparison also where they do not differ
CI95 = ("_ci95_low", "_ci95_high")
ABOVE = "above_loaded_bytes"
UNSTEADY = " !"
BY = "mic2e-bench report"  # who writes the files


def text(study: Study, results: Path, mixed: bool = False) -> str:
    """The main figures of a study for a terminal. Raises ``BadInput`` where environments are mixed."""
    found = findings.read(study, results, mixed)
    return f"{study.name} · {found.credit}\n{main(found, widest=60).text()}"


def main(found: Findings, widest: int = 10_000) -> Table:
    """A row a trial: speed, memory, the main metrics, and the status of what did not run as asked.

    ``widest`` cuts the reasons, for a terminal.
    """
    trials = found.trials
    columns = [("trial", list(trials["label"]))]
    columns += [_latency(found), ("speed-up", footnotes.marked(found, _speedups(trials)))]
    columns += _memory(found)
    columns += [(title(name), [digits(value) for value in trials[name]]) for name in found.main_metrics]
    if len(found.not_ok):
        columns.append(("status", [shorten(status(row), widest) for _, row in trials.iterrows()]))
    header, cells = zip(*columns, strict=True)
    left = (0, len(columns) - 1) if len(found.not_ok) else (0,)
    return Table(header, list(zip(*cells, strict=True)), caption(found), marks(found), left)


def comparison(found: Findings) -> Table:
    """Presets side by side: their settings, then speed and memory as ratios to the baseline, then quality."""
    trials = found.trials
    settings = dict.fromkeys((*SETTINGS, *found.study.varied))
    rows = [(name, *map(show, trials[name])) for name in settings if name in found.study.baseline.content["settings"]]
    columns = [_latency(found), ("speed against the baseline", footnotes.marked(found, _speedups(trials)))]
    *memory, weights = _memory(found)
    columns += [*memory, ("memory against the baseline", map(_times, trials["memory_ratio"]))]
    columns += [weights]
    rows += [(name, *values) for name, values in columns]
    rows += [(title(name), *map(digits, trials[name])) for name in found.main_metrics]
    if len(found.not_ok):
        rows.append(("status", *(status(row) for _, row in trials.iterrows())))
    return Table(("", *trials["label"]), rows, caption(found))


def more_metrics(found: Findings) -> list[Table]:
    """The metrics that the main table leaves out (parts of the image, known answers): a table for each family."""
    families: dict[str, list[str]] = {}
    for name in found.metrics:
        if name not in found.main_metrics:
            families.setdefault(name.partition(".")[0], []).append(name)
    made = []
    for family, names in families.items():
        header = (title(family), *(name.partition(".")[2].replace(".", ", ") or title(name) for name in names))
        rows = [
            (row["label"] + footnotes.mark(found, row["id"]), *(digits(row[name]) for name in names))
            for _, row in found.trials.iterrows()
        ]
        words = f"{found.credit}. {footnotes.disturbed_words(found)}".removesuffix(". ")
        made.append(Table(header, rows, words, marks(found)))
    return made


def caption(found: Findings) -> str:
    """What the numbers are and what stands in for the real thing."""
    repeats = found.study.baseline.protocol["repeats"]
    calls = f"{repeats} calls" if isinstance(repeats, int) else "the calls"
    latency = f"median of {calls} ± half the distance between the quartiles" if repeats != 1 else "of a single call"
    parts = [f"{found.credit}.", f"Latency: {latency}.", _speedup_words(found)]
    if any(warnings(found, id) for id in found.trials["id"]):
        parts.append(f"{UNSTEADY.strip()}: the calls' times are spread wide or drift; the record says how.")
    parts += footnotes.caption(found)
    if found.main_metrics:
        parts.append("Quality is scored against the baseline's image on the same input and seed.")
        parts += _told(found)
    if found.memory == RSS:
        parts.append("Peak RSS: the whole process during a call, the libraries included.")
    if shared := [one for one in found.records.values() if "shared_process" in one.memory]:
        why = shared[0].memory["shared_process"]
        parts.append(f"Peaks of {', '.join(one.label for one in shared)}: of the process that made all calls ({why}).")
    if found.trials[ABOVE].notna().any():
        parts.append("Above loaded: the peak less what the loaded pipeline held before the call.")
    backbones = dict.fromkeys(text for text in found.trials["backbone"] if isinstance(text, str) and text)
    if backbones and not all(text in found.stand_ins for text in backbones):
        parts.append(f"Measured with: {'; '.join(backbones)}.")
    if (found.trials["status"] == "not_applied").any():
        parts.append("NOT APPLIED: a setting was asked for and not in force, so no speed-up is credited.")
    return " ".join(parts)


def _told(found: Findings) -> list[str]:
    """Which trials' pictures cannot be told from the baseline's, where that can be said; and the trial that lacks."""
    known = [
        (label, found.records.get(id)) for label, id in zip(found.trials["label"], found.trials["id"], strict=True)
    ]
    said = [(label, comparable.told(one)) for label, one in known[1:] if one and one.quality]
    few = bool(said) and all(word in ("too few", "same") for _, word in said)
    parts = ["Fewer than five pairs of input and seed: too few pictures to conclude from them."] if few else []
    if rounding := [label for label, word in said if word == "rounding"]:
        parts.append(f"Pictures that cannot be told from rounding: {', '.join(rounding)}.")
    wanted = comparable.in_float32(found.study.baseline.settings)
    if wanted and all(one.settings != wanted for one in found.study.trials):
        lacking = {name: value for name, value in wanted.items() if found.study.baseline.settings[name] != value}
        parts.append(f"There is no float32 reference: for one add the trial {words(lacking)}.")
    return parts


def _speedup_words(found: Findings) -> str:
    """What the speed-ups are ratios of, and how the calls behind them were ordered."""
    others = found.trials.iloc[1:]
    known = others[others["speedup"].notna()]
    batches = "batch" in found.study.varied
    text = f"Speed-up: the baseline's {'seconds an image' if batches else 'latency'} over the trial's"
    if not len(known):
        return f"{text}."
    turns = known["interleaved"].astype(bool)
    order = "" if turns.all() else "not " if not turns.any() else "partly "
    text += f"; the calls were {order}interleaved with the baseline's."
    if known["speedup_ci95_low"].notna().any():
        text += " With an interval [95 %]: the middle of the rounds' ratios over fresh builds; the interval is wider by"
        text += " what the baseline was from itself."
    if bare := Counter(why for why in known["speedup_why"] if why):
        reasons = ", ".join(f"{why}: {count}" for why, count in bare.most_common())
        text += f" A ratio without an interval ({reasons}) concludes nothing."
        if ratios.OTHER_ROUNDS in bare:
            text += " Only what took turns in the same rounds is compared: --rerun measures the whole study together."
    return f"{text}{footnotes.visits(found)}"


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


def warnings(found: Findings, id: str) -> Sequence[str]:
    """What is odd about the samples of a trial's latency, a line each."""
    return found.records[id].warnings if id in found.records else ()


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
    """Write ``table.md`` and ``table.csv`` beside the records, and note what they were made from."""
    heading = f"# {found.study.name}\n\n"
    files.write_whole(found.folder / "table.md", (heading + main(found).markdown()).encode())
    files.write_whole(found.folder / "table.csv", csv(found).encode())
    written = [found.folder / name for name in ("table.md", "table.csv")]
    made_from.note(found.folder.parent, written, found.digests, BY)
