"""Clients that go away: what they asked for and nobody has begun is not computed."""

from __future__ import annotations

import asyncio
import json
import threading

from crosszone.server.access import Access
from crosszone.server.app import application
from crosszone.server.pool import Pool
from crosszone.server.pools import Pools
from crosszone.server.work import JSON, Done


class HeldPool(Pool):
    """Answers when it is let, and remembers what it began."""

    def __init__(self):
        super().__init__(num_workers=1, num_waiting=5, limit_seconds=60.0)
        self.is_ready = True
        self.let = threading.Event()
        self.begun = []

    def _outcome(self, call, verb, request, limit_seconds):
        if not call.begin(None):
            return None
        self.begun.append(request["job"])
        assert self.let.wait(10.0)
        return Done(media_type=JSON, content=b"{}")


class Client:
    """One request of a client that can go away."""

    def __init__(self, app, job):
        self.app = app
        self.body = json.dumps({"job": job}).encode()
        self.has_gone = asyncio.Event()
        self.has_sent = False
        self.status = None

    async def ask(self):
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        path = "/api/v1/predict"
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers}
        await self.app({**scope, "query_string": b"", "http_version": "1.1"}, self._receive, self._send)
        return self.status

    async def _receive(self):
        if self.has_sent:
            await self.has_gone.wait()
            return {"type": "http.disconnect"}
        self.has_sent = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]


def test_what_nobody_waits_for_is_not_begun():
    async def run():
        pool = HeldPool()
        app = application(Access(), Pools(quick=pool, long=pool))
        clients = [Client(app, job) for job in ("first", "gone", "last")]
        asked = [asyncio.ensure_future(client.ask()) for client in clients]
        while pool.num_pending < 3:
            await asyncio.sleep(0.001)
        clients[1].has_gone.set()
        assert await asked[1] == 499
        assert pool.num_pending == 2
        pool.let.set()
        return [await asked[0], await asked[2]], pool.begun

    statuses, begun = asyncio.run(run())
    assert statuses == [200, 200]
    assert begun == ["first", "last"]


def test_a_client_that_goes_while_it_is_computed_leaves_the_worker_as_it_is():
    async def run():
        pool = HeldPool()
        app = application(Access(), Pools(quick=pool, long=pool))
        gone = Client(app, "gone")
        asked = asyncio.ensure_future(gone.ask())
        while not pool.begun:
            await asyncio.sleep(0.001)
        gone.has_gone.set()
        assert await asked == 499
        pool.let.set()
        return await Client(app, "next").ask(), pool.begun

    assert asyncio.run(run()) == (200, ["gone", "next"])
