"""A record of another shape is named in one line and left out, and every command goes on with the rest.

One value at a time of a whole record is replaced, at every depth. What still is a record is read by everybody.
"""

import copy
import itertools
import json
import shutil

import pytest
import whole_records
from helpers import ROOT, command

from mic2e_bench import notebook
from mic2e_bench.plan.trial import fingerprint, identifying
from mic2e_bench.records import record
from mic2e_bench.report import feasibility, findings, frame, header, tables
from mic2e_bench.tools.budget import durations
from mic2e_bench.tools.collect import summary
from mic2e_bench.tools.report import answer
from mic2e_bench.tools.throughput import record as throughput

DELETED, OWN = object(), object()  # the key is gone; a list of the value itself
VALUES = (
    None,
    "",
    "x",
    -1,
    0,
    1.5,
    1e308,
    float("nan"),
    10**400,
    True,
    [],
    {},
    ["x"],
    {"x": 1},
    "\ud800",
    OWN,
    DELETED,
)


def places(value, at=()):
    """Every place of a record's content, of lists the first."""
    yield at
    pairs = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, each in pairs:
        yield from places(each, (*at, key))


def changed(content, at, value):
    made = copy.deepcopy(content)
    *above, last = at
    place = made
    for key in above:
        place = place[key]
    if value is DELETED:
        del place[last]
    else:
        place[last] = [place[last]] if value is OWN else value
    return made


def store(path, content):
    """Write a changed record where a reader looks for it, its identity as its trial is now; returns the path."""
    trial = content.get("trial")
    hashed = isinstance(trial, dict) and all(
        isinstance(trial.get(part), dict) for part in ("model", "inputs", "protocol")
    )
    if hashed and trial != json.loads(path.read_text())["trial"]:
        content["id"] = fingerprint(identifying(content["trial"]))
        path = path.with_name(f"{content['id']}.json")
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study with a record of each kind, twice: as it is, and to be damaged."""
    folder, of = tmp_path_factory.mktemp("whole"), whole_records.study()
    for number, (trial, status) in enumerate(zip(of.trials, ("ok", "ok", "not_applied", "oom"), strict=True), 1):
        whole_records.write(folder / "base", of, trial, number, status)
    return folder, of


def everybody(results, base, of, id, capsys):
    """All that reads records, but what starts a process for it."""
    bench, name = notebook.Bench(of, results, True), f"{of.name}/{id}"
    for words in (("recommend", of.name), ("recommend", of.name, "--json"), ("tables", "--mixed"), ("verify",)):
        yield lambda words=words: command(capsys, *words, "--results", results)
    for form in ("python", "yaml", "json", "mic2e"):
        yield lambda form=form: command(capsys, "export", name, "--as", form, "--results", results)
    yield lambda: command(capsys, "compare", results, base, "--across-machines")
    yield from (bench.table, bench.comparison, bench.more_metrics, bench.breakdown, bench.payoff, bench.strips)
    found = findings.read(of, results, True)
    yield from (lambda: tables.csv(found), lambda: feasibility.html(found), lambda: header.html(found))
    yield lambda: answer.of(found).sentence
    yield lambda: durations.Durations().read(results / of.name)
    yield lambda: summary.text([of], results)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_one_value_of_another_kind(number, whole, tmp_path, capsys):
    """A record that is read is read by everybody; of one that is not, one line says what is wrong."""
    folder, of = whole
    results = tmp_path / "results"
    shutil.copytree(folder / "base", results)
    path = record.path_of(results, of.name, of.trials[number].id)
    content, values, readers = json.loads(path.read_text()), itertools.cycle(VALUES), itertools.count(number * 7)
    for at in list(places(content))[1:]:
        value = next(values)
        written = store(path, changed(content, at, value))
        try:
            record.read(written)
        except record.Damaged as damage:
            assert str(written) in str(damage) and "\n" not in str(damage), (at, value)
        else:
            if (step := next(readers)) % 20 == 0:  # readers take their turns
                every = list(everybody(results, folder / "base", of, written.stem, capsys))
                for reader in every[step // 20 % 5 :: 5]:
                    reader()
        written.unlink()
        path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "parts, says",
    [
        ({"timing": {"latency_s": [0.0]}}, "its timing.latency_s[0] is no positive number"),
        ({"timing": {"load_s": "3"}}, "its timing.load_s must be number or null"),
        ({"timing": {"load_s": 1e308}}, "its timing.load_s is no number from 0 to"),
        ({"memory": {"weights_bytes": -1}}, "its memory.weights_bytes is no number from 0"),
        ({"quality": {"lpips": {"value": 1, "ci95": [1]}}}, "its quality.lpips.ci95 must have 2 items"),
        ({"receipts": {"steps": {"asked": 1}}}, "its receipts.steps must have applied, seen"),
        ({"status": "splendid"}, "unknown status 'splendid'"),
        ({"study": "../x"}, "it is of study '../x', which is no folder name"),
        ({"label": None}, "its label must be string"),
        ({"environment": {"packages": []}}, "its environment.packages must be object"),
    ],
)
def test_what_is_wrong_is_said(parts, says, whole, tmp_path, capsys):
    folder, of = whole
    shutil.copytree(folder / "base", tmp_path / "results")
    path = record.path_of(tmp_path / "results", of.name, of.trials[1].id)
    whole_records.change(path, **parts)
    with pytest.raises(record.Damaged) as damage:
        record.read(path)
    assert says in str(damage.value)
    assert len(frame.load(tmp_path / "results")[0]) == 3
    assert says in command(capsys, "recommend", of.name, "--results", tmp_path / "results")[1]


def test_what_the_repository_keeps_is_readable():
    served = throughput.everywhere(ROOT / "results")
    assert served and throughput.problems(ROOT / "results") == (len(served), [])
    for path in set((ROOT / "results" / "evidence").rglob("*.json")) - set(served):
        assert record.read(path).status in ("ok", "not_applied")


def test_a_record_without_what_came_later_is_readable(whole, tmp_path):
    """No cost, no components, no warnings, no second image, no settings but one."""
    folder, of = whole
    shutil.copytree(folder / "base", tmp_path / "results")
    path = record.path_of(tmp_path / "results", of.name, of.trials[1].id)
    content = json.loads(path.read_text())
    del content["cost"], content["images"][0]["again"]
    content["timing"] = {"latency_s": [1.0]}
    content["quality"] = {"lpips": {"value": 0.5}}
    content["trial"]["settings"] = {"device": "cpu", "an older setting": "x"}
    one = record.read(store(path, content))
    assert one.quality["lpips"]["ci95"] is None and one.load_s is None and one.memory["peak_device_bytes"] is None


def test_rounds_of_another_length_are_not_compared_round_by_round(whole, tmp_path):
    folder, of = whole
    shutil.copytree(folder / "base", tmp_path / "results")
    path = record.path_of(tmp_path / "results", of.name, of.trials[1].id)
    content = json.loads(path.read_text())
    whole_records.change(path, timing={**content["timing"], "latency_s": [1.0] * 5})
    assert findings.read(of, tmp_path / "results").trials["interleaved"].iloc[1] is False
