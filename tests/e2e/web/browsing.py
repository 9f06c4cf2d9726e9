"""A server with the built user interface, and a browser in front of it, for as long as somebody looks."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CHROMIUM = Path("/usr/bin/chromium")
# Without a sandbox, because tests may run as root; without what a browser asks the network for on its own.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
MORE_FLAGS = ("--disable-component-update", "--disable-sync", "--font-render-hinting=none")
COMMAND = (sys.executable, "-m", "crosszone.cli", "serve", "--port", "0", "--workers", "1", "--demo")
LIMIT_SECONDS = 120.0
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


class Server:
    """One running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, value: Any = None, *, method: str | None = None) -> Any:
        """The JSON of an answer: what the page must show."""
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as response:
            return json.load(response)


@contextlib.contextmanager
def demonstration(log: IO[str] | int) -> Iterator[Server]:
    """A demonstration server, ready; what it logs goes to a file."""
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        found = Server(re.search(r"http://\S+", process.stdout.readline())[0])
        _wait_until_ready(found)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=30)


def chromium(playwright: Any) -> Any:
    """The system's browser, started."""
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, *MORE_FLAGS])


def _wait_until_ready(server: Server) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            server.ask("/readyz")
            return
        time.sleep(0.1)
    raise AssertionError("the server is not ready")
