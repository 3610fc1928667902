"""What is known of one study, in the order of its plan: the input of every table, plot and strip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas

from mic2e_bench.catalog.models import sources
from mic2e_bench.paths import of_study
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import show
from mic2e_bench.records import comparable, record
from mic2e_bench.records.ratios import Speedup, speedup
from mic2e_bench.records.record import Record
from mic2e_bench.report import frame

MISSING = "missing"  # the status of a planned trial that has no readable record
MAIN = ("quality", "flip", "lpips", "ssim", "psnr", "iou")  # the metrics that people look at first
TIMES = ("latency_s", "latency_q1_s", "latency_q3_s", "first_call_s", "load_s")
SHORT = "stand-ins, see top"  # in a page that says at its top what they are
ALWAYS = (*TIMES, *frame.OF_RECORD, "stand_in", "backbone", "reason")  # the columns that a row has without its record


@dataclass(frozen=True)
class Findings:
    """A study with its records; ``trials`` is the data frame, a row for every planned trial, the baseline first."""

    study: Study
    folder: Path
    trials: pandas.DataFrame
    records: Mapping[str, Record]
    damaged: tuple[str, ...] = ()

    @cached_property
    def stand_ins(self) -> str:
        """Every stand-in among the weights and the metrics' backbones; empty where all is the real thing."""
        texts = [text for text in self.trials["stand_in"] if isinstance(text, str) and text]
        if not texts and self.study.baseline.model["source"] in ("bundled", "random"):
            texts = [sources.label(self.study.baseline.model)]
        return "; ".join(dict.fromkeys(part for text in texts for part in text.split("; ")))

    @property
    def credit(self) -> str:
        """The pipeline and its stand-ins, as titles and captions name them."""
        name = self.study.pipeline.name
        return f"{name}: {self.stand_ins}" if self.stand_ins else f"{name}: {sources.label(self.study.baseline.model)}"

    @property
    def short(self) -> Findings:
        """The same for a page that names the stand-ins once: captions say ``SHORT``."""
        if not self.stand_ins:
            return self
        return replace(self, trials=self.trials.assign(stand_in=SHORT))

    @cached_property
    def metrics(self) -> list[str]:
        """Every metric of which there is a value, the main ones and those asked for first."""
        found = [name[:-4] for name in self.trials if name.endswith("_low") and name[:-4] in self.trials]
        found = [name for name in found if self.trials[name].notna().any()]
        first = [name for name in dict.fromkeys((*MAIN, *self.study.metrics)) if name in found]
        return first + [name for name in found if name not in first]

    @property
    def main_metrics(self) -> list[str]:
        return [name for name in self.metrics if name in MAIN or name in self.study.metrics]

    @property
    def memory(self) -> str:
        """The column with the peak memory of a call: of the GPU where there is one, else of the process."""
        return comparable.memory_column(self.trials[comparable.VRAM])

    @property
    def digests(self) -> dict[str, str]:
        """The hashes of the records' contents, by their paths relative to the results folder."""
        return {f"{self.folder.name}/{one.id}.json": one.digest for one in self.records.values()}

    @property
    def baseline(self) -> pandas.Series:
        return self.trials.iloc[0]

    @property
    def not_ok(self) -> pandas.DataFrame:
        return self.trials[self.trials["status"] != "ok"]


def read(study: Study, results: Path, mixed: bool = False) -> Findings:
    """Read the records of a study's trials; other records in its folder play no part.

    Raises ``BadInput`` where the records come from different environments, unless ``mixed``.
    """
    folder = of_study(results, study.name)
    found = {trial.id: record.read_if_there(record.path_of(results, study.name, trial.id)) for trial in study.trials}
    records = {id: content for id, content in found.items() if content}
    if not mixed:
        comparable.require_one(records.values())
    table, damaged = frame.load(Path(results), study.name, True)
    trials = _in_order(study, table, set(records), damaged)
    trials = trials.join(_speedups(list(trials["id"]), records))
    return Findings(study, folder, trials, records, tuple(damaged))


def _in_order(study: Study, table: pandas.DataFrame, known: set[str], damaged: Sequence[str]) -> pandas.DataFrame:
    """The rows of the study's trials in the plan's order; a trial without a record gets a row that says so."""
    rows = {row["id"]: dict(row) for row in table.to_dict("records")} if len(table) else {}
    ordered = []
    for trial in study.trials:
        row = rows.get(trial.id) if trial.id in known else None
        if not row:
            why = [text for text in damaged if f"{trial.id}.json" in text]
            row = {"status": MISSING, "reason": ": ".join(["no readable record", *why[:1]]), "images": []}
        is_baseline = trial is study.baseline
        label = _baseline_label(study) if is_baseline else trial.label
        row |= {**trial.content["settings"], "study": study.name, "id": trial.id, "label": label}
        absent = dict.fromkeys(name for name in ALWAYS if name not in row)
        ordered.append({**row, **absent, "baseline": is_baseline})
    made = pandas.DataFrame(ordered)
    numbers = [name for name in made if name in (*TIMES, *frame.OF_RECORD) or f"{name}_low" in made]
    made = pandas.DataFrame({name: pandas.to_numeric(made[name]) if name in numbers else made[name] for name in made})
    memory, ok = made[comparable.memory_column(made[comparable.VRAM])], made["status"] == "ok"
    # over the baseline's, only where both ran as asked
    return made.assign(memory_ratio=(memory / memory.iloc[0]).where(ok & ok.iloc[0]))


def _baseline_label(study: Study) -> str:
    """``baseline (steps=20)`` in a sweep; a preset keeps its name."""
    if "vary" in study.params:
        settings = study.baseline.content["settings"]
        return f"baseline ({', '.join(f'{key}={show(settings[key])}' for key in study.varied)})"
    return study.baseline.label if study.baseline.label == "baseline" else f"{study.baseline.label} (baseline)"


def _speedups(ids: Sequence[str], records: Mapping[str, Record]) -> pandas.DataFrame:
    """The baseline's latency over the trial's with its interval, only where both ran exactly as asked."""
    rows, baseline = [], records.get(ids[0])
    for id in ids:
        one, found, interleaved = records.get(id), Speedup(None), None
        if baseline and one and baseline.status == one.status == "ok":
            found = speedup(baseline, one)
            interleaved = found.interleaved
        # the baseline's own is 1 by definition
        (low, high), why = (found.interval or (None, None), found.why) if id != ids[0] else ((None, None), "")
        row = {"speedup": found.ratio, "speedup_ci95_low": low, "speedup_ci95_high": high}
        rows.append({**row, "interleaved": interleaved, "speedup_why": why})
    made = pandas.DataFrame(rows)
    numbers = [name for name in made if name not in ("interleaved", "speedup_why")]
    return made.assign(**made[numbers].apply(pandas.to_numeric))
