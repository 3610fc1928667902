"""What a record or a params file says is text on every page, whatever it looks like."""

import json
from html.parser import HTMLParser

import pytest
from claiming import ORIGINAL, put
from helpers import rewrite, store, study, tiny
from made_records import picture

from mic2e_bench.machine import environment
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.records import record
from mic2e_bench.report import markup
from mic2e_bench.tools.claims import publish
from mic2e_bench.tools.compare import compare
from mic2e_bench.tools.compare import page as compare_page

pytest.importorskip("nbformat")
from mic2e_bench import notebook
from mic2e_bench.tools.report import page

HOSTILE = (
    "</style></title></td>--> \"'><img src=x onerror=alert(1)><script>alert(2)</script>"
    "<a href=javascript:alert(3)>{{ 7 * 6 }}"
)
# what decides which record it is, and whether it can be compared with another, stays
KEPT = {"id", "settings", "study", "status", "file", "input", "sha256", "against", "pipeline", "source", "better"}
VARIED = {"resolution": [64, 72], "batch": [1, 2]}


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its texts."""

    def __init__(self, html):
        super().__init__()
        self.made, self.texts = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.made.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def assert_is_text(html, times=1):
    """``HOSTILE`` is in the page, at least so often, as text alone."""
    found = Elements(html)
    assert sum(text.count(HOSTILE) for text in [*found.texts, *(a.get("alt", "") for _, a in found.made)]) >= times
    assert not {"script", "iframe", "object", "base", "form"} & {tag for tag, _ in found.made}
    for tag, attributes in found.made:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "javascript:" not in attributes.get("href", "")
        assert tag not in ("img", "image") or (attributes.get("src") or attributes["href"]).startswith("data:image/")


def planted(value, kept, key=""):
    """A record's content with the hostile text behind each of its texts, but those under a kept key."""
    if key in kept:
        return value
    if isinstance(value, dict):
        return {name: planted(one, kept, name) for name, one in value.items()}
    if isinstance(value, list):
        return [planted(one, kept, key) for one in value]
    return value + HOSTILE if isinstance(value, str) else value


def plant(results, kept=KEPT):
    for path in results.glob("*/*.json"):
        rewrite(path, planted(json.loads(path.read_text()), kept))
    return results


def measured(results, of, trial, seconds, status="ok", reason=""):
    """A record with everything that pages show, and names among it that nobody has planned."""
    picture(results / of.name / "images" / f"{trial.id}.png", round(seconds))
    made = record.make(
        trial, status, reason,
        receipts={name: {"asked": "a", "seen": "b", "applied": True, "how": "how"} for name in trial.settings},
        timing={"load_s": 1.5, "first_call_s": 9.0, "latency_s": [seconds, seconds * 1.1, seconds * 1.2],
                "witnessed_s": 2.0, "component_s": {"denoiser": [1.0]}, "warnings": ["drifts"]},
        memory={"peak_rss_bytes": 9 * 2**20, "phases": {HOSTILE: {"rss_bytes": 2**20}}},
        images=[{"input": "in0", "seed": 42, "file": f"images/{trial.id}.png", "sha256": "0" * 64}],
        environment={**environment.here("cpu"), "disturbed": ["other work"], "remarks": ["slow"],
                     "packages": {HOSTILE: "1"}},
        cost={"reason": "not counted"},
    )  # fmt: skip
    entry = {"unit": "%", "better": "higher", "against": of.baseline.id, "backbone": "a stand-in", "ci95": None}
    scores = {"quality": {**entry, "value": 90.0 + seconds, "floor": 99.5, "anchor": "an anchor"}}
    scores |= {"psnr": {**entry, "unit": "dB", "value": 30.0}, f"psnr.{HOSTILE}": {**entry, "value": 1.0}}
    record.write(results, made.with_quality(scores))


@pytest.fixture
def hostile(tmp_path):
    """A study of four trials, one not as asked and one out of memory, with the text in every record."""
    of = study(tiny(study="grid", vary=VARIED, metrics=["lpips", "psnr"]))
    for number, trial in enumerate(of.trials[:-1], 1):
        measured(tmp_path, of, trial, float(number), *(("not_applied", "why") if number == 3 else ()))
    record.write(tmp_path, record.make(of.trials[-1], "oom", "why", environment=environment.here("cpu")))
    return of, plant(tmp_path)


def test_the_report_and_every_piece_of_the_notebooks(hostile):
    of, results = hostile
    assert_is_text(page.write([of], results).read_text(), 20)
    bench = notebook.Bench(of, results)
    for shown in (bench.table, bench.comparison, bench.breakdown, bench.strips, bench.overview, bench.tradeoff):
        assert_is_text(shown().data)
    for shown in (bench.payoff, bench.interactions, bench.more_metrics):
        assert_is_text(shown().data)


def test_the_recommendation(hostile):
    _, results = hostile
    choice = notebook.choice("grid", str(results), max_latency="2s")
    for shown in (choice.answer, choice.front, choice.figure, choice.table):
        assert_is_text(shown().data)


def test_the_comparison(hostile, tmp_path):
    """Of records that say hostile things and are whole, with the identity of what they say."""
    _, results = hostile
    for path in list((results / "grid").glob("*.json")):
        one = json.loads(path.read_text())
        path.unlink()
        one["id"] = fingerprint(identifying(one["trial"]))
        for side in ("base", "head"):
            store(tmp_path / side, one)
    assert_is_text(compare_page.html(compare.compare(tmp_path / "base", tmp_path / "head")), 5)


def test_the_guides_tables(tmp_path):
    put(tmp_path, ORIGINAL, seconds=[3.0, 3.1, 2.9])
    put(tmp_path, {"quantize": "bnb-int8"}, status="refused", reason="why")
    made = publish.make(plant(tmp_path, KEPT | {"settings", "model"}))
    assert_is_text(made["tables.html"])
    assert "<img" not in made["tables.md"]


def test_what_a_template_is_not_given_is_an_error_and_no_gap():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="text"):
        markup.render("answer.html")
