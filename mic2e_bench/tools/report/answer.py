"""What to set in a study: the recommendation without limits, in a sentence, and how sure it is.

A setting is only recommended for what it gains outside the noise: speed by an interval that leaves out 1, memory by
more than its repeats differ and enough to matter. What is faster and not known to be as good is named beside it, above
a floor of quality.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mic2e_bench.errors import BadInput
from mic2e_bench.records import record
from mic2e_bench.report.findings import MISSING, Findings
from mic2e_bench.tools.recommend import candidates, named, recommend
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.point import LATENCY, QUALITY, Point
from mic2e_bench.tools.recommend.recommend import Recommendation
from mic2e_bench.tools.report import claim
from mic2e_bench.tools.report.claim import PICTURES, Claim

FLOOR = 85.0  # % of quality: what is faster below it is no answer
KEEP = "the baseline"
TOP = 5


@dataclass(frozen=True)
class Answer:
    """``set``: what to set, ``None`` where the baseline stays or cannot be judged. ``faster``: faster outside the
    noise, and not known to be as good. ``top`` are the first of all settings. ``problem``: why there is no answer.
    """

    head: str  # what is set: "steps=8", "the baseline"; empty where there is no answer
    sentence: str
    more: tuple[str, ...] = ()
    set: Claim | None = None
    faster: Claim | None = None
    top: tuple[Claim, ...] = ()
    made: Recommendation | None = None
    among: Candidates | None = None
    baseline: Point | None = None

    @property
    def shown(self) -> Claim | None:
        """The setting whose picture stands beside the baseline's."""
        others = (each for each in self.top if not each.point.is_baseline)
        return self.set or self.faster or next(others, None)


def of(found: Findings) -> Answer:
    """The answer of a study; where there is none its sentence says why. ``found`` may be ``short``."""
    lacking = _lacking(found)
    try:
        among = _among(found)
    except BadInput as error:
        why = str(error).removeprefix(f"{found.study.name}: ") if found.records else "nothing is measured yet."
        return Answer("", f"No answer: {why}", lacking)
    points = named.with_presets(recommend.points(among.rows, among.memory, among.metric, among.records))
    made = recommend.recommend(points, {})
    base = next((point for point in points if point.is_baseline), None)
    if base is None:
        return Answer("", f"No answer: {_no_baseline(found, among)}", lacking, made=made, among=among)
    return _answered(found.study.name, made, among, base, lacking)


def _among(found: Findings) -> Candidates:
    """The study's own records that may be compared; the baseline is the one of its plan, whatever it is called."""
    folder, study = found.folder, found.study
    files = [(one, record.path_of(folder.parent, folder.name, one.id)) for one in found.records.values()]
    among = candidates.among(files, [study.name], folder.parent)
    rows = tuple(
        {**row, "baseline": row["id"] == study.baseline.id, "stand_in": row["stand_in"] and found.stand_ins}
        for row in among.rows
    )
    return replace(among, rows=rows)


def _answered(
    name: str, made: Recommendation, among: Candidates, base: Point, lacking: tuple[str, ...]
) -> Answer:  # fmt: skip
    claims = {point.id: claim.of(point, base, among) for point in made.points if point.values[LATENCY] is not None}
    chosen = _chosen(made, claims)
    faster = _faster(claims, chosen)
    others = [one for one in claims.values() if not one.point.is_baseline]
    more = _beside(name, faster, chosen) + lacking
    order = [made.best, *made.ties, *made.runners_up]
    top = tuple(claims[point.id] for point in [p for p in order if p and p.id in claims][:TOP])
    shared = {"set": chosen, "faster": faster, "top": top, "made": made, "among": among, "baseline": base}
    if chosen:
        return Answer(chosen.point.label, f"{chosen.gains}.", more, **shared)
    why = _why_keep(others, faster)
    return Answer(KEEP, why, more, **shared)


