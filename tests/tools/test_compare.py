"""Two sets of records beside each other: the rule, the statistics, matching, machines, outputs, and real losses."""

import json
from xml.etree import ElementTree

import helpers
import numpy as np
import pytest
from comparing import put, put_rounds
from helpers import command, inputs, refusal, run, study, tiny

from mic2e_bench import api, statistics
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.tools.compare import compare, junit, thresholds, verdict
from mic2e_bench.tools.compare import match as compare_match
from mic2e_bench.tools.compare.verdict import BETTER, INCONCLUSIVE, MISSING, SAME, WORSE
from mic2e_bench.workshop.proof import faults, gate

EVIL = '<b>a|b</b> & "c" \x00 *d*'


@pytest.mark.parametrize(
    ("change", "ci95", "lower", "word"),
    [
        (10, (6, 14), True, WORSE), (10, (6, 14), False, BETTER), (-10, (-14, -6), True, BETTER),
        (-10, (-14, -6), False, WORSE), (1, (-2, 4), True, SAME), (6, (2, 10), True, INCONCLUSIVE),
        (0, (-20, 20), True, INCONCLUSIVE), (10, None, True, INCONCLUSIVE), (5, (5, 5), True, SAME),
        (5.1, (5.1, 5.1), True, WORSE),
    ],
)  # fmt: skip
def test_the_rule(change, ci95, lower, word):
    assert verdict.judge(change, ci95, 5, lower, exact=False) == word


def test_an_exact_difference_needs_no_interval():
    assert verdict.judge(-3, None, 1, False, exact=True) == WORSE
    assert verdict.judge(0, None, 1, False, exact=True) == SAME


def test_a_drift_that_both_sides_share_is_no_change():
    drift = [1.0, 1.5, 0.7, 2.0, 1.2, 0.9, 1.7, 1.1]
    base, head = ([[level * share] * 3 for level in drift] for share in (1.0, 1.1))
    value, ends, _ = statistics.change(base, head)
    assert value == pytest.approx(1.1) and ends == pytest.approx([1.1, 1.1])


KNOWN = ["latency", "memory", "quality", "quality.truth", "psnr", "lpips", "quality.base"]


def test_thresholds_are_read_and_the_most_exact_name_counts():
    asked = thresholds.read(["latency>5%", " quality < -1 % ", "quality.truth<-3%", "psnr<-0.5dB", "lpips>.02"], KNOWN)
    assert [t.change for t in asked] == [5, 1, 3, 0.5, 0.02]
    assert thresholds.of("quality.base", asked) == 1
    assert thresholds.of("quality.truth", asked) == 3
    assert thresholds.of("memory", asked) == 5
    assert {t.metric for t in thresholds.by_default(KNOWN)} == {"latency", "quality"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("latency", "write a metric, > or <, and a change"), ("latency>5", "has %, not no unit"),
        ("latency<5%", "latency is lost where it rises: latency>5%"), ("latency>-5%", "is lost where it rises"),
        ("quality>1%", "falls: quality<-1%"), ("quality<1%", "falls: quality<-1%"), ("speed>5%", "unknown metric"),
        ("psnr<-1%", "has dB, not %"), ("latency>0%", "is lost where"), ("", "write a metric"),
    ],
)  # fmt: skip
def test_a_threshold_that_cannot_be_read_is_answered_with_a_line(text, words):
    with pytest.raises(BadInput) as error:
        thresholds.read([text], KNOWN)
    assert words in str(error.value) and "\n" not in str(error.value)


def words(made):
    return {(v.label, v.metric): v.word for v in made.verdicts}


@pytest.fixture
def made():
    return study(tiny(vary={"steps": [2, 4]}))


SAME_TIMES = {"baseline": 1.0, "steps=2": 2.0, "steps=4": 4.0}


def test_each_metric_of_each_trial_has_a_verdict(tmp_path, made):
    put_rounds(tmp_path, made, SAME_TIMES, {"baseline": 1.0, "steps=2": 2.4, "steps=4": 3.0})
    for path in (tmp_path / "head").glob("*/tiny/*.json"):
        one = json.loads(path.read_text())
        one["memory"]["peak_rss_bytes"] = 700 * 2**20
        helpers.rewrite(path, one)
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    got = words(found)
    assert [got[label, "latency"] for label in SAME_TIMES] == [SAME, WORSE, BETTER]
    assert {got[label, "memory"] for label in SAME_TIMES} == {WORSE}
    assert {got[label, "quality"] for label in SAME_TIMES} == {SAME}
    assert [(f.label, f.metric) for f in found.failures] == [("steps=2", "latency")]  # memory was not asked for
    found = compare.compare(tmp_path / "base", tmp_path / "head", ["memory>3%", "latency>50%"])
    assert {f.metric for f in found.failures} == {"memory"}


