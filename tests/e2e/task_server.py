"""A server whose tasks train on this machine, for tests that watch them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from crosszone.processes import kill_marked, marked

LIMIT_SECONDS = 300.0


class Server:
    """A server of its own process, with the worker that it starts; killed and started again over the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        """Until it answers."""
        command = [sys.executable, "-m", "crosszone.cli", "serve", "--port", "0", "--json"]
        database = ["--database", str(self.folder / "state.sqlite")]
        around = {**os.environ, "PYTHON": sys.executable}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *database], env=around, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        told = ""
        while not told.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            assert line, (self.folder / "server.log").read_text()
            told += line
        self.url = json.loads(told)["url"]

    def is_ready(self) -> bool:
        """Whether all that computes is loaded."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=LIMIT_SECONDS):
                return True
        except urllib.error.HTTPError:
            return False

    def kill(self) -> None:
        """As the kernel ends a process where memory runs out."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """As a service is stopped; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=LIMIT_SECONDS)

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """The JSON of an answer that is no error; None where it is empty."""
        body = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": "one"}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
            return json.loads(answer.read() or "null")


def running_server(folder: Path, *, num_north: int = 2) -> Iterator[Server]:
    """A server with two environments of this machine, of `num_north` ranks and one; ended, with all that it started."""
    found = Server(folder)
    found.start()
    for name, num_gpus in (("north", num_north), ("south", 1)):
        entry = {"id": f"{name}-1", "name": f"{name}-1", "zone": name, "status": "running"}
        found.ask("POST", "environments", {**entry, "gpu": f"{num_gpus}x a100-sxm4-80gb", "price": "2 USD/h"})
    yield found
    found.kill()
    for logs in folder.glob("tasks/*/attempt-*/logs/*Z-*"):  # each run has a folder of its name
        kill_marked(logs.name)


def until(condition: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit, f"{what} never came"
        time.sleep(0.1)


def rank_process(run_id: str, rank: int) -> int:
    """The process that trains a rank."""
    for pid in marked(run_id):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in variables:
            return pid
    raise AssertionError(f"no process of {run_id} is rank {rank}")
