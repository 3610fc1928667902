"""The forms of a comparison: JSON for programs, JUnit for CI, Markdown for a pull request, a page with pictures."""

import dataclasses
import hashlib
import itertools
import json
import re
from xml.etree import ElementTree

import helpers
import pytest
from comparing import put, put_rounds
from helpers import command, picture, study, tiny

from mic2e_bench.tools.compare import as_json, compare, forest, images, junit, outcome, page, pictures, verdict
from mic2e_bench.tools.compare import text as compare_text
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, MISSING, SAME, WORSE, Verdict

EVIL = "<script>x</script> |\u202e‮ [a](b) <!-- 'q' \"/\" 🎈"


@pytest.fixture
def made():
    return study(tiny(vary={"steps": [2, 4]}))


@pytest.fixture
def unscored(monkeypatch):
    """Pictures are looked at, and not scored: that takes a child with the networks."""
    monkeypatch.setattr(images, "score", lambda jobs, log: ({}, []))


SECONDS = {"baseline": 1.0, "steps=2": 2.0, "steps=4": 4.0}


def half_finished(folder, made):
    """Everything at the base; at the head one trial failed and one is missing."""
    put(folder / "base", made, SECONDS)
    put(folder / "head", made, {"baseline": 1.0})
    put(folder / "head", made, {"steps=2": 2.0}, status="oom", finished="2026")
    return folder / "base", folder / "head"


def of(word, label="a", gated=True, change=None, threshold=5.0):
    return Verdict("s", label, "latency", word, change, None, threshold, gated=gated)


def test_the_worst_is_first():
    wanted = [
        of(WORSE), of(WORSE, change=20.0), of(WORSE, change=6.0), of(WORSE, change=90.0, gated=False),
        of(INCONCLUSIVE, change=3.0), of(MISSING), of(INCONCLUSIVE, change=9.0, gated=False), of(BETTER, change=-30.0),
        of(BETTER, change=-9.0), of(SAME, change=-1.0), of(SAME, change=0.0),
    ]  # fmt: skip
    assert verdict.worst_first(reversed(wanted)) == wanted


def test_a_half_finished_side_fails_and_its_trials_are_named(capsys, tmp_path, made):
    base, head = half_finished(tmp_path, made)
    code, out, err = command(capsys, "compare", base, head)
    assert code == 1 and "MISSING at the head: tiny steps=4" in err and "tiny steps=2: status ok → oom" in out
    assert "measured at the base, missing at the head: no trial of that name" in out
    code, out, _ = command(capsys, "compare", base, head, "--allow-missing")
    assert code == 1 and "∅ missing" in out  # one that no longer runs is worse, whatever is allowed


@pytest.mark.parametrize("order", [("base", "head"), ("head", "base")])
def test_a_trial_of_one_side_only_fails_on_either_side_unless_that_is_allowed(capsys, tmp_path, made, order):
    put(tmp_path / "base", made, SECONDS)
    put(tmp_path / "head", made, {"baseline": 1.0, "steps=2": 2.0})
    sides = [tmp_path / name for name in order]
    code, _, err = command(capsys, "compare", *sides)
    assert code == 1 and f"MISSING at the {'head' if order[0] == 'base' else 'base'}: tiny steps=4" in err
    assert command(capsys, "compare", *sides, "--allow-missing")[0] == 0


@pytest.mark.parametrize(
    ("lost", "threshold", "values"),
    [("memory", "memory>5%", {"memory": {"weights_bytes": 10**7}}), ("quality", "quality<-1%", {"quality": {}})],
)
def test_a_metric_that_only_the_base_has_fails_unless_that_is_allowed(
    capsys, tmp_path, made, unscored, lost, threshold, values
):
    sides = put_rounds(tmp_path, made, {"steps=2": 2.0}, {"steps=2": 2.0}, rounds=1)
    for one in helpers.on_disk(sides[1] / "00").values():
        helpers.store(sides[1] / "00", {**one, **values})
    code, out, err = command(capsys, "compare", *sides, "--fail-on", threshold)
    assert code == 1 and f"MISSING at the head: tiny steps=2: {lost}" in err and "∅ missing" in out
    assert outcome.of(compare.compare(*sides, [threshold])).reason == (
        "1 metric is not at the head (--allow-missing accepts that)"
    )
    assert command(capsys, "compare", *sides, "--fail-on", "latency>5%")[0] == 0  # nobody asked for it
    assert command(capsys, "compare", *sides, "--fail-on", threshold, "--allow-missing")[0] == 0


