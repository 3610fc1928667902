"""The page of the guides' tables in a real browser, from a few stored records and those that are kept as evidence."""

import shutil

import pytest
from claiming import ORIGINAL, put, scored

from mic2e_bench.paths import root
from mic2e_bench.tools.claims import publish

# axe looks at each node, and the rows of a table are alike
FEWER_ROWS = "document.querySelectorAll('tbody').forEach(body => [...body.rows].slice(3).forEach(row => row.remove()))"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    kept = root() / "results" / "evidence"
    if kept.is_dir():
        shutil.copytree(kept, results / "evidence")
    first = put(results, ORIGINAL, seconds=[3.0])
    put(results, {**ORIGINAL, "steps": 8}, quality=scored(60.0, first.id))
    publish.write(results)
    return (results / "tables.html").as_uri()


@pytest.mark.parametrize("width, dark", [(400, False), (1600, True)])
def test_the_page_of_the_guides_tables(visit, page, width, dark):
    with visit(width=width, dark=dark) as seen:
        seen.page.goto(page)
        assert seen.quiet()
        assert seen.is_too_wide() <= 0  # wide tables scroll in themselves
        seen.page.locator("details summary").first.click()
        seen.page.locator("details[open] a").first.click()
        assert "#claim-" in seen.page.url  # from the score down to a claim's row
        assert seen.page.locator("tr:target").count() == 1
        seen.page.evaluate(FEWER_ROWS)
        assert seen.serious() == []
