"""Ask a real server as many people do at once, and print how long they wait.

    python benchmarks/server/load.py                              # 50 people for ten minutes
    python benchmarks/server/load.py --seconds 20 --users 10      # less of it
    python benchmarks/server/load.py --write                      # also rewrites benchmarks/server/load.txt

Everybody asks once a second, whether or not the last answer has come, by turns `predict` and `whatif` of a job of
their own, with a length of sequences that was never asked before: no answer is remembered. Each begins with one of
each, which is counted apart: it finds the plan that later what-ifs keep. Jobs are the examples; for `predict` those
that write their plan, because one that leaves it out is a search. The people are one process on the same machine, which
takes some of it.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SEARCHED = ("three-zones-china", "two-gcp-regions", "uneven-2-4-8")
TARGET_SECONDS = 0.2
READY_SECONDS = 120.0
MOST_IDLE_SECONDS = 5.0


@dataclass
class Waits:
    """What the answers took, in seconds, by what was asked; and those that were none."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    """Of the server with its workers, while they asked."""

    def add(self, verb: str, seconds: float, status: int, body: bytes) -> None:
        self.seconds.setdefault(verb, []).append(seconds)
        if status != 200:
            self.errors.append(f"{verb}: {status} {body[:200]!r}")


class User:
    """One person with a connection of their own for each request that is open."""

    def __init__(self, number: int, port: int, jobs: dict[str, Any]) -> None:
        self.number = number
        self.port = port
        planned = {name: job for name, job in jobs.items() if name not in SEARCHED}
        self.whatif_job = list(jobs.values())[number % len(jobs)]
        self.predict_job = list(planned.values())[number % len(planned)]
        self.idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    def question(self, turn: int) -> tuple[str, dict[str, object]]:
        """A verb and a request that nobody sent before."""
        length = 1024 + 8 * turn
        if turn % 2:
            workload = {
                **self.predict_job["workload"],
                "sequence_length": length,
                "train_tokens": f"{self.number + 1}B",
            }
            return "predict", {"job": {**self.predict_job, "workload": workload}}
        workload = {**self.whatif_job["workload"], "train_tokens": f"{self.number + 1}B"}
        job = {**self.whatif_job, "workload": workload}
        return "whatif", {"job": job, "set": [f"workload.sequence_length={length}"]}

    async def ask(self, turn: int, waits: Waits, prefix: str = "") -> None:
        verb, request = self.question(turn)
        started = time.perf_counter()
        try:
            status, body = await self._exchange(f"/api/v1/{verb}", json.dumps(request).encode())
        except (OSError, EOFError) as error:
            status, body = 0, repr(error).encode()
        waits.add(prefix + verb, time.perf_counter() - started, status, body)

    async def _exchange(self, path: str, data: bytes) -> tuple[int, bytes]:
        """One request over HTTP/1.1. A client library would take more of the machine than the server does."""
        reader, writer = await self._connection()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        head_lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head_lines[1:] if line)
        body = await reader.readexactly(int(headers[b"content-length"]))
        self.idle.append((time.monotonic(), reader, writer))
        return int(head_lines[0].split()[1]), body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that is open, and not for so long without use that the server is about to close it."""
        while self.idle:
            since, reader, writer = self.idle.pop()
            if time.monotonic() - since < MOST_IDLE_SECONDS:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


async def load(port: int, server_pid: int, *, num_users: int, seconds: float, jobs: dict[str, Any]) -> Waits:
    """What `num_users` people wait who ask once a second for so long."""
    waits = Waits()
    users = [User(number, port, jobs) for number in range(num_users)]
    for user in users:  # one after the other: this is not what is measured
        for turn in (0, 1):
            await user.ask(turn, waits, "first ")
    before_seconds = cpu_seconds(server_pid)
    await asyncio.gather(*(_ask_every_second(user, waits, seconds) for user in users))
    waits.cpu_seconds = cpu_seconds(server_pid) - before_seconds
    return waits


