"""``make test-gpu``: only the files with GPU tests are collected, and the last line says what passed."""

import os
import sys
from pathlib import Path

import pytest

MARK = "pytest.mark.gpu"


def files(folder=Path(__file__).parent):
    """The test files that have such a test."""
    return [str(path) for path in sorted(folder.rglob("test_*.py")) if MARK in path.read_text(encoding="utf-8")]


def lacking():
    """Why no GPU test can run here; nothing where they can. CUDA is not started."""
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported by {sys.executable}: {error}"
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        return "torch sees no CUDA device" + ("" if visible is None else f" (CUDA_VISIBLE_DEVICES='{visible}')")
    return None


class Counted:
    """How many tests ended in which way."""

    def pytest_terminal_summary(self, terminalreporter):
        stats = terminalreporter.stats
        failed = len(stats.get("failed", ())) + len(stats.get("error", ()))
        self.text = f"{len(stats.get('passed', ()))} passed, {len(stats.get('skipped', ()))} skipped, {failed} failed"


def main(arguments):
    if why := lacking():
        print(f"GPU tests: {why}; none was run", file=sys.stderr)
        return 2
    from mic2e_bench.machine import environment

    counted = Counted()
    code = pytest.main([*files(), "-m", "gpu", *arguments], plugins=[counted])
    print(f"GPU tests on {(environment.gpu() or {'name': 'a CUDA device'})['name']}: {counted.text}")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
