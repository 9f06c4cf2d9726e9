"""Who asks: each request's caller is found once, and each route says what they must be allowed to do."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from crosszone import service
from crosszone.core.access import VIEWER, Caller
from crosszone.errors import CrossZoneError
from crosszone.server.access import Access, bearer
from crosszone.server.problems import FORBIDDEN, NO_TOKEN, Refused, refused

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

REMEMBERED_SECONDS = 1.0
"""A token that is revoked may be shown for so long; so the database is not asked for every request."""
MOST_REMEMBERED = 1000
ANYBODY = Caller(actor="anybody", scope=VIEWER)
"""Who asks for what is for everybody."""


class Callers:
    """Finds out who asks: by the tokens of a file, and by those of a store."""

    def __init__(self, access: Access, store: Store | None = None) -> None:
        self.access, self.store = access, store
        self._remembered: dict[bytes, tuple[float, Caller]] = {}

    async def caller(self, authorization: str) -> Caller:
        """Who sends this Authorization header. Refused where a token is needed, or shown, and is none that is known."""
        token = bearer(authorization)
        found = (self.access.caller(token) or await self._stored(token)) if token else self.access.nobody()
        if found is None:
            message = "the request shows no token that this server knows."
            hint = 'Send the header "Authorization: Bearer TOKEN".'
            raise Refused.of(NO_TOKEN, message, hint=hint, headers={"WWW-Authenticate": 'Bearer realm="crosszone"'})
        return found

    async def _stored(self, token: str) -> Caller | None:
        if self.store is None:
            return None
        digest, now_seconds = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(), time.monotonic()
        until_seconds, known = self._remembered.get(digest, (0.0, None))
        if known is not None and now_seconds < until_seconds:
            return known
        try:
            found = await run_in_threadpool(service.caller, self.store, token)
        except CrossZoneError as error:
            raise refused(error) from None
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered.pop(digest, None)
        if found is not None:
            self._remembered[digest] = now_seconds + REMEMBERED_SECONDS, found
        return found


def caller_of(request: Request) -> Caller:
    """Who sent a request."""
    found: Caller = request.state.caller
    return found


def needs(scope: str) -> Any:
    """What a route depends on that is only for those with a scope."""

    async def check(request: Request) -> None:
        caller = caller_of(request)
        if not caller.may(scope):
            message = f"{caller.actor} may do what a {caller.scope} may, and this is for {scope}s."
            raise Refused.of(FORBIDDEN, message, hint=f"Ask an admin for a token with the scope {scope}.")

    return Depends(check)
