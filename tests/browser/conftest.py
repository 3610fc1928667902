"""A real browser: Debian's chromium by Playwright. Where there is none, what needs it is skipped with a clear word."""

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

LOCAL = ("file:", "data:", "blob:", "http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "ws://localhost")
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Watched:
    """A page, what its console complained of, and what it asked of the network (both stay empty in a good page)."""

    page: object
    complaints: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    def quiet(self):
        """Assert that nothing was complained of and nothing asked of the network."""
        assert (self.complaints, self.requests) == ([], [])
        return True

    def serious(self):
        """What axe finds that is serious or worse: rule, what it says, the first place."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            (one["id"], one["help"], one["nodes"][0]["target"], one["nodes"][0].get("failureSummary", ""))
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def is_too_wide(self):
        """By how many pixels the page scrolls sideways."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.fixture(scope="module")
def browser():
    """Chromium, for one file: Playwright's event loop would be in the way of other tests that have one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install '.[dev]'")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no browser here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser):
    """``with visit(width=400, dark=True) as seen: seen.page.goto(...)``; ``seen`` is a ``Watched`` page."""

    @contextmanager
    def opened(width=1000, height=900, dark=False, script=True):
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script
        )
        seen = Watched(context.new_page())
        seen.page.on("console", lambda said: said.type == "error" and seen.complaints.append(said.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("request", lambda one: one.url.startswith(LOCAL) or seen.requests.append(one.url))
        try:
            yield seen
        finally:
            context.close()

    return opened
