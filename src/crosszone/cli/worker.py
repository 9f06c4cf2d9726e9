"""`crosszone worker`."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from crosszone.cli.database import DatabaseAddress
from crosszone.cli.options import AsJson, IsVerbose


def worker(
    database: DatabaseAddress = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Bundles, checkpoints and logs; left out: beside the database. The same for all workers.",
            show_default=False,
        ),
    ] = None,
    is_while_open: Annotated[
        bool, typer.Option("--while-open", help="End when standard input does.", show_default=False)
    ] = False,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Start, follow, recover and stop the tasks of a server.

    `crosszone serve` starts one of its own; more may run beside it. Until SIGTERM or Ctrl-C. Runs go on without it, and
    whoever comes next takes them over.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.service.control import task_folder
    from crosszone.service.control import worker as open_worker

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    store = service.open_store(database)
    driving = open_worker(store, folder=folder)

    def end(number: int, frame: Any) -> None:
        driving.end()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    if is_while_open:
        threading.Thread(target=_end_with_input, args=(driving.end,), daemon=True).start()
    where = str(task_folder(store, folder))
    if as_json:
        console.write_json({"schema_version": 1, "database": str(store.state), "folder": where})
    else:
        console.write_text(f"Driving the tasks of {store.state} in {where}; Ctrl-C ends this, not their runs.\n")
    console.flush()
    try:
        driving.run()
    finally:
        store.close()


def _end_with_input(end: Callable[[], None]) -> None:
    """Whoever started us holds the other end: it closes when they are gone, however they went."""
    while os.read(0, 1024):  # not sys.stdin, whose lock a thread that waits would keep from the end of the program
        pass
    end()
