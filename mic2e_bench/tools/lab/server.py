"""JupyterLab as a process of its own, with the repository as its root and the start page open."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from mic2e_bench import paths
from mic2e_bench.errors import BadInput
from mic2e_bench.machine import tied
from mic2e_bench.tools.lab import copies

HOST = "127.0.0.1"
START = "start.ipynb"
DEFAULTS = Path(__file__).parent / "jupyter"  # JupyterLab does not ask whether to fetch news; a person's settings hold


def check(port: int | None) -> None:
    """Raise ``BadInput`` where JupyterLab is not installed or the port is not to be had."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise BadInput(
            "lab: jupyterlab is not installed here. Open it where the results are read: make setup, make lab."
        )
    if port is None:
        return
    if not 1 <= port <= 65535:
        raise BadInput(f"--port {port}: a port is a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise BadInput(
                f"--port {port}: {error.strerror}. Give another one, or leave --port out: then a free one is taken."
            ) from None


def command(port: int | None, browser: bool) -> list[str]:
    """The command line. A person's own Jupyter configuration holds beside it; nothing is asked of the network."""
    options = [
        f"--ServerApp.root_dir={paths.root()}",
        f"--LabApp.default_url=/lab/tree/{copies.FOLDER}/{START}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",  # the other one asks the package index
    ]
    if port is not None:
        options += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        options.append("--no-browser")
    if os.geteuid() == 0:  # in a container there is nobody else
        options.append("--allow-root")
    return tied.command("jupyterlab", *options)


def run(port: int | None, browser: bool, say: Callable[[str], None]) -> int:
    """Serve until Ctrl-C (or a request to end); returns 0 then, else the server's own exit code.

    ``say`` gets the lines for the person. Raises ``BadInput``.
    """
    check(port)
    for line in copies.make():
        say(line)
    signal.signal(signal.SIGTERM, _as_interrupt)
    folders = filter(None, (os.environ.get("JUPYTER_CONFIG_PATH"), str(DEFAULTS)))
    here = {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(folders)}
    # in a session of its own: Ctrl-C comes here alone, and Jupyter does not ask whether it is meant
    with subprocess.Popen(command(port, browser), cwd=paths.root(), env=here, start_new_session=True) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            try:
                server.wait(20)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                server.kill()
            say("JupyterLab has ended. What was measured is kept.")
            return 0


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt
