"""Versions beside the lock, and the commit of a copy without a history."""

import subprocess

import helpers
import pytest
from helpers import tiny

from mic2e_bench.machine import environment, versions
from mic2e_bench.tools.doctor import doctor

LOCK = """\
numpy==1.0 ; python_full_version < '3' \\
    --hash=sha256:00
    # via pandas
numpy==2.4.6 ; python_full_version >= '3' \\
    --hash=sha256:11 \\
    --hash=sha256:22
    # via
    #   mic2e-bench (pyproject.toml)
    #   pandas
pandas==3.0
torch==2.10.0
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Set what is installed; the lock is the one above."""
    (tmp_path / "requirements.lock").write_text(LOCK)
    monkeypatch.setattr(versions, "path", lambda: tmp_path / "requirements.lock")
    return lambda **found: monkeypatch.setattr(environment, "packages", lambda: found)


def test_the_lock_is_read():
    old, numpy, pandas, torch = versions.pins(LOCK)
    assert (numpy.name, numpy.version, numpy.needed_by) == (
        "numpy",
        "2.4.6",
        ("mic2e-bench (pyproject.toml)", "pandas"),
    )
    assert numpy.requirement == "numpy==2.4.6 ; python_full_version >= '3'" and numpy.text.count("--hash") == 2
    assert (old.applies(), numpy.applies(), pandas.applies(), torch.needed_by) == (False, True, True, ())
    real = versions.pins((helpers.ROOT / "requirements.lock").read_text())
    assert {"torch", "diffusers", "transformers", "numpy"} <= {pin.name for pin in real if pin.applies()}


def test_what_is_the_locked_set(installed):
    installed(torch="2.10.0+cu128", numpy="2.4.6")  # a build's label is no other version; torchao is not there at all
    assert versions.examine() == {"locked": True, "differences": {}}
    assert versions.text(versions.examine()) == "the locked set"


def test_each_difference_is_named(installed):
    installed(torch="2.11.0+cu130", numpy="2.4.6", diffusers="1.0")
    assert versions.examine() == {"locked": False, "differences": {"torch": ["2.11.0+cu130", "2.10.0"]}}
    assert versions.text(versions.examine()) == "not the locked set: torch 2.11.0+cu130 (locked: 2.10.0)"


def test_no_lock(monkeypatch, tmp_path):
    monkeypatch.setattr(versions, "path", lambda: None)
    assert versions.text(versions.examine()) == "no requirements.lock to compare with"


@pytest.mark.parametrize(("torch", "lines"), [("2.10.0", 0), ("2.11.0", 1)])
def test_run_says_it_once_before_it_measures(torch, lines, installed, tmp_path, capsys):
    installed(torch=torch)
    one, two = (helpers.file(tmp_path / f"{n}.yaml", tiny(study=n, vary=None, metrics=[])) for n in ("one", "two"))
    command = ("run", one, two, "--results", tmp_path / "results")
    assert "locked" not in helpers.command(capsys, *command, "--dry-run")[2]
    code, _, err = helpers.command(capsys, *command)
    said = err.splitlines()
    assert code == 0 and err.startswith("versions: not the locked set: torch 2.11.0") is bool(lines)
    assert sum("locked" in line for line in said) == lines
    assert "locked" not in helpers.command(capsys, *command)[2]  # nothing is left to measure


def test_the_doctor_says_it(installed):
    installed(torch="2.11.0")
    _, line, *_ = doctor.text(doctor.examine(call_libraries=False)).splitlines()
    assert line == "versions not the locked set: torch 2.11.0 (locked: 2.10.0)"


def test_the_commit_of_a_copy_is_the_one_it_says(tmp_path, monkeypatch):
    package = tmp_path / "code" / "mic2e_bench"
    package.mkdir(parents=True)
    monkeypatch.setattr(environment.paths, "PACKAGE", package)
    monkeypatch.setattr(environment.paths, "root", lambda: tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert environment.git() is None
    (tmp_path / "code" / "COMMIT").write_text("0123456789ab-dirty\n")
    assert environment.git() == "0123456789ab-dirty"
    subprocess.run(["git", "init", "-q", tmp_path], check=True)  # another project's history around it
    assert environment.git() == "0123456789ab-dirty"
