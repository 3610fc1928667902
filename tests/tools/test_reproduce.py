"""A stored record measured once more: what agrees, what does not, what cannot be told, what is not the same here."""

import dataclasses
import hashlib
import json
import shutil

import helpers
import pytest
import whole_records
from helpers import command, inputs, refusal, tiny

from mic2e_bench import paths
from mic2e_bench.machine import environment
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.records import record
from mic2e_bench.run.scoring import score
from mic2e_bench.tools.reproduce import again, agree, original
from mic2e_bench.tools.reproduce.agree import AGREES, APART, DIFFERS, OPEN


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A results folder with a study of two trials that were measured, and its params."""
    folder = tmp_path_factory.mktemp("reproduce")
    content = tiny(inputs=inputs(folder / "inputs"))
    helpers.run(content, folder / "results")
    score.studies([helpers.study(content)], folder / "results")
    return folder / "results", content


@pytest.fixture
def copied(measured, tmp_path):
    """The same in a folder of the test's own, and the file of the trial with two steps."""
    shutil.copytree(measured[0], tmp_path / "results")
    one = helpers.records(tmp_path / "results")["steps=2"]
    return tmp_path / "results", tmp_path / "results" / "tiny" / f"{one.id}.json"


def test_a_record_is_measured_again_and_compared(copied, capsys):
    results, path = copied
    before = helpers.frozen(results)
    code, out, _ = command(capsys, "reproduce", f"tiny/{path.stem[:9]}", "--results", results)
    assert code == 3, out  # pictures and receipts agree; a time alone cannot be told
    assert "images    agrees: 1 of 1 the same bit for bit" in out and "receipts  agrees" in out
    assert "latency   cannot be told" in out and "quality   agrees" in out
    assert "not the same here" not in out.replace("not the same here: other work", "")
    new = results / "reproduced" / f"tiny-{path.stem[:8]}" / "1"
    assert helpers.whole(new) and len(helpers.records(new)) == 2  # its baseline, too
    assert record.read(new / "tiny" / path.name).images == record.read(path).images
    assert helpers.frozen(results) == before
    code, out, _ = command(capsys, "reproduce", path, "--results", results, "--json")
    said = json.loads(out)
    assert code == 3 and said["answer"] == OPEN and said["reproduced"]["path"].endswith(f"/2/tiny/{path.name}")
    assert {part["what"]: part["word"] for part in said["findings"]}["status"] == AGREES
    assert "is there already" in refusal(capsys, "reproduce", path, "--into", results)


