"""What was measured, where, with what stand-ins, and what failed: the head of every page and notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from mic2e_bench.catalog.models import sources
from mic2e_bench.plan import protocol
from mic2e_bench.plan.params import Study
from mic2e_bench.plan.settings import resolve, show
from mic2e_bench.report import footnotes, markup, toggle_costs
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tables import SETTINGS, status
from mic2e_bench.units import NONE


def html(found: Findings) -> Markup:
    """A definition list of the facts, what the varied settings are, then what did not run as asked."""
    values = {"facts": _facts(found), "varied": toggle_costs.varied(found), "failures": _failures(found)}
    return markup.render("about.html", **values)


def _facts(found: Findings) -> list[tuple[str, str]]:
    study, trial, settings = found.study, found.study.baseline, found.study.baseline.content["settings"]
    seeds = ", ".join(map(str, trial.protocol["seeds"]))
    items = list(trial.inputs["items"])
    names = ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
    statuses = Counter(found.trials["status"]).most_common()
    counts = [f"{count} {name.replace('_', ' ')}" for name, count in statuses]
    facts = [
        ("Pipeline", f"{study.pipeline.name} ({study.pipeline.hub}): {study.pipeline.about}"),
        ("Weights", sources.label(trial.model)),
        ("Trials", f"{len(study.trials)} ({', '.join(counts)})"),
        ("Baseline", ", ".join(f"{key} {show(settings[key])}" for key in _telling(study)) or "all as by default"),
        ("Inputs", f"{len(items)}: {names}"),
        ("Each trial", f"{words(trial.protocol)}; seeds {seeds}"),
        *([("Repeated", text)] if (text := footnotes.repeats(found)) else []),
        ("Stand-ins", found.stand_ins or "none: published weights"),
    ]
    facts += _where(found)
    if found.damaged:
        facts.append(("Left out", "; ".join(found.damaged)))
    return facts


def _telling(study: Study) -> list[str]:
    """The settings of the baseline worth naming: the usual ones, those varied, and those not as by default."""
    default = resolve({}, study.pipeline, "")
    usual = (*SETTINGS, *study.varied)
    return [key for key, value in study.baseline.content["settings"].items() if key in usual or value != default[key]]


def _where(found: Findings) -> list[tuple[str, str]]:
    """Host, device, versions and dates; every distinct one where environments are mixed."""
    environments = [one.environment for one in found.records.values() if one.environment]
    if not environments:
        return []

    def distinct(*keys: str) -> str:
        texts = (" ".join(str(one[key]) for key in keys if one.get(key)) for one in environments)
        return " and ".join(text for text in dict.fromkeys(texts) if text) or NONE

    packages = [{"Python": one.get("python"), **one.get("packages", {})} for one in environments]
    versions = dict.fromkeys(", ".join(f"{name} {number}" for name, number in one.items()) for one in packages)
    times = sorted(time for one in environments for time in (one.get("started"), one.get("finished")) if time)
    facts = [("Machine", distinct("host")), ("Device", distinct("device")), ("Driver", distinct("driver"))]
    facts += [("Versions", " and ".join(versions)), ("Commit", distinct("git"))]
    minutes = [time[:16].replace("T", " ") for time in times]
    facts += [("Measured", f"{minutes[0]} to {minutes[-1]} UTC")] if times else []
    return [(name, text) for name, text in facts if text != NONE]


def _failures(found: Findings) -> dict[str, list[str]]:
    """Why trials did not run as asked, and their labels."""
    labels: dict[str, list[str]] = {}
    for _, row in found.not_ok.iterrows():
        labels.setdefault(status(row), []).append(row["label"])
    return labels


def words(given: Mapping[str, Any]) -> str:
    """The time pass for people: ``1 warm-up call, 5 timed``."""
    warmup, repeats = given["warmup"], given["repeats"]
    texts = [
        "warm-up until steady" if warmup == protocol.STEADY else f"{warmup} warm-up call{'s' if warmup != 1 else ''}"
    ]
    if isinstance(repeats, int):
        texts.append(f"{repeats} timed")
    else:
        texts.append(
            f"then repeats until the 95 % interval of the median is within {repeats['until'] * 100:g} %, "
            f"{repeats['min']} to {repeats['max']} calls, or {repeats['budget_s']} s are spent"
        )
    texts += ["the trials interleaved call by call"] if given.get("interleave") else []
    texts += [f"over {given['builds']} builds"] if "builds" in given else []
    texts += ["each in a process of its own"] if given.get("process") == "per_call" else []
    return ", ".join(texts)
