"""A server with the built user interface, and a browser in front of it.

CROSSZONE_SCREENSHOTS=FOLDER keeps a picture of every page that a test shows.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e.web.browsing import CHROMIUM, LOCALES, chromium, demonstration

sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A demonstration server, ready."""
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as file, demonstration(file) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    """One browser for the tests of a page: while it is open, no other test of this process may use asyncio."""
    if not CHROMIUM.exists():
        pytest.skip("there is no chromium here: apt-get install chromium fonts-noto-cjk")
    with sync_api.sync_playwright() as playwright:
        browser = chromium(playwright)
        yield browser
        browser.close()


def _is_error(message):
    """Whether something is wrong with the page; 422 is the server's word on what a person typed, which browsers log."""
    return message.type == "error" and "status of 422" not in message.text


@pytest.fixture
def open_page(browser, server):
    """Opens an address of the user interface in a language, a colour scheme and a size; no error may be logged."""
    contexts, errors = [], []

    def opened(path="/", *, language="en", scheme="light", width=1280, height=800):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale=LOCALES[language],
            color_scheme=scheme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if _is_error(message) else None)
        page.goto(server.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def keep_picture(request):
    """Keeps a picture of a page where somebody wants to look at it."""

    def keep(page, name):
        folder = os.environ.get("CROSSZONE_SCREENSHOTS")
        if folder:
            page.wait_for_timeout(400)  # for what moves to have come to rest
            page.screenshot(path=Path(folder) / f"{name}.png")

    return keep
