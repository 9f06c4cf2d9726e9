from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from crosszone.server.access import Access
from crosszone.server.app import application
from crosszone.server.pool import Pool
from crosszone.server.pools import Pools
from crosszone.server.work import outcome

ROOT = Path(__file__).resolve().parents[3]


class InlinePool(Pool):
    """Does a worker's work in a thread of this process."""

    def __init__(self, num_waiting=100):
        super().__init__(num_workers=1, num_waiting=num_waiting, limit_seconds=60.0)
        self.is_ready = True

    async def start(self):
        """There is no process to load anything into."""

    def _outcome(self, call, verb, request, limit_seconds):
        if not call.begin(None):
            return None
        call.on_start()
        return outcome(verb, request, call.on_progress)


@pytest.fixture(scope="session")
def new_application():
    """Makes an application whose workers are in this process."""

    def make(access: Access | None = None, **more):
        pool = InlinePool()
        return application(access or Access(), Pools(quick=pool, long=pool), **more)

    return make


@pytest.fixture(scope="session")
def app(new_application):
    return new_application()


@pytest.fixture(scope="session")
def ask(app):
    """Sends one request to the application, or to another one as `to`."""

    def send(method, path, *, to=None, **more):
        async def exchange():
            transport = httpx.ASGITransport(app=to or app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **more)

        return asyncio.run(exchange())

    return send


@pytest.fixture(scope="session")
def post(ask):
    def send(verb, body, **more):
        return ask("POST", verb if verb.startswith("/") else f"/api/v1/{verb}", json=body, **more)

    return send


@pytest.fixture(scope="session")
def example():
    return (ROOT / "examples/single-zone-llama-3-8b-8xh100.yaml").read_text(encoding="utf-8")
