"""Every test of the store runs on SQLite and on a PostgreSQL server that the tests start."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from crosszone.core.environment import Environment
from crosszone.core.task import DRAFT, EXISTING, Cause, Task, TaskNode
from crosszone.store import tasks
from crosszone.store.database import Database
from crosszone.store.history import STATE, TELEMETRY

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
DATABASES = ("sqlite", "postgresql")
_numbers = itertools.count()


class Server:
    """A PostgreSQL server without a network, whose users are those of this machine's tests."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.programs = PROGRAMS[-1]
        # PostgreSQL refuses to run as root.
        users = {each.pw_name for each in pwd.getpwall()} & {"postgres", "nobody"}
        self.user = ("postgres" if "postgres" in users else "nobody") if os.geteuid() == 0 else None
        folder.chmod(0o755)
        if self.user:
            shutil.chown(folder, self.user)

    def run(self, program, *arguments):
        done = subprocess.run(
            [self.programs / program, *arguments], user=self.user, cwd="/", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        data = str(self.folder / "data")
        # English sorts otherwise than by code point, as on many a server.
        language = ("--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8", "-E", "UTF8")
        self.run("initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", *language)
        settings = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=40"
        # Its output goes to a file: a server that held our pipe would let us wait for its end.
        self.run("pg_ctl", "-D", data, "-l", str(self.folder / "log"), "-o", settings, "-w", "start")
        self.connection = psycopg.connect(self.url("postgres"), autocommit=True)

    def stop(self):
        self.connection.close()
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)

    def url(self, name):
        return f"postgresql://tester@/{name}?host={self.folder}"

    def make(self, name):
        self.connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


@pytest.fixture(scope="session")
def server():
    if not PROGRAMS:
        pytest.skip("there is no PostgreSQL: apt install postgresql")
    server = Server(Path(tempfile.mkdtemp(prefix="crosszone-postgresql-")))
    server.start()
    database = Database(server.make("upgraded"))
    with database.writing() as connection:
        STATE.upgrade(connection)
    database.close()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def emptied(server):
    """Empties the tables of one database: to make a new one for each test would take longer than the tests."""
    names = ", ".join(table.name for table in STATE.metadata.sorted_tables)
    with psycopg.connect(server.url("upgraded"), autocommit=True) as connection:
        yield lambda: connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


@pytest.fixture(scope="session")
def upgraded_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("upgraded") / "state.sqlite"
    database = Database(str(path))
    with database.writing() as connection:
        STATE.upgrade(connection)
    database.close()
    return path


@pytest.fixture(params=DATABASES)
def kind(request):
    return request.param


@pytest.fixture
def empty_url(kind, tmp_path, request):
    """The address of a database without tables."""
    if kind == "sqlite":
        return str(tmp_path / "empty.sqlite")
    return request.getfixturevalue("server").make(f"empty{next(_numbers)}")


@pytest.fixture
def url(kind, tmp_path, request):
    """The address of a database with the newest tables."""
    if kind == "sqlite":
        return str(shutil.copy(request.getfixturevalue("upgraded_file"), tmp_path / "state.sqlite"))
    request.getfixturevalue("emptied")()
    return request.getfixturevalue("server").url("upgraded")


@pytest.fixture
def database(url):
    found = Database(url, busy_seconds=2.0)
    yield found
    found.close()


@pytest.fixture
def telemetry(tmp_path):
    found = Database(str(tmp_path / "telemetry.sqlite"), synchronous="NORMAL")
    with found.writing() as connection:
        TELEMETRY.upgrade(connection)
    yield found
    found.close()


@pytest.fixture(scope="session")
def now():
    return 1_763_000_000.0


@pytest.fixture(scope="session")
def make_environment(now):
    def make(key="env-1", **fields):
        made = {"id": key, "name": key, "zone": "east", "gpu": "a100-sxm4-80gb", "num_gpus": 8}
        return Environment(**{**made, "created_seconds": now, "updated_seconds": now, **fields})

    return make


@pytest.fixture(scope="session")
def make_task(now):
    """A draft on some environments of eight GPUs each."""

    def make(key="task-1", environments=(), **fields):
        nodes = tuple(
            TaskNode(environment_id=each, name=each, zone="east", node_rank=rank, first_rank=8 * rank, num_ranks=8)
            for rank, each in enumerate(environments)
        )
        made = {
            "id": key,
            "name": key,
            "state": DRAFT,
            "launch_mode": EXISTING,
            "request": {"taskName": key},
            "job": None,
            "nodes": nodes,
            "main_node": environments[0] if environments else None,
            "framework": "fsdp",
            "num_gpus": 8 * len(nodes),
            "prediction": None,
            "created_seconds": now,
            "updated_seconds": now,
        }
        return Task(**{**made, **fields})

    return make


@pytest.fixture(scope="session")
def add_task(make_task, now):
    def add(connection, key="task-1", environments=(), now_seconds=now, **fields):
        made = make_task(key, environments, **fields)
        return tasks.add(connection, made, Cause(code="asked"), actor="ann", now_seconds=now_seconds)

    return add