def test_a_studys_folder_and_a_results_folder_are_both_sides(tmp_path, made):
    put(tmp_path / "base", made, SAME_TIMES)
    found = compare.compare(tmp_path / "base" / "tiny", tmp_path / "base")
    got = words(found)
    assert {word for (_, metric), word in got.items() if metric != "latency"} == {SAME, INCONCLUSIVE}
    assert {got[label, "quality"] for label in SAME_TIMES} == {SAME}
    assert {got[label, "latency"] for label in SAME_TIMES} == {INCONCLUSIVE}  # even of the same records: one round


def latency_of(folders, *fail_on):
    return next(v for v in compare.compare(*folders, fail_on).verdicts if v.metric == "latency")


def test_rounds_are_found_in_folders_and_paired_in_time(tmp_path, made):
    latency = latency_of(put_rounds(tmp_path, made, {"baseline": 1.0}, {"baseline": 1.1}))
    assert latency.word == WORSE and latency.change == pytest.approx(10) and latency.note == ""


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_fewer_than_six_rounds_conclude_nothing_however_far_apart(tmp_path, made, rounds):
    latency = latency_of(put_rounds(tmp_path, made, {"baseline": 1.0}, {"baseline": 9.0}, rounds))
    assert (latency.word, latency.ci95) == (INCONCLUSIVE, None)
    assert latency.change == pytest.approx(800) and "fewer than 6: too few to say" in latency.note


def test_rounds_that_did_not_take_turns_conclude_nothing(tmp_path, made):
    latency = latency_of(put_rounds(tmp_path, made, {"baseline": 1.0}, {"baseline": 1.1}, 8, "first"))
    assert (latency.word, latency.ci95) == (INCONCLUSIVE, None) and "did not take turns" in latency.note


def test_a_round_whose_pair_failed_is_left_out_and_the_others_stay_pairs(tmp_path, made):
    base, head = put_rounds(tmp_path, made, {"baseline": 1.0}, {"baseline": 1.1}, 8)
    for lost in (base / "02", head / "05"):
        (path,) = lost.glob("tiny/*.json")
        path.unlink()
    latency = latency_of((base, head))
    assert latency.word == WORSE and latency.ci95 == pytest.approx((10, 10))


NOISE = (0.05, -0.05, 0.02, -0.02, 0.06, -0.06)


def test_the_power_is_said_with_every_comparison_and_before_one(capsys, tmp_path, made):
    base, head = put_rounds(tmp_path, made, {"baseline": 1.0}, {"baseline": 1.1}, noise=NOISE)
    written = {name: tmp_path / f"c.{name}" for name in ("markdown", "json", "junit")}
    code, out, err = command(capsys, "compare", base, head, *[x for n, p in written.items() for x in (f"--{n}", p)])
    assert code == 0 and "6 rounds at this noise (5.2 % a round) find a change of 9.5 % (80 % of the time)" in out
    assert "to find 5.0 % takes 24 rounds" in out and "NOT ANSWERED: tiny baseline: latency" in err
    assert "to find 5.0 % takes 24 rounds" in written["junit"].read_text()
    assert "What so many rounds find" in written["markdown"].read_text()
    (power,) = json.loads(written["json"].read_text())["power"]
    assert power["finds"] == pytest.approx(9.5, abs=0.1) and (power["rounds"], power["needed"]) == (6, 24)
    code, out, _ = command(capsys, "compare", base, "--power", "--fail-on", "latency>50%")
    assert code == 0 and "rounds find" in out and "to find 50 % takes" in out  # the drift is in it: both sides' alone


