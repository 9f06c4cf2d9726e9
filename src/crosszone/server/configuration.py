"""What the user interface must know of its server before anything else. It says nothing that is not for everybody."""

from __future__ import annotations

import dataclasses
import json

from fastapi import FastAPI, Response

from crosszone.server.body import JSON, MOST_BYTES
from crosszone.server.openapi import API_PATH, operation

CONFIGURATION_PATH = f"{API_PATH}/configuration"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How to talk to this server."""

    schema_version: int = 1
    version: str
    """Of the program."""
    api_path: str
    """Where the API begins, at the origin that served the user interface."""
    is_token_needed: bool
    """Whether requests must show a token."""
    is_demo: bool
    """Whether it is for trying out: anybody may ask, and nothing that they do is kept."""
    languages: tuple[str, ...] = ("en", "zh")
    """In which it tells of problems."""
    most_body_bytes: int = MOST_BYTES
    """Of a request."""


def add_configuration_route(app: FastAPI, configuration: Configuration) -> None:
    """Add what answers for it."""
    content = json.dumps(dataclasses.asdict(configuration)).encode()

    async def route() -> Response:
        return Response(content, media_type=JSON)

    app.add_api_route(CONFIGURATION_PATH, route, methods=["GET"], **operation("configuration"))
