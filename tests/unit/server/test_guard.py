"""What surrounds every request, whatever comes of it."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest

from crosszone.server import guard
from crosszone.server.access import Access
from crosszone.server.callers import Callers
from crosszone.server.guard import Guard
from crosszone.server.log import Line
from crosszone.server.metrics import Metrics


def guarded(app, **more):
    return Guard(app, callers=Callers(Access()), metrics=Metrics("1"), **more)


async def fails(scope, receive, send):
    raise ValueError("secret")


async def fails_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("secret")


def test_every_answer_has_an_id_and_says_what_a_browser_may_do(ask):
    for path in ("/healthz", "/nowhere", "/api/v1/catalog/gpus"):
        response = ask("GET", path)
        assert response.headers["x-request-id"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "access-control-allow-origin" not in response.headers
    assert ask("GET", "/healthz").headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in response.headers


def test_a_page_of_another_site_gets_no_leave(ask):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = ask("OPTIONS", "/api/v1/predict", headers=headers)
    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_the_clients_id_is_kept_where_it_is_a_plain_word(ask):
    assert ask("GET", "/healthz", headers={"X-Request-ID": "a-1.b_2"}).headers["x-request-id"] == "a-1.b_2"
    for odd in ("a b", "x" * 65, "<script>", "a\tb"):
        assert ask("GET", "/healthz", headers={"X-Request-ID": odd}).headers["x-request-id"] != odd


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1"])
def test_other_hosts_are_not_answered(ask, host):
    response = ask("GET", "/healthz", headers={"Host": host})
    assert (response.status_code == 421) is (host != "[::1")
    if response.status_code == 421:
        assert response.json()["type"] == "urn:crosszone:problem:wrong-host"


def test_a_mistake_of_ours_tells_nothing_of_itself(ask, caplog):
    with caplog.at_level(logging.ERROR, logger="crosszone.server"):
        logging.getLogger("crosszone.server").propagate = True
        response = ask("GET", "/x", to=guarded(fails))
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["instance"].endswith(response.headers["x-request-id"])
    assert "secret" in caplog.text


def test_a_mistake_after_the_answer_began_does_not_begin_another(ask):
    sent = []

    async def run():
        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/x", "headers": [(b"host", b"localhost")]}
        await guarded(fails_late)(scope, None, send)

    asyncio.run(run())
    assert [message["type"] for message in sent] == ["http.response.start"]


def test_more_than_can_be_held_are_sent_away(monkeypatch):
    monkeypatch.setattr(guard, "MOST_REQUESTS", 1)

    async def run():
        let = asyncio.Event()

        async def waits(scope, receive, send):
            await let.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        transport = httpx.ASGITransport(app=guarded(waits))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            first = asyncio.ensure_future(client.get("/a"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            second = await client.get("/b")
            let.set()
            return (await first).status_code, second

    first, second = asyncio.run(run())
    assert (first, second.status_code, second.headers["retry-after"]) == (204, 503, "2")


def test_over_tls_browsers_are_told_to_stay_there(ask, new_application):
    assert "max-age" in ask("GET", "/healthz", to=new_application(is_tls=True)).headers["strict-transport-security"]


def test_a_websocket_is_closed():
    sent = []

    async def run():
        async def send(message):
            sent.append(message)

        await guarded(fails)({"type": "websocket"}, None, send)

    asyncio.run(run())
    assert sent == [{"type": "websocket.close", "code": 1003}]


def test_the_log_has_a_line_per_request_without_what_is_nobodys_business(ask, caplog):
    logger = logging.getLogger("crosszone.server")
    logger.propagate = True
    with caplog.at_level(logging.INFO, logger="crosszone.server"):
        ask("GET", "/healthz?token=secret", headers={"Authorization": "Bearer secret", "X-Request-ID": "r1"})
    (record,) = [record for record in caplog.records if record.message == "request"]
    line = Line(as_json=True).format(record)
    assert "secret" not in line
    value = json.loads(line)
    assert (value["method"], value["path"], value["status"], value["request_id"]) == ("GET", "/healthz", 200, "r1")
    text = Line(as_json=False).format(record)
    assert 'path="/healthz"' in text
    assert "\n" not in text


def test_what_a_client_sends_begins_no_line_of_the_log():
    record = logging.LogRecord("n", logging.INFO, "f", 1, "a\nb", None, None)
    record.fields = {"path": "/x\n2026 INFO forged"}
    assert "\n" not in Line(as_json=False).format(record)


def test_methods_and_paths_that_nobody_made_do_not_fill_the_figures(ask):
    for name in ("BREW", "a" * 50):
        ask(name, f"/{name}")
    text = ask("GET", "/metrics").text
    assert "BREW" not in text
    assert 'method="other",route="unmatched"' in text