def test_a_stated_power_is_what_comparisons_find():
    draw, found, noise = np.random.default_rng(3), 0, 0.05
    change = np.exp(statistics.tells(8) * noise)
    for _ in range(500):
        _, ends, _ = statistics.change(np.ones((8, 1)), change * np.exp(noise * draw.standard_normal((8, 1))))
        found += ends[0] > 1
    assert found / 500 == pytest.approx(0.8, abs=0.05)
    assert statistics.rounds_to_tell(statistics.tells(20)) == 20
    assert statistics.tells(5) is None and statistics.rounds_to_tell(0.01) is None


@pytest.mark.parametrize("given", [["--power", "--strict-inconclusive"], ["HEAD", "--power"], []])
def test_a_power_needs_the_base_alone_and_a_comparison_both(capsys, tmp_path, made, given):
    put(tmp_path / "base", made, SAME_TIMES)
    assert ("given too" in refusal(capsys, "compare", tmp_path / "base", *given)) == bool(given)


def test_no_noise_is_known_of_one_round(capsys, tmp_path, made):
    put(tmp_path / "base", made, {"baseline": 1.0})
    _, out, _ = command(capsys, "compare", tmp_path / "base", "--power")
    assert "nothing is known of the noise between rounds (1 round; 3 show it, 6 conclude)" in out


def test_trials_of_another_identity_are_matched_by_their_name_and_what_differs_is_said(tmp_path, made):
    other = study(tiny(vary={"steps": [2, 4]}, protocol={"warmup": 0, "repeats": 3, "seeds": [42]}))
    put(tmp_path / "base", made, SAME_TIMES)
    put(tmp_path / "head", other, SAME_TIMES)
    for path in (tmp_path / "head" / "tiny").glob("*.json"):  # as if a commit had brought a toggle
        one = json.loads(path.read_text())
        one["trial"]["settings"]["brand_new"] = "off"
        one["id"] = fingerprint(identifying(one["trial"]))
        path.unlink()
        helpers.store(tmp_path / "head", one)
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    notes = {v.note for v in found.verdicts if v.metric == "latency"}
    assert all("another protocol: repeats" in note and "one side only: brand_new" in note for note in notes)


def test_trials_that_are_not_the_same_are_named_and_not_compared(tmp_path, made):
    other = study(tiny(vary={"steps": [2, 8]}, baseline={"steps": 1, "resolution": 128, "guidance": 1.0, "threads": 1}))
    put(tmp_path / "base", made, SAME_TIMES)
    put(tmp_path / "head", made, {"baseline": 1.0})
    put(tmp_path / "head", other, {"steps=2": 2.0, "steps=8": 8.0})
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    compared = {label for (label, metric), word in words(found).items() if word != MISSING}
    assert compared == {"baseline"}
    said = "\n".join(found.remarks)
    assert "steps=2 (its namesake has other settings (resolution" in said
    assert "steps=4 (no trial of that name)" in said and "only in the head: tiny steps=8" in said
    assert found.lost == 2


def test_a_trial_that_no_longer_runs_is_worse_and_one_that_runs_now_is_better(tmp_path, made):
    put(tmp_path / "base", made, {"baseline": 1.0, "steps=2": 2.0})
    put(tmp_path / "base", made, {"steps=4": 4.0}, status="error")
    put(tmp_path / "head", made, {"baseline": 1.0, "steps=4": 4.0})
    put(tmp_path / "head", made, {"steps=2": 2.0}, status="oom")
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    assert words(found)["steps=2", "status"] == WORSE
    assert words(found)["steps=4", "status"] == BETTER
    (failure,) = found.failures
    assert (failure.base, failure.head, failure.note) == ("ok", "oom", "no memory left")


def test_records_of_another_machine_are_refused_unless_as_ratios_to_their_own_baseline(tmp_path, made):
    for number in range(6):
        other = {"baseline": 10.0, "steps=2": 20.0, "steps=4": 60.0}
        put(tmp_path / "base" / str(number), made, SAME_TIMES)
        put(tmp_path / "head" / str(number), made, other, host="other", sha="1" * 64)
    with pytest.raises(BadInput, match=r"measured on .* other .*--across-machines"):
        compare.compare(tmp_path / "base", tmp_path / "head")
    found = compare.compare(tmp_path / "base", tmp_path / "head", across_machines=True)
    got = words(found)
    assert (got["steps=2", "latency"], got["steps=4", "latency"]) == (SAME, WORSE)
    assert ("baseline", "latency") not in got
    assert not any("." in metric for _, metric in got)  # nothing absolute: no truth, no base's pictures
    put(tmp_path / "head", made, {"steps=2": 20.0}, host="third")
    with pytest.raises(BadInput, match="several machines"):
        compare.compare(tmp_path / "base", tmp_path / "head", across_machines=True)


