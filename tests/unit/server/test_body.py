"""Bodies are bounded and strict, and all that is wrong with one is told at once."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import Request

from crosszone.server import body
from crosszone.server.body import body_bytes, csv_request, verb_request
from crosszone.server.problems import Refused
from crosszone.server.verbs import VERBS

BY_NAME = {verb.name: verb for verb in VERBS}


def refusal(verb, value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(Refused) as caught:
        verb_request(data, BY_NAME[verb])
    return caught.value


def said(verb, value):
    return [(finding.code, finding.where) for finding in refusal(verb, value).findings]


def received(*parts, length=None, pause_seconds=0.0):
    """What comes of a body that arrives in parts."""

    async def read():
        waiting = list(parts)

        async def receive():
            await asyncio.sleep(pause_seconds)
            data = waiting.pop(0)
            return {"type": "http.request", "body": data, "more_body": bool(waiting)}

        headers = [] if length is None else [(b"content-length", str(length).encode())]
        return await body_bytes(Request({"type": "http", "method": "POST", "headers": headers}, receive))

    return asyncio.run(read())


def test_a_body_is_read_in_parts():
    assert received(b"ab", b"", b"c") == b"abc"


def test_a_body_that_says_that_it_is_too_large_is_not_read():
    with pytest.raises(Refused) as caught:
        received(length=body.MOST_BYTES + 1)
    assert caught.value.kind.status == 413
    assert caught.value.headers["Connection"] == "close"


def test_a_body_that_turns_out_too_large_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(body, "MOST_BYTES", 10)
    with pytest.raises(Refused) as caught:
        received(b"123456", b"123456", length=3)
    assert "12 bytes or more; at most 10" in str(caught.value.findings[0])


def test_a_body_that_comes_by_drops_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(body, "MOST_SECONDS", 0.01)
    with pytest.raises(Refused) as caught:
        received(b"1", b"2", pause_seconds=0.02)
    assert caught.value.kind.status == 408


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "line 1, column 2"),
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"job": "\\ud800"}', "not UTF-8"),
        (b'{"job": NaN}', "NaN is no number of JSON"),
        (b'{"job": -Infinity}', "Infinity"),
        (b'{"job": {"a": 1, "a": 2}}', '"a" is there twice'),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"job": 1' + b"0" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_json_is_malformed(data, message):
    found = refusal("predict", data)
    assert found.kind.status == 400
    assert message in str(found.findings[0])


@pytest.mark.parametrize("value", [[], None, "job", 1])
def test_only_objects_are_requests(value):
    assert said("predict", value) == [("invalid", "")]


def test_all_that_is_wrong_is_told_at_once_with_the_nearest_name():
    found = refusal("plan", {"jobs": 1, "top": 0, "sensitivity": "yes", "gpu": ["a", 1]})
    told = {finding.where: finding for finding in found.findings}
    assert {where: finding.code for where, finding in told.items()} == {
        "--jobs": "unknown_key",
        "--job": "missing_key",
        "--top": "out_of_range",
        "--sensitivity": "wrong_type",
        "--gpu": "wrong_type",
    }
    assert "job" in told["--jobs"].hint


@pytest.mark.parametrize(
    ("verb", "more", "expected"),
    [
        ("plan", {"top": True}, ("wrong_type", "--top")),
        ("plan", {"top": 1.5}, ("wrong_type", "--top")),
        ("plan", {"top": 1001}, ("out_of_range", "--top")),
        ("plan", {"why": 3}, ("wrong_type", "--why")),
        ("plan", {"why": "tp=8", "frameworks": True}, ("invalid", "--why")),
        ("plan", {"frameworks": True, "sensitivity": True}, ("invalid", "--frameworks")),
        ("whatif", {"set": ["a=1"] * 1001}, ("too_large", "--set")),
        ("whatif", {"set": ["a" * (2**20 + 1)]}, ("too_large", "--set")),
        ("simulate", {"detail": 200_001}, ("out_of_range", "--detail")),
    ],
)
def test_limits_of_values(verb, more, expected):
    assert said(verb, {"job": "model: x", **more}) == [expected]


def test_devices_and_paths_of_deploy():
    options = {"job": "x", "framework": "fsdp", "backend": "bare"}
    assert said("deploy", {**options, "device": "tpu"}) == [("unknown_name", "--device")]
    assert said("deploy", {**options, "data": "a.bin", "checkpoints": "../b"}) == [
        ("relative", "--data"),
        ("relative", "--checkpoints"),
    ]
    assert verb_request(json.dumps({**options, "data": "/a.bin", "checkpoints": "none"}).encode(), BY_NAME["deploy"])


def test_a_job_that_is_empty_is_the_jobs_own_business():
    assert verb_request(b'{"job": {}}', BY_NAME["predict"]) == {"job": {}}


def test_a_table_alone_is_text():
    assert csv_request("\ufeffa,b\n".encode(), all_qualities=True) == {"table": "a,b\n", "all_qualities": True}
    with pytest.raises(Refused) as caught:
        csv_request(b"a\xffb", all_qualities=False)
    assert "byte 1 is 0xff" in str(caught.value.findings[0])


@pytest.mark.parametrize("written", ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_foreign_page_could_send_is_not_taken(ask, written):
    headers = {"Content-Type": written} if written else {}
    response = ask("POST", "/api/v1/predict", content=b'{"job": "x"}', headers=headers)
    assert response.status_code == 415
    assert response.headers["accept-post"] == "application/json"


def test_a_charset_is_no_other_type(ask):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask("POST", "/api/v1/predict", content=b'{"job": "x"}', headers=headers).status_code == 422
