"""Studies on a cluster: the local runner's records, whoever dies; hardware that is never mixed; bad input."""

import os
import signal
import sys
import threading

import helpers
import pytest
from helpers import refusal, tiny

from mic2e_bench import api
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import environment
from mic2e_bench.plan import params
from mic2e_bench.records import record
from mic2e_bench.tools.distribute import hardware, ray, units
from mic2e_bench.tools.distribute.slots import Slot
from mic2e_bench.tools.distribute.spread import Spread

STUDY = {"vary": {"steps": [1, 2], "precision": ["fp32", "bf16"]}}


def test_the_records_are_the_local_runners_whoever_dies(tmp_path, monkeypatch):
    """A worker is killed with its first unit in hand: another one measures that, and nothing is there twice."""
    plain, killed, begun = Spread.begin, [], []

    def begins(self, slot):
        begun.append([trial.id for trial in slot.unit.trials])
        if not killed:
            killed.append(slot.about["seen"]["pid"])
            threading.Timer(0.2, os.kill, (killed[0], signal.SIGKILL)).start()
        return plain(self, slot)

    monkeypatch.setattr(Spread, "begin", begins)
    study = params.resolve_study(tiny(vary=None, trials=[{"steps": 2}, {"precision": "bf16"}], metrics=[]))
    spread = api.run(study, results=tmp_path / "spread", executor=ray.Executor())
    local = api.run(study, results=tmp_path / "local")
    assert [len(unit) for unit in begun] == [2, 2, 1] and begun[0] == begun[1]
    assert spread.measured == local.measured == 3 and {one.status for one in spread.records.values()} == {"ok"}
    assert summary(spread) == summary(local)
    written = {path.stem for path in record.paths(tmp_path / "spread" / study.name)}
    assert written == {trial.id for trial in study.trials}
    workers = {one.environment["worker"]["pid"] for one in spread.records.values()}
    assert len(workers) == 1 and not workers & set(killed)


def summary(done):
    images = {id: [image["sha256"] for image in one.images] for id, one in done.records.items()}
    return {id: (one.status, images[id], sorted(one.quality)) for id, one in done.records.items()}


def test_what_takes_turns_is_one_unit_and_the_baseline_goes_first():
    turns = {"warmup": 1, "repeats": 2, "interleave": True}
    together = params.resolve_study(tiny(**STUDY, protocol=turns))
    assert [len(unit.trials) for unit in units.of(together.trials, together.baseline)] == [4]
    apart = params.resolve_study(tiny(**STUDY))
    found = units.of(list(reversed(apart.trials)), apart.baseline)
    assert [len(unit.trials) for unit in found] == [2, 2] and apart.baseline in found[0].trials


def test_hardware_that_a_study_names(tmp_path):
    here = environment.here("cpu")["device"]
    named = params.resolve_study(tiny(hardware=here[:8].lower()))
    hardware.check([named])
    other = params.resolve_study(tiny(hardware="H100"))
    with pytest.raises(BadInput, match="hardware: H100 is asked for, and this is "):
        api.run(other, results=tmp_path)
    assert other.baseline.id == named.baseline.id == params.resolve_study(tiny()).baseline.id
    with pytest.raises(BadInput, match="no part of a device's name"):
        hardware.check([params.resolve_study(tiny(hardware=3))])


def put(results, study, trial, **changes):
    made = record.make(trial, "ok", "", environment={**environment.here("cpu"), **changes})
    record.write(results, made)


def test_records_of_other_hardware_are_never_joined(tmp_path):
    study = params.resolve_study(tiny())
    put(tmp_path, study, study.trials[0], device="another processor")
    stored = hardware.of_store(study, tmp_path)
    assert stored["device"] == "another processor"
    slot = Slot(None, {"here": environment.here("cpu")})
    with pytest.raises(BadInput, match="its records have other hardware or packages: device another processor and"):
        ray.fitting([slot], study, stored)
    put(tmp_path, study, study.trials[1])
    with pytest.raises(BadInput, match="its records are of another processor and of"):
        hardware.of_store(study, tmp_path)


def test_workers_of_other_hardware_are_refused_and_the_others_go_on(tmp_path, capsys):
    study = params.resolve_study(tiny())
    mine, other = environment.here("cpu"), {**environment.here("cpu"), "device": "old", "host": "attic"}
    slots = [Slot(None, {"here": here}) for here in (mine, other)]
    assert ray.fitting(slots, study, {}) == slots[:1]
    assert "no work for a worker on attic: the first worker has other hardware" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, line",
    [
        (["--executor", "ray", "--address", "127.0.0.1:9"], "no cluster answers there"),
        (["--executor", "ray", "--workers", "0"], "--workers: 0 is not a whole number from 1"),
        (["--workers", "2"], "are of --executor ray"),
        (["--executor", "ray", "--budget", "90s"], "leave them out"),
    ],
)
def test_bad_input(tmp_path, capsys, words, line):
    path = helpers.file(tmp_path / "study.yaml", tiny())
    assert line in refusal(capsys, "run", path, "--results", tmp_path / "results", *words)


def test_without_the_extra_the_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match=r"pip install '\.\[throughput\]'"):
        api.run(tiny(), results=tmp_path, executor=ray.Executor())