def test_other_versions_are_compared_and_named(tmp_path, made):
    put(tmp_path / "base", made, SAME_TIMES)
    packages = {**environment.here("cpu")["packages"], "torch": "9.9"}
    put(tmp_path / "head", made, SAME_TIMES, packages=packages, disturbed=["other work took 40 % of the processors"])
    remarks = "\n".join(compare.compare(tmp_path / "base", tmp_path / "head").remarks)
    assert "→ 9.9" in remarks and "3 of 3 records were disturbed (such as: other work took 40 %" in remarks


def test_stored_quality_of_pictures_that_are_gone_is_compared_by_its_intervals(tmp_path, made):
    put(tmp_path / "base", made, SAME_TIMES, {"steps=2": 95.0})
    put(tmp_path / "head", made, SAME_TIMES, {"steps=2": 90.0}, sha="1" * 64)
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    assert words(found)["steps=2", "quality"] == WORSE
    assert "a.png is missing" in "\n".join(found.remarks)


def test_pictures_of_random_weights_that_were_not_kept_are_said_in_words(tmp_path):
    made = study(tiny(vary={"steps": [2, 4]}, model="random"))
    put(tmp_path / "base", made, SAME_TIMES, {"steps=2": 95.0})
    put(tmp_path / "head", made, SAME_TIMES, {"steps=2": 90.0}, sha="1" * 64)
    found = compare.compare(tmp_path / "base", tmp_path / "head")
    assert words(found)["steps=2", "quality"] == WORSE
    assert "random weights: the picture was not kept" in "\n".join(found.remarks)
    assert "is missing" not in "\n".join(found.remarks)


