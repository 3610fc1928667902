"""The benchmark of `bisect`: its wheels are the installed packages, changed in one file, and its lock has them."""

import zipfile

import pytest
from helpers import ROOT

from mic2e_bench.tools.bisect import lock
from mic2e_bench.workshop.proof import bisect


def test_a_lock_with_other_builds_of_which_one_is_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(bisect, "CHANGED", ("filelock", "tqdm"))  # diffusers has 1,500 files
    pytest.importorskip("filelock")
    good = lock.read(ROOT / "requirements.lock")
    bad = lock.read(bisect.changed_lock(ROOT / "requirements.lock", bisect.PATCHES["together"], tmp_path, 0.2))
    moves = {move.name: move.bad for move in lock.moves(good, bad)}
    assert set(moves) == {"filelock", "tqdm"}
    assert all(pin.version.endswith("+rebuilt") for pin in moves.values())
    file, added = bisect.PATCHES["together"]["filelock"]
    (wheel,) = (tmp_path / "wheels").glob("filelock-*.whl")
    with zipfile.ZipFile(wheel) as made:
        assert made.read(file).decode().endswith(added)


@pytest.mark.parametrize("case", ["slow", "together"])
def test_a_call_is_slower_only_where_it_shall_be(case):
    class Called:
        def __call__(self):
            return "as it was"

    _, added = bisect.PATCHES[case]["diffusers"]
    exec(added.replace("SHARE", "0.2"), {"FluxPipeline": Called})
    assert Called()() == "as it was" and hasattr(Called.__call__, "__wrapped__") == (case == "slow")


def test_what_is_not_as_it_must_be():
    answer = {"answer": "culprit", "culprits": [{"what": ["diffusers 1 → 2"]}], "steps": [1, 2, 3], "said": "it"}
    assert bisect.wrong("slow", answer, ROOT / "nowhere") == []
    assert bisect.wrong("same", answer, ROOT / "nowhere") == ["answered it"]
    assert bisect.wrong("slow", {**answer, "steps": [1] * 6}, ROOT / "nowhere") == ["5 steps"]
    assert bisect.wrong("slow", {**answer, "culprits": []}, ROOT / "nowhere") == ["answered it"]
