"""OpenMP's waiting policy: what a process was really started with, and where it can be set."""

import helpers
from toggling import baseline, run

from mic2e_bench.catalog import registry
from mic2e_bench.catalog.toggles import wait_policy
from mic2e_bench.run import forkserver
from mic2e_bench.tools.export import find, python


def look(pipe):
    """What a child says of itself; what its environment says by now does not count."""
    wait_policy.os.environ[wait_policy.VARIABLE] = "nonsense"
    pipe.send([wait_policy.observe(None, value) for value in ("default", "active", "passive")])


def test_the_receipt_is_of_what_the_process_was_started_with(monkeypatch, tmp_path):
    own, asked = "passive", "active"
    monkeypatch.setenv(wait_policy.VARIABLE, own)
    process, pipe = forkserver.call(look, tmp_path / "log", policy=asked)
    default, *others = pipe.recv()
    process.join()
    assert (default.value, default.how) == ("default", f"the process was started with OMP_WAIT_POLICY={asked.upper()}")
    assert [one.value for one in others] == [asked] * 2
    assert wait_policy.os.environ.get(wait_policy.VARIABLE) == own


def test_a_process_with_another_policy_is_said_to_be_spawned(monkeypatch):
    monkeypatch.setenv(wait_policy.VARIABLE, "PASSIVE")
    methods = [forkserver.start_method(policy) for policy in ("default", "passive", "active")]
    assert methods == ["fork", "fork", "spawn"]


def test_the_default_is_what_people_run():
    """Nothing sets it; a setting that this process does not have is not said to be in force."""
    shot = run("sam3")
    assert shot.receipts["wait_policy"]["applied"] and shot.receipts["wait_policy"]["seen"] == "default"
    asked = run("sam3", wait_policy="active")
    receipt = asked.receipts["wait_policy"]
    assert not receipt["applied"] and receipt["reason"].startswith("asked active, seen ")
    assert asked.off_by(baseline("sam3")) == 0


def test_a_running_process_is_told_that_it_is_too_late():
    toggle = registry.toggles()["wait_policy"]
    assert toggle.on_live(None, "default") == ""
    assert "this process has loaded it" in toggle.on_live(None, "active")


def test_the_code_sets_it_before_torch_is_imported():
    given = {"sdxl-inpaint": {"wait_policy": "passive", "threads": 2}}
    text = python.snippet(find.Chosen("TRY", "", given))
    assert text.index('os.environ["OMP_WAIT_POLICY"] = "PASSIVE"') < text.index("import torch")
    assert "OMP_WAIT_POLICY" not in python.snippet(find.Chosen("TRY", "", {"sdxl-inpaint": {}}))


def test_it_is_no_part_of_identities_where_it_is_as_before():
    plain, same, other = (
        helpers.study(helpers.tiny(vary=None, baseline={**helpers.TINY["baseline"], **more})).baseline
        for more in ({}, {"wait_policy": "default"}, {"wait_policy": "passive"})
    )
    assert plain.id == same.id != other.id and plain.build_key != other.build_key
