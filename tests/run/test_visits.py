"""The baseline is timed again in the middle and at the end of trials that do not take turns."""

import shutil

import faulty_workers
import helpers
import pytest
from helpers import on_disk, tiny

from mic2e_bench.machine import environment
from mic2e_bench.plan.trial import grouped
from mic2e_bench.report import findings, tables
from mic2e_bench.run import visits
from mic2e_bench.run.outcomes import Outcomes, Summary
from mic2e_bench.run.progress import Progress

TWICE = {"warmup": 0, "repeats": 2, "seeds": [42]}


def study(*steps, **protocol):
    return tiny(vary={"steps": list(steps)}, protocol={**TWICE, **protocol})


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        helpers.workers(patch, helpers.with_one_peak)
        helpers.run(study(1, 2, 3), results)
    return results


def visit(results):
    """What comes after a half of the trials of a run."""
    content = helpers.study(study(1, 2, 3))
    with Progress(content.trials) as progress:
        visits.visit(Outcomes(results, Summary(), progress, content.baseline))


def visited(results):
    return on_disk(results)["baseline"]["timing"].get("visits", [])


def test_two_visits_stand_in_the_baselines_record(measured):
    found = visited(measured)
    assert len(found) == 2 and all(len(one["latency_s"]) == 2 for one in found)
    assert all(isinstance(one["disturbed"], list) and one["started"] for one in found)
    # in the middle: the trial after it is of another process
    logs = {label: one["environment"]["log"] for label, one in on_disk(measured).items()}
    assert logs["baseline"] == logs["steps=2"] != logs["steps=3"]
    assert helpers.whole(measured)


def test_the_table_says_how_far_it_moved(measured, tmp_path):
    shown = findings.read(helpers.study(study(1, 2, 3)), measured)
    text = tables.main(shown).text()
    assert "between its 3 visits: a smaller difference than that says nothing." in " ".join(text.split())
    stored = on_disk(measured)
    moved = [{**visited(measured)[0], "latency_s": [1.07, 1.07]}]
    stored["baseline"]["timing"] |= {"latency_s": [1.0, 1.0], "visits": moved}
    for one in stored.values():
        helpers.store(tmp_path, one)
    text = tables.main(findings.read(helpers.study(study(1, 2, 3)), tmp_path)).text()
    assert "The baseline moved by 7% between its 2 visits" in " ".join(text.split())


def test_what_comes_later_has_visits_of_its_own_where_there_is_enough_of_it(measured):
    helpers.run(study(1, 2, 3, 4), measured)
    assert len(visited(measured)) == 2
    helpers.run(study(1, 2, 3, 4, 5, 6, 7), measured)
    assert len(visited(measured)) == 4
    old = on_disk(measured)["baseline"]
    helpers.store(measured, {**old, "environment": {**old["environment"], "boot": "another"}})
    visit(measured)
    assert len(visited(measured)) == 4  # of a machine that was started anew since, nothing is compared


@pytest.mark.parametrize(
    "protocol, halves",
    [({}, 2), ({"repeats": 1}, 1), ({"process": "per_call"}, 1), ({"warmup": 1, "interleave": True}, 1)],
)
def test_a_single_call_a_process_a_call_and_what_takes_turns_have_none(protocol, halves, tmp_path):
    content = helpers.study(study(1, 2, 3, **protocol))
    outcomes = Outcomes(tmp_path, Summary(), baseline=content.baseline)
    assert len(visits.parts(grouped(content.trials), outcomes)) == halves


def test_a_visit_that_fails_is_said_and_costs_nothing(measured, tmp_path, monkeypatch, capsys):
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    here = environment.here("cpu")
    old = on_disk(tmp_path)["baseline"]
    helpers.store(tmp_path, {**old, "environment": {**old["environment"], "boot": here["boot"]}})
    before = helpers.frozen(tmp_path)
    helpers.workers(monkeypatch, faulty_workers.failing_where_it_only_times)
    visit(tmp_path)
    assert helpers.frozen(tmp_path) == before
    assert "the baseline could not be visited again: error: ZeroDivisionError" in capsys.readouterr().err
