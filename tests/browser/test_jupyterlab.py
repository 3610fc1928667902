"""JupyterLab as a person uses it: the start page, a study by the widgets, its pictures."""

import contextlib
import os
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
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        for _ in range(300):
            with socket.socket() as probe:
                if server.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        assert server.poll() is None, server.stdout.read().decode()
        yield f"http://127.0.0.1:{port}", root
        server.send_signal(signal.SIGINT)
        said = server.stdout.read().decode()
        assert server.wait(30) == 0, said


def opened(page, address, name):
    """Open a notebook and wait until its kernel can be asked."""
    page.goto(f"{address}/lab/tree/lab/{name}?token={TOKEN}")
    page.locator(".jp-NotebookPanel:visible .jp-Notebook").first.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=60_000)


def run_all(page):
    """Run all cells of the notebook in front. What is asked before the kernel has an ear is lost: it is asked again."""
    page.wait_for_function("document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) [data-status=idle]')")
    first = page.locator(".jp-NotebookPanel:visible .jp-InputPrompt:text-matches('[0-9]')").first
    dialog = page.locator(".jp-Dialog")
    for _ in range(12):
        page.wait_for_timeout(500)
        with contextlib.suppress(Exception):
            if dialog.count():
                dialog.first.locator("button.jp-mod-accept").click(timeout=2_000)
            page.get_by_role("menuitem", name="Run", exact=True).click(timeout=2_000)
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click(timeout=2_000)
            return first.wait_for(timeout=5_000)
    raise AssertionError("no cell was run")


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
        page.locator(".mic2e-panel >> text=trials to measure").wait_for(timeout=120_000)
        assert "trials run on" in page.locator(".jp-Notebook").first.inner_text()

        page.get_by_role("link", name="Sweep", exact=True).click()
        page.locator(".jp-NotebookPanel:visible p:text('One or more settings of a pipeline')").wait_for()
        run_all(page)
        panel = page.locator(".jp-NotebookPanel:visible .mic2e-panel").first
        panel.locator("text=my-objectclear-steps: 4 of 4 trials to measure").wait_for(timeout=60_000)
        for label, text in FIELDS.items():
            fill(panel, label, text)
        press(panel, "Plan")
        panel.locator("text=5 of 5 trials to measure, about").wait_for(timeout=30_000)
        assert not (root / "results").exists(), "nothing runs before Start"

        press(panel, "Start")
        panel.locator("text=importing torch, diffusers and transformers").wait_for(timeout=60_000)
        panel.locator("text=/[1-3] of 5 measured/").wait_for(timeout=120_000)
        press(panel, "Stop")
        panel.locator("text=/stopped: . of 5 measured; Go on continues/").wait_for(timeout=60_000)
        press(panel, "Go on")
        panel.locator("text=complete: 5 of 5 measured").wait_for(timeout=120_000)

        slider = panel.locator(".mic2e-slider input[type=range]")
        slider.wait_for()
        said = panel.locator(".mic2e-slider label span")
        assert said.inner_text().endswith("(1 of 4)")
        slider.click(position={"x": 5, "y": 5})
        slider.press("ArrowRight")
        panel.locator("text=/steps=3 .2 of 4./").wait_for(timeout=5_000)
        assert panel.locator(".mic2e-slider img:visible").count() == 3
        assert serious(page) == []
        ours = [text for text in seen.complaints if not any(words in text for words in OF_LAB)]
        assert (ours, seen.requests) == ([], [])
    tracked = {path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert tracked == {path.name: path.read_bytes() for path in (root / "notebooks").glob("*.ipynb")}


FIELDS = {
    "Settings": "steps=1 resolution=64 guidance=1.0 threads=1",
    "Values": "2, 3, 4, 5",
    "Inputs (0: all)": "1",
    "Calls (0: usual)": "20",
}


def press(panel, name):
    panel.get_by_role("button", name=name, exact=True).click()


def serious(page):
    """What axe finds that is serious or worse in the widgets."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=".jp-NotebookPanel:not(.lm-mod-hidden) .mic2e-panel").response["violations"]
    return [(one["id"], one["nodes"][0]["target"]) for one in found if one["impact"] in ("serious", "critical")]
