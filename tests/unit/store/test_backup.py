"""A backup has all rows of one moment, also while others write, and comes back as it was, in either database."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import stat
import threading
import zipfile

import pytest
import sqlalchemy as sa

from crosszone.core.access import VIEWER
from crosszone.core.bundle import BundleFile
from crosszone.errors import Conflict, SpecError
from crosszone.store import deployments, journal, tasks, tokens
from crosszone.store import environments as inventory
from crosszone.store import telemetry as measured
from crosszone.store.backup import MANIFEST, backup, restore
from crosszone.store.database import Database
from crosszone.store.environments import ZoneLinkPath
from crosszone.store.history import STATE
from crosszone.store.opened import Store, default_folder, open_store
from crosszone.store.tables import events

NUMBERS = itertools.count()
SQLITE_ALONE = pytest.mark.parametrize("kind", ["sqlite"])
"""What is refused is refused before the database is written to."""


def opened(url, folder):
    folder.mkdir(exist_ok=True)
    store = Store(state=Database(url), telemetry=Database(str(folder / "telemetry.sqlite"), synchronous="NORMAL"))
    for history, database in store.parts():
        with database.writing() as connection:
            history.upgrade(connection)
    return store


@pytest.fixture
def store(url, tmp_path):
    found = opened(url, tmp_path / "store")
    yield found
    found.close()


@pytest.fixture
def filled(store, add_task, make_environment, now):
    """Something in most tables, with everything that JSON and databases treat differently."""
    files = (BundleFile(path="a.txt", text="甲\n" * 1000), BundleFile(path="b.txt", text=""))
    made = deployments.Deployment(
        id=deployments.deployment_id(files),
        framework="fsdp",
        backend="ssh",
        world_size=16,
        job={"model": "x", "none": None, "list": [1, 2.5, "é"]},
        request={},
        prediction=None,
        warnings=(),
        owner="",
        created_seconds=now,
    )
    with store.state.writing() as connection:
        inventory.add(connection, [make_environment(f"env-{number}", name=f"名{number}") for number in range(3)])
        path = {"rtt": "30 ms"}
        inventory.keep_link(
            connection, ZoneLinkPath(from_zone="a", to_zone="b", path=path, source="hand", seen_seconds=now + 1 / 3)
        )
        deployments.add(connection, made, files)
        task = add_task(connection, "task-1", ["env-0", "env-2"], deployment_id=made.id)
        tasks.move(connection, task, "validated", tasks.Cause(code="asked"), actor="ann", now_seconds=now)
        tokens.issue(connection, "ci", VIEWER, now_seconds=now, for_seconds=None)
        attempt = tasks.Attempt(
            id="attempt-1",
            task_id="task-1",
            number=1,
            state="pending",
            main_node="env-0",
            fencing_token=1,
            started_seconds=now,
        )
        tasks.add_attempt(connection, attempt, tasks.Cause(code="asked"), actor="worker")
        parts = [
            tasks.Part(
                id=key, attempt_id="attempt-1", level=level, name=key, parent_id=parent, state="pending", details={}
            )
            for key, level, parent in (("z", "zone", None), ("y", "node", "z"), ("x", "rank", "y"))
        ]  # whose ids sort against what they are part of
        tasks.add_parts(connection, attempt, parts, actor="worker", now_seconds=now)
        for number in range(1200):  # more than are read at once
            journal.tell(connection, "tick", str(number), {}, now_seconds=now)
    with store.telemetry.writing() as connection:
        measured.add_lines(connection, "run-1", ["loss 3.2", "行"], rank=0, now_seconds=now)
    return store


def content(store):
    found = {}
    for history, database in store.parts():
        with database.reading() as connection:
            for table in history.metadata.sorted_tables:
                rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
                found[table.name] = [tuple(row) for row in rows]
    return found


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_all_rows_come_back_in_either_database(filled, tmp_path, request, target, now):
    file = tmp_path / "backup.zip"
    made = backup(filled, file, program="1.2.3", now_seconds=now)
    before = content(filled)
    assert made.num_rows == sum(len(rows) for rows in before.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    server = request.getfixturevalue("server") if target == "postgresql" else None
    url = server.make(f"restored{next(NUMBERS)}") if server else str(tmp_path / "restored.sqlite")
    empty = Store(state=Database(url), telemetry=Database(str(tmp_path / "restored-telemetry.sqlite")))
    assert restore(empty, file) == made
    assert content(empty) == before
    with empty.state.writing() as connection:  # and counting goes on behind what is there
        newest = connection.execute(sa.select(sa.func.max(events.c.sequence))).scalar_one()
        assert journal.tell(connection, "tick", "next", {}, now_seconds=now) == newest + 1
    empty.close()


def test_a_backup_is_of_one_moment_while_others_write(filled, tmp_path, now):
    """Each write adds one event of either kind; a backup that saw two moments would have more of one."""
    is_over = threading.Event()

    def write():
        while not is_over.is_set():
            with filled.state.writing() as connection:
                made = tasks.one(connection, "task-1")
                tasks.change(connection, made, now_seconds=now, priority=made.priority + 1)
                journal.tell(connection, "grown", "task-1", {"priority": made.priority + 1}, now_seconds=now)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            file = tmp_path / f"{number}.zip"
            backup(filled, file, program="1", now_seconds=now)
            with zipfile.ZipFile(file) as archive:
                events = [json.loads(line) for line in archive.read("state/events.jsonl").splitlines()]
                (task,) = [json.loads(line) for line in archive.read("state/tasks.jsonl").splitlines()]
            grown = [event[3]["priority"] for event in events if event[1] == "grown"]
            assert grown == list(range(1, len(grown) + 1))
            assert task[_column("priority")] == len(grown)
    finally:
        is_over.set()
        thread.join()


def _column(name):
    return [column.name for column in STATE.metadata.tables["tasks"].columns].index(name)


def test_nothing_is_restored_over_data(filled, tmp_path, now):
    file = tmp_path / "backup.zip"
    backup(filled, file, program="1", now_seconds=now)
    before = content(filled)
    with pytest.raises(Conflict, match="there are data already"):
        restore(filled, file)
    assert content(filled) == before


def rewritten(file, change):
    """A copy of a backup in which `change` has changed the members."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _manifest_with(**fields):
    def change(members):
        members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), **fields}).encode()

    return change


