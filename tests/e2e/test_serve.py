"""`crosszone serve` as a process of its own, asked over real connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from crosszone import service
from crosszone.core.codec import to_json

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples/single-zone-llama-3-8b-8xh100.yaml"
COMMAND = (sys.executable, "-m", "crosszone.cli", "serve", "--port", "0", "--workers", "1")
LIMIT_SECONDS = 120.0
TOKEN = "t0ken-of-thirty-two-characters-or-more"
JSON = {"Content-Type": "application/json"}


class Server:
    """One running server."""

    def __init__(self, process, port, context=None, told=""):
        self.process = process
        self.port = port
        self.context = context
        self.told = told

    def connection(self, timeout=LIMIT_SECONDS):
        if self.context is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=self.context)
        return http.client.HTTPConnection("localhost", self.port, timeout=timeout)

    def ask(self, method, path, value=None, **headers):
        connection = self.connection()
        with contextlib.closing(connection):
            body = None if value is None else json.dumps(value).encode()
            connection.request(method, path, body, {**(JSON if body else {}), **headers})
            response = connection.getresponse()
            text = response.read()
            return response.status, dict(response.getheaders()), text

    def until_ready(self):
        end = time.monotonic() + LIMIT_SECONDS
        while self.ask("GET", "/readyz")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.1)


@contextlib.contextmanager
def serving(*more, context=None):
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+") as log:  # a full pipe would stop it
        command = [*COMMAND, "--database", f"{folder}/data", *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            told = process.stdout.readline()
            assert told, Path(log.name).read_text()
            port = int(re.search(r"https?://[^/\s]*:(\d+)", told)[1])
            yield Server(process, port, context, told)
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def server():
    with serving() as found:
        found.until_ready()
        yield found


def workers(process):
    """Process ids of the workers, each a child of the thread that began it. (Another child counts what they share.)"""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    children = [pid for task in tasks for pid in task.read_text().split()]
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_prediction_is_that_of_the_library(server):
    status, headers, text = server.ask("POST", "/api/v1/predict", {"job": EXAMPLE.read_text()})
    assert (status, headers["content-type"]) == (200, "application/json")
    expected = service.prediction_json(service.predict(service.read(EXAMPLE)))
    assert json.loads(text) == json.loads(json.dumps(expected))
    assert "default-src 'none'" in headers["content-security-policy"]


def test_a_saved_plan_is_predicted_as_by_the_library(server):
    problem = service.read(EXAMPLE)
    saved = replace(service.predict(problem).plan, prefetch=0)
    status, _, text = server.ask("POST", "/api/v1/predict", {"job": EXAMPLE.read_text(), "plan": to_json(saved)})
    expected = service.prediction_json(service.predict(problem, saved))
    assert (status, json.loads(text)) == (200, json.loads(json.dumps(expected)))


def test_requests_drawn_by_chance_meet_no_mistake_of_ours(server, tmp_path):
    """A few of the cases of benchmarks/server/fuzz.py."""
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.skip("there is no schemathesis")
    url = f"http://127.0.0.1:{server.port}/api/v1/openapi.json"
    found = subprocess.run(
        [
            *(program, "run", url, "--phases", "fuzzing", "--max-examples", "4", "--seed", "1", "--warnings", "off"),
            *("--exclude-checks", "positive_data_acceptance", "--no-color", "--suppress-health-check", "all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def test_a_few_people_at_once_are_all_answered(server):
    """A moment of benchmarks/server/load.py; how long they wait depends on what else this machine does."""
    job = EXAMPLE.read_text()

    def person(number):
        return [
            server.ask("POST", "/api/v1/predict", {"job": f"{job}\n# {number}\n"})[0],
            server.ask("POST", "/api/v1/whatif", {"job": job, "set": [f"workload.sequence_length={1024 + number}"]})[0],
        ]

    with ThreadPoolExecutor(10) as people:
        assert list(people.map(person, range(30))) == [[200, 200]] * 30


def test_a_worker_that_is_killed_is_replaced(server):
    before = workers(server.process)
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    for path, body in (("predict", {"job": EXAMPLE.read_text() + "#\n"}), ("plan", {"job": EXAMPLE.read_text()})):
        assert server.ask("POST", f"/api/v1/{path}", body)[0] == 200
    assert not set(before) & set(workers(server.process))


def test_a_long_verb_is_followed_and_given_up(server):
    body = {"job": EXAMPLE.read_text(), "sensitivity": True}
    status, headers, _ = server.ask("POST", "/api/v1/plan", body, Prefer="respond-async")
    assert status == 202
    connection = server.connection()
    with contextlib.closing(connection):
        connection.request("GET", f"{headers['location']}/events")
        events = connection.getresponse()
        assert events.getheader("content-type").startswith("text/event-stream")
        lines = iter(lambda: events.readline().decode(), "")
        assert next(line for line in lines if line.startswith("event:")) == "event: state\n"
        next(line for line in lines if '"running"' in line)
        assert server.ask("POST", f"{headers['location']}/cancel")[0] == 200
        assert [line for line in lines if line.startswith("data:")][-1].count('"cancelled"') == 1
    assert server.ask("GET", f"{headers['location']}/result")[0] == 409


def test_an_operation_comes_to_the_answer_of_the_verb(server):
    body = {"job": EXAMPLE.read_text(), "detail": 10}
    _, headers, _ = server.ask("POST", "/api/v1/simulate", body, Prefer="respond-async")
    end = time.monotonic() + LIMIT_SECONDS
    while json.loads(server.ask("GET", headers["location"])[2])["state"] != "succeeded":
        assert time.monotonic() < end
        time.sleep(0.05)
    _, _, result = server.ask("GET", f"{headers['location']}/result")
    assert result == server.ask("POST", "/api/v1/simulate", body)[2]


def test_a_name_that_leads_here_is_not_answered(server):
    assert server.ask("GET", "/healthz", Host="evil.example")[0] == 421


def test_a_body_without_end_is_not_read_for_ever(server):
    with socket.create_connection(("localhost", server.port), timeout=LIMIT_SECONDS) as client:
        head = "POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: 999999999\r\n\r\n".encode())
        assert b" 413 " in client.recv(4096)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_its_workers_after_what_is_being_answered(number, code):
    with serving() as server:
        server.until_ready()
        children = workers(server.process)
        status, headers, _ = server.ask("POST", "/api/v1/plan", {"job": EXAMPLE.read_text()}, Prefer="respond-async")
        assert status == 202
        connection = server.connection()
        connection.request("GET", f"{headers['location']}/events")
        events = connection.getresponse()
        started = time.monotonic()
        server.process.send_signal(number)
        assert b"retry" in events.read()  # to the end: a stream does not keep the server from stopping
        assert server.process.wait(LIMIT_SECONDS) == code
        assert time.monotonic() - started < 8.0
        connection.close()
        deadline = time.monotonic() + 5.0
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_port_that_is_taken_is_told_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = subprocess.run(
            [*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
    assert found.returncode == 4
    assert f"port {port}: another program listens there" in found.stderr
    assert "Traceback" not in found.stderr


def test_what_is_unsafe_does_not_start():
    found = subprocess.run(
        [*COMMAND, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert found.returncode == 2
    assert "--token-file" in found.stderr
    assert "--tls-cert" in found.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_tokens_over_tls(tmp_path):
    certificate, key, tokens = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "tokens"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    tokens.write_text(TOKEN + "\n")
    tokens.chmod(0o600)
    options = ("--host", "0.0.0.0", "--token-file", tokens, "--tls-cert", certificate, "--tls-key", key)
    context = ssl.create_default_context(cafile=str(certificate))
    with serving(*map(str, options), context=context) as server:
        assert f"https://{socket.gethostname()}:{server.port} and at all other addresses of this machine" in server.told
        assert server.ask("GET", "/healthz")[0] == 200
        assert json.loads(server.ask("GET", "/api/v1/configuration")[2])["is_token_needed"] is True
        status, headers, _ = server.ask("GET", "/metrics")
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="crosszone"')
        status, headers, _ = server.ask("GET", "/metrics", Authorization=f"Bearer {TOKEN}")
        assert status == 200
        assert "max-age" in headers["strict-transport-security"]
