"""Compiling: what the first call costs, cold and warm, what a later one saves, and when that has paid off."""

from __future__ import annotations

from matplotlib.figure import Figure

from mic2e_bench.catalog.metrics.latency import quartiles
from mic2e_bench.catalog.metrics.paying_off import UNCLEAR, break_even_images
from mic2e_bench.catalog.metrics.preparation import PREPARED, first_call_extra, is_prepared
from mic2e_bench.records.ratios import speedup
from mic2e_bench.records.record import Record
from mic2e_bench.report import draw, figures, footnotes
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tabular import Table
from mic2e_bench.units import NONE, digits, missing

ABOUT = ("compile_cache", "compile_dynamic", "compile_fullgraph")  # matter to compiling only
CAPTION = (
    "First call: what a user waits for when nothing is compiled yet; cold with an empty Inductor cache (compile_cache "
    "fresh), warm with a kept one that an earlier trial has filled. Later calls: their median. Pays off: the number of "
    "images after which the time saved has made up for the longer first call, against the same settings uncompiled; "
    "only where the interval of the speed-up leaves out 1."
)


def plain_of(record: Record, found: Findings) -> Record | None:
    """The record of the same settings uncompiled that ran as asked; ``None`` where the study has none."""
    free = {*PREPARED, *ABOUT}
    wanted = {name: value for name, value in record.settings.items() if name not in free}
    for other in found.records.values():
        settings = {name: value for name, value in other.settings.items() if name not in free}
        if settings == wanted and other.status == "ok" and not is_prepared(other):
            return other
    return None


def table(found: Findings) -> Table:
    """A row a trial; nothing is credited to one that did not run as asked."""
    rows = []
    for _, row in found.trials.iterrows():
        record = found.records.get(row["id"])
        first, later = row.get("first_call_s"), row.get("latency_s")
        seconds = [NONE if missing(value) else f"{digits(value)} s" for value in (first, later)]
        gain, pays, why = _gain(record, found) if record else (NONE, NONE, "")
        rows.append(
            [
                row["label"] + footnotes.mark(found, row["id"]),
                *seconds,
                gain,
                pays,
                _receipt(record) if record else row["reason"],
                why,
            ]
        )
    header = ("trial", "first call", "later calls", "speed-up", "pays off after", "what was compiled", "note")
    words = f"{found.credit}. {CAPTION} {footnotes.disturbed_words(found)}".strip()
    return Table(header, rows, words, list(found.trials["status"]), left=(0, 5, 6))


def _gain(record: Record, found: Findings) -> tuple[str, str, str]:
    """Speed-up, images to break-even, and a note, for a trial that compiled."""
    if record.status != "ok":
        return NONE, NONE, f"{record.status.replace('_', ' ')}: {record.reason}"
    plain = plain_of(record, found) if is_prepared(record) else None
    if plain is None:
        return NONE, NONE, "no trial with the same settings uncompiled" if is_prepared(record) else ""
    known = speedup(plain, record, found.records.get(found.baseline["id"]))
    ends = known.interval
    gain = f"{digits(known.ratio)}×{f' ({digits(ends[0])} to {digits(ends[1])})' if ends else ''}"
    if first_call_extra(record) is None or first_call_extra(plain) is None:
        return gain, "too few calls to say", ""
    if not known.is_clear:
        return gain, UNCLEAR, known.why or "the speed-up is inside the noise"
    images = break_even_images(record, plain)
    return gain, "never: later calls are not faster" if images is None else f"{images} images", ""


def _receipt(record: Record) -> str:
    """What the receipts of compiler and engine say, where one was asked for."""
    asked = [name for name, plain in PREPARED.items() if record.settings.get(name, plain) != plain]
    texts = [record.receipts[name]["how"] for name in asked if name in record.receipts]
    return "; ".join(texts) or NONE


def figure(found: Findings, most: int = 5000) -> Figure | None:
    """Seconds until the n-th image is there, a line a trial that ran as asked; ``None`` where there is none."""
    shown = [one for one in found.records.values() if one.status == "ok" and one.latency_s]
    if not shown:
        return None
    labels = dict(zip(found.trials["id"], found.trials["label"], strict=True))
    even = [break_even_images(one, plain) for one in shown if is_prepared(one) and (plain := plain_of(one, found))]
    images = max(10, min(most, 2 * max((count for count in even if count), default=5)))
    with figures.sheet(8.6, 4.6) as (made, (axes,)):
        for index, one in enumerate(shown):
            first, later = one.first_call_s, quartiles(one.latency_s)[1]
            ends = [first, first + (images - 1) * later]
            look = {"ls": "-" if is_prepared(one) else "--", "color": draw.COLOURS[index % len(draw.COLOURS)]}
            look |= {"marker": draw.MARKERS[index % len(draw.MARKERS)], "label": labels[one.id]}
            axes.plot([1, images], ends, **look)
        axes.set_xlabel("images since the start (without loading)")
        axes.set_ylabel("seconds until they are there ↓")
        axes.set_ylim(bottom=0)
        draw.title(made, found, "when compiling pays off")
        draw.below(made, axes.get_lines())
    return made
