"""The store, asked from the event loop: its work is done in threads, its errors are problems, its changes are noted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from crosszone import service
from crosszone.core.codec import to_json
from crosszone.errors import CrossZoneError
from crosszone.server.body import JSON
from crosszone.server.callers import caller_of
from crosszone.server.languages import told
from crosszone.server.parameters import StrictRoute
from crosszone.server.problems import CHANGED, INVALID, Refused, refused
from crosszone.server.sse import MEDIA_TYPE as EVENTS
from crosszone.server.sse import Event, News, PolledLog
from crosszone.service.stored import Noted

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

Found = TypeVar("Found")

MOST_TARGET_CHARACTERS = 1000
_TAG = re.compile(r'(W/)?"(\d{1,18})"')


class Stored:
    """One store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def ask(self, function: Callable[..., Found], *arguments: Any, body: Any = None, **more: Any) -> Found:
        """What `function` gives of the store. Refused; `body` is the request that pointers lead into."""
        try:
            return await run_in_threadpool(function, self.store, *arguments, **more)
        except CrossZoneError as error:
            raise refused(error, body) from None

    async def change(
        self,
        request: Request,
        action: str,
        status: int,
        function: Callable[..., Found],
        *arguments: Any,
        target: str = "",
        body: Any = None,
        **more: Any,
    ) -> Found:
        """What `function` changes, and a line in the audit log: both, or neither. Refused."""
        note = _note(request, action, target, status)
        return await self.ask(service.noted, note, function, *arguments, **more, body=body)

    async def note(self, request: Request, action: str, target: str) -> None:
        """A line in the audit log about what takes longer than a database should wait for."""
        await self.ask(service.note_request, _note(request, action, target, 200))


def event_log(stored: Stored, task_id: str | None, *, is_followed: bool) -> PolledLog:
    """What happens to a task, or to all."""

    async def look(number: int) -> News:
        found = await stored.ask(service.stored_events, number, task_id=task_id)
        events = [Event(number=each, kind=kind, data=data) for each, kind, data in found.events]
        return News(events=events, is_ended=found.is_ended)

    return PolledLog(look, is_followed=is_followed)


def is_followed(request: Request) -> bool:
    """Whether a request waits for what is still to come: one that asks for a stream of events, as browsers do."""
    return EVENTS in request.headers.get("accept", "")


def actor(request: Request) -> str:
    """Who asks, by the name that the audit log has."""
    return caller_of(request).actor


def expected_version(request: Request) -> int | None:
    """The version that `If-Match` names; None where any will do. Refused where it names none of ours, or a weak one.

    Weak tags never match there (RFC 9110, section 13.1.1): what was read need not be byte for byte what is kept.
    """
    written = request.headers.get("if-match", "").strip()
    if written in ("", "*"):
        return None
    found = _TAG.fullmatch(written)
    if found is None:
        raise Refused.of(INVALID, f"{written[:60]} is no ETag of this server.", where="If-Match", hint="Leave it out.")
    if found[1]:
        hint = f'Send "{found[2]}", without W/; a proxy that compresses answers may have put it there.'
        raise Refused.of(CHANGED, f"{written} is a weak ETag, which matches nothing.", where="If-Match", hint=hint)
    return int(found[2])


class NounResponse(Response):
    """A noun as JSON, in English; its `NounRoute` tells it in the language of who asks."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """The bytes of a JSON value."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")

    def told(self, request: Request) -> Response:
        """The same for who asked."""
        content, headers = told(request, bytes(self.body))
        if content == self.body:
            self.headers.update(headers)
            return self
        kept = {name: text for name, text in self.headers.items() if name != "content-length"}
        return Response(content, self.status_code, {**kept, **headers})


class NounRoute(StrictRoute):
    """A route whose nouns are told in the language of who asks."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handled = super().get_route_handler()

        async def answered(request: Request) -> Response:
            response = await handled(request)
            return response.told(request) if isinstance(response, NounResponse) else response

        return answered


def noun_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A noun as JSON; one that has a version says it as its ETag."""
    version = getattr(value, "version", None)
    tag = {} if version is None else {"ETag": f'"{version}"'}
    return NounResponse(to_json(value), status, {**tag, **(headers or {})})


def page_response(request: Request, page: Any) -> Response:
    """A page as JSON, with a link to the next one that asks for the same otherwise."""
    headers = {}
    if page.cursor is not None:
        pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
        query = urlencode([*pairs, ("cursor", page.cursor)])
        headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return noun_response(page, headers=headers)


def _note(request: Request, action: str, target: str, status: int) -> Noted:
    return Noted(
        actor=actor(request),
        action=action,
        target=target[:MOST_TARGET_CHARACTERS],
        status=status,
        request_id=request.state.request_id,
    )
