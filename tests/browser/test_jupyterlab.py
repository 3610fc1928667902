"""JupyterLab as a person uses it: the start page, a study by the widgets, its pictures."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import helpers
import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install '.[dev]'")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: make setup")
ROOT = Path(__file__).parent.parent.parent
TOKEN = "a-test"

# what JupyterLab itself complains of
OF_LAB = (
    "favicon",  # it asks for an icon of the kernel that ipykernel does not bring in every size
)


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """The address of a JupyterLab on a copy of the workbench, the folder of that and the server's log; one for all."""
    root = tmp_path_factory.mktemp("workbench")
    for name in ("notebooks", "params"):
        shutil.copytree(ROOT / name, root / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"JUPYTER_TOKEN": TOKEN, "HOME": str(root), "IPYTHONDIR": str(root / ".ipython"), "HF_HUB_OFFLINE": "1"}
    environment = {**helpers.STARTED_WITH, **own, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(root / ".jupyter")}
    command = [sys.executable, "-m", "mic2e_bench", "lab", "--port", str(port), "--no-browser"]
    log = root.with_name("lab.log")  # a file: a pipe that nobody reads would stop the server when it is full
    with (
        log.open("wb") as written,
        subprocess.Popen(command, cwd=root, env=environment, stdout=written, stderr=subprocess.STDOUT) as server,
    ):
        for _ in range(600):
            with socket.socket() as probe:
                if server.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        assert server.poll() is None, log.read_text()
        yield Lab(f"http://127.0.0.1:{port}", root, log)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0, log.read_text()


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that runs: its address, its root and what it has said."""

    address: str
    root: Path
    log: Path


@contextlib.contextmanager
def told(lab, seen):
    """What the page shows, complained of and what the server said goes into the words of a failure."""
    try:
        yield
    except Exception as error:
        shown = seen.page.locator(".jp-NotebookPanel:visible, .jp-Dialog").all_inner_texts()
        cells = "\n".join(shown)[:2_000]  # up to the widgets
        raise AssertionError(
            f"{error}\n-- shown:\n{cells}\n-- complaints: {seen.complaints}\n-- log:\n{lab.log.read_text()[-1_500:]}"
        ) from error


def opened(page, lab, name):
    """Open a notebook and wait until its kernel can be asked."""
    page.goto(f"{lab.address}/lab/tree/lab/{name}?token={TOKEN}", timeout=90_000)
    page.locator(".jp-NotebookPanel:visible .jp-Notebook").first.wait_for(timeout=90_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=90_000)


def run_all(page, text):
    """Run all cells of the notebook in front until its widgets show ``text``; they are returned.

    What is asked before the kernel has an ear is lost, some cells or all of them, and so are widgets that it made
    before JupyterLab listened to them: it is asked again, as a person would.
    """
    panel = page.locator(".jp-NotebookPanel:visible .mic2e-panel").first
    begun = page.locator(".jp-NotebookPanel:visible .jp-InputPrompt:text-matches('[0-9*]')").first
    for _ in range(8):
        page.wait_for_timeout(500)
        with contextlib.suppress(sync_api.TimeoutError):
            page.locator(".jp-NotebookPanel:visible [data-status=idle]").first.wait_for(timeout=30_000)
            dialog = page.locator(".jp-Dialog button.jp-mod-accept")
            if dialog.count():
                dialog.first.click(timeout=2_000)
            for item in ("Run", "Run All Cells"):
                page.get_by_role("menuitem", name=item, exact=True).click(timeout=2_000)
            begun.wait_for(timeout=5_000)
            panel.locator(f"text={text}").wait_for(timeout=30_000)
            return panel
    raise AssertionError(f"no widgets with: {text}")


def fill(panel, label, text):
    """Write into the field of the widgets with this label, and leave it."""
    field = panel.locator(f".widget-text:has(label:text-is('{label}')) input")
    field.fill(text)
    field.press("Tab")


@pytest.mark.timeout(600)  # it asks again and again where nothing comes
def test_a_person_plans_measures_stops_and_goes_on(lab, visit):
    with visit(width=1500, height=1400) as seen, told(lab, seen):
        page = seen.page
        opened(page, lab, "start.ipynb")
        run_all(page, "trials to measure")
        page.locator(".jp-Notebook >> text=trials run on").wait_for()
        assert page.locator(".Toastify__toast").all_inner_texts() == []  # no question about news

        page.get_by_role("link", name="Sweep", exact=True).click()
        page.locator(".jp-NotebookPanel:visible p:text('One or more settings of a pipeline')").wait_for()
        panel = run_all(page, "my-objectclear-steps: 4 of 4 trials to measure")
        for label, text in FIELDS.items():
            fill(panel, label, text)
        press(panel, "Plan")
        panel.locator("text=5 of 5 trials to measure, about").wait_for(timeout=30_000)
        assert not (lab.root / "results").exists(), "nothing runs before Start"

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
    assert tracked == {path.name: path.read_bytes() for path in (lab.root / "notebooks").glob("*.ipynb")}


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
