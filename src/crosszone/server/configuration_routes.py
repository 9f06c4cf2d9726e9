"""Where the user interface asks for the `Configuration` of its server."""

from __future__ import annotations

import dataclasses
import json

from fastapi import FastAPI, Response

from crosszone.server.body import JSON
from crosszone.server.configuration import Configuration
from crosszone.server.openapi import API_PATH, operation

CONFIGURATION_PATH = f"{API_PATH}/configuration"


def add_configuration_route(app: FastAPI, configuration: Configuration) -> None:
    """Add what answers for it."""
    content = json.dumps(dataclasses.asdict(configuration)).encode()

    async def route() -> Response:
        return Response(content, media_type=JSON)

    app.add_api_route(CONFIGURATION_PATH, route, methods=["GET"], **operation("configuration"))