def test_a_trial_that_neither_side_measured_is_not_missing(tmp_path, made):
    put(tmp_path / "base", made, {"baseline": 1.0})
    put(tmp_path / "base", made, {"steps=2": 1.0}, status="oom")
    put(tmp_path / "head", made, {"baseline": 1.0})
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    assert not found.missing and outcome.of(found).code == 0 and "only in the base" in found.remarks[0]


def test_the_json_says_everything_and_can_be_printed_alone(capsys, tmp_path, made):
    base, head = half_finished(tmp_path, made)
    code, out, err = command(capsys, "compare", base, head, "--json", "-", "--strict-inconclusive")
    said = json.loads(out)
    assert (said["schema"], said["exit"]["code"], code) == (1, 1, 1) and "MISSING" in err
    assert (
        "1 checked verdict is worse" in said["exit"]["reason"]
        and "1 trial is measured on one side" in said["exit"]["reason"]
    )
    (missing,) = said["missing"]
    assert (missing["study"], missing["label"]) == ("tiny", "steps=4")
    words = [one["word"] for one in said["verdicts"]]
    assert words[0] == WORSE and sum(said["counts"].values()) == len(words)
    keys = {"study", "label", "metric", "word", "change", "ci95", "threshold", "unit", "gated", "fails", "seconds"}
    assert all(keys <= set(one) for one in said["verdicts"]) and said["power"][0]["metric"] == "latency"


def test_the_json_has_no_number_that_json_has_not(tmp_path, made):
    put(tmp_path / "base", made, {"baseline": 1.0})
    put(tmp_path / "head", made, {"baseline": 1.0})
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    (first, *others) = found.verdicts
    odd = dataclasses.replace(first, change=float("inf"), ci95=(float("nan"), 1.0))
    said = json.loads(as_json.of(dataclasses.replace(found, verdicts=(odd, *others), base="\ud800")))
    assert (said["verdicts"][0]["change"], said["verdicts"][0]["ci95"]) == (None, [None, 1.0])


# What Jenkins accepts: src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd of
# github.com/jenkinsci/xunit-plugin at 8c515de2804b3fd591a3b0f1ff8908a1b1a41887: attributes (the first so many are
# required), and the elements that may be inside.
SUITE = ["name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
         "file", "log", "url", "version"]  # fmt: skip
RERUNS = {"rerunFailure", "rerunError", "flakyFailure", "flakyError"}
OUTPUT, ENDS = {"system-out", "system-err"}, {"skipped", "error", "failure"}
JENKINS = {
    "testsuites": (0, ["name", "time", "tests", "failures", "errors"], {"testsuite"}),
    "testsuite": (4, SUITE, {"testsuite", "properties", "testcase", *OUTPUT}),
    "properties": (0, [], {"property"}),
    "property": (2, ["name", "value"], set()),
    "testcase": (1, ["name", "time", "classname", "group"], {*ENDS, *RERUNS, *OUTPUT}),
    **{name: (0, ["type", "message"], set()) for name in ENDS},
    **{name: (0, [], set()) for name in OUTPUT},
}
TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?")  # of suites


def check(element):
    """Assert that an element is as the schema has it, with all that is in it."""
    required, known, inside = JENKINS[element.tag]
    assert set(known[:required]) <= set(element.attrib) <= set(known), element.attrib
    assert element.tag == "testcase" or TIME.fullmatch(element.get("time", ""))
    if element.tag in ("testsuites", "testsuite", "properties", "testcase"):
        assert not (element.text or "").strip()  # these hold elements, and no text
    for child in element:
        assert child.tag in inside
        check(child)


def test_the_junit_file_is_as_jenkins_wants_it_with_the_seconds_that_were_measured(tmp_path, made):
    started = "2026-01-01T00:00:00+00:00"
    for side in ("base", "head"):
        put(tmp_path / side, made, {"baseline": 1.0}, at=started, label=EVIL)
        for number, label in enumerate(("steps=2", "steps=4")):
            put(tmp_path / side / str(number), made, {label: 400.0}, at=started)
    put(tmp_path / "base", made, {"steps=4": 400.0}, at=started)
    put(tmp_path / "head" / "1", made, {"steps=4": 1.0}, status="oom", at=started, finished="2026-01-01T00:00:07+00:00")
    (failed,) = (tmp_path / "head" / "1" / "tiny").glob("*.json")
    helpers.rewrite(failed, {**(one := json.loads(failed.read_text())), "timing": {**one["timing"], "latency_s": []}})
    (tmp_path / "head" / "0" / "tiny").rename(tmp_path / "gone")
    root = ElementTree.fromstring(junit.xml(compare.compare(tmp_path / "base", tmp_path / "head")))
    check(root)
    (suite,) = root
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    times = {name.rpartition(": ")[0]: float(case.get("time")) for name, case in cases.items()}
    assert times["steps=2"] == 2000.0 and times["steps=4"] == 7.0 and 4.9 < min(times.values()) < 5.1
    assert float(suite.get("time")) == float(root.get("time")) == pytest.approx(sum(times.values()))
    assert {case.find("error").get("type") for case in cases.values() if case.find("error") is not None} == {
        WORSE,
        MISSING,
    }
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(name)) == len(suite.findall(f".//{tag}"))
    assert suite.get("timestamp") == "2026-01-01T00:00:00" and suite.get("hostname")
    assert int(root.get("errors")) == 2 and int(suite.get("skipped")) == 1  # one round says nothing of time


