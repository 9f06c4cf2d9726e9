"""The worker that a server starts: a process of its own, so that neither waits for the other nor falls with it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "crosszone.cli", "worker", "--while-open")
DATABASE = "CROSSZONE_DATABASE"
"""The variable that says which database is meant: others cannot read it, as they can a command line."""
AGAIN_SECONDS = 5.0
"""Before one that died is replaced."""
ENDING_SECONDS = 20.0
"""That it gets for the steps which it has begun; its tasks are another worker's after that, whatever it does."""


class WorkerProcess:
    """One worker, replaced when it dies, ended when the block is left; or when this process is gone, however it went.

    It reads its standard input until that ends, which the kernel sees to when the other end is gone.
    """

    def __init__(
        self, database: str | None, *, command: Sequence[str] = COMMAND, again_seconds: float = AGAIN_SECONDS
    ) -> None:
        self._environment = {**os.environ, **({} if database is None else {DATABASE: database})}
        self._command, self._again_seconds = tuple(command), again_seconds
        self._is_ending = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="worker", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WorkerProcess:
        self._process = self._start()
        self._watching.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_ending.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._watching.join()
        _close(process)

    def _start(self) -> subprocess.Popen[bytes]:
        # In a session of its own: Ctrl-C is for the server, which ends its worker itself.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )

    def _watch(self) -> None:
        while self._process is not None:
            code = self._process.wait()
            if self._is_ending.is_set():
                return
            logger.error("the worker ended with %s; another takes its place", code)
            _close(self._process)
            if self._is_ending.wait(self._again_seconds):
                return
            self._process = self._start()


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe to one that has ended."""
    if process.stdin is not None:
        process.stdin.close()
