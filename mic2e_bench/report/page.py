"""One self-contained page: what was measured, where, with which stand-ins, and every study's executed notebook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from mic2e_bench import environment
from mic2e_bench.files import write_whole
from mic2e_bench.params import Study
from mic2e_bench.report import about, execute, feasibility, findings, tables
from mic2e_bench.report.findings import Findings
from mic2e_bench.report.style import CSS
from mic2e_bench.version import VERSION

NO_SOURCE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # the page needs nothing from outside


def write(studies: Sequence[Study], results: Path, mixed: bool = False) -> Path:
    """Execute the notebooks, write every study's tables, and the page: ``results/<study>/report.html`` for one study,
    ``results/report.html`` for several. Returns its path. Raises ``BadInput``.
    """
    results = Path(results)
    all_found = [findings.read(study, results, mixed) for study in studies]
    for found in all_found:
        tables.write(found)
    notebooks = execute.all_of(studies, results, mixed)
    path = results / "report.html" if len(studies) > 1 else results / studies[0].name / "report.html"
    sections = [_section(found, nb, path.parent) for found, nb in zip(all_found, notebooks, strict=True)]
    write_whole(path, _page(all_found, sections).encode())
    return path


def _page(all_found: Sequence[Findings], sections: Sequence[str]) -> str:
    several = len(all_found) > 1
    title = f"{len(all_found)} studies" if several else all_found[0].study.name
    contents = "".join(f'<li><a href="#{escape(f.study.name)}">{escape(f.study.name)}</a></li>' for f in all_found)
    top = f"{_stand_ins(all_found)}{about.summary(all_found).html()}<nav><ol>{contents}</ol></nav>" if several else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{NO_SOURCE}">
<title>{escape(title)} · mic2e-bench</title><style>{CSS}</style></head>
<body><header><p class="brand">mic2e-bench {escape(VERSION)}</p><h1>{escape(title)}</h1>
<p class="note">Written {environment.now()[:16].replace("T", " ")} UTC</p></header>
{top}
{"".join(sections)}
</body></html>
"""


def _stand_ins(all_found: Sequence[Findings]) -> str:
    texts = dict.fromkeys(part for found in all_found for part in found.stand_ins.split("; ") if part)
    return f'<p class="standin"><b>Stand-ins:</b> {escape("; ".join(texts))}.</p>' if texts else ""


def _section(found: Findings, notebook: Path, page_folder: Path) -> str:
    """A study: its executed notebook without the code, and where its files lie."""
    folder = found.folder.relative_to(page_folder)
    names = (notebook.name, "table.csv", "table.md")
    files = " · ".join(f'<a href="{escape((folder / name).as_posix())}">{escape(name)}</a>' for name in names)
    name = escape(found.study.name)
    heading = f"<h2>{name}</h2>" if page_folder != found.folder else ""  # the page of one study has its name on top
    content = f"{_body(notebook)}{feasibility.html(found)}"
    return f'<section id="{name}">{heading}<p class="files">{files}</p>{content}</section>'


def _body(notebook: Path) -> str:
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
    return re.sub(r"<h2[^>]*>", "<h3>", body).replace("</h2>", "</h3>")
