"""A real browser for tests of pages: Chromium by Playwright."""

import os
import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    """Chromium where `which chromium` finds it or Playwright has put it; else the test skips."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as driver:
        path = found or driver.chromium.executable_path
        if not os.path.exists(path):
            pytest.skip("no Chromium is installed, which `playwright install chromium` brings")
        # Processes of root have no sandbox, as in containers.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