def test_the_command_exits_as_ci_needs_it_and_writes_every_form(capsys, tmp_path, made):
    base, head = tmp_path / "base", tmp_path / "head"
    put_rounds(tmp_path, made, SAME_TIMES, {"baseline": 1.3, "steps=2": 2.0, "steps=4": 4.1})
    files = {name: tmp_path / "out" / f"c.{name}" for name in ("markdown", "junit", "html")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    code, out, _ = command(capsys, "compare", base, head, *options)
    assert code == 1 and "✗ worse" in out and "Worse: tiny baseline: latency +30" in out
    assert "| tiny baseline" in files["markdown"].read_text() and "<details>" in files["markdown"].read_text()
    assert "Content-Security-Policy" in files["html"].read_text()
    suites = ElementTree.parse(files["junit"]).getroot()
    assert (suites.get("failures"), suites.get("tests")) == ("1", str(len(suites.findall(".//testcase"))))
    (failure,) = suites.findall(".//failure")
    assert failure.get("message").startswith("worse: +30")
    assert command(capsys, "compare", base, head, "--fail-on", "memory>3%")[0] == 0


def test_inconclusive_is_3_only_on_request(capsys, tmp_path, made):
    base, head = tmp_path / "base", tmp_path / "head"
    put(base, made, {"baseline": 1.0})
    put(head, made, {"baseline": 1.05})
    assert command(capsys, "compare", base, head)[0] == 0
    code, out, _ = command(capsys, "compare", base, head, "--strict-inconclusive")
    assert code == 3 and "as far as can be said: 1 inconclusive" in out
    put(base, made, {"steps=2": 1.0})
    put(head, made, {"baseline": 1.0})
    code, out, err = command(capsys, "compare", base, head)  # a trial of the base is gone
    assert code == 1 and "MISSING at the head: tiny steps=2" in out and "MISSING at the head: tiny steps=2" in err
    assert command(capsys, "compare", base, head, "--allow-missing", "--strict-inconclusive")[0] == 3


def test_what_a_record_says_breaks_no_form(capsys, tmp_path, made):
    base, head = tmp_path / "base", tmp_path / "head"
    put(base, made, {"baseline": 1.0}, label=EVIL)
    put(head, made, {"baseline": 2.0}, label=EVIL)
    found = compare.compare(base, head)
    (case, *_) = ElementTree.fromstring(junit.xml(found)).iter("testcase")
    assert case.get("name") == '<b>a|b</b> & "c" \\x00 *d*: latency'
    files = {name: tmp_path / f"c.{name}" for name in ("markdown", "html")}
    command(capsys, "compare", base, head, *[part for name, path in files.items() for part in (f"--{name}", path)])
    assert "<b>a" not in files["html"].read_text()
    assert "<b>a" not in files["markdown"].read_text() and "a\\|b" in files["markdown"].read_text()


@pytest.mark.parametrize("case", ["nowhere", "empty", "damaged", "apart", "threshold"])
def test_bad_input_is_answered_with_a_line(capsys, tmp_path, made, case):
    base, head = tmp_path / "base", tmp_path / "head"
    put(base, made, SAME_TIMES)
    more, words_ = [], {"nowhere": "no such folder", "empty": "no records", "damaged": "no records",
                        "apart": "no trial in common", "threshold": "has %, not no unit"}[case]  # fmt: skip
    if case in ("empty", "damaged"):
        head.mkdir()
    if case == "damaged":
        (head / f"{'0' * 16}.json").write_text("{")
    if case == "apart":
        other = {"pipeline": "sam3", "baseline": {}, "vary": {"precision": ["bf16"]}, "metrics": ["iou"], "study": "o"}
        put(head, study(tiny(**other)), {"precision=bf16": 1.0})
    if case == "threshold":
        put(head, made, SAME_TIMES)
        more = ["--fail-on", "latency>5"]
    assert words_ in refusal(capsys, "compare", base, head, *more)


def test_matching_is_by_identity_first(tmp_path, made):
    put(tmp_path / "a", made, SAME_TIMES)
    one = compare_match.read(tmp_path / "a")
    found = compare_match.match(one, one)
    assert all(match.base.id == match.head.id and match.notes == () for match in found.matches)
    assert (found.gone, found.new) == ((), ())


def measured(tmp_path):
    return tiny(inputs=inputs(tmp_path / "inputs", ((96, 80), (80, 96))), metrics=["lpips"], vary=None)


def test_a_real_rerun_has_the_same_pictures_and_a_real_loss_of_quality_is_caught(tmp_path):
    given = measured(tmp_path)
    for name, fault in (("base", None), ("rerun", None), ("worse", faults.noisier(25))):
        with faults.injected(fault):
            api.run(given, results=tmp_path / name)
    rerun = compare.compare(tmp_path / "base", tmp_path / "rerun", ["quality<-1%"])
    assert {v.word for v in rerun.verdicts if v.metric.startswith("quality")} == {SAME}
    assert all(v.note.startswith("the same pictures") for v in rerun.verdicts if v.metric.startswith("quality"))
    worse = compare.compare(tmp_path / "base", tmp_path / "worse", ["quality<-1%"])
    got = {v.metric: v for v in worse.verdicts}
    assert got["quality.base"].word == WORSE and got["quality.base"].change < -1
    assert got["quality.base"].ci95 is None and "of 2 scenes, fewer than 6" in got["quality.base"].note
    assert got["quality"].change == pytest.approx(0, abs=1e-6)  # its own baseline has the same noise: it cannot tell


def test_a_slowdown_is_inside_the_timed_call(tmp_path):
    given = tiny(vary=None, metrics=[])
    with faults.injected(faults.slower(3.0)):
        slow = run(given, tmp_path / "slow")
    fast = run(given, tmp_path / "fast")
    (one,), (other,) = slow.records.values(), fast.records.values()
    assert one.status == other.status == "ok"
    assert one.latency_s[0] > 2 * other.latency_s[0]


def test_the_gate_reports_what_it_caught(monkeypatch, capsys, tmp_path):
    huge = {gate.BASE: None, "10 % slower": faults.slower(1.0), "noisier pictures": faults.noisier(40)}
    monkeypatch.setattr(gate, "VARIANTS", huge)
    small = ["baseline.resolution=64", "baseline.steps=1", "vary=", "protocol.repeats=1", f"inputs={inputs(tmp_path)}"]
    gate.main(["--times", "1", "--rounds", "1", "--most", "2", *[word for key in small for word in ("--set", key)]])
    out = capsys.readouterr().out
    assert "| noisier pictures | 1 of 1 caught | quality.base 1x | 0 | 1 to 1 |" in out
    assert "| 10 % slower | 0 of 1 caught | nothing | 1 | 2 to 2 |" in out  # two rounds say nothing of time