def _chosen(made: Recommendation, claims: Mapping[str, Claim]) -> Claim | None:
    """The first by the rule of ``recommend`` that is as good as the baseline and gains something outside the noise."""
    order = [claims[p.id] for p in (made.best, *made.ties, *made.runners_up) if p and p.id in claims and p.is_as_good]
    order = [one for one in order if not one.point.is_baseline]
    quick = next((one for one in order if one.is_faster), None)
    if quick or not order or made.best.is_baseline:
        return quick
    best = claims[made.best.id]
    return best if best.saves_memory and not best.is_slower else None


def _faster(claims: Mapping[str, Claim], chosen: Claim | None) -> Claim | None:
    """The fastest above the floor of quality that is faster than the baseline outside the noise, and may be worse."""
    able = [one for one in claims.values() if one.is_faster and not one.point.is_as_good]
    able = [one for one in able if (one.point.values[QUALITY] or 0.0) >= FLOOR or not one.among.metric]
    if chosen:
        able = [one for one in able if one.point.improves_on(chosen.point, (LATENCY,))]
    return min(able, key=lambda one: (one.point.values[LATENCY], one.point.id), default=None)


def _why_keep(others: Sequence[Claim], faster: Claim | None) -> str:
    if not others:
        return "nothing else was measured to its end as asked."
    if faster:
        return "nothing that is known to be as good is faster outside the noise."
    bare = Counter(one.speedup.why for one in others if one.speedup.why)
    if any(one.is_faster for one in others):
        return f"what is faster has less than {FLOOR:g} % quality."
    why = (
        f" (no interval: {', '.join(f'{why}, {n} of {len(others)}' for why, n in bare.most_common())})" if bare else ""
    )
    return f"no setting is faster outside the noise{why}."


def _beside(name: str, faster: Claim | None, chosen: Claim | None) -> tuple[str, ...]:
    """What is faster and not known to be as good, and how to ask for it."""
    if faster is None:
        return ()
    value = faster.point.values[QUALITY]
    said = "" if value is None else f", quality {faster.quality}"
    still = "Faster still" if chosen else "Faster"
    first = f"{still}, but {PICTURES[faster.point.told]}: {faster.point.label}: {faster.ratio}{said}."
    if value is None:
        return (first,)
    return (first, f"Is that enough for you? mic2e-bench recommend {name} --min-quality {math.floor(value)}%")


def _lacking(found: Findings) -> tuple[str, ...]:
    """What the plan has and no answer rests on: trials without a record, and those that failed, by status."""
    counts = Counter(found.not_ok["status"])
    gone = counts.pop(MISSING, 0)
    total = len(found.trials)
    parts = [f"Half-finished: {gone} of {total} trials have no record yet (mic2e-bench run)."] if gone else []
    if counts:
        said = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.most_common())
        parts.append(f"Not measured as asked: {said} of {total} trials.")
    unread = [text for text in found.damaged if f"{found.folder.name}" in text]
    if unread:
        parts.append(f"Left out, because they cannot be read: {len(unread)} records; the detail names them.")
    return tuple(parts)


def _no_baseline(found: Findings, among: Candidates) -> str:
    one = found.records.get(found.study.baseline.id)
    if one is None:
        return "the baseline has no record yet, so there is nothing to compare with."
    label = one.label
    reason = next((why for _, name, why in among.left_out if name == label), one.status)
    return f"the baseline is in no condition to be compared with ({reason})."


def finished(found: Findings) -> str:
    """When the last of a study's records was finished (UTC); empty where none says."""
    return max((str(one.environment.get("finished") or "") for one in found.records.values()), default="")


def machine(found: Findings) -> str:
    """Host and device of the records, every distinct one where they are mixed."""
    places = [one.environment for one in found.records.values()]
    words = (" · ".join(str(place[name]) for name in ("host", "device") if place.get(name)) for place in places)
    return " and ".join(text for text in dict.fromkeys(words) if text)


def folder_of(found: Findings, page_folder: Path) -> Path:
    """Where a study's files lie, seen from the page."""
    return found.folder.relative_to(page_folder)
