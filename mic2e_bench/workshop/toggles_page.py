"""Write docs/toggles.md: what the catalog says of each toggle, beside what the stored evidence measured of it.

An effect is that of two records of one study which differ in this setting alone. What follows from it for time is said
by the interval of the ratio; where there is none, nothing follows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mic2e_bench import paths, texts
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.toggle import Toggle
from mic2e_bench.plan.settings import show
from mic2e_bench.records import comparable, ratios, record
from mic2e_bench.records.record import Record
from mic2e_bench.units import digits, gib
from mic2e_bench.workshop import command

ROOT = paths.PACKAGE.parent
PAGE, EVIDENCE = Path("docs/toggles.md"), Path("results/evidence")
HEADER = ("setting", "instead of", "measured on", "speed", "peak memory, GiB", "what follows for time")
INTRO = """# What each toggle does, and when it helps

`python -m mic2e_bench.workshop.toggles_page` writes this page. The words are the catalog's
(`mic2e-bench list toggles`), the figures those of the records under
[results/evidence](../results/evidence/README.md). Each setting links to its record. After `make demo` or studies of
your own, `mic2e-bench list toggles` adds what *your* records measured of quality.

How to read the tables:

- A row compares two records of one study that differ in this setting alone. Speed: the seconds of an image without
  it, over those with it. Above 1 is faster.
- A ratio without an interval concludes nothing: [why](measuring.md#what-our-intervals-mean). It is a figure of that
  hour. In brackets stands why it has none.
- Memory is the peak that a call reserved on a GPU, or the peak resident set of the process on a CPU. On a GPU it
  repeats exactly, so a difference is one.
- †: other work or the card's limits disturbed one of the two. NOT APPLIED: asked for, and not in force.
- `random` weights have the published size and paint noise. They say nothing of quality; *pictures* is what the toggle
  is declared to do to them: none, rounding, or real.
"""
UNMEASURED = """## Not measured yet

No record here changes these alone. Make one: put the setting under `vary:` of a params file, and `mic2e-bench run` it.
"""


class Effect(NamedTuple):
    """Two records of a study that differ in one setting alone; ``plain`` has the baseline's value of it."""

    toggle: str
    plain: Record
    one: Record
    baseline: Record
    file: Path  # of ``one``


def studies(evidence: Path) -> Iterator[list[tuple[Path, Record]]]:
    """The records of every study below a folder of evidence, by its files; those of throughput are other records."""
    folders = sorted({path.parent for path in evidence.rglob("*.json") if path.parent.name != "throughput"})
    for folder in folders:
        yield [(path, record.read(path)) for path in record.paths(folder)]


def effects(stored: Sequence[tuple[Path, Record]]) -> Iterator[Effect]:
    """The effects of single settings in one study, each against the record with the baseline's value."""
    records = [one for _, one in stored]
    baseline = next((one for one in records if one.status == "ok" and comparable.is_baseline(one)), None)
    for file, one in stored if baseline else ():
        for plain in records:
            changed = _changed(plain.settings, one.settings)
            if len(changed) != 1 or plain.status != "ok" or comparable.place(plain) != comparable.place(one):
                continue
            (name,) = changed
            is_told = one.status == "ok" or (one.status == "not_applied" and name in comparable.unapplied(one))
            if is_told and plain.settings.get(name) == baseline.settings.get(name):
                yield Effect(name, plain, one, baseline, file)


def _changed(plain: Mapping[str, object], one: Mapping[str, object]) -> list[str]:
    return [name for name in {**plain, **one} if plain.get(name) != one.get(name)]


def page(root: Path) -> str:
    """The whole page, from the catalog and the evidence of the checkout at ``root``."""
    found: dict[str, list[Effect]] = {}
    for stored in studies(root / EVIDENCE):
        for effect in effects(stored):
            found.setdefault(effect.toggle, []).append(effect)
    known = registry.toggles()
    measured = [_section(toggle, found[name], root) for name, toggle in known.items() if name in found]
    rest = [_line(toggle) for name, toggle in known.items() if name not in found]
    return "\n".join([INTRO, "## Measured\n", *measured, UNMEASURED, *rest, ""])


def _section(toggle: Toggle, found: Sequence[Effect], root: Path) -> str:
    """A toggle with its effects; those with an interval first, then by pipeline and value."""
    rows = sorted(found, key=lambda each: (_speedup(each).interval is None, each.one.pipeline, _value(each)))
    lines = [_cells(HEADER), _cells(["---"] * len(HEADER)), *(_cells(row(each, root)) for each in rows)]
    return f"### {toggle.name}\n\n{_said(toggle)}\n\n" + "\n".join(lines) + "\n"


def _line(toggle: Toggle) -> str:
    return f"- **{toggle.name}**: {_said(toggle)}"


def _said(toggle: Toggle) -> str:
    """What it does, its values, its declared cost in quality and its source, in one paragraph."""
    about, values, source = map(texts.markdown, (toggle.about, toggle.values, toggle.source))
    return f"{about} *{values}; pictures: {toggle.cost}. Source: {source}.*"


def row(effect: Effect, root: Path) -> list[str]:
    one, plain = effect.one, effect.plain
    link = os.path.relpath(effect.file, root / PAGE.parent)
    where = f"{one.pipeline}, {one.environment.get('device') or 'CPU'}, {one.model.get('source', '')}"
    is_on = one.status == "ok"
    disturbed = any(comparable.disturbed(each) for each in (one, plain))
    return [
        f"[{texts.markdown(_value(effect))}]({link})",
        texts.markdown(show(plain.settings.get(effect.toggle))) + _beside(effect),
        texts.markdown(where),
        (_speed(effect) if is_on else "–") + ("†" if disturbed and is_on else ""),
        _memory(plain, one) if is_on else "–",
        _follows(effect) if is_on else "NOT APPLIED: no speed-up is credited",
    ]


def _value(effect: Effect) -> str:
    return show(effect.one.settings.get(effect.toggle))


def _beside(effect: Effect) -> str:
    """The other settings in which both differ from the study's baseline."""
    others = _changed(effect.baseline.settings, effect.plain.settings)
    said = ", ".join(f"{name} {show(effect.plain.settings.get(name))}" for name in others)
    return f" (both: {texts.markdown(said)})" if said else ""


def _speedup(effect: Effect) -> ratios.Speedup:
    return ratios.speedup(effect.plain, effect.one, effect.baseline)


def _speed(effect: Effect) -> str:
    found = _speedup(effect)
    if found.ratio is None:
        return "–"
    ends = f" [{', '.join(digits(end) for end in found.interval)}]" if found.interval else ""
    return f"{digits(found.ratio)}×{ends}"


def _follows(effect: Effect) -> str:
    found = _speedup(effect)
    if found.interval is None:
        return f"nothing ({found.why})"
    if not found.is_clear:
        return "not told apart"
    return "faster" if found.interval[0] > 1 else "slower"


def _memory(plain: Record, one: Record) -> str:
    name = comparable.memory_of(one)
    before, after = (each.memory.get(name) for each in (plain, one))
    return "–" if before is None or after is None else f"{gib(before)} → {gib(after)}"


def _cells(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


@command.one_line
def main() -> int:
    """Write the page."""
    command.parser(__doc__).parse_args()
    path = ROOT / PAGE
    path.write_text(page(ROOT), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
