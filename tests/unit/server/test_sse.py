"""Events as a browser reads them: in order, each once, from where it left off."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import Request

from crosszone.server import sse
from crosszone.server.problems import Refused
from crosszone.server.sse import Event, MemoryLog, News, PolledLog, event_response, event_text


def request(last_event_id=None):
    headers = [] if last_event_id is None else [(b"last-event-id", last_event_id.encode())]
    return Request({"type": "http", "headers": headers})


def log_of(*kinds, is_ended=True, **more):
    log = MemoryLog(**more)
    for kind in kinds:
        log.add(kind, {"said": kind})
    if is_ended:
        log.end()
    return log


async def read(responding):
    response = await responding
    return b"".join([part async for part in response.body_iterator]).decode()


def test_an_event_is_one_block_of_lines():
    text = event_text(Event(number=7, kind="progress", data={"line": "a\nb", "who": "张"})).decode()
    assert text == 'id: 7\nevent: progress\ndata: {"line": "a\\nb", "who": "张"}\n\n'


def test_all_events_come_in_order_and_then_the_end():
    text = asyncio.run(read(event_response(request(), log_of("a", "b"))))
    assert text == 'retry: 2000\n\nid: 1\nevent: a\ndata: {"said": "a"}\n\nid: 2\nevent: b\ndata: {"said": "b"}\n\n'


def test_a_client_goes_on_after_its_last_event():
    text = asyncio.run(read(event_response(request("1"), log_of("a", "b"))))
    assert "event: a" not in text
    assert "event: b" in text


def test_who_has_all_of_an_ended_log_is_told_to_stop_asking():
    assert asyncio.run(event_response(request("2"), log_of("a", "b"))).status_code == 204
    assert asyncio.run(event_response(request(), log_of())).status_code == 204


@pytest.mark.parametrize("wrong", ["x", "-1", "1.5", "9" * 30])
def test_ids_that_are_none_are_refused(wrong):
    with pytest.raises(Refused):
        asyncio.run(event_response(request(wrong), log_of("a")))


def test_what_happens_while_somebody_listens_comes_at_once_and_once():
    async def listen():
        log = log_of("a", is_ended=False)
        reading = asyncio.ensure_future(read(event_response(request(), log)))
        for kind in ("b", "c"):
            await asyncio.sleep(0)
            log.add(kind, {})
        await asyncio.sleep(0)
        log.end()
        return await reading

    text = asyncio.run(listen())
    assert [line for line in text.splitlines() if line.startswith("event")] == ["event: a", "event: b", "event: c"]


def test_silence_is_filled_so_that_no_proxy_hangs_up(monkeypatch):
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.001)

    async def listen():
        parts = (await event_response(request(), log_of(is_ended=False))).body_iterator
        return [await anext(parts), await anext(parts)]

    assert asyncio.run(listen()) == [b"retry: 2000\n\n", b":\n\n"]


def test_a_log_remembers_the_newest_and_their_numbers():
    log = log_of("a", "b", "c", most_kept=2)
    assert [(event.number, event.kind) for event in asyncio.run(log.after(0)).events] == [(2, "b"), (3, "c")]


@pytest.mark.parametrize("is_followed", [True, False])
def test_a_log_that_is_read_in_parts_comes_whole_and_ends(is_followed):
    """A look gives two of five events at a time, and knows of the end only with the last of them."""
    looks = []

    async def look(number):
        looks.append(number)
        found = [Event(number=each, kind="line", data={}) for each in range(number + 1, min(number + 2, 5) + 1)]
        return News(events=found, is_ended=len(found) < 2)

    text = asyncio.run(read(event_response(request(), PolledLog(look, is_followed=is_followed))))
    assert [line for line in text.splitlines() if line.startswith("id")] == [f"id: {each}" for each in range(1, 6)]
    assert len(looks) <= 6


def test_who_does_not_follow_gets_what_there_is_and_waits_for_nothing():
    async def look(number):
        return News(events=[Event(number=1, kind="line", data={})] if number == 0 else [], is_ended=False)

    text = asyncio.run(read(event_response(request(), PolledLog(look, is_followed=False))))
    assert text.count("event:") == 1
