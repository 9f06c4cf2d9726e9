"""Worker processes: they may be slow, die or be given up, and nobody else's request is lost with them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from crosszone.errors import UnknownName
from crosszone.server.pool import Pool
from crosszone.server.problems import BUSY, TOO_LONG, Refused

GPUS = {"kind": "gpus", "name": "h100-sxm5-80gb"}


@pytest.fixture(scope="module")
def pool():
    made = Pool(num_workers=1, num_waiting=1, limit_seconds=60.0)
    made._idle.put(made._new_worker())  # without loading what verbs need: the catalog is quick
    yield made
    made.close()


def pid(pool):
    (worker,) = pool._started
    return worker._process.pid


def ask(pool, **request):
    return asyncio.run(pool.answer("catalog", {**GPUS, **request}))


def test_a_worker_answers_and_its_errors_are_those_of_the_verb(pool):
    assert b"h100-sxm5-80gb" in ask(pool).content
    with pytest.raises(UnknownName) as caught:
        ask(pool, name="h1000")
    assert "h1000" in str(caught.value)
    assert pool.num_pending == 0


def test_a_worker_that_was_killed_at_rest_is_replaced_before_anybody_notices(pool):
    before = pid(pool)
    os.kill(before, signal.SIGKILL)
    pool_worker = next(iter(pool._started))
    pool_worker._process.join()
    assert b"h100" in ask(pool).content
    assert pid(pool) != before


def test_what_a_worker_died_at_is_done_by_another(pool):
    async def killed():
        os.kill(pid(pool), signal.SIGSTOP)
        call = pool.call("catalog", GPUS)
        await asyncio.sleep(0.05)
        os.kill(pid(pool), signal.SIGKILL)
        return await call.answer()

    assert b"h100" in asyncio.run(killed()).content


def test_a_request_that_kills_its_workers_is_a_mistake_of_ours_and_no_more(pool):
    async def killing():
        first = pid(pool)
        os.kill(first, signal.SIGSTOP)
        call = pool.call("catalog", GPUS)
        await asyncio.sleep(0.05)
        os.kill(first, signal.SIGKILL)
        while not pool._started or pid(pool) == first:
            await asyncio.sleep(0.001)
        os.kill(pid(pool), signal.SIGKILL)  # while it still loads what it needs
        with pytest.raises(RuntimeError, match="2 workers ended at 'catalog'"):
            await call.answer()
        return await pool.answer("catalog", GPUS)

    assert b"h100" in asyncio.run(killing()).content


def test_a_request_that_takes_too_long_is_ended(pool):
    async def slow():
        os.kill(pid(pool), signal.SIGSTOP)
        with pytest.raises(Refused) as caught:
            await pool.call("catalog", GPUS, limit_seconds=0.1).answer()
        return caught.value

    found = asyncio.run(slow())
    assert found.kind is TOO_LONG
    assert "0.1 s" in str(found.findings[0])
    assert b"h100" in ask(pool).content


def test_more_than_may_wait_are_sent_away_at_once(pool):
    async def crowd():
        os.kill(pid(pool), signal.SIGSTOP)
        calls = [pool.call("catalog", GPUS) for _ in range(2)]
        with pytest.raises(Refused) as caught:
            pool.call("catalog", GPUS)
        os.kill(pid(pool), signal.SIGCONT)
        for call in calls:
            await call.answer()
        return caught.value

    found = asyncio.run(crowd())
    assert found.kind is BUSY
    assert found.headers["Retry-After"] == "2"
    assert pool.num_pending == 0


def test_what_is_given_up_frees_its_worker_and_never_begins_where_it_waits(pool):
    async def given_up():
        started = []
        os.kill(pid(pool), signal.SIGSTOP)
        at_work = pool.call("catalog", GPUS, on_start=lambda: started.append("at work"))
        waiting = pool.call("catalog", GPUS, on_start=lambda: started.append("waiting"))
        await asyncio.sleep(0.05)
        waiting.give_up()
        at_work.give_up()
        for call in (at_work, waiting):
            with pytest.raises(asyncio.CancelledError):
                await call.answer()
        await asyncio.sleep(0)
        answered = await pool.answer("catalog", GPUS)
        return started, answered

    started, answered = asyncio.run(given_up())
    assert started == ["at work"]
    assert b"h100" in answered.content
    assert pool.num_pending == 0


def test_how_far_a_verb_is_is_told_while_it_works(pool):
    head = "id,model,gpu,n_gpus,gpus_per_node,tp,pp,dp,seq_len,global_batch,micro_batch,step_seconds\n"
    rows = [f"r{i},llama-3-8b,h100-sxm5-80gb,8,8,8,1,1,8192,128,1,10.0\n" for i in range(4)]
    told = []

    async def validate():
        return await pool.call("validate", {"table": head + "".join(rows)}, on_progress=told.append).answer()

    assert b'"num_rows": 4' in asyncio.run(validate()).content
    assert told == sorted(told)
    assert told[-1] <= 1.0
    assert len(told) >= 2


def test_requests_that_come_before_the_workers_do_not_keep_them_from_starting(monkeypatch):
    """They would wait in every thread, one of which each worker needs to be started in."""
    made = Pool(num_workers=1, num_waiting=1, limit_seconds=60.0)
    monkeypatch.setattr(made, "_start_one", lambda: made._idle.put(made._new_worker()))

    async def early():
        call = made.call("catalog", GPUS)
        await asyncio.sleep(0.05)
        await asyncio.wait_for(made.start(), timeout=30.0)
        return await call.answer()

    try:
        assert b"h100" in asyncio.run(early()).content
    finally:
        made.close()
