"""Kill a server in the middle of its work, again and again, and count what it forgot of what it had said.

    python benchmarks/server/kill.py 500                                     # a SQLite file of its own
    python benchmarks/server/kill.py 500 --database postgresql://me@/kill    # an empty database
    python benchmarks/server/kill.py 500 --write                             # also rewrites kill-sqlite.txt

People create tasks as fast as they are answered, each under an Idempotency-Key of its own, and send a request again,
under the same key, until they are told that its task is there; some send it once more after that. Meanwhile the server
is ended by SIGKILL, some time after it answers, and started again. In the end every task that anybody was told of must
be there, under the id that they were told, and no key may have two.
"""

import argparse
import datetime
import http.client
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PATH = "/api/v1/training-tasks"
READY_SECONDS = 600.0
"""On a machine that is busy with other work, workers of low priority may take minutes to load."""
REQUEST_SECONDS = 150.0
"""Longer than the server lets anything take."""
TARGET_SECONDS = 2.0
NUM_PEOPLE = 4
AGAIN_SHARE = 0.3
LONGEST_LIFE_SECONDS = 1.5
"""Of a server that writes."""
REQUEST = {
    "datasetId": "d",
    "datasetVersionId": "1",
    "model": "llama-3-8b",
    "launchMode": "export",
    "workload": {"sequence_length": 2048, "global_batch_size": 8},
    "distributedConfig": {
        "zones": [{"name": "east", "nodes": [{"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8}]}],
        "framework": "pytorch-fsdp",
    },
    "deployment": {"steps": 1000},
}


@dataclass
class Told:
    """What people were told, by key, and what contradicts it."""

    tasks: dict[str, str] = field(default_factory=dict)
    num_answers: int = 0
    faults: list[str] = field(default_factory=list)


class Server:
    """One server after the other, at one port, over one database."""

    def __init__(self, database: str) -> None:
        self.database = database
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Seconds until it answers."""
        command = [sys.executable, "-m", "crosszone.cli", "serve", "--port", str(self.port), "--no-worker"]
        command += ["--workers", "1"]  # the fewer load, the sooner it writes, and the more of its life is under load
        environment = {**os.environ, "CROSSZONE_DATABASE": self.database}
        started = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while time.perf_counter() - started < READY_SECONDS:
            if ask(self.port, "GET", "/healthz")[0] == 200:
                return time.perf_counter() - started
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}")
            time.sleep(0.01)
        raise SystemExit("the server does not answer")

    def kill(self) -> None:
        """As the kernel ends a process where memory runs out."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class Person(threading.Thread):
    """Creates one task after the other."""

    def __init__(self, number: int, port: int, told: Told, turn: threading.Lock, is_over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.number, self.port, self.told, self.turn, self.is_over = number, port, told, turn, is_over
        self.drawn = random.Random(number)

    def run(self) -> None:
        count = 0
        while not self.is_over.is_set():
            count += 1
            key = f"person {self.number}, task {count}"
            self._create(key)
            if self.drawn.random() < AGAIN_SHARE:
                self._create(key)

    def _create(self, key: str) -> None:
        """Until it is answered."""
        while not self.is_over.is_set():
            status, body = ask(self.port, "POST", PATH, {**REQUEST, "taskName": key}, {"Idempotency-Key": key})
            if status == 201:
                self._note(key, body["data"]["taskId"])
                return
            if status not in (0, 503):
                with self.turn:
                    self.told.faults.append(f"{key}: {status} {json.dumps(body)[:300]}")
                return
            time.sleep(0.02)

    def _note(self, key: str, task_id: str) -> None:
        with self.turn:
            self.told.num_answers += 1
            before = self.told.tasks.setdefault(key, task_id)
            if before != task_id:
                self.told.faults.append(f"{key}: told {before} first, then {task_id}")


def ask(port: int, method: str, path: str, value: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """(status, JSON) of an answer; status 0 where there was none, or only half of one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)
    try:
        body = None if value is None else json.dumps(value)
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()


def kill_often(server: Server, num_kills: int, told: Told) -> list[float]:
    """Seconds that each start took; people write all the time."""
    drawn, turn, is_over = random.Random(1), threading.Lock(), threading.Event()
    seconds = [server.start()]
    people = [Person(number, server.port, told, turn, is_over) for number in range(NUM_PEOPLE)]
    for person in people:
        person.start()
    for number in range(1, num_kills + 1):
        wait_for_answers(told, told.num_answers + 1)
        time.sleep(drawn.random() * LONGEST_LIFE_SECONDS)
        server.kill()
        seconds.append(server.start())
        print(f"\r{number} of {num_kills}, {len(told.tasks)} tasks", end="", file=sys.stderr, flush=True)
    wait_for_answers(told, told.num_answers + 1)
    is_over.set()
    for person in people:
        person.join()
    print(file=sys.stderr)
    return seconds


def wait_for_answers(told: Told, number: int) -> None:
    """Until so many were given, so that no server dies before it has written. Another answer ends the whole run."""
    end = time.monotonic() + READY_SECONDS
    while told.num_answers < number:
        if told.faults or time.monotonic() > end:
            raise SystemExit(f"the server writes nothing; {told.faults[:3]}")
        time.sleep(0.01)


def stored(port: int) -> list[tuple[str, str]]:
    """(name, id) of all tasks."""
    found, cursor = [], ""
    while True:
        status, page = ask(port, "GET", f"{PATH}?sort=created&limit=500{cursor}")
        if status != 200:
            raise SystemExit(f"the list of tasks: {status} {page}")
        found += [(task["name"], task["id"]) for task in page["tasks"]]
        if page["cursor"] is None:
            return found
        cursor = f"&cursor={page['cursor']}"


def report(told: Told, tasks: list[tuple[str, str]], seconds: list[float], kind: str) -> tuple[str, bool]:
    """The table, and whether nothing is wrong."""
    lost = [key for key, task_id in told.tasks.items() if (key, task_id) not in set(tasks)]
    num_double = len(tasks) - len({name for name, _ in tasks})
    now = datetime.datetime.now(datetime.UTC).date().isoformat()
    cores = f"{os.cpu_count()} {platform.machine()} cores, Python {platform.python_version()}"
    again = seconds[1:]
    lines = [
        f"{len(again)} kills of a server on {kind}; {now}; {cores}; load average {os.getloadavg()[0]:.1f}",
        "",
        f"answers that told of a task      {told.num_answers:8}",
        f"tasks that they told of          {len(told.tasks):8}",
        f"of these lost                    {len(lost):8}",
        f"keys with more than one task     {num_double:8}",
        f"answers that contradict others   {len(told.faults):8}",
        f"seconds until it answers again   {statistics.median(again):8.2f} median, {max(again):.2f} most "
        f"(at most {TARGET_SECONDS:g} are wanted)",
        *told.faults[:5],
        *lost[:5],
    ]
    return "\n".join(lines) + "\n", not (lost or num_double or told.faults)


def main() -> None:
    """Kill, count, print, perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kills", type=int)
    parser.add_argument("--database", help="an empty one; left out: a SQLite file that is gone afterwards")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    kind = "postgresql" if (arguments.database or "").startswith("postgres") else "sqlite"
    told = Told()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(arguments.database or f"{folder}/state.sqlite")
        try:
            seconds = kill_often(server, arguments.kills, told)
            tasks = stored(server.port)
        finally:
            server.kill()
    table, is_kept = report(told, tasks, seconds, kind)
    where = "" if arguments.database is None else " --database postgresql://..."
    text = f"$ python benchmarks/server/kill.py {arguments.kills}{where}\n\n{table}"
    print(text, end="")
    if arguments.write:
        (HERE / f"kill-{kind}.txt").write_text(text, encoding="utf-8")
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
