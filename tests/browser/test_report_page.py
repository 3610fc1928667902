"""The report, its tables and the pages of records in a browser: narrow, wide, light, dark, printed, hostile names."""

import made_records
import pytest

from mic2e_bench.report import breakdown, findings, header, markup, papermill_run, strips, tables
from mic2e_bench.tools.report import page

nbformat = pytest.importorskip("nbformat")

EVIL = "<script>alert(1)</script> a/b \"c\" 'd' \U0001f600 \u05e9\u05dc\u05d5\u05dd &amp; ../up"
HEADS = """[...document.querySelectorAll('table.results thead tr')].flatMap(row => {
  const boxes = [...row.children].filter(cell => cell.textContent).map(cell => {
    const range = document.createRange(); range.selectNodeContents(cell);
    return range.getBoundingClientRect(); });
  const isUnder = (box, index) => box.width && box.left < boxes[index].right - 1;
  return boxes.slice(1).filter(isUnder).map(box => box.left); })"""


def executed(studies, results, _mixed):
    """The studies' notebooks with their tables, as if a kernel had run them, which takes seconds."""
    for study in studies:
        found = findings.read(study, results)
        shown = [tables.main(found, base=""), tables.comparison(found, ""), *breakdown.all_of(found, "")]
        html = markup.render("tables.html", tables=shown, otherwise="") + strips.html(found) + header.html(found)
        output = nbformat.v4.new_output("display_data", {"text/html": str(html)})
        cells = [nbformat.v4.new_markdown_cell("## Tables"), nbformat.v4.new_code_cell(outputs=[output])]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), found.folder / papermill_run.notebook_of(study))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a small study, by name: one more is one more line here, and in ``NAMES``."""
    folder = tmp_path_factory.mktemp("pages")
    trials = [{"steps": 2, "label": EVIL}, {"steps": 3}, {"steps": 4}]
    study = made_records.resolve(folder, study="hostile", trials=trials)
    results = folder / "results"
    base, odd, failed, plain = study.trials
    made_records.measured(study, results, base, 20)
    made_records.measured(study, results, odd, 2, "not_applied", EVIL)
    made_records.failed(results, failed, "oom", f"out of memory {EVIL}")
    made_records.measured(study, results, plain, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papermill_run, "all_of", executed)
        report = page.write([study], results)
    of = {"odd record": odd, "failed record": failed, "record": plain}
    return {"report": report, **{name: results / "hostile" / f"{one.id}.html" for name, one in of.items()}}


NAMES = ("report", "odd record", "failed record", "record")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_quiet_readable_and_narrow_enough(pages, visit, name):
    with visit() as seen:
        seen.page.goto(pages[name].as_uri())
        seen.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        for width, scheme in ((400, "light"), (400, "dark"), (1000, "light"), (1600, "dark")):
            seen.page.set_viewport_size({"width": width, "height": 900})
            seen.page.emulate_media(color_scheme=scheme)
            assert seen.is_too_wide() <= 0, width
            assert seen.page.evaluate(HEADS) == [], width
            if width != 1000:
                assert seen.serious() == [], (width, scheme)
        assert seen.quiet()


def test_nothing_of_a_name_acts_and_all_reads_the_same_without_scripts(pages, visit):
    texts, dialogs = {True: [], False: []}, []
    for script, read in texts.items():
        with visit(script=script) as seen:
            seen.page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
            for name in NAMES:
                seen.page.goto(pages[name].as_uri())
                body = seen.page.locator("body")
                assert (dialogs, seen.page.locator("script").count()) == ([], 0), name
                assert name == "record" or EVIL in body.text_content()
                read.append(body.inner_text())
            assert seen.quiet()
    assert texts[True] == texts[False]


def test_a_printed_page_is_whole(pages, visit):
    """What is folded on the screen is on paper."""
    with visit() as seen:
        seen.page.goto(pages["record"].as_uri())
        inside = seen.page.locator("details table").first
        assert not inside.is_visible()
        seen.page.emulate_media(media="print")
        assert inside.is_visible() and seen.is_too_wide() <= 0
        assert seen.page.pdf().startswith(b"%PDF") and seen.quiet()


def test_every_link_leads_to_a_file(pages, visit):
    found = set()
    with visit() as seen:
        for name in NAMES:
            seen.page.goto(pages[name].as_uri())
            links = seen.page.locator("a[href]").evaluate_all("all => all.map(one => one.href)")
            assert len(links) > 1
            found |= {link for link in links if not link.endswith((".ipynb", ".csv", ".md"))}  # a browser keeps these
        for link in found:
            seen.page.goto(link)
        seen.page.goto(pages["report"].as_uri())
        seen.page.locator("summary").first.click()
        seen.page.get_by_role("link", name="steps=4", exact=True).first.click()
        assert seen.page.url == pages["record"].as_uri()
