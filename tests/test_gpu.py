"""The runner of the GPU tests, and pytest without its plugins."""

import os
import subprocess
import sys
from pathlib import Path

import gpu
import helpers


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
