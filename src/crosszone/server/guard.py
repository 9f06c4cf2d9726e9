"""What surrounds every request: who may ask, the id, the headers, the log, the figures, and no traceback ever."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crosszone.server.callers import ANYBODY, Callers
from crosszone.server.metrics import Metrics
from crosszone.server.problems import BUSY, WRONG_HOST, Refused, mistake, problem_response
from crosszone.server.web_files import WebFiles

logger = logging.getLogger(__name__)

MOST_REQUESTS = 256
"""At the same time: each may hold a body in memory."""
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/api/v1/configuration"})
"""For what watches the server, and for a user interface that nobody has given a token yet."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Guard:
    """ASGI middleware around the whole application, and around the files of the user interface beside it."""

    def __init__(
        self, app: ASGIApp, *, callers: Callers, metrics: Metrics, is_tls: bool = False, web: WebFiles | None = None
    ) -> None:
        self.app = app
        self.web = web
        self.callers = callers
        self.metrics = metrics
        self.headers = dict(SECURITY_HEADERS)
        if is_tls:
            self.headers["Strict-Transport-Security"] = "max-age=31536000"
        self.num_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.num_requests += 1
        answer = _Answer(send, self.headers, request_id=_request_id(Headers(scope=scope)))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        started = time.perf_counter()
        try:
            await self._answer(scope, receive, answer)
        finally:
            self.num_requests -= 1
            self._note(scope, answer, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = Headers(scope=scope)
        is_web = self.web is not None and self.web.has(scope["method"], scope["path"])
        app: ASGIApp = self.web if self.web is not None and is_web else self.app
        try:
            self._check(headers)
            is_open = is_web or scope["path"] in OPEN_PATHS
            shown = headers.get("authorization", "")
            scope["state"]["caller"] = ANYBODY if is_open else await self.callers.caller(shown)
            await app(scope, receive, answer)
        except Exception as error:  # the last stop before the person; the log has all of it
            refusal = error if isinstance(error, Refused) else mistake(answer.request_id)
            if refusal is not error:
                fields = {"request_id": answer.request_id}
                logger.error("a mistake of ours", exc_info=error, extra={"fields": fields})
            if not answer.has_started:
                wanted = headers.get("accept-language", "")
                response = problem_response(refusal, request_id=answer.request_id, accept_language=wanted)
                await response(scope, receive, answer)

    def _check(self, headers: Headers) -> None:
        """Refused where the request may not be answered at all."""
        if self.num_requests > MOST_REQUESTS:
            message = f"{self.num_requests} requests are open; at most {MOST_REQUESTS} are taken."
            raise Refused.of(BUSY, message, headers={"Retry-After": "2"})
        host, access = headers.get("host", ""), self.callers.access
        if not access.has_host(host):
            hint = f"Ask for {' or '.join(sorted(access.host_names or ()))}, or give the server a --token-file."
            raise Refused.of(WRONG_HOST, f'the request is for "{host[:100]}", not for this server.', hint=hint)

    def _note(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self.metrics.count(method=method, route=route, status=answer.status, seconds=seconds)
        client = scope.get("client")
        # The path without its query, which may hold what is nobody's business.
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "status": answer.status,
            "seconds": round(seconds, 6),
            "bytes": answer.num_bytes,
            "client": client[0] if client else None,
            "actor": getattr(scope["state"].get("caller"), "actor", None),
            "request_id": answer.request_id,
        }
        logger.info("request", extra={"fields": fields})


class _Answer:
    """`send`, with our headers, that remembers what was sent."""

    def __init__(self, send: Send, headers: Mapping[str, str], *, request_id: str) -> None:
        self.send = send
        self.headers = headers
        self.request_id = request_id
        self.has_started = False
        self.status = 0
        self.num_bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started, self.status = True, message["status"]
            sent = MutableHeaders(scope=message)
            for name, value in self.headers.items():
                sent.setdefault(name, value)
            sent["X-Request-ID"] = self.request_id
            if "cache-control" not in sent:
                sent["Cache-Control"] = "no-store"
        elif message["type"] == "http.response.body":
            self.num_bytes += len(message.get("body", b""))
        await self.send(message)


def _request_id(headers: Headers) -> str:
    """The client's id where it is a plain word, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
