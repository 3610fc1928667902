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


os.environ["HF_HUB_OFFLINE"] = "1"  # read on import, and inherited by every worker
