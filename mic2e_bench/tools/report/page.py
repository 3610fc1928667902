"""One self-contained page by pipeline: the answer of each study first, what it rests on folded below it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mic2e_bench import documents
from mic2e_bench.files import write_whole
from mic2e_bench.plan.params import Study
from mic2e_bench.report import feasibility, figures, findings, made_from, markup, papermill_run, record_page, tables
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tables import BY
from mic2e_bench.tools.recommend import figure, paste
from mic2e_bench.tools.recommend.point import KIND, LATENCY
from mic2e_bench.tools.report import answer, detail, pair
from mic2e_bench.tools.report.answer import FLOOR, Answer
from mic2e_bench.tools.report.claim import LEAST_SAVED, Claim
from mic2e_bench.tools.throughput import page as throughput
from mic2e_bench.units import write as written

DRAWN_FROM = 3  # points: of fewer there is no front to see
MOST_CARDS = 300  # points of a figure that can be pointed at; more are drawn once, as a picture


def write(studies: Sequence[Study], results: Path, mixed: bool = False) -> Path:
    """Execute the notebooks that are not as they would be made now, write every study's tables, and the page:
    ``results/<study>/report.html`` for one study; ``results/report.html`` for several, throughput studies with them.
    Returns its path. Raises ``BadInput``.
    """
    results = Path(results)
    all_found = [findings.read(study, results, mixed) for study in studies]
    path = results / "report.html" if len(studies) > 1 else results / studies[0].name / "report.html"
    for found in all_found:
        record_page.write(found, path)  # before the tables, which lead to them
        tables.write(found)
    _notebooks(all_found, results, mixed)
    served, behind = throughput.sections(results) if len(studies) > 1 else ([], {})
    write_whole(path, _page(all_found, served, path.parent, results).encode())
    behind |= {name: one for found in all_found for name, one in found.digests.items()}
    made_from.note(results, [path], behind, BY)
    return path


def _notebooks(all_found: Sequence[Findings], results: Path, mixed: bool) -> None:
    """Execute the notebooks of studies with anything new, and note what they were made from."""
    due = []
    for found in all_found:
        way = papermill_run.way(found.study, mixed)
        if not made_from.is_current(results, _notebook(found), found.digests, way):
            due.append((found, way))
    papermill_run.all_of([found.study for found, _ in due], results, mixed)
    for found, way in due:
        made_from.note(results, [_notebook(found)], found.digests, BY, way)


def _notebook(found: Findings) -> Path:
    return found.folder / papermill_run.notebook_of(found.study)


def _page(all_found: Sequence[Findings], served: Sequence[Mapping[str, Any]], folder: Path, results: Path) -> str:
    machines = dict.fromkeys(filter(None, map(answer.machine, all_found)))
    usual = next(iter(machines), "")
    fitted = detail.within(detail.PAGE_BYTES)
    groups: dict[str, list[dict[str, Any]]] = {}
    for found in all_found:
        made = _study(found, folder, fitted)
        made["machine"] = made["machine"] if made["machine"] != usual else ""
        groups.setdefault(found.study.pipeline.name, []).append(made)
    for section in served:
        groups.setdefault(section["pipeline"], []).append(_served(section, fitted))
    count = sum(map(len, groups.values()))
    title = f"What to set: {count} studies of {len(groups)} pipelines" if count > 1 else all_found[0].study.name
    stand_ins = dict.fromkeys(part for found in all_found for part in found.stand_ins.split("; ") if part)
    return markup.render(
        "report.html", title=title, groups=groups, machine=usual, several=len(machines) > 1, floor=f"{FLOOR:g}",
        least_saved=f"{LEAST_SAVED * 100:g}",
        stand_ins=list(stand_ins), finished=max(map(answer.finished, all_found), default="")[:16].replace("T", " "),
        tables="../" * (folder != results) + "tables.html" if (results / "tables.html").is_file() else "",
        all_studies="../report.html" if folder != results and (results / "report.html").is_file() else "",
    )  # fmt: skip


def _study(found: Findings, folder: Path, fitted: Any) -> dict[str, Any]:
    """A study as the template shows it."""
    short, beside = found.short, answer.folder_of(found, folder)
    said = answer.of(short)
    notebook = _notebook(found)
    links = {name: quote((beside / name).as_posix()) for name in (notebook.name, "table.csv", "table.md")}
    # in the notebook the table is without links: it may lie anywhere
    base = "" if beside == Path() else f"{beside.as_posix()}/"
    html = tables.main(short, base=base).html() + detail.leading(detail.of_notebook(notebook), quote(base))
    html = detail.credited(detail.lowered(html, 2), found.stand_ins) + detail.lowered(feasibility.html(short), 1)
    shown = said.shown.point if said.shown else None
    masks = found.study.pipeline.task == "segmentation"
    return {
        "name": found.study.name, "about": found.study.pipeline.about, "is_stand_in": bool(found.stand_ins),
        "machine": answer.machine(found), "said": said, "links": links, "served": False,
        "row": _row(said), "top": [_top(one, said, folder) for one in said.top], "paste": _paste(said),
        "front": _front(said), "pair": pair.of(said.baseline, shown, masks, folder),
        "detail": fitted(detail.cut(html, links["table.csv"]), links[notebook.name]),
    }  # fmt: skip


def _served(section: Mapping[str, Any], fitted: Any) -> dict[str, Any]:
    """A throughput study: its own words are the detail."""
    said = Answer("", "A throughput study: what a server or a worker gives over many calls.")
    return {
        "name": section["name"], "about": "", "is_stand_in": section["is_stand_in"], "machine": section["machine"],
        "said": said, "links": {}, "served": True, "row": _row(said), "top": [], "paste": "", "front": "",
        "pair": None, "detail": fitted(section["html"], ""),
    }  # fmt: skip


def _row(said: Answer) -> list[dict[str, str]]:
    """The lines of the index: what to set, and what is faster and not known to be as good."""
    lines = []
    if said.set:
        lines.append({"set": said.set.point.label, **_figures(said.set), "kind": "set"})
    elif said.head:
        why = {} if said.faster else {"sure": said.sentence.rstrip(".")}
        lines.append({"set": "keep the baseline", "kind": "keep", **why})
    if said.faster:
        lines.append({"set": f"faster: {said.faster.point.label}", **_figures(said.faster), "kind": "maybe"})
    return lines or [{"set": "see the study", "kind": "none"}]


def _figures(one: Claim) -> dict[str, str]:
    return {"speedup": one.ratio, "memory": one.memory, "quality": one.quality, "sure": one.sure}


def _top(one: Claim, said: Answer, folder: Path) -> dict[str, Any]:
    """A line of the first five, with what to copy: the settings in which it differs from the baseline; it
    leads to the page of its record, where there is one.
    """
    value = one.point.values[LATENCY]
    latency = written(value, KIND[LATENCY]) + (" †" if one.point.row.get("disturbed") else "")
    mine, its = (paste.settings(point, said.among) for point in (one.point, said.baseline))
    other = {name: each for name, each in mine.items() if its.get(name) != each}
    copied = documents.as_yaml(other, **paste.FLOW).strip() if other else ""
    chosen = one is said.set or (one.point.is_baseline and said.set is None)
    record_page = Path(one.point.row["path"]).with_suffix(".html")
    link = quote(os.path.relpath(record_page, folder)) if record_page.is_file() else ""
    told = {"label": one.point.label, "link": link, "latency": latency, "copied": copied, "is_set": chosen}
    return told | _figures(one)


def _paste(said: Answer) -> str:
    """The whole settings that are recommended."""
    point = said.set.point if said.set else said.baseline
    return "\n".join(paste.lines(point, said.among)) if point and said.among else ""


def _front(said: Answer) -> Any:
    if said.made is None or said.among is None or len(said.made.points) < DRAWN_FROM:
        return ""
    if len(said.made.points) <= MOST_CARDS:
        return figure.html(said.made, said.among)
    alt = f"the Pareto front of {len(said.made.points)} settings; {said.among.stand_ins}"
    return figures.html(figure.figure(said.made, said.among), alt, figure.NOTHING)
