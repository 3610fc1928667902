"""What holds for all tests: nothing is downloaded, and results go nowhere but where a test says."""

import gc
import os
import signal

# a shell has what it starts in the background ignore Ctrl-C, and what the tests start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser, pluginmanager):
    """Where pytest-timeout is missing, its option in pyproject.toml is known all the same, and idle."""
    if not pluginmanager.hasplugin("timeout"):
        parser.addini("timeout", "seconds that a test may take")


# files of minutes start first, so that one worker does not end long after the other
LONGEST = (
    "test_fork_safety.py", "test_tune.py", "test_failures.py", "test_budget.py", "test_sixth_pipeline.py",
    "test_interruptions.py", "test_rounds.py", "test_fuzz.py", "test_pipeline.py", "test_compile.py", "test_fit.py",
    "test_jupyterlab.py", "test_docs.py", "test_engine.py", "test_compare.py", "test_runner.py", "test_export.py",
    "test_ray.py", "test_pool.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_collection_finish():
    """Garbage is not looked for in the libraries and the tests themselves, which stay."""
    gc.collect()
    gc.freeze()


# read on import, and inherited by every worker
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests have a process for each processor; threads of each only wait