def _of_version(members, version="9999"):
    manifest = json.loads(members[MANIFEST])
    manifest["parts"][0]["version"] = version
    members[MANIFEST] = json.dumps(manifest).encode()


def _rows_of(name, line):
    """One line in place of a table's rows, and the digest that it has."""

    def change(members):
        manifest = json.loads(members[MANIFEST])
        tables = {table["name"]: table for table in manifest["parts"][0]["tables"]}
        tables[name] |= {"num_rows": 1, "sha256": hashlib.sha256(line).hexdigest()}
        members |= {f"state/{name}.jsonl": line, MANIFEST: json.dumps(manifest).encode()}

    return change


@SQLITE_ALONE
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda members: members.pop("state/tasks.jsonl"), "state/tasks is missing"),
        (lambda members: members.pop(MANIFEST), "no backup of CrossZone"),
        (_manifest_with(kind="other"), "no backup of CrossZone"),
        (_manifest_with(schema_version=2), "format 2, not 1"),
        (_of_version, "version 9999"),
        (
            lambda members: members.update({"state/tasks.jsonl": members["state/tasks.jsonl"].replace(b"x", b"y")}),
            "state/tasks has 1 rows that are not the 1 backed up",
        ),
        (lambda members: members.update({"state/tasks.jsonl": b""}), "has 0 rows"),
        (_manifest_with(parts=[]), "state is missing"),
        (_manifest_with(parts=[{}]), "is missing"),
    ],
)
def test_damaged_and_foreign_files_change_nothing(filled, tmp_path, now, change, told):
    file = tmp_path / "backup.zip"
    backup(filled, file, program="1", now_seconds=now)
    rewritten(file, change)
    empty = opened(str(tmp_path / "other.sqlite"), tmp_path / "other")
    with pytest.raises(SpecError, match=told):
        restore(empty, file)
    assert not any(content(empty).values())
    empty.close()


@SQLITE_ALONE
@pytest.mark.parametrize(
    ("name", "line"), [("blobs", b'["digest", "no base64!"]'), ("blobs", b'["digest"]'), ("quotas", b"{")]
)
def test_rows_that_are_none_leave_nothing_of_their_part(filled, tmp_path, now, name, line):
    file = tmp_path / "backup.zip"
    backup(filled, file, program="1", now_seconds=now)
    rewritten(file, _rows_of(name, line))
    empty = opened(str(tmp_path / "other.sqlite"), tmp_path / "other")
    with pytest.raises(SpecError, match=f"damaged: line 1 of state/{name} is no row"):
        restore(empty, file)
    assert not any(rows for table, rows in content(empty).items() if table not in ("lines", "samples"))
    empty.close()


@SQLITE_ALONE
@pytest.mark.parametrize("cut", [0, 100, -100])
def test_a_file_that_was_cut_is_told(filled, tmp_path, now, cut):
    file = tmp_path / "backup.zip"
    backup(filled, file, program="1", now_seconds=now)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(SpecError, match="damaged"):
        restore(filled, file)


def test_a_place_that_cannot_be_written_is_told_and_left_clean(store, tmp_path, now):
    with pytest.raises(SpecError, match="cannot write the backup: No such file"):
        backup(store, tmp_path / "nowhere" / "b.zip", program="1", now_seconds=now)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SpecError, match="cannot write the backup"):
        backup(store, tmp_path / "folder", program="1", now_seconds=now)
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(SpecError, match="No such file"):
        restore(store, tmp_path / "nothing.zip")


def test_a_store_is_opened_where_its_user_keeps_data(tmp_path, monkeypatch, upgraded_file):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    open_store().close()
    assert {path.name for path in default_folder().glob("*.sqlite")} == {"state.sqlite", "state-telemetry.sqlite"}
    shutil.copy(upgraded_file, tmp_path / "team.sqlite")
    store = open_store(str(tmp_path / "team.sqlite"))
    with store.telemetry.reading() as connection:
        assert measured.lines_after(connection, "run-1") == ()
    store.close()
    assert (tmp_path / "team-telemetry.sqlite").exists()
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".local/share/crosszone"
