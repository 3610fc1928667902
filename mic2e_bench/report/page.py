"""One self-contained page: what was measured, where, with which stand-ins, and every study's executed notebook."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from mic2e_bench.files import write_whole
from mic2e_bench.plan.params import Study
from mic2e_bench.report import feasibility, findings, made_from, markup, papermill_run, tables
from mic2e_bench.report import header as report_header
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.tables import BY


def write(
    studies: Sequence[Study],
    results: Path,
    mixed: bool = False,
    further: Sequence[Mapping[str, Any]] = (),
    of_further: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Execute the notebooks, write every study's tables, and the page: ``results/<study>/report.html`` for one study,
    ``results/report.html`` for several. Returns its path. Raises ``BadInput``.

    ``further`` are sections that other tools made (``name``, ``files``, ``notebook``, ``fits``), ``of_further`` the
    hashes of the records behind them.
    """
    results = Path(results)
    all_found = [findings.read(study, results, mixed) for study in studies]
    for found in all_found:
        tables.write(found)
    notebooks = papermill_run.all_of(studies, results, mixed)
    path = results / "report.html" if len(studies) > 1 else results / studies[0].name / "report.html"
    sections = [_section(found, nb, path.parent) for found, nb in zip(all_found, notebooks, strict=True)]
    write_whole(path, _page(all_found, [*sections, *further]).encode())
    for found, notebook in zip(all_found, notebooks, strict=True):
        made_from.note(results, [notebook], found.digests, BY)
    behind = {name: one for found in all_found for name, one in found.digests.items()}
    made_from.note(results, [path], {**behind, **of_further}, BY)
    return path


def _page(all_found: Sequence[Findings], studies: Sequence[Mapping[str, Any]]) -> str:
    several = len(studies) > 1
    title = f"{len(studies)} studies" if several else studies[0]["name"]
    stand_ins = dict.fromkeys(part for found in all_found for part in found.stand_ins.split("; ") if part)
    top = {"stand_ins": "; ".join(stand_ins), "summary": report_header.summary(all_found)}
    return markup.render("report.html", title=title, several=several, studies=studies, **top)


def _section(found: Findings, notebook: Path, page_folder: Path) -> dict[str, Any]:
    """A study: its executed notebook without the code, and where its files lie."""
    folder = found.folder.relative_to(page_folder)
    return {
        "name": found.study.name,
        "files": {name: (folder / name).as_posix() for name in (notebook.name, "table.csv", "table.md")},
        "notebook": _body(notebook),
        "fits": feasibility.html(found),
    }


def _body(notebook: Path) -> Markup:
    """The executed notebook as HTML, its headings one level down, code and streams left out."""
    import nbformat
    from nbconvert import HTMLExporter  # slow to import, and only needed here

    content = nbformat.read(notebook, as_version=4)
    content.cells = [cell for cell in content.cells if "notebook-only" not in cell.metadata.get("tags", [])]
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if "text/html" in out.get("data", {})]
    hidden = {"exclude_input": True, "exclude_output_prompt": True, "exclude_anchor_links": True}
    body, _ = HTMLExporter(template_name="basic", **hidden).from_notebook_node(content)
    return Markup(re.sub(r"<h2[^>]*>", "<h3>", body).replace("</h2>", "</h3>"))
