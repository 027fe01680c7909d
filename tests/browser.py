"""A real browser for the tests of pages: Chromium, driven by Playwright, and it finds fault."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window. Its event loop ends with the module, so that other tests may run their own."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: apt-get install chromium")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser to drive

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open HTML from a file, as a person does.

    The test fails on any error or warning in the console, on any request to a network, and on any alert. What is
    ``init`` runs before the page; ``answers`` are given to its questions one after the other; all else goes to
    ``browser.new_context``.
    """
    faults: list[str] = []
    contexts: list[Any] = []

    def opened(html: str, *, width: int = 1200, init: str = "", answers: tuple[bool, ...] = (), **settings: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_bytes(html.encode())
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        left = list(answers)

        def asked(dialog: Any) -> None:
            if dialog.type != "confirm" or not left:
                faults.append(f"{dialog.type}: {dialog.message}")
                dialog.dismiss()
            elif left.pop(0):
                dialog.accept()
            else:
                dialog.dismiss()

        def watch(page: Any) -> None:
            page.on("dialog", asked)
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
            page.on("request", lambda request: faults.append(request.url) if is_remote(request.url) else None)

        context.on("page", watch)
        context.add_init_script(init)
        page = context.new_page()
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    if faults:
        pytest.fail("the browser found fault: " + "; ".join(faults))


def is_remote(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:"))
