"""Routes of the catalog: pages of what a job file can name, and all of one of them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request, Response

from crosszone.errors import UnknownName
from crosszone.server.body import JSON
from crosszone.server.openapi import API_PATH, operation
from crosszone.server.pool import Pool
from crosszone.server.problems import INVALID, NOT_FOUND, Refused
from crosszone.server.responses import etag_response

MOST_ENTRIES = 1000
"""Of one page."""

Kind = Literal["gpus", "models", "regions", "frameworks", "prices", "egress", "links"]
Limit = Annotated[int, Query(ge=1, le=MOST_ENTRIES, description="Most entries of the page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=400, description="Where the page starts: from the Link header of the page before it."),
]


class Catalogs:
    """The catalogs, loaded by a worker when they are first asked for. They change with the program alone."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._loaded: dict[str, dict[str, Any]] = {}

    def add_routes(self, app: FastAPI) -> None:
        """Add what answers for them."""

        async def page(request: Request, kind: Kind, limit: Limit = MOST_ENTRIES, cursor: Cursor = None) -> Response:
            return await self._page(request, kind, limit, cursor)

        async def one(request: Request, kind: Kind, name: str) -> Response:
            return await self._one(request, kind, name)

        app.add_api_route(f"{API_PATH}/catalog/{{kind}}", page, methods=["GET"], **operation("catalog"))
        app.add_api_route(f"{API_PATH}/catalog/{{kind}}/{{name}}", one, methods=["GET"], **operation("catalog_entry"))

    async def _page(self, request: Request, kind: str, limit: int, cursor: str | None) -> Response:
        if kind not in self._loaded:
            self._loaded[kind] = json.loads((await self.pool.answer("catalog", {"kind": kind})).content)
        whole = self._loaded[kind]
        names = [entry["name"] for entry in whole[kind]]
        start = 0 if cursor is None else _start(cursor, names)
        value = {**whole, kind: whole[kind][start : start + limit]}
        headers = {}
        if start + limit < len(names):
            query = urlencode({"limit": limit, "cursor": _cursor(names[start + limit])})
            headers["Link"] = f'<{API_PATH}/catalog/{kind}?{query}>; rel="next"'
        return etag_response(request, json.dumps(value, ensure_ascii=False).encode(), JSON, headers)

    async def _one(self, request: Request, kind: str, name: str) -> Response:
        try:
            done = await self.pool.answer("catalog", {"kind": kind, "name": name})
        except UnknownName as error:
            raise Refused(NOT_FOUND, *error.findings) from None
        return etag_response(request, done.content, JSON)


def _cursor(name: str) -> str:
    """An entry by name, so that a page starts at the same place when entries are added before it."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _start(cursor: str, names: list[str]) -> int:
    try:
        name = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return names.index(name)
    except (binascii.Error, ValueError):
        hint = "Leave it out, or follow the Link header."
        raise Refused.of(INVALID, "the cursor is of no page.", where="cursor", hint=hint) from None
