"""The page of a record: what it says, what it leads to, and when it is written anew."""

import helpers
import whole_records

from mic2e_bench.report import findings, made_from, record_page, tables


def made(folder):
    of = whole_records.study()
    paths = [whole_records.write(folder, of, trial, number) for number, trial in enumerate(of.trials, 1)]
    return findings.read(of, folder), paths


def test_every_record_has_a_page_with_its_figures_and_its_pictures(tmp_path):
    found, paths = made(tmp_path)
    for path, page in zip(paths, record_page.write(found), strict=True):
        text = page.read_text()
        assert page == path.with_suffix(".html") and f'href="./{path.name}"' in text
        for words in (
            "Calls (ms):",
            "peak RSS of a call",
            "a stand-in",
            "Identity",
            'href="./images/',
            "data:image/jpeg",
        ):
            assert words in text, words


def test_a_page_is_written_anew_only_where_its_record_is_another(tmp_path):
    found, paths = made(tmp_path)
    first = {page: (page.stat().st_mtime_ns, page.read_bytes()) for page in record_page.write(found)}
    assert {page: (page.stat().st_mtime_ns, page.read_bytes()) for page in record_page.write(found)} == first
    whole_records.change(paths[2], reason="another reason")
    again = record_page.write(findings.read(found.study, tmp_path))
    assert [page.name for page in again if page.read_bytes() != first[page][1]] == [paths[2].with_suffix(".html").name]


def test_what_a_page_was_made_from_is_known(tmp_path, capsys):
    found, paths = made(tmp_path)
    record_page.write(found)
    assert made_from.unknown(tmp_path) == [] and not [*made_from.problems(tmp_path, found.digests)]
    paths[1].with_suffix(".html").write_text("edited")
    ((name, problem),) = made_from.problems(tmp_path, found.digests)
    assert name.endswith(f"{paths[1].stem}.html") and "edited" in problem
    assert ".html" not in "".join(helpers.command(capsys, "verify", "--results", tmp_path)[1:]).replace(name, "")


def test_evidence_has_pages_and_throughput_records_have_none(tmp_path):
    _, paths = made(tmp_path / "evidence" / "card")
    some = [path.relative_to(tmp_path).as_posix() for path in paths]
    pages = record_page.write_some(tmp_path, [*some, f"s/throughput/{'0' * 16}.json"])
    assert {page.relative_to(tmp_path).as_posix() for page in pages} == {record_page.address(one) for one in some}
    assert record_page.address("s/throughput/a.json") == "s/throughput/a.json"
    assert record_page.address('a "b"/c.json') == "a%20%22b%22/c.html"


def test_tables_lead_to_pages_where_there_are_some(tmp_path):
    found, _ = made(tmp_path)
    assert "<a " not in tables.main(found).html()
    assert all(f'href="S/{id}.html"' in tables.main(found, base="S/").html() for id in found.records)
    tables.write(found)
    assert "](" not in (found.folder / "table.md").read_text()
    record_page.write(found)
    tables.write(found)
    assert (found.folder / "table.md").read_text().count(".html)") == len(found.records)
