"""Who works the cases off: this process, several of them, or the workers of a dask cluster."""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from crosszone.core.sweep import Row
from crosszone.errors import CrossZoneError, PreflightFailed
from crosszone.sweeps.cases import Case
from crosszone.sweeps.row import answered

AHEAD = 4
"""Cases handed to each worker before it has finished: enough that none waits, few enough that none are lost."""
CONNECT_SECONDS = 20.0
"""Patience with a dask scheduler: dask's own default is 30 s for a connection and its retries."""


def rows(cases: Iterable[Case], *, num_workers: int, dask_address: str | None = None) -> Iterator[tuple[Case, Row]]:
    """Each case with its row, in the order in which they end.

    CrossZoneError where a process was killed, PreflightFailed where the dask cluster is out of reach.
    """
    if dask_address is not None:
        return _by_dask(cases, dask_address)
    return ((case, answered(case)) for case in cases) if num_workers == 1 else _by_processes(cases, num_workers)


def _by_processes(cases: Iterable[Case], num_workers: int) -> Iterator[tuple[Case, Row]]:
    # Spawned, because a fork of a process with threads (NumPy starts some) may hang.
    pool = ProcessPoolExecutor(max_workers=num_workers, mp_context=multiprocessing.get_context("spawn"))
    upcoming, running = iter(cases), dict[Future[Row], Case]()
    try:
        while True:
            for case in islice(upcoming, AHEAD * num_workers - len(running)):
                running[pool.submit(answered, case)] = case
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            yield from ((running.pop(future), future.result()) for future in done)
    except BrokenProcessPool:
        message = "a worker process was ended from outside, which is how a lack of memory shows."
        raise CrossZoneError.of(message, hint="Start again with fewer --workers: finished rows are kept.") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _by_dask(cases: Iterable[Case], address: str) -> Iterator[tuple[Case, Row]]:
    client = _client(address)
    try:
        from distributed import as_completed

        upcoming, running = iter(cases), dict[Any, Case]()
        ahead = AHEAD * max(sum(client.nthreads().values()), 1)
        finished = as_completed()

        def submit(count: int) -> None:
            for case in islice(upcoming, count):
                future = client.submit(answered, case, pure=False)
                running[future] = case
                finished.add(future)

        submit(ahead)
        for future in finished:
            case = running.pop(future)
            row = future.result()
            submit(1)
            yield case, row
    finally:
        client.close()


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        message = "the package distributed is not installed."
        raise PreflightFailed.of(message, where="--dask", hint='Install it: pip install "crosszone[sweep]".') from None
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        message = f"no dask scheduler answers at {address}: {error}."
        hint = "Start one: `dask scheduler` there, `dask worker ADDRESS` on each machine with crosszone installed."
        raise PreflightFailed.of(message, where="--dask", hint=hint) from None