def test_the_markdown_begins_with_the_answer_and_the_worst(tmp_path, made):
    base, head = put_rounds(tmp_path, made, SECONDS, {"baseline": 1.0, "steps=2": 3.0, "steps=4": 2.0})
    text = compare_text.markdown(compare.compare(base, head))
    assert text.startswith("**Worse: tiny steps=2: latency +50")
    rows = [line for line in text.splitlines() if line.startswith("| tiny")]
    assert "worse" in rows[0] and "better" in rows[1]
    assert text.count("<details>") == text.count("</details>") == 2 and "Pictures changed" not in text


def with_pictures(folder, made, **labels):
    """A trial with the same pictures on both sides, one with others, one whose pictures are gone; returns the sides."""
    for number, side in enumerate(("base", "head")):
        place = folder / side / "tiny" / "images" / "a.png"
        place.parent.mkdir(parents=True)
        picture((64, 48), seed=20 * number).save(place)
        put(folder / side, made, {"baseline": 1.0}, sha=hashlib.sha256(place.read_bytes()).hexdigest(), **labels)
    return folder / "base", folder / "head"


def test_what_changed_in_pictures_is_shown_with_one_amplification(capsys, tmp_path, made, unscored):
    base, head = with_pictures(tmp_path, made)
    found = compare.compare(base, head)
    (changed,) = found.pictures
    assert (changed.changed, changed.of, changed.input, changed.seed) == (1, 1, "in0", 42)
    html = page.html(found)
    assert html.count('src="data:image/jpeg;base64,') == 3 and "all amplified ×16:" in html
    assert "Pictures changed in 1 of 1 trials (1 in all)." in html
    target = tmp_path / "c.md"
    command(capsys, "compare", base, head, "--markdown", target, "--html", tmp_path / "a page (1).html")
    text = target.read_text()
    assert "data:image" not in text and "[Look at them](a%20page%20%281%29.html)" in text
    (head / "tiny" / "images" / "a.png").unlink()
    html = page.html(found)
    assert "no picture any more: head" in html and html.count("src=") == 1


def test_pictures_of_another_size_and_too_many_of_them_are_said(tmp_path, made, unscored):
    (changed,) = compare.compare(*with_pictures(tmp_path, made)).pictures
    picture((32, 32)).save(changed.head)
    shown = pictures.shown([changed] * 15)
    assert shown["left_out"] == 3 and shown["rows"][0]["said"] == "another size: 64×48 → 32×32 pixels"
    assert shown["rows"][0]["difference"] is None


def test_names_from_outside_are_text_in_every_form(tmp_path, made, unscored):
    found = compare.compare(*with_pictures(tmp_path, made, label=EVIL))
    html, text = page.html(found), compare_text.markdown(found)
    assert not any(acting in html for acting in ("<script", "<!-- '", "\u202e"))
    assert not any(acting in text for acting in ("<script", "<!--", "\u202e", "](b)"))
    check(ElementTree.fromstring(junit.xml(found)))


def test_the_plot_of_ratios_has_every_mark_inside_and_no_label_on_another():
    verdicts = [
        dataclasses.replace(of(WORSE, change=900.0), ci95=(850.0, 950.0)),
        dataclasses.replace(of(SAME, change=0.0), ci95=(0.0, 0.0)), of(BETTER, change=-97.0, threshold=120.0),
    ]  # fmt: skip
    plot = forest.plot(verdicts * 20)
    assert plot["left_out"] == 20 and len(plot["lines"]) == forest.MOST
    for line in plot["lines"]:
        low, high = line["band"]
        assert all(0 < place < 100 for place in (line["at"], low, high, *(line["ends"] or ())))
        assert low < plot["none"] < high
    places = [place for place, _ in plot["ticks"]]
    assert all(right - left >= forest.APART for left, right in itertools.pairwise(places))
    assert forest.plot([of(WORSE)]) is None and len(forest.plot(verdicts[1:2])["ticks"]) >= 1
