"""Throughput studies in a page: what was measured where, the table with its answers, the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mic2e_bench import paths
from mic2e_bench.catalog import registry
from mic2e_bench.catalog.models import sources
from mic2e_bench.files import write_whole
from mic2e_bench.plan.settings import resolve, show
from mic2e_bench.report import figures, made_from, markup
from mic2e_bench.tools.throughput import plots, record
from mic2e_bench.tools.throughput.kind import ODD, kinds
from mic2e_bench.tools.throughput.record import ThroughputRecord

BY, PAGE = "mic2e-bench throughput", "report.html"
STAND_INS = ("bundled", "random")


def write(study: str, records: Sequence[ThroughputRecord], results: Path) -> Path:
    """Write the page of one study, ``results/STUDY/report.html``; returns its path. Raises ``files.CannotWrite``."""
    path = Path(results) / study / PAGE
    behind = {f"{study}/{paths.SERVED}/{one.id}.json": one.digest for one in records}
    write_whole(path, markup.render("served.html", title=study, html=html(records)).encode())
    made_from.note(results, [path], behind, BY)
    return path


def sections(results: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A section (``name``, ``pipeline``, ``machine``, ``is_stand_in``, ``html``) for every throughput study under
    ``results``, evidence too, for a page of many studies; and the hashes of the records behind them, by their paths.
    """
    studies: dict[Path, list[ThroughputRecord]] = {}
    for path, one in record.everywhere(Path(results)).items():
        studies.setdefault(path.parent.parent, []).append(one)
    made = []
    for folder, records in studies.items():
        name = folder.relative_to(results).as_posix()
        first = records[0]
        where = " · ".join(text for key in ("host", "device") if (text := _distinct(records, key)))
        is_stand_in = any(one.model["source"] in STAND_INS for one in records)
        told = {"pipeline": first.pipeline, "machine": where, "is_stand_in": is_stand_in, "html": html(records)}
        made.append({"name": name, **told})
    return made, record.digests(Path(results))


def html(records: Sequence[ThroughputRecord]) -> Markup:
    """A study's records, one kind after the other. Runs that are not as their kind writes them are named, not shown."""
    parts = []
    for kind in dict.fromkeys(one.kind for one in records):
        mine = [one for one in records if one.kind == kind]
        try:
            parts += [_about(mine), _said(mine), *_drawn(mine)]
        except ODD as error:
            text = f"{kind}: its records cannot be shown: {type(error).__name__}: {error}"
            parts.append(markup.render("answer.html", text=text))
    return Markup("\n").join(parts)


def _said(records: Sequence[ThroughputRecord]) -> Markup:
    kind = kinds().get(records[0].kind)
    text = kind.text(records) if kind else f"nothing here knows the kind {records[0].kind}"
    return markup.render("answer.html", text=text)


def _drawn(records: Sequence[ThroughputRecord]) -> list[Markup]:
    return [figures.html(figure, f"{alt}; {credit(records[0])}", "") for alt, figure in plots.of(records)]


def credit(one: ThroughputRecord) -> str:
    """The pipeline and its weights; stand-ins say that they are."""
    weights = sources.label(one.model)
    return f"{one.pipeline}: {f'stand-in: {weights}' if one.model['source'] in STAND_INS else weights}"


def _about(records: Sequence[ThroughputRecord]) -> Markup:
    first, kind = records[0], kinds().get(records[0].kind)
    usual = resolve({}, registry.pipeline(first.pipeline), "") if first.pipeline in registry.pipelines() else {}
    given = [f"{name} {show(value)}" for name, value in first.settings.items() if usual.get(name) != value]
    facts = [
        ("Asks", f"{first.kind}: {kind.about}" if kind else first.kind),
        ("Served", credit(first)),
        ("Settings", ", ".join(given) or "all as by default"),
    ]
    facts += [(name, text) for name, key in _WHERE.items() if (text := _distinct(records, key))]
    disturbed = [reason for one in records for reason in one.environment.get("disturbed") or ()]
    facts += [("Disturbed", "; ".join(dict.fromkeys(map(str, disturbed))))] if disturbed else []
    failures: dict[str, list[str]] = {}
    for one in records:
        if one.status != "ok":
            failures.setdefault(f"{one.status}: {one.reason}", []).append(one.label)
    return markup.render("about.html", facts=facts, varied=(), failures=failures)


_WHERE = {"Machine": "host", "Device": "device", "Driver": "driver", "Commit": "git", "Measured": "started"}


def _distinct(records: Sequence[ThroughputRecord], key: str) -> str:
    return " and ".join(dict.fromkeys(str(one.environment[key]) for one in records if one.environment.get(key)))
