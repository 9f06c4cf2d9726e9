"""Routes of what changes with the program alone: the schema of the job file, OpenAPI, first job files, accuracy."""

from __future__ import annotations

import json

from fastapi import FastAPI, Request, Response

from crosszone.server.body import JSON
from crosszone.server.languages import told
from crosszone.server.openapi import API_PATH, describe, operation
from crosszone.server.pools import Pools
from crosszone.server.responses import etag_response

SCHEMA_JSON = "application/schema+json"


def add_document_routes(app: FastAPI, workers: Pools) -> None:
    """Add what answers for them; each is made when it is first asked for."""
    kept: dict[str, bytes] = {}

    async def made(name: str) -> bytes:
        if name not in kept:
            kept[name] = (await workers.quick.answer(name, {})).content
        return kept[name]

    async def schema(request: Request) -> Response:
        content, headers = told(request, await made("schema"))
        return etag_response(request, content, SCHEMA_JSON, headers)

    async def templates(request: Request) -> Response:
        content, headers = told(request, await made("templates"))
        return etag_response(request, content, JSON, headers)

    async def accuracy(request: Request) -> Response:
        return etag_response(request, await made("accuracy"), JSON)

    async def openapi(request: Request) -> Response:
        if "openapi" not in kept:
            document = describe(app, json.loads(await made("schema")))
            kept["openapi"] = json.dumps(document, ensure_ascii=False).encode()
        return etag_response(request, kept["openapi"], JSON)

    app.add_api_route(f"{API_PATH}/schema", schema, methods=["GET"], **operation("schema"))
    app.add_api_route(f"{API_PATH}/templates", templates, methods=["GET"], **operation("templates"))
    app.add_api_route(f"{API_PATH}/accuracy", accuracy, methods=["GET"], **operation("accuracy"))
    app.add_api_route(f"{API_PATH}/openapi.json", openapi, methods=["GET"], include_in_schema=False)
