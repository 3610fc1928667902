"""The benchmark of `bisect`: its wheels are the installed packages, changed in one file, and its lock has them."""

import zipfile

import pytest
from helpers import ROOT

from mic2e_bench.tools.bisect import lock
from mic2e_bench.workshop.proof import bisect


def test_a_lock_with_three_other_builds_of_which_one_is_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(bisect, "CHANGED", ("filelock", "tqdm"))  # diffusers has 1,500 files
    pytest.importorskip("filelock")
    good = lock.read(ROOT / "requirements.lock")
    bad = lock.read(bisect.changed_lock(ROOT / "requirements.lock", bisect.PATCHES["together"], tmp_path, 0.2))
    moves = {move.name: move.bad for move in lock.moves(good, bad)}
    assert set(moves) == {"filelock", "tqdm"}
    assert all(pin.version.endswith("+rebuilt") for pin in moves.values())
    for name, (file, added) in bisect.PATCHES["together"].items():
        (wheel,) = (tmp_path / "wheels").glob(f"{name}-*.whl")
        with zipfile.ZipFile(wheel) as made:
            assert made.read(file).decode().endswith(added.replace("SHARE", "0.2"))
            compile(made.read(file), file, "exec")


def test_what_is_not_as_it_must_be():
    answer = {"answer": "culprit", "culprits": [{"what": ["diffusers 1 → 2"]}], "steps": [1, 2, 3], "said": "it"}
    assert bisect.wrong("slow", answer, ROOT / "nowhere") == []
    assert bisect.wrong("same", answer, ROOT / "nowhere") == ["answered it"]
    assert bisect.wrong("slow", {**answer, "steps": [1] * 6}, ROOT / "nowhere") == ["5 steps"]
    assert bisect.wrong("slow", {**answer, "culprits": []}, ROOT / "nowhere") == ["answered it"]
