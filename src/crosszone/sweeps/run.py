"""A sweep from its cases to its table."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from crosszone.core.sweep import Row, Sweep
from crosszone.sweeps.cases import Case
from crosszone.sweeps.journal import Journal
from crosszone.sweeps.table_file import check_format, write_table
from crosszone.sweeps.workers import rows

FEW = 4
"""Cases that a process of its own must have to be worth its start."""


def run(
    cases: Sequence[Case],
    *,
    version: str,
    output: Path | None = None,
    num_workers: int | None = None,
    dask_address: str | None = None,
    starts_afresh: bool = False,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Sweep:
    """Plan every case, with this many processes (None: one a core) or on the dask cluster at this address.

    With `output`, each row is kept as it ends, rows that an earlier try left are taken, unless the sweep
    `starts_afresh`, and at the end the table is written. SpecError and PreflightFailed before any work;
    CrossZoneError where workers are lost, with all finished rows kept.
    """
    if output is not None:
        check_format(output)
    journal = None if output is None else Journal(output, version)
    if journal is not None and starts_afresh:
        journal.delete()
    kept = {} if journal is None else journal.finished()
    found: dict[int, Row] = {case.index: kept[key] for case in cases if (key := case.fingerprint) in kept}
    num_resumed = len(found)
    with ExitStack() as stack:
        if journal is not None:
            stack.enter_context(journal)
        left = [case for case in cases if case.index not in found]
        num_workers = num_workers or min(os.cpu_count() or 1, max(len(left) // FEW, 1))
        for case, row in rows(left, num_workers=num_workers, dask_address=dask_address):
            found[case.index] = row
            if journal is not None:
                journal.add(case, row)
            on_progress(len(found) / len(cases))
    ordered = tuple(found[case.index] for case in cases)
    if output is not None and journal is not None:
        write_table(output, ordered)
        journal.delete()
    return Sweep(rows=ordered, keys=tuple(key for key, _ in cases[0].varied), num_resumed=num_resumed)
