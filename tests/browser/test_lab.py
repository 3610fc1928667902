"""JupyterLab as a person uses it: the start page, a study by the widgets, its pictures."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: make setup")
ROOT = Path(__file__).parent.parent.parent
TOKEN = "a-test"

# what JupyterLab itself complains of
OF_LAB = (
    "favicon",  # it asks for an icon of the kernel that ipykernel does not bring in every size
)


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """The address of a JupyterLab on a copy of the workbench, with the folder of that; one for all tests."""
    root = tmp_path_factory.mktemp("workbench")
    for name in ("notebooks", "params"):
        shutil.copytree(ROOT / name, root / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"JUPYTER_TOKEN": TOKEN, "HOME": str(root), "IPYTHONDIR": str(root / ".ipython"), "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **own, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(root / ".jupyter")}
    command = [sys.executable, "-m", "mic2e_bench", "lab", "--port", str(port), "--no-browser"]
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        for _ in range(300):
            with socket.socket() as probe:
                if server.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        assert server.poll() is None, server.stdout.read().decode()
        yield f"http://127.0.0.1:{port}", root
        server.send_signal(signal.SIGINT)
        said = server.stdout.read().decode()
        assert server.wait(30) == 0 and "Traceback" not in said


def opened(page, address, name):
    """Open a notebook and wait until its kernel can be asked."""
    page.goto(f"{address}/lab/tree/lab/{name}?token={TOKEN}")
    page.locator(".jp-NotebookPanel .jp-Notebook").wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=60_000)


def run_all(page):
    page.locator(".jp-Notebook").first.click(position={"x": 5, "y": 5})
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def fill(panel, label, text):
    """Write into the field of the widgets with this label, and leave it."""
    field = panel.locator(f".widget-text:has(label:text-is('{label}')) input")
    field.fill(text)
    field.press("Tab")


def test_a_person_plans_measures_stops_and_goes_on(lab, visit):
    address, root = lab
    with visit(width=1500, height=1400) as seen:
        page = seen.page
        opened(page, address, "start.ipynb")
        run_all(page)
        panel = page.locator(".mic2e-panel")
        panel.locator("text=trials to measure").wait_for(timeout=60_000)
        words = page.locator(".jp-Notebook").inner_text()
        assert "trials run on" in words and "params/demo/01-objectclear-steps.yaml" in words
        shot(page, "start")


def shot(page, name):
    page.screenshot(path=f"/tmp/lab-{name}.png")
