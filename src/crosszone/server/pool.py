"""Worker processes with a bounded queue before them.

Verbs compute, so that threads would take turns; a process each uses every core, can be stopped when it takes too long,
and takes nobody with it when it dies.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import queue
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from crosszone.server.problems import BUSY, TOO_LONG, Refused
from crosszone.server.work import Crashed, Done, Outcome, serve_pipe

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2
"""What a client that was sent away is told to wait."""
STARTING_SECONDS = 120.0
"""Most that loading may take."""


class Pool:
    """Some worker processes, each of which answers one request at a time."""

    def __init__(self, *, num_workers: int, num_waiting: int, limit_seconds: float, niceness: int = 0) -> None:
        self.num_workers = num_workers
        self.num_waiting = num_waiting
        """Most requests that may wait for a worker."""
        self.limit_seconds = limit_seconds
        """Most that one request may compute."""
        self.niceness = niceness
        self.num_pending = 0
        """Requests that wait or are computed. Only the event loop changes it."""
        self.is_ready = False
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._started: set[_Worker] = set()
        self._lock = Lock()
        self._is_closed = False
        self._threads = ThreadPoolExecutor(max_workers=num_workers)

    async def start(self) -> None:
        """Start all workers and load into each what it needs."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, self._start_one) for _ in range(self.num_workers)))
        self.is_ready = True

    async def answer(self, verb: str, request: dict[str, Any]) -> Done:
        """The answer of a verb. CrossZoneError as the verb raises it; Refused where too many wait, or it takes long."""
        if self.num_pending >= self.num_workers + self.num_waiting:
            message = f"{self.num_pending} requests wait or are computed, and no more are taken."
            hint = f"Ask again in {RETRY_SECONDS} s."
            raise Refused.of(BUSY, message, hint=hint, headers={"Retry-After": str(RETRY_SECONDS)})
        self.num_pending += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self._outcome, verb, request)
        finally:
            self.num_pending -= 1
        if isinstance(found, Crashed):
            raise RuntimeError(found.text)
        if not isinstance(found, Done):
            raise found
        return found

    def close(self) -> None:
        """Stop all workers, whatever they are at."""
        with self._lock:
            self._is_closed = True
            workers = list(self._started)
        for worker in workers:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _start_one(self) -> None:
        worker = self._new_worker()
        worker.send("warm", {})
        worker.receive(STARTING_SECONDS)
        self._idle.put(worker)

    def _outcome(self, verb: str, request: dict[str, Any]) -> Outcome:
        worker = self._idle.get()
        try:
            if not worker.is_alive():  # killed while it had nothing to do
                worker = self._replacement(worker)
            worker.send(verb, request)
            return worker.receive(self.limit_seconds)
        except TimeoutError:
            worker = self._replacement(worker)
            hint = "Ask for less at once, or use the command line, which has no limit."
            raise Refused.of(TOO_LONG, f"it took more than {self.limit_seconds:g} s.", hint=hint) from None
        except (EOFError, OSError) as error:
            code = worker.exit_code()
            worker = self._replacement(worker)
            return Crashed(text=f"a worker ended at {verb!r} with exit code {code}: {type(error).__name__}")
        finally:
            self._idle.put(worker)

    def _replacement(self, worker: _Worker) -> _Worker:
        """A new worker in place of one that is of no more use. It loads what it needs with its first request."""
        worker.kill()
        with self._lock:
            self._started.discard(worker)
            if self._is_closed:
                return worker
        logger.warning("a worker was replaced")
        return self._new_worker()

    def _new_worker(self) -> _Worker:
        worker = _Worker(self.niceness)
        with self._lock:
            self._started.add(worker)
        return worker


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, niceness: int) -> None:
        # Not forked from here: a fork would inherit the server's sockets, and threads in the middle of something.
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve_pipe, args=(other, niceness), daemon=True)
        self._process.start()
        _close(other)

    def send(self, verb: str, request: dict[str, Any]) -> None:
        self._pipe.send((verb, request))

    def receive(self, limit_seconds: float) -> Outcome:
        """What comes next. TimeoutError; EOFError where the process ended."""
        if not self._pipe.poll(limit_seconds):
            raise TimeoutError
        found: Outcome = self._pipe.recv()
        return found

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def exit_code(self) -> int | None:
        self._process.join(1.0)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _close(connection: Connection) -> None:
    """Our copy of the end that the process holds, so that its end is the end of the pipe."""
    connection.close()
