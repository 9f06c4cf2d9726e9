"""What the server keeps does not grow for ever: what is old is dropped, while it answers."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from crosszone import service
from crosszone.errors import CrossZoneError

if TYPE_CHECKING:
    from crosszone.core.retention import Retention
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
                logger.info("dropped what is old: %s", dropped)
            except CrossZoneError as error:  # others write, or the database is away: next time
                logger.warning("what is old stays: %s", error)
            wait_seconds = EVERY_SECONDS
    finally:
        is_ending.set()