def test_a_picture_that_differs_is_scored_against_rounding(copied, capsys):
    results, path = copied
    content = json.loads(path.read_text())
    image = content["images"][0]
    other = results / "tiny" / "images" / "other.png"
    helpers.picture((64, 64), 7).save(other)
    image |= {"file": "images/other.png", "sha256": hashlib.sha256(other.read_bytes()).hexdigest()}
    image.pop("again", None)
    helpers.rewrite(path, content)
    found = original.find(str(path), results)
    new = original.Measurement(helpers.records(copied[0])["baseline"], None, path.parent)
    said = agree.images(found, new)
    assert said.word in (OPEN, DIFFERS) and "0 of 1 the same bit for bit; against the record's quality" in said.why
    other.unlink()
    assert agree.images(found, new).word == OPEN  # the old picture is gone


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A record and its baseline, with interleaved rounds in six builds: 1.5 times as fast."""
    of = whole_records.study()
    made = [_in_rounds(of, trial, seconds) for trial, seconds in zip(of.trials, (1.5, 1.0), strict=False)]
    return original.Measurement(made[1], made[0], tmp_path_factory.mktemp("pair"))


def _in_rounds(of, trial, seconds):
    samples = [seconds * (1 + 0.01 * number) for number in range(6)]
    timing = {**whole_records.timing(1), "latency_s": samples, "builds": [*range(6)], "warnings": []}
    timing |= {"placebo_s": samples} if trial.id == of.baseline.id else {}
    memory = {**whole_records.memory(), "repeats_peak_rss_bytes": [9 * 10**8, 9 * 10**8 + 10**6, 9 * 10**8]}
    parts = {"receipts": {"steps": {"asked": 4, "seen": 4, "applied": True, "how": ""}}, "memory": memory}
    quality = whole_records.quality(of, 1)
    return record.make(trial, "ok", timing=timing, quality=quality, environment=whole_records.where(), **parts)


def times(one, share):
    return dataclasses.replace(one, latency_s=[seconds * share for seconds in one.latency_s])


@pytest.mark.parametrize(("share", "word"), [(1.0, AGREES), (1.3, DIFFERS), (0.7, DIFFERS)])
def test_a_speed_up_over_builds_is_compared_by_its_interval(share, word, pair):
    assert agree.latency(pair, dataclasses.replace(pair, record=times(pair.record, share))).word == word


def test_a_time_alone_or_a_disturbed_one_cannot_be_told(pair):
    alone = dataclasses.replace(pair, baseline=None)
    assert "fewer than 6" in agree.latency(pair, alone).why and agree.latency(alone, pair).word == OPEN
    busy = dataclasses.replace(pair.record, environment={**pair.record.environment, "disturbed": ["other work"]})
    assert agree.latency(pair, dataclasses.replace(pair, record=busy)).word == OPEN
    few = dataclasses.replace(pair.record, builds=[0] * 6)
    assert "now one build" in agree.latency(pair, original.Measurement(few, few, pair.folder)).why


@pytest.mark.parametrize(
    ("share", "word"), [(1.0, AGREES), (1.01, AGREES), (1.05, OPEN), (1.2, DIFFERS), (0.8, DIFFERS)]
)
def test_memory_is_judged_as_compare_does(share, word, pair):
    memory = {**pair.record.memory, "peak_rss_bytes": int(9 * 10**8 * share)}
    new = dataclasses.replace(pair, record=dataclasses.replace(pair.record, memory=memory))
    assert agree.memory(pair, new).word == word


def test_receipts_scores_and_the_status_decide(pair):
    def now(**changes):
        return dataclasses.replace(pair, record=dataclasses.replace(pair.record, **changes))

    words = {one.what: one.word for one in agree.findings(pair, pair, other_machine=True)}
    assert words["latency"] == words["memory"] == APART and words["quality"] == AGREES
    assert agree.word([*agree.findings(pair, pair, other_machine=True)]) == AGREES
    receipts = {"steps": {"asked": 4, "seen": 3, "applied": False, "how": ""}}
    assert agree.receipts(pair.record, now(receipts=receipts).record).why == "steps 4 then, 3 now"
    failed = [*agree.findings(pair, now(status="oom", reason="full"), other_machine=False)]
    assert [(one.word, one.why) for one in failed] == [(DIFFERS, "ok then, oom now: full")]
    scores = {**pair.record.quality, "lpips": {**pair.record.quality["lpips"], "value": 0.3}}
    assert agree.quality(pair, now(quality=scores)).why == "lpips 0.200 then, 0.300 now"
    other = now(quality=scores, images=[{"input": "a", "seed": 1, "file": "images/a.png", "sha256": "0" * 64}])
    words = [agree.quality(pair, other, seen).word for seen in (OPEN, AGREES, DIFFERS)]
    assert words == [OPEN, OPEN, DIFFERS]  # of other pictures the scores say no more than the pictures
    scores = {**pair.record.quality, "lpips": {**pair.record.quality["lpips"], "backbone": "another"}}
    assert agree.quality(pair, now(quality=scores)).word == OPEN


def not_same(found, planned):
    """What is not the same, without what other tests on this machine disturb."""
    return [line for line in again.not_same(found, planned) if not line.startswith("other work")]


def test_another_machine_is_said_and_a_containers_new_name_is_none(copied):
    results, path = copied
    found = original.find(str(path), results)
    here = dict(found.record.environment)
    named = dataclasses.replace(found.record, environment={**here, "host": "elsewhere"})
    planned = again.study(found)
    assert not not_same(dataclasses.replace(found, record=named), planned)  # the same boot
    moved = {**here, "boot": "another", "device": "a card", "packages": {**here["packages"], "torch": "1.0"}}
    lines = not_same(dataclasses.replace(found, record=dataclasses.replace(named, environment=moved)), planned)
    assert "this machine is another" in lines[0] and "times and memory are not compared" in lines[0]
    assert lines[1].startswith("versions: torch 1.0 then")
    assert again.is_other_machine(moved, environment.here("cpu"))


def test_a_trial_of_an_older_version_is_planned_as_it_is_today(copied):
    results, path = copied
    content = json.loads(path.read_text())
    del content["trial"]["settings"]["cache_clearing"]
    content["id"] = fingerprint(identifying(content["trial"]))
    path.unlink()
    found = original.find(str(helpers.store(results, content)), results)
    (line,) = not_same(found, again.study(found))
    assert "settings that came since, at their defaults (cache_clearing never)" in line and content["id"] in line


def _changed(path, results, part, values):
    """The record of a trial of which something else was measured."""
    content = json.loads(path.read_text())
    content["trial"][part] |= values
    content["id"] = fingerprint(identifying(content["trial"]))
    return helpers.store(results, content)


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("settings", {"device": "cuda"}, "cannot be measured here: device cuda: no CUDA device"),
        ("settings", {"of_later": 3}, "this version has no setting of_later"),
        ("model", {"fingerprint": "0" * 16}, "and the record's is 0000000000000000. They are not loaded."),
        ("model", {"source": "folder", "path": "/nowhere/at/all"}, "no folder '/nowhere/at/all'"),
        ("model", {"source": "hub", "id": "a/b", "revision": "0" * 40}, "needs the published weights a/b at 000"),
        ("inputs", {"path": "/nowhere"}, "its inputs are not here any more"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_here_is_said_in_a_line(part, values, said, copied, capsys, monkeypatch):
    results, path = copied
    if "device" in values and environment.gpu():
        pytest.skip("there is a GPU")
    line = refusal(capsys, "reproduce", _changed(path, results, part, values), "--results", results)
    assert said in line and not (results / "reproduced").exists()


def test_another_model_in_the_folder_that_a_record_names_is_not_loaded(copied, tmp_path, capsys):
    results, path = copied
    own = helpers.study(tiny()).baseline.model[
        "fingerprint"
    ]  # the bundled model stands for one that somebody put there
    model = {"source": "folder", "path": str(paths.BUNDLED / "objectclear"), "fingerprint": "f" * 16}
    line = refusal(capsys, "reproduce", _changed(path, results, "model", model), "--results", results)
    assert "They are not loaded" in line and own in line


def test_inputs_that_changed_are_said(measured, copied, capsys):
    results, path = copied
    place = json.loads(path.read_text())["trial"]["inputs"]["path"]
    before = (picture := helpers.Path(place) / "in0.png").read_bytes()
    try:
        helpers.picture((96, 80), 9).save(picture)
        line = refusal(capsys, "reproduce", path, "--results", results)
        assert "its inputs are not here any more: the image of 'in0'" in line and "run it again" not in line
    finally:
        picture.write_bytes(before)


@pytest.mark.parametrize(
    "given", ["tiny", "tiny/ffff", "tiny/", "tyni/aa", "/nowhere/a.json", "../tiny/aa", "a\0b.json"]
)
def test_a_record_that_is_not_there(given, copied, capsys):
    assert refusal(capsys, "reproduce", given, "--results", copied[0]).startswith("mic2e-bench: ")


def test_nothing_is_compared_with_what_was_edited(copied, capsys):
    results, path = copied
    next((path.parent / "images").iterdir()).write_bytes(b"another")
    assert "was edited" in refusal(capsys, "reproduce", path, "--results", results)
    path.write_text(path.read_text().replace('"ok"', '"oom"'))
    assert "edited" in refusal(capsys, "reproduce", path, "--results", results)


def test_a_skipped_trial_is_not_tried(copied, capsys):
    results, path = copied
    helpers.rewrite(path, {**json.loads(path.read_text()), "status": "skipped", "reason": "too large"})
    assert "reproduce that one" in refusal(capsys, "reproduce", path, "--results", results)
