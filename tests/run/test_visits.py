"""The baseline is timed again in the middle and at the end of trials that do not take turns."""

import helpers
import pytest
from helpers import on_disk, tiny

from mic2e_bench.report import findings, tables
from mic2e_bench.run import worker

TWICE = {"warmup": 0, "repeats": 2, "seeds": [42]}


def study(*steps, **protocol):
    return tiny(vary={"steps": list(steps)}, protocol={**TWICE, **protocol})


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    helpers.run(study(1, 2, 3), results)
    return results


def visits(results):
    return on_disk(results)["baseline"]["timing"].get("visits", [])


def test_two_visits_stand_in_the_baselines_record(measured):
    found = visits(measured)
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
    moved = [{**visits(measured)[0], "latency_s": [1.07, 1.07]}]
    stored["baseline"]["timing"] |= {"latency_s": [1.0, 1.0], "visits": moved}
    for one in stored.values():
        helpers.store(tmp_path, one)
    text = tables.main(findings.read(helpers.study(study(1, 2, 3)), tmp_path)).text()
    assert "The baseline moved by 7% between its 2 visits" in " ".join(text.split())


def test_what_comes_later_has_visits_of_its_own_where_there_is_enough_of_it(measured):
    helpers.run(study(1, 2, 3, 4), measured)
    assert len(visits(measured)) == 2
    helpers.run(study(1, 2, 3, 4, 5, 6, 7), measured)
    assert len(visits(measured)) == 4
    old = on_disk(measured)["baseline"]
    helpers.store(measured, {**old, "environment": {**old["environment"], "boot": "another"}})
    helpers.run(study(1, 2, 3, 8, 9, 10), measured)
    assert len(visits(measured)) == 4  # of a machine that was started anew since, nothing is compared


def test_a_single_call_and_a_process_a_call_have_none(tmp_path):
    helpers.run(study(1, 2, 3, repeats=1), tmp_path)
    assert visits(tmp_path) == []


def fails(trials, images, pipe):
    """The worker's process, in which what only times goes wrong."""
    if images is None:
        helpers.before_calls(lambda build: 1 / 0)
    worker.main(trials, images, pipe)


def test_a_visit_that_fails_is_said_and_costs_nothing(tmp_path, monkeypatch, capsys):
    helpers.workers(monkeypatch, fails)
    helpers.run(study(1, 2, 3), tmp_path)
    assert visits(tmp_path) == [] and {one["status"] for one in on_disk(tmp_path).values()} == {"ok"}
    assert "the baseline could not be visited again: error: ZeroDivisionError" in capsys.readouterr().err
