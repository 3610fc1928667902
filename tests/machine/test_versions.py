"""Versions beside the lock, the commit of a copy without a history, and the runner of the GPU tests."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import gpu
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
    _, line, *_ = itertools.islice(doctor._lines({"python": "", "versions": versions.examine(), **NONE}), 2)
    assert line == "versions not the locked set: torch 2.11.0 (locked: 2.10.0)"


NONE = {"cpu": {}, "storage": {}}  # the lines after it are not asked for


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


def test_without_a_device_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "lacking", lambda: "torch sees no CUDA device")
    assert gpu.main([]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "GPU tests: torch sees no CUDA device; none was run\n")


def test_why_there_is_no_device(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu.lacking() == "torch sees no CUDA device (CUDA_VISIBLE_DEVICES='')"
    monkeypatch.setattr(torch.version, "cuda", None)
    assert gpu.lacking().endswith("is built without CUDA")


def test_only_files_with_gpu_tests_are_collected_and_counted(tmp_path):
    """In a process of its own, where neither the notebooks' libraries nor pytest-timeout need be."""
    found = [Path(path).name for path in gpu.files()]
    assert "test_measure_gpu.py" in found and "test_toggles_gpu.py" in found and "test_notebooks.py" not in found
    mark = "import pytest\npytestmark = pytest.mark." + "gpu\n"
    tests = "def test_a(): pass\ndef test_b(): pytest.skip('x')\ndef test_c(): assert 0\n"
    (tmp_path / "test_it.py").write_text(mark + tests + "def test_d(x): pass\n")
    (tmp_path / "test_other.py").write_text("raise ImportError('nbformat')")
    folder = helpers.TESTS
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import gpu; from pathlib import Path\n"
        f"gpu.lacking = lambda: None; gpu.files = lambda: [{str(tmp_path / 'test_it.py')!r}]\n"
        f"sys.exit(gpu.main(['-c', {str(folder.parent / 'pyproject.toml')!r}, '-p', 'no:cacheprovider']))"
    )
    environ = {**os.environ, "PYTHONPATH": str(folder.parent)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, cwd=tmp_path)
    last = ended.stdout.splitlines()[-1]
    assert last.startswith("GPU tests on ") and last.endswith(": 1 passed, 1 skipped, 2 failed"), ended
    assert ended.returncode == 1


def test_without_pytest_timeout_the_options_of_pyproject_hold():
    command = [sys.executable, "-m", "pytest", "-p", "no:timeout", "-p", "no:xdist", "--collect-only", __file__]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=helpers.ROOT)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
