"""Worker processes with a bounded queue before them.

Verbs compute, so that threads would take turns; a process each uses every core, can be stopped when it takes too long,
and takes nobody with it when it dies.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from crosszone.server.problems import BUSY, TOO_LONG, Refused
from crosszone.server.work import Crashed, Done, OnProgress, Outcome, Progress, serve_pipe

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2
"""What a client that was sent away is told to wait."""
STARTING_SECONDS = 120.0
"""Most that loading may take."""

MOST_TRIES = 2
"""Workers that may die at one request."""


def ignore_progress(fraction: float) -> None:
    """For who does not want to know."""


class Call:
    """One request on its way through a pool: it can be given up."""

    def __init__(self, on_start: Callable[[], None], on_progress: OnProgress) -> None:
        self.on_start = on_start
        self.on_progress = on_progress
        self.found: asyncio.Future[Outcome]
        """What comes of it; the pool sets it before anybody sees the call."""
        self._lock = Lock()
        self._worker: _Worker | None = None
        self._is_given_up = False
        self._has_ended_worker = False

    async def answer(self) -> Done:
        """What came of it. CrossZoneError as the verb raises it, Refused; CancelledError where it was given up."""
        found = await self.found
        if isinstance(found, Crashed):
            raise RuntimeError(found.text)
        if not isinstance(found, Done):
            raise found
        return found

    def give_up(self) -> None:
        """Let no worker begin it, and end the one that is at it."""
        with self._lock:
            self._is_given_up = True
            if self._worker is not None:
                self._worker.end()
                self._has_ended_worker = True
        self.found.cancel()

    def begin(self, worker: _Worker) -> bool:
        """Whether `worker` may begin; not where it was given up."""
        with self._lock:
            if not self._is_given_up:
                self._worker = worker
        return not self._is_given_up

    def leave(self) -> bool:
        """From here on the worker may be at something else; whether it was ended because the call was given up."""
        with self._lock:
            self._worker = None
        return self._has_ended_worker


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
        """Start all workers and load into each what it needs.

        In other threads than those of requests: requests that came first would wait in all of these for the workers.
        """
        await asyncio.gather(*(asyncio.to_thread(self._start_one) for _ in range(self.num_workers)))
        self.is_ready = True

    async def answer(self, verb: str, request: dict[str, Any]) -> Done:
        """The answer of a verb. CrossZoneError as the verb raises it; Refused where too many wait, or it takes long."""
        return await self.call(verb, request).answer()

    def call(
        self,
        verb: str,
        request: dict[str, Any],
        *,
        limit_seconds: float | None = None,
        on_start: Callable[[], None] = lambda: None,
        on_progress: OnProgress = ignore_progress,
    ) -> Call:
        """Put a request into the queue. `on_start` and `on_progress` are told in the event loop.

        Refused where too many wait already.
        """
        if self.num_pending >= self.num_workers + self.num_waiting:
            message = f"{self.num_pending} requests wait or are computed, and no more are taken."
            hint = f"Ask again in {RETRY_SECONDS} s."
            raise Refused.of(BUSY, message, hint=hint, headers={"Retry-After": str(RETRY_SECONDS)})
        loop = asyncio.get_running_loop()
        call = Call(
            lambda: _tell(loop, on_start),
            lambda fraction: _tell(loop, on_progress, fraction),
        )
        limit = self.limit_seconds if limit_seconds is None else limit_seconds
        self.num_pending += 1
        call.found = loop.run_in_executor(self._threads, self._outcome, call, verb, request, limit)
        call.found.add_done_callback(self._count_down)
        return call

    def close(self) -> None:
        """Stop all workers, whatever they are at."""
        with self._lock:
            self._is_closed = True
            workers = list(self._started)
        for worker in workers:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _count_down(self, found: asyncio.Future[Outcome]) -> None:
        self.num_pending -= 1

    def _start_one(self) -> None:
        worker = self._new_worker()
        worker.send("warm", {})
        worker.receive(STARTING_SECONDS, ignore_progress)
        self._idle.put(worker)

    def _outcome(self, call: Call, verb: str, request: dict[str, Any], limit_seconds: float) -> Outcome:
        """What comes of a request. Where its worker dies, which need not be its fault, another one begins anew."""
        for _ in range(MOST_TRIES):
            found = self._tried(call, verb, request, limit_seconds)
            if found is not None:
                return found
        return Crashed(text=f"{MOST_TRIES} workers ended at {verb!r}")

    def _tried(self, call: Call, verb: str, request: dict[str, Any], limit_seconds: float) -> Outcome | None:
        """What comes of a request; None where its worker died."""
        worker = self._idle.get()
        if not worker.is_alive():  # killed while it had nothing to do
            worker = self._replacement(worker)
        is_usable = True
        try:
            if not call.begin(worker):
                return Crashed(text="given up before it began")
            call.on_start()
            worker.send(verb, request)
            return worker.receive(limit_seconds, call.on_progress)
        except TimeoutError:
            is_usable = False
            hint = "Ask for less at once, or use the command line, which has no limit."
            raise Refused.of(TOO_LONG, f"it took more than {limit_seconds:g} s.", hint=hint) from None
        except (EOFError, OSError) as error:
            is_usable = False
            logger.warning("a worker ended at %r with %s: %s", verb, worker.exit_code(), type(error).__name__)
            return None
        finally:
            was_ended = call.leave()
            self._idle.put(worker if is_usable and not was_ended else self._replacement(worker))

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

    def receive(self, limit_seconds: float, on_progress: OnProgress) -> Outcome:
        """What comes of the request. TimeoutError; EOFError where the process ended."""
        end_seconds = time.monotonic() + limit_seconds
        while self._pipe.poll(max(end_seconds - time.monotonic(), 0.0)):
            found: Outcome | Progress = self._pipe.recv()
            if not isinstance(found, Progress):
                return found
            on_progress(found.fraction)
        raise TimeoutError

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def exit_code(self) -> int | None:
        self._process.join(1.0)
        return self._process.exitcode

    def end(self) -> None:
        """End the process; who waits for its answer is told."""
        self._process.kill()

    def kill(self) -> None:
        """End the process, and wait until it has ended."""
        self._process.kill()
        self._process.join()


def _tell(loop: asyncio.AbstractEventLoop, told: Callable[..., None], *values: Any) -> None:
    """From a thread. Where the loop has ended, nobody wants to know."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(told, *values)


def _close(connection: Connection) -> None:
    """Our copy of the end that the process holds, so that its end is the end of the pipe."""
    connection.close()
