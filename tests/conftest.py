"""What holds for all tests: nothing is downloaded, and results go nowhere but where a test says."""

import os
import signal

# a shell has what it starts in the background ignore Ctrl-C, and what the tests start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser, pluginmanager):
    """Where pytest-timeout is missing, its option in pyproject.toml is known all the same, and idle."""
    if not pluginmanager.hasplugin("timeout"):
        parser.addini("timeout", "seconds that a test may take")


# files of minutes, which start first, so that one worker does not end long after the other
LONGEST = (
    "machine/test_fork_safety", "tools/test_tune", "run/test_failures", "tools/test_budget", "catalog/test_sixth_pipeline",
    "run/test_interruptions", "run/test_rounds", "fuzz/test_fuzz", "catalog/test_pipeline", "catalog/toggles/test_compile",
    "tools/test_fit", "catalog/toggles/test_engine", "tools/test_compare", "run/test_runner", "tools/test_export",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    files = [f"{name}.py" for name in LONGEST]
    place = {
        item.path: next((i for i, file in enumerate(files) if str(item.path).endswith(file)), len(files))
        for item in items
    }
    items.sort(key=lambda item: place[item.path])


os.environ["HF_HUB_OFFLINE"] = "1"  # read on import, and inherited by every worker
