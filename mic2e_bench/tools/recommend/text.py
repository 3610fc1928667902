"""A recommendation for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mic2e_bench import units
from mic2e_bench.records.comparable import MEMORY_NAMES, RSS, VRAM
from mic2e_bench.report.footnotes import DISTURBED
from mic2e_bench.report.tabular import Table
from mic2e_bench.tools.recommend import pareto, paste, reasons
from mic2e_bench.tools.recommend.candidates import Candidates
from mic2e_bench.tools.recommend.point import FIELDS, KIND, LATENCY, MEMORY, QUALITY, Point
from mic2e_bench.tools.recommend.recommend import Recommendation
from mic2e_bench.units import NONE

MEMORY_WORDS = {
    VRAM: "peak VRAM that PyTorch's allocator reserved",
    RSS: "peak RSS of the process, libraries included, because these records are of a CPU",
}
MARKS = {pareto.FRONT: "front", pareto.TIE: "tie with the front", pareto.BEATEN: "", pareto.UNKNOWN: NONE}
MOST = 5  # runners-up, ties and reasons that the text names


def text(made: Recommendation, among: Candidates, with_table: bool = True) -> str:
    """The whole answer in words, with or without the table of all settings."""
    parts = [_head(made, among), _answer(made, among)]
    if costs := [_cost(relaxed, made, among) for relaxed in made.relaxed]:
        parts.append("\n".join(["What each limit costs, the others kept:", *(f"  {line}" for line in costs)]))
    if with_table:
        parts.append(f"Measured settings\n{table(made, among).text()}")
    if among.left_out:
        parts.append(_left_out(among))
    return "\n\n".join(parts)


def _head(made: Recommendation, among: Candidates) -> str:
    name = among.rows[0]["pipeline"]
    hundred = "the known answers" if ".truth" in among.metric else "the baseline's images"
    quality = f"'{among.metric}', 100 % = {hundred}" if among.metric else "none was scored"
    lines = [
        f"{name}: {among.stand_ins or among.rows[0]['model']}",
        f"{len(among.rows)} settings measured on {among.machine}.",
        f"Latency: median of a call. Memory: {MEMORY_WORDS[among.memory]}. Quality: {quality}.",
    ]
    lines += _disturbed(among)
    if made.limits:
        said = ", ".join(_limit(name, value, among) for name, value in made.limits.items())
        lines.append(f"Limits: {said}. {len(made.fitting)} of {len(made.points)} fit.")
    lines += [reasons.quality(made), reasons.speed(made)]
    lines.append(f"What counts: {', then '.join(quantity(name, among) for name in made.order)}.")
    return "\n".join(filter(None, lines))


def _disturbed(among: Candidates) -> list[str]:
    """How many records were disturbed, and how to measure them again."""
    left_out, mark = sum(reason.startswith("disturbed") for *_, reason in among.left_out), DISTURBED.strip()
    lines = [f"Disturbed while they were measured, and left out: {left_out}."] if left_out else []
    if among.disturbed:
        lines.append(
            f"Disturbed while they were measured ({mark}): {among.disturbed}; a quiet machine may say otherwise."
        )
    return [*lines, f"  to measure them again: {among.again}"] if lines else []


def _limit(name: str, value: float, among: Candidates) -> str:
    side = "at least" if name == QUALITY else "at most"
    return f"{quantity(name, among)} {side} {units.as_asked(value, KIND[name])}"


def quantity(name: str, among: Candidates) -> str:
    """A quantity as people call it: memory by which memory it is."""
    return MEMORY_NAMES[among.memory] if name == MEMORY else name


def _answer(made: Recommendation, among: Candidates) -> str:
    if made.best is None:
        return "\n".join(_nothing(made, among))
    place = MARKS[made.standing[made.best.id]] or "behind the Pareto front"
    place = "on the Pareto front" if place == "front" else place
    lines = [f"Best: {made.best.label}", f"  {values(made.best, among)}  ({place})"]
    if gain := reasons.gain(made):
        lines.append(f"  {gain}")
    lines += [f"  {line}" for line in paste.lines(made.best, among)]
    lines += _unasked(made, among)
    if made.ties:
        names = _some([point.label for point in made.ties])
        lines.append(f"  not to be told apart from it (every difference is inside the noise): {names}")
    if made.runners_up:
        lines.append("Runners-up:")
    for point in made.runners_up:
        tied = [quantity(name, among) for name in made.order if point.ties(made.best, name)]
        note = f"; {' and '.join(tied)}: a tie with the best" if tied else ""
        note += f"; {reasons.WHY_NOT[point.told]}" if made.as_good and not point.is_as_good else ""
        lines.append(f"  {point.label}: {values(point, among)}{note}")
    return "\n".join(lines)


def _unasked(made: Recommendation, among: Candidates) -> list[str]:
    """The fastest that fits, where quality kept it out, and how to ask for it."""
    fastest = min(made.fitting, key=lambda point: (point.values[LATENCY], point.id))
    if not made.as_good or fastest.is_as_good or not fastest.improves_on(made.best, (LATENCY,)):
        return []
    said = f"  faster, but {reasons.WHY_NOT[fastest.told]}: {fastest.label}: {values(fastest, among)}"
    return [said, "    --min-quality says how much quality is enough; --prefer latency, that speed alone counts"]


def _some(names: Sequence[str]) -> str:
    return "; ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def _nothing(made: Recommendation, among: Candidates) -> list[str]:
    """What to say where nothing fits: the nearest point, and what is missing."""
    lines = ["Nothing measured fits."]
    for name in made.out_of_reach():
        best = min((p for p in made.points if p.values[name] is not None), key=lambda p: p.cost(name))
        limit = _limit(name, made.limits[name], among)
        lines.append(f"  {limit} is out of reach: the best is {best.written(name)} ({best.label})")
    if made.nearest:
        lines.append(f"  nearest: {made.nearest.label}: {values(made.nearest, among)}")
        for name in made.nearest.beyond(made.limits):
            by = units.write(abs(made.nearest.values[name] - made.limits[name]), KIND[name])
            lines.append(
                f"    missing: {quantity(name, among)}: {by} {'too little' if name == QUALITY else 'too much'}"
            )
    return lines


def _cost(relaxed: Any, made: Recommendation, among: Candidates) -> str:
    first = f"{_limit(relaxed.name, made.limits[relaxed.name], among)}:"
    if relaxed.least is None:
        return f"{first} {'nothing fits without it either' if made.best is None else 'costs nothing beyond the noise'}"
    to = relaxed.least.written(relaxed.name)
    if made.best is None:
        return f"{first} relaxed to {to}, {relaxed.least.label} fits"
    said = f"{first} relaxed to {to}, {_gain(relaxed.least, made, among)} ({relaxed.least.label})"
    if relaxed.most.id != relaxed.least.id:
        far = relaxed.most.written(relaxed.name)
        said += f"; to {far}, {_gain(relaxed.most, made, among)} ({relaxed.most.label})"
    return said


def _gain(point: Point, made: Recommendation, among: Candidates) -> str:
    name = next((name for name in made.order if not point.ties(made.best, name)), made.order[0])
    return f"{quantity(name, among)} {made.best.written(name)} → {point.written(name)}"


def values(point: Point, among: Candidates) -> str:
    """The values of a point, those that it has, each of a disturbed record with its mark."""
    there = [name for name, value in point.values.items() if value is not None]
    return ", ".join(f"{quantity(name, among)} {point.written(name)}{mark(point, name)}" for name in there)


def mark(point: Point, name: str) -> str:
    """What is put behind a latency that was measured while something disturbed it."""
    return DISTURBED if name == LATENCY and point.row.get("disturbed") else ""


def table(made: Recommendation, among: Candidates) -> Table:
    """Every point, by latency, with its place."""
    rows, marks = [], []
    for point in sorted(made.points, key=lambda p: p.values[LATENCY]):
        misses = [quantity(name, among) for name in point.beyond(made.limits)]
        is_best = bool(made.best) and point.id == made.best.id
        place = "best" if is_best else MARKS[made.standing[point.id]]
        cells = [f"{point.written(name)}{mark(point, name)}" for name in KIND]
        rows.append([point.label, *cells, place, f"no: {', '.join(misses)}" if misses else "yes"])
        marks.append("baseline" if is_best else "")
    header = ["setting", *(quantity(name, among) for name in KIND), "place", "within the limits"]
    caption = "Front: no other setting is better in everything. A tie with the front is beaten inside the noise only."
    if among.disturbed:
        caption += f" {DISTURBED.strip()}: disturbed while it was measured."
    return Table(header, rows, caption, marks, left=(0, 4, 5))


def _left_out(among: Candidates) -> str:
    reasons = Counter(reason for *_, reason in among.left_out)
    lines = [f"Left out: {len(among.left_out)}"]
    for reason, _ in reasons.most_common():
        lines.append(f"  {_some([label for _, label, why in among.left_out if why == reason])}: {reason}")
    return "\n".join(lines)


def as_json(made: Recommendation, among: Candidates) -> dict[str, Any]:
    """The same for programs; seconds, bytes and percent."""

    def one(point: Point | None) -> dict[str, Any] | None:
        if point is None:
            return None
        found = {"id": point.id, "label": point.row["label"], "study": point.row["study"]}
        found |= {
            "settings": paste.settings(point, among),
            "presets": list(point.presets),
            "told": point.told,
            "disturbed": bool(point.row.get("disturbed")),
        }
        numbers = {key: point.values[name] for name, key in FIELDS.items()}
        return {**found, **numbers, "place": made.standing[point.id]}

    return {
        "pipeline": among.rows[0]["pipeline"],
        "stand_ins": among.stand_ins,
        "machine": among.machine,
        "memory": among.memory,
        "quality": among.metric or None,
        "limits": dict(made.limits),
        "order": list(made.order),
        "best": one(made.best),
        "ties": [one(point) for point in made.ties],
        "runners_up": [one(point) for point in made.runners_up],
        "relaxed": [{"limit": r.name, "least": one(r.least), "most": one(r.most)} for r in made.relaxed],
        "nearest": one(made.nearest),
        "out_of_reach": made.out_of_reach(),
        "points": [one(point) for point in made.points],
        "as_good": made.as_good,
        "measure_again": among.again or None,
        "left_out": [{"study": study, "label": label, "reason": reason} for study, label, reason in among.left_out],
    }
