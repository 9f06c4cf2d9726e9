"""What the server keeps does not grow for ever: what is old is dropped, while it answers."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

from crosszone import service
from crosszone.errors import CrossZoneError

if TYPE_CHECKING:
    from crosszone.core.retention import Dropped, Retention
    from crosszone.service.tasks import Store

logger = logging.getLogger(__name__)

FIRST_SECONDS = 60.0
"""After the start, which has enough to do."""
EVERY_SECONDS = 3600.0
"""Between two looks for what is old. Chosen: things are kept for days."""


async def keep_clean(store: Store, retention: Retention) -> None:
    """Drop what is old, again and again, in a thread beside the event loop; cancelled, it ends after a few rows."""
    is_ending = threading.Event()
    wait_seconds = FIRST_SECONDS
    try:
        while True:
            await asyncio.sleep(wait_seconds)
            try:
                dropped = await asyncio.to_thread(service.drop_old, store, retention, is_ending=is_ending.is_set)
                if any(asdict(dropped).values()):
                    logger.info("dropped what is old: %s", _counted(dropped))
            except CrossZoneError as error:  # others write, or the database is away: next time
                logger.warning("what is old stays: %s", error)
            except Exception:  # a mistake of ours, told; the next look may go well
                logger.exception("what is old stays")
            wait_seconds = EVERY_SECONDS
    finally:
        is_ending.set()


def _counted(dropped: Dropped) -> str:
    return (
        f"{dropped.num_events} events, {dropped.num_lines} lines, {dropped.num_samples} figures, "
        f"{dropped.num_looks} looks at paths."
    )
