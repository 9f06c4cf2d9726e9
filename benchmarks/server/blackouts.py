"""Let a worker be blind to a run that lives, in every way and for as long as an outage lasts; count what it does.

    python benchmarks/server/blackouts.py                       # 24 hours of a clock that is set by hand
    python benchmarks/server/blackouts.py --hours 1 --seed 2    # less of it, other outages
    python benchmarks/server/blackouts.py --write               # also rewrites blackouts.txt

The run is real: a supervisor and a program in place of the ranks, which lives to the end. The worker is the real one,
too: it takes the task, holds its lease, looks as often as it always does. Outages follow one another, each followed by
a minute of sight; none of them shows two proofs of an end that never was. Of a run that lives nothing may come of them:
no recovery, no stop, no second start.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crosszone.control.evidence import Look
from crosszone.control.hands import LocalHands, Way
from crosszone.control.session import Place
from crosszone.control.worker import LEASE_SECONDS, Worker
from crosszone.core.bundle import Bundle, BundleFile, Launch
from crosszone.core.environment import Environment
from crosszone.core.run import RunStatus
from crosszone.core.task import DRAFT, EXISTING, RUNNING, VALIDATED, Cause, Task, TaskNode
from crosszone.core.timeouts import timeouts
from crosszone.errors import CrossZoneError
from crosszone.processes import kill_marked
from crosszone.store import environments as inventory
from crosszone.store import tasks
from crosszone.store.database import Database
from crosszone.store.history import STATE, TELEMETRY
from crosszone.units import SECONDS_PER_HOUR

HERE = Path(__file__).resolve().parent
NOW_SECONDS = 1_763_000_000.0
TURN_SECONDS = 5.0
"""Between two turns of the worker."""
SIGHT_SECONDS = 60.0
"""Between two outages."""
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 3 * SECONDS_PER_HOUR
STEP_LIMIT_SECONDS = 60.0
KINDS = {
    "folder": "the folder of the run cannot be read",
    "processes": "no process of it is shown",
    "logs": "its logs do not grow",
    "database": "the database takes no writes",
    "worker": "the worker dies, and then another one comes",
    "folder database": "neither is its folder read nor does the database take writes",
}
PYTHON = """#!/bin/sh
echo '{"version": "3.11.7", "missing": [], "num_gpus": 0, "fault": ""}'
"""
PROGRAM = """#!/usr/bin/env bash
cd "$(dirname "$0")" && mkdir -p logs
echo '{"event": "start", "first_step": 1}' >logs/rank-0.jsonl
echo '{"event": "step", "step": 1, "step_seconds": 0.5, "loss": 1.0, "tokens_per_second": 800.0,
"memory": {"peak_bytes": 1e9, "capacity_bytes": null}, "data_seconds": 0.1,
"model_flop_per_second_per_gpu": null}' | tr -d '\\n' >>logs/rank-0.jsonl
echo >>logs/rank-0.jsonl
exec sleep 86400
"""


@dataclass
class Outage:
    """What cannot be done at the moment, and how often it has been."""

    kinds: frozenset[str] = frozenset()
    num_looks: int = 0
    done: Counter[str] = field(default_factory=Counter)
    """What was done to the run, besides looking."""

    def has(self, kind: str) -> bool:
        return kind in self.kinds


class Clock:
    """Set by hand."""

    def __init__(self) -> None:
        self.seconds = NOW_SECONDS

    def __call__(self) -> float:
        return self.seconds


class HalfBlindHands(LocalHands):
    """The real ones, which see what an outage lets them see."""

    def __init__(self, outage: Outage, clock: Clock) -> None:
        super().__init__(_bundle, lambda folder: (), lambda folder, has_rates: ())
        self.outage, self.clock = outage, clock
        self.grown_seconds = NOW_SECONDS

    def start(self, folder: Path) -> None:
        self.outage.done["start"] += 1
        super().start(folder)

    def stop(self, folder: Path, *, is_forced: bool) -> RunStatus:
        self.outage.done["stop"] += 1
        return super().stop(folder, is_forced=is_forced)

    def look(self, folder: Path) -> Look:
        """A run that lives logs all the time; where its logs are seen, they are as new as the clock."""
        self.outage.num_looks += 1
        if self.outage.has("folder"):
            return Look(status=None, reason="the folder cannot be read: stale file handle.")
        if not self.outage.has("logs"):
            self.grown_seconds = self.clock()
        found = super().look(folder)
        if found.run is None:
            return found
        run = replace(found.run, started_seconds=NOW_SECONDS)
        seen = replace(found, grown_seconds=self.grown_seconds, status=replace(found.status, run=run))  # type: ignore[type-var]
        return replace(seen, num_processes=0) if self.outage.has("processes") else seen


def _bundle(task: Task, way: Way) -> Bundle:
    """What stands in for a training: a program that lives."""
    digest = hashlib.sha256(PROGRAM.encode()).hexdigest()
    figures = dict.fromkeys(("step_seconds", "tokens_per_second", "tokens_per_second_per_gpu"), 1.0)
    manifest = {
        "kind": "crosszone-bundle",
        "fingerprint": "abc",
        "framework": "ddp",
        "request": {"backend": "local", "device": "cpu", "num_steps": 100},
        "plan": {"dp": 1},
        "prediction": {
            **figures,
            "num_gpus": 1,
            "model_flop_per_second_per_gpu": 1e12,
            "intervals": [],
            "memory": {"peak_bytes": 9e9, "stages": []},
            "reliability": None,
            "gpu_dollars": None,
            "egress_dollars": None,
        },
        "files": {"run_training.sh": {"sha256": digest}},
    }
    limits = timeouts(rtt_seconds=0.0, p99_step_seconds=1.0, checkpoint_stall_seconds=0.0)
    launch = Launch(agents=(), argv=(), environment=(), device="cpu", port=1, timeouts=limits, zones=())
    program = BundleFile(path="run_training.sh", text=PROGRAM)
    files = (program, BundleFile(path="metadata.json", text=json.dumps(manifest)))
    return Bundle(files=files, launch=launch, assumed=(), warnings=())


class Team:
    """One worker after the other, over one database."""

    def __init__(self, place: Place, clock: Clock, outage: Outage) -> None:
        self.place, self.clock, self.outage = place, clock, outage
        self.num_workers = 0
        self.worker: Worker | None = None

    def turn(self) -> None:
        """What a worker does in five seconds; nothing where it is dead."""
        if self.outage.has("worker"):
            self.worker = None  # it gives nothing back: its lease has to run out
        elif self.worker is None:
            self.num_workers += 1
            self.worker = Worker(replace(self.place, name=f"worker-{self.num_workers}"), most_tasks=1)
        if self.worker is not None:
            with suppress(CrossZoneError):
                self.worker.turn()
            self._wait(self.worker)
        self.clock.seconds += TURN_SECONDS

    def _wait(self, worker: Worker) -> None:
        """Until the step is done that was begun: the clock stands still meanwhile."""
        end = time.monotonic() + STEP_LIMIT_SECONDS
        for held in worker._held.values():
            while held.stepping is not None and not held.stepping.done():
                if time.monotonic() > end:
                    raise SystemExit(f"a step takes more than {STEP_LIMIT_SECONDS:g} s")
                time.sleep(0.001)

    def state(self) -> str:
        with self.place.state.reading() as connection:
            return tasks.one(connection, "task-1").state


def drawn_outages(seed: int, for_seconds: float) -> Iterator[tuple[str, float]]:
    """(kind, seconds), each kind in its turn, lengths drawn evenly over their orders of magnitude."""
    drawn, left = random.Random(seed), for_seconds
    while left > 0.0:
        for kind in KINDS:
            seconds = SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** drawn.random()
            yield kind, seconds
            left -= seconds + SIGHT_SECONDS


@contextmanager
def locked(database: Database, *, is_so: bool) -> Iterator[None]:
    """Another program that writes and does not end."""
    if not is_so:
        yield
        return
    other = Database(str(database.url.database))
    with other.writing():
        yield
    other.close()


def black_out(team: Team, seed: int, for_seconds: float) -> tuple[Counter[str], dict[str, float]]:
    """How many outages of each kind there were, and their seconds."""
    counts, seconds_of = Counter[str](), dict.fromkeys(KINDS, 0.0)
    end = team.clock.seconds + for_seconds
    for kind, seconds in drawn_outages(seed, for_seconds):
        if team.clock.seconds >= end:
            break
        team.outage.kinds = frozenset(kind.split())
        until = team.clock.seconds + min(seconds, end - team.clock.seconds)
        counts[kind] += 1
        seconds_of[kind] += until - team.clock.seconds
        with locked(team.place.state, is_so=team.outage.has("database")):
            while team.clock.seconds < until:
                team.turn()
        team.outage.kinds = frozenset()
        for _ in range(round(SIGHT_SECONDS / TURN_SECONDS)):
            team.turn()
        print(f"\r{(team.clock.seconds - NOW_SECONDS) / SECONDS_PER_HOUR:.1f} h", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return counts, seconds_of


def add_task(place: Place) -> None:
    """A task of one rank on one node."""
    moments = {"created_seconds": NOW_SECONDS, "updated_seconds": NOW_SECONDS}
    node = Environment(
        id="north", name="north", zone="north", gpu="a100-sxm4-80gb", num_gpus=1, status="running", **moments
    )
    task = Task(
        id="task-1",
        name="task-1",
        state=DRAFT,
        launch_mode=EXISTING,
        request={},
        job={"model": "llama-3-8b"},
        nodes=(TaskNode(environment_id="north", name="north", zone="north", node_rank=0, first_rank=0, num_ranks=1),),
        main_node="north",
        framework="ddp",
        num_gpus=1,
        prediction=None,
        **moments,
    )
    who: dict[str, Any] = {"actor": "ann", "now_seconds": NOW_SECONDS}
    with place.state.writing() as connection:
        inventory.add(connection, [node])
        tasks.move(
            connection, tasks.add(connection, task, Cause(code="asked"), **who), VALIDATED, Cause(code="x"), **who
        )


def opened(folder: Path, clock: Clock, outage: Outage) -> Place:
    """A place of its own, whose writers do not wait for others."""
    state = Database(str(folder / "state.sqlite"), synchronous="OFF", busy_seconds=0.01)
    telemetry = Database(str(folder / "telemetry.sqlite"), synchronous="OFF")
    for history, database in ((STATE, state), (TELEMETRY, telemetry)):
        with database.writing() as connection:
            history.upgrade(connection)
    hands = HalfBlindHands(outage, clock)
    root = folder / "tasks"
    return Place(name="", state=state, telemetry=telemetry, root=root, hands=hands, clock=clock, beside=lambda do: do())


def report(team: Team, counts: Counter[str], seconds_of: dict[str, float], states: Sequence[str]) -> tuple[str, bool]:
    """The table, and whether nothing came of it."""
    done = team.outage.done
    lines = [f"{'outages':60}{'times':>7}{'hours':>8}"]
    lines += [f"{KINDS[kind]:60}{counts[kind]:7}{seconds_of[kind] / SECONDS_PER_HOUR:8.2f}" for kind in KINDS]
    faults = {
        "recoveries": states.count("recovering"),
        "stops": done["stop"],
        "starts besides the first": done["start"] - 1,
    }
    lines += ["", f"{'looks at the run':60}{team.outage.num_looks:7}", f"{'workers':60}{team.num_workers:7}"]
    lines += [f"{name:60}{number:7}" for name, number in faults.items()]
    lines.append(f"{'the task in the end':60}{states[-1]:>7}")
    return "\n".join(lines) + "\n", not any(faults.values()) and states[-1] == RUNNING


def measured(folder: Path, seed: int, for_seconds: float) -> tuple[str, bool]:
    """The report of one day."""
    python = folder / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    os.environ["PYTHON"] = str(python)
    clock, outage = Clock(), Outage()
    place = opened(folder, clock, outage)
    add_task(place)
    team = Team(place, clock, outage)
    try:
        for _ in range(50):
            team.turn()
            if team.state() == RUNNING:
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f"the run does not begin: its task is {team.state()}")
        counts, seconds_of = black_out(team, seed, for_seconds)
        for _ in range(round(2 * LEASE_SECONDS / TURN_SECONDS)):
            team.turn()
        with place.state.reading() as connection:
            states = [each.to_state for each in tasks.history(connection, "task-1") if each.level == "task"]
        return report(team, counts, seconds_of, states)
    finally:
        for logs in folder.glob("tasks/*/*/logs/*Z-*"):  # each run has a folder of its name
            kill_marked(logs.name)


def in_seconds(text: str) -> float:
    """What somebody wrote in hours."""
    return float(text) * SECONDS_PER_HOUR


def main() -> None:
    """Black out, count, print, perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", dest="for_seconds", type=in_seconds, default=24 * SECONDS_PER_HOUR)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        table, is_kept = measured(Path(folder), arguments.seed, arguments.for_seconds)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    asked = f"--hours {arguments.for_seconds / SECONDS_PER_HOUR:g} --seed {arguments.seed}"
    head = (
        f"$ python benchmarks/server/blackouts.py {asked}\n\n"
        f"{today}; Python {platform.python_version()}; in {time.monotonic() - started:.0f} s\n\n"
    )
    print(head + table, end="")
    if arguments.write:
        (HERE / "blackouts.txt").write_text(head + table, encoding="utf-8")
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