def cpu_seconds(pid: int) -> float:
    """What a process and its children have computed so far (proc(5), stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = [child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") + sum(cpu_seconds(int(child)) for child in children)


async def _ask_every_second(user: User, waits: Waits, seconds: float) -> None:
    start = time.perf_counter() + random.Random(user.number).random()
    asked = []
    for turn in range(round(seconds)):
        await asyncio.sleep(max(start + turn - time.perf_counter(), 0.0))
        asked.append(asyncio.ensure_future(user.ask(turn + 2, waits)))
    await asyncio.gather(*asked)


def example_jobs() -> dict[str, Any]:
    """The examples, by name."""
    found = {}
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        job = yaml.safe_load(path.read_text(encoding="utf-8"))
        job["workload"].pop("epochs", None)  # train_tokens take its place
        found[path.stem] = job
    return found


@contextlib.contextmanager
def server(log: Path | None = None) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A server of its own process and data, ready, at a free port. Where its log goes, if anywhere."""
    command = [sys.executable, "-m", "crosszone.cli", "serve", "--port", "0", "--json", "--database"]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        told_of = stack.enter_context(open(log or os.devnull, "wb"))
        started = subprocess.Popen([*command, f"{folder}/data"], stdout=subprocess.PIPE, stderr=told_of, text=True)
        process = stack.enter_context(started)
        stack.callback(process.terminate)
        assert process.stdout is not None
        told, _ = json.JSONDecoder().raw_decode(_object(process.stdout))
        port = int(told["url"].rpartition(":")[2])
        asyncio.run(_until_ready(port))
        yield port, process


def _object(lines: Iterator[str]) -> str:
    """The lines of one JSON object."""
    found = ""
    for line in lines:
        found += line
        if line.startswith("}") or line.rstrip().endswith("}"):
            return found
    raise SystemExit("the server did not start")


async def _until_ready(port: int) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        if b" 200 " in (await reader.read()).splitlines()[0]:
            return
        await asyncio.sleep(0.2)
    raise SystemExit("the server is not ready")


def report(waits: Waits, arguments: argparse.Namespace, load_before: float) -> str:
    """The table."""
    now = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        f"{arguments.users} people, one request a second each, {arguments.seconds:g} s; {now}",
        f"{os.cpu_count()} {platform.machine()} cores, Python {platform.python_version()}; load average before the "
        f"start {load_before:.1f}",
        "",
        f"{'':16}{'answers':>9}{'median':>9}{'p90':>9}{'p99':>9}{'most':>9}",
    ]
    kinds = {**waits.seconds, "all": waits.seconds["predict"] + waits.seconds["whatif"]}
    for kind, found in sorted(kinds.items()):
        cuts = statistics.quantiles(found, n=100)
        shown = "".join(f"{1000.0 * each:6.0f} ms" for each in (cuts[49], cuts[89], cuts[98], max(found)))
        lines.append(f"{kind:16}{len(found):9}{shown}")
    num_answers = len(kinds["all"]) - len(waits.errors)
    lines += [
        "",
        f"the server computed {1000.0 * waits.cpu_seconds / max(num_answers, 1):.1f} ms for an answer: "
        f"{waits.cpu_seconds / max(num_answers, 1) * arguments.users:.2f} cores for {arguments.users} a second",
        f"errors: {len(waits.errors)}",
        *waits.errors[:5],
    ]
    is_kept = statistics.quantiles(kinds["all"], n=100)[98] < TARGET_SECONDS and not waits.errors
    lines.append(f"99 of 100 within {1000.0 * TARGET_SECONDS:.0f} ms, no error: {'yes' if is_kept else 'no'}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    with server() as (port, process):
        asked = load(port, process.pid, num_users=arguments.users, seconds=arguments.seconds, jobs=example_jobs())
        waits = asyncio.run(asked)
    text = f"$ python benchmarks/server/load.py {' '.join(sys.argv[1:])}\n\n{report(waits, arguments, load_before)}"
    print(text, end="")
    if arguments.write:
        (HERE / "load.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
