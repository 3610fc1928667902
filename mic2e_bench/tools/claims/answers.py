"""The stored records, and those among them that can answer a claim: found by their settings alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.toggle import Phase
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.records import comparable, record
from mic2e_bench.report import frame
from mic2e_bench.tools.claims.claims_file import ABSOLUTE, Claim, words
from mic2e_bench.tools.claims.stored import Evidence, Stored, defaults

LOADING = ("ram", "load", "ram_gb", "load_s", "weights_gb")  # quantities that a call has no part in
FREE = ("device", "threads", "low_cpu_mem_usage", "compile_cache", "page_cache")  # an absolute figure leaves them open
# what changes the amount of work, or how it is loaded: the same on a CPU and a GPU. All else is about the hardware
ANYWHERE = {"steps", "resolution", "guidance", "guidance_stop", "scheduler", "step_cache", "resample", "prompt_kind",
            "low_cpu_mem_usage", "page_cache", "process"}  # fmt: skip
RANKS = ("hub", "folder", "random", "bundled")  # whose records answer first


def load(results: Path) -> tuple[list[Stored], list[str]]:
    """The records of every study under ``results``, evidence too, and a line for each file that is none."""
    found, damaged = [], []
    for path in (path for folder in frame.stored(Path(results)) for path in record.paths(folder)):
        try:
            one = Stored(record.read(path), path.relative_to(results).as_posix())
        except FileNotFoundError:  # a run has just set it aside
            continue
        except record.Damaged as error:
            damaged.append(str(error))
            continue
        if one.record.pipeline in registry.pipelines():
            found.append(one)
    return found, damaged


def answers(claim: Claim, stored: Sequence[Stored]) -> tuple[list[Evidence], str]:
    """Answers to a claim, the best first; where there is none, why.

    The order of devices and weights is in the package's docstring; then come the claim's own settings before those that
    may stand in for them, and settings near the pipeline's defaults.
    """
    mine = [one for one in stored if one.record.pipeline == claim.pipeline.name]
    found = []
    for index, after in enumerate((claim.after, *claim.instead)):
        before, after = completed(claim, after)
        remark = f"with {words(after)}" if index else ""
        answering = _of(claim, before, after, remark, mine)
        found += [(_rank(claim, answer, index, {**before, **after}), answer) for answer in answering]
    baselines = {one.folder: one for one in mine if comparable.is_baseline(one.record)}
    ordered = [_in_study(answer, baselines) for _, answer in sorted(found, key=lambda pair: pair[0])]
    return ordered, "" if ordered else _why_none(claim, mine)


def _in_study(answer: Evidence, baselines: Mapping[str, Stored]) -> Evidence:
    """With the baseline of the study that both records are of, if they are."""
    one = len({each.folder for each in answer.records}) == 1
    return replace(answer, baseline=baselines.get(answer.after.folder)) if one else answer


def is_of_another_kind(claim: Claim, answer: Evidence) -> bool:
    """Whether a record of a CPU answers a claim on what a GPU does."""
    about_cpu = "CPU" in claim.devices or claim.after.get("device") == "cpu"
    if answer.after.on_gpu or about_cpu:
        return False
    return claim.of not in LOADING if claim.before is None else bool(answer.differing - ANYWHERE)


def completed(claim: Claim, after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides with the same names: what one side leaves out is at its default there."""
    if claim.before is None:
        return {}, dict(after)
    default = defaults(claim.pipeline.name)
    both = {**claim.before, **after}
    return {name: claim.before.get(name, default[name]) for name in both}, {n: after.get(n, default[n]) for n in both}


def _has(one: Stored, settings: Mapping[str, Any]) -> bool:
    return all(one.settings.get(name) == value for name, value in settings.items())


def _open(claim: Claim) -> set[str]:
    """Settings that may have any value."""
    known = registry.toggles_of(claim.pipeline)
    calls = {name for name, toggle in known.items() if toggle.phase == Phase.CALL} if claim.of in LOADING else set()
    return calls | set(claim.besides)


def _of(
    claim: Claim, before: Mapping[str, Any], after: Mapping[str, Any], remark: str, mine: Sequence[Stored]
) -> Iterator[Evidence]:
    wanted = [one for one in mine if _has(one, after)]
    if claim.before is None:
        default, free = defaults(claim.pipeline.name), {*after, *_open(claim), *FREE}
        for one in wanted:
            if claim.of not in ABSOLUTE or all(one.settings[name] == default[name] for name in set(default) - free):
                yield _answer(claim, one, None, remark)
        return
    free = {*after, *_open(claim)}
    others: dict[str, list[Stored]] = {}
    for one in mine:
        if one.is_measured and _has(one, before):
            others.setdefault(_frame(one, free), []).append(one)
    for one in wanted:
        for other in others.get(_frame(one, free), []):
            # what failed may have no environment; it still says why there is no figure
            if not one.is_measured or comparable.place(one.record) == comparable.place(other.record):
                yield _answer(claim, one, other, remark)


def _frame(one: Stored, free: set[str]) -> str:
    """All that two compared records must share, beside the environment."""
    settings = {name: value for name, value in one.settings.items() if name not in free}
    trial = {"model": one.record.model, "inputs": one.record.inputs, "protocol": one.record.protocol}
    return fingerprint([identifying(trial), settings])


def _answer(claim: Claim, after: Stored, before: Stored | None, remark: str) -> Evidence:
    if not after.is_measured:
        return Evidence(after, problem=f"{after.record.status}: {after.record.reason}")
    remarks = [remark] if remark else []
    for one in (after, *([before] if before else [])):
        for name, receipt in comparable.unapplied(one.record).items():
            if before and _alike(name, after, before):
                continue
            text = f"{name} {receipt['asked']} was not in force"
            if name not in claim.besides:
                reason = receipt.get("reason", "")
                return Evidence(after, before, problem=f"not applied: {text}{f' ({reason})' if reason else ''}")
            remarks.append(text)
    return Evidence(after, before, ", ".join(dict.fromkeys(remarks)))


def _alike(name: str, one: Stored, other: Stored) -> bool:
    """Whether what is not in force is so in both records alike, so that their ratio owes it nothing."""
    mine, its = one.record.receipts.get(name), other.record.receipts.get(name)
    return bool(mine and its) and [mine["asked"], mine["seen"]] == [its["asked"], its["seen"]]


def _rank(claim: Claim, answer: Evidence, variant: int, named: Mapping[str, Any]) -> tuple[Any, ...]:
    one = answer.after
    place = not one.is_on(claim.devices), not one.is_full_size, not one.on_gpu
    default = defaults(one.record.pipeline)
    far = sum(one.settings[name] != value for name, value in default.items() if name not in (*named, "device"))
    scored = answer.before and one.record.quality.get("quality", {}).get("against") == answer.before.record.id
    weights, samples = RANKS.index(one.record.model["source"]), len(one.record.latency_s)
    apart = bool(answer.before) and answer.before.record.study != one.record.study  # another time, then
    own = weights, variant, not scored, far, bool(answer.remark), apart, -samples
    disturbed = any(each.is_disturbed for each in answer.records)
    return bool(answer.problem), *place, disturbed, *own, [each.path for each in answer.records]


def _why_none(claim: Claim, mine: Sequence[Stored]) -> str:
    before, after = completed(claim, claim.after)
    for settings in (after, before):
        if not any(_has(one, settings) for one in mine):
            return f"no record of {claim.pipeline.name} with {words(settings)}" if settings else "no record"
    if claim.before is None:
        return f"no record with {words(after)} and all else at the pipeline's defaults"
    return "no two records that differ in these settings alone"
