"""The server drops what is old by itself, and its end does not wait for that."""

from __future__ import annotations

import asyncio
import logging

import pytest

from crosszone import service
from crosszone.core.retention import Dropped, Retention
from crosszone.errors import Busy
from crosszone.server import cleaning
from crosszone.server.cleaning import keep_clean
from crosszone.store.opened import open_store

NOTHING = Dropped(num_events=0, num_lines=0, num_samples=0, num_looks=0)


@pytest.fixture
def swept(monkeypatch):
    """What came of each sweep; a test says what comes of the next ones."""
    outcomes, done = [], []

    def drop_old(store, retention, *, is_ending):
        done.append((store, retention, is_ending))
        found = outcomes.pop(0) if outcomes else NOTHING
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(service, "drop_old", drop_old)
    monkeypatch.setattr(cleaning, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(cleaning, "EVERY_SECONDS", 0.01)
    return outcomes, done


async def until(is_so):
    async with asyncio.timeout(30.0):
        while not is_so():
            await asyncio.sleep(0.005)


def test_a_database_that_is_busy_is_asked_again(swept, caplog):
    outcomes, done = swept
    outcomes += [Busy.of("others have written to the database for 10 s."), RuntimeError("a mistake of ours")]
    outcomes.append(Dropped(num_events=0, num_lines=7, num_samples=0, num_looks=0))

    async def run():
        cleaner = asyncio.ensure_future(keep_clean("store", Retention()))
        await until(lambda: len(done) >= 5)
        cleaner.cancel()
        await asyncio.gather(cleaner, return_exceptions=True)

    with caplog.at_level(logging.INFO, cleaning.__name__):
        asyncio.run(run())
    assert "what is old stays: others have written" in caplog.text
    assert "a mistake of ours" in caplog.text
    told = [record.message for record in caplog.records if record.message.startswith("dropped")]
    assert told == ["dropped what is old: 0 events, 7 lines, 0 figures, 0 looks at paths."]
    assert done[0][2]()  # whoever still sweeps is told that the server ends


def test_it_runs_beside_the_server_and_ends_with_it(swept, new_application, tmp_path):
    _, done = swept
    kept = Retention(lines_seconds=7.0)

    async def run(app):
        async with app.router.lifespan_context(app):
            await until(lambda: done)
        await until(lambda: done[0][2]())

    store = open_store(str(tmp_path / "state.sqlite"))
    asyncio.run(run(new_application(store=store, retention=kept).app))
    assert done[0][:2] == (store, kept)
    store.close()
