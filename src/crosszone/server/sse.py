"""Events to a browser as they happen: server-sent events (WHATWG HTML, section 9.2), resumed by Last-Event-ID."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fastapi import Request, Response
from starlette.responses import StreamingResponse

from crosszone.server.problems import INVALID, Refused

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
"""A comment after this silence: proxies close connections that say nothing for a minute."""
RETRY_SECONDS = 2.0
"""What a browser waits before it asks again."""
POLL_SECONDS = 0.5
"""Between two looks for events that others write."""
MOST_KEPT = 1000
"""Events that a log in memory remembers."""
LAST_EVENT_ID = "Last-Event-ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    number: int
    """From 1 on, in the order of what happened."""
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What happened behind an event."""

    events: Sequence[Event]
    """The oldest first."""
    is_ended: bool
    """Whether nothing more will come behind these."""


class EventLog(Protocol):
    """What happened to one thing; the same whether memory or a database holds it."""

    async def after(self, number: int) -> News:
        """What happened behind the event with this number, or some of it."""

    async def changed(self, number: int) -> None:
        """Return once there is an event after this one, or none will come."""


class MemoryLog:
    """The newest events of one thing, in memory."""

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        self.most_kept = most_kept
        self.is_ended = False
        self._events: list[Event] = []
        self._num_events = 0
        self._news = asyncio.Event()

    def add(self, kind: str, data: dict[str, Any]) -> None:
        """Write down what happened, and wake who waits for it."""
        self._num_events += 1
        self._events.append(Event(number=self._num_events, kind=kind, data=data))
        del self._events[: -self.most_kept]
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.is_ended = True
        self._wake()

    async def after(self, number: int) -> News:
        """Events after the one with this number that are remembered."""
        return News(events=[event for event in self._events if event.number > number], is_ended=self.is_ended)

    async def changed(self, number: int) -> None:
        """Return once there is an event after this one, or none will come."""
        while self._num_events <= number and not self.is_ended:
            await self._news.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class PolledLog:
    """The `EventLog` of what other processes write, too: it is asked for again and again.

    Where it is not followed, it ends with what there is.
    """

    def __init__(self, look: Callable[[int], Awaitable[News]], *, is_followed: bool) -> None:
        self._look = look
        self._is_followed = is_followed

    async def after(self, number: int) -> News:
        """What is there by now."""
        found = await self._look(number)
        return found if self._is_followed or found.events else replace(found, is_ended=True)

    async def changed(self, number: int) -> None:
        """Return once there is an event after this one, or none will come."""
        while True:
            found = await self.after(number)
            if found.events or found.is_ended:
                return
            await asyncio.sleep(POLL_SECONDS)


async def event_response(request: Request, log: EventLog) -> Response:
    """The events of `log` from where the client left off until it ends.

    204 where the client has all of an ended log: that tells a browser not to ask again. Refused where its
    Last-Event-ID is none of ours.
    """
    number = _last_number(request)
    news = await log.after(number)
    if news.is_ended and not news.events:
        return Response(status_code=204)
    # A proxy that buffers would keep events back until there are some kilobytes of them.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_texts(log, number, news), media_type=MEDIA_TYPE, headers=headers)


def event_text(event: Event) -> bytes:
    """One event as it is sent; JSON has no line breaks of its own, so that its data is one line."""
    data = json.dumps(event.data, ensure_ascii=False, allow_nan=False)
    return f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n".encode("utf-8", "backslashreplace")


async def _texts(log: EventLog, number: int, news: News) -> AsyncIterator[bytes]:
    yield f"retry: {round(RETRY_SECONDS * 1000)}\n\n".encode()
    while True:
        for event in news.events:
            number = event.number
            yield event_text(event)
        if news.is_ended:
            return
        try:
            await asyncio.wait_for(log.changed(number), HEARTBEAT_SECONDS)
        except TimeoutError:
            yield b":\n\n"
        news = await log.after(number)


def _last_number(request: Request) -> int:
    text = request.headers.get(LAST_EVENT_ID, "").strip()
    if not text:
        return 0
    if not text.isdecimal() or len(text) > 18:
        raise Refused.of(INVALID, f'"{text[:60]}" is the id of no event.', where=LAST_EVENT_ID, hint="Leave it out.")
    return int(text)
