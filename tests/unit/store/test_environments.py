"""The inventory: lists and totals agree, pages go on, and nothing in use is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosszone.core.environment import Environment, EnvironmentFilter, totals
from crosszone.core.task import Cause
from crosszone.errors import Conflict, NotThere, SpecError, Stale
from crosszone.store import environments as inventory
from crosszone.store import tasks
from crosszone.store.environments import ZoneLinkPath
from crosszone.store.pages import MOST_ROWS

EVERYTHING = EnvironmentFilter()
NOW = 1_763_000_000.0


def environment(key, **fields):
    made = {"name": key, "zone": "east", "gpu": "a100-sxm4-80gb", "num_gpus": 8, **fields}
    return Environment(id=key, created_seconds=NOW, updated_seconds=NOW, **made)


FULL = Environment(
    id="env-full",
    name="大模型-1",
    kind="jupyter",
    status="running",
    zone="北京可用区A",
    region="alibaba:cn-beijing",
    image="pytorch",
    gpu="a100-sxm4-80gb",
    num_gpus=8,
    num_cpus=128,
    memory_bytes=1e12,
    disk_bytes=4e12,
    network_bytes_per_second=1e11,
    num_rails=4,
    addresses=("10.0.0.1", "node1"),
    interface="eth0",
    driver_version="550.54",
    cuda_version="12.4",
    nccl_version="2.21",
    gpu_memory_bytes=8.5e10,
    free_gpu_memory_bytes=8.4e10,
    frameworks=("ddp", "fsdp"),
    health="healthy",
    dollars_per_gpu_second=0.0005,
    is_preemptible=True,
    is_draining=True,
    started_seconds=NOW - 1e5,
    seen_seconds=NOW,
    source="ssh",
    created_seconds=NOW,
    updated_seconds=NOW,
    version=3,
)


def filled(database, *added):
    with database.writing() as connection:
        inventory.add(connection, added)


def names(database, wanted=EVERYTHING, **more):
    with database.reading() as connection:
        return [each.name for each in inventory.listed(connection, wanted, **more).rows]


def test_an_environment_comes_back_as_it_was(database):
    filled(database, FULL, environment("env-bare", gpu=None, num_gpus=0))
    with database.reading() as connection:
        assert inventory.one(connection, "env-full") == FULL
        assert inventory.one(connection, "env-bare") == environment("env-bare", gpu=None, num_gpus=0)


def test_every_field_was_tried():
    for field in dataclasses.fields(Environment):
        assert getattr(FULL, field.name) != field.default, field.name


def test_names_and_ids_that_are_taken_are_all_told(database):
    filled(database, environment("env-1", name="a"), environment("env-2", name="b"))
    with pytest.raises(Conflict) as caught:
        filled(database, environment("env-3", name="a"), environment("env-2", name="c"))
    assert [each.where for each in caught.value.findings] == ["name", "id"]
    assert 'the name "a" is taken: env-1 has it.' in str(caught.value)
    assert names(database) == ["a", "b"]


def test_several_come_in_the_order_that_was_asked_for(database):
    filled(database, *(environment(f"env-{number}") for number in range(5)))
    with database.reading() as connection:
        found = inventory.several(connection, ["env-3", "env-1", "env-4"])
        assert [each.id for each in found] == ["env-3", "env-1", "env-4"]
        with pytest.raises(NotThere) as caught:
            inventory.several(connection, ["env-9", "env-1", "env-8", "env-9"])
    assert [each.where for each in caught.value.findings] == ["env-9", "env-8"]


def test_a_change_of_what_somebody_else_changed_is_refused(database):
    filled(database, environment("env-1", status="running"))
    with database.writing() as connection:
        seen = inventory.one(connection, "env-1")
        newer = inventory.change(connection, dataclasses.replace(seen, status="stopped"))
    assert newer.version == 2
    with pytest.raises(Stale, match="env-1: version 1 is"), database.writing() as connection:
        inventory.change(connection, dataclasses.replace(seen, status="unreachable"))
    with database.reading() as connection:
        assert inventory.one(connection, "env-1").status == "stopped"
    assert names(database, EnvironmentFilter(text="stopped")) == ["env-1"]


def test_a_name_cannot_be_changed_to_one_that_is_taken(database):
    filled(database, environment("env-1", name="a"), environment("env-2", name="b"))
    with pytest.raises(Conflict, match="env-2 has it"), database.writing() as connection:
        inventory.change(connection, dataclasses.replace(inventory.one(connection, "env-1"), name="b"))


def test_what_a_task_is_on_is_not_forgotten(database, add_task):
    filled(database, environment("env-1"))
    with database.writing() as connection:
        made = add_task(connection, "task-1", ["env-1"])
    with pytest.raises(Conflict, match='"task-1"'), database.writing() as connection:
        inventory.remove(connection, "env-1")
    with database.writing() as connection:
        tasks.move(connection, made, "stopped", Cause(code="asked"), actor="ann", now_seconds=NOW)
        with pytest.raises(Stale):
            inventory.remove(connection, "env-1", expected_version=7)
        inventory.remove(connection, "env-1", expected_version=1)
    with pytest.raises(NotThere), database.writing() as connection:
        inventory.remove(connection, "env-1")
    with database.reading() as connection:
        assert tasks.one(connection, "task-1").nodes[0].name == "env-1"


MIXED = (
    environment("env-1", name="pytorch-dev", zone="北京可用区A", num_gpus=2, image="pytorch", frameworks=("ddp",)),
    environment("env-2", name="cv", zone="北京可用区A", gpu="v100-sxm2-16gb", num_gpus=2, status="running"),
    environment("env-3", name="LLM_1%", zone="深圳可用区C", num_gpus=4, status="stopped", frameworks=("ddp", "fsdp")),
    environment("env-4", name="nlp", zone="上海可用区A", num_gpus=8, kind="jupyter", addresses=("10.1.2.3",)),
    environment("env-5", name="head", zone="上海可用区A", gpu=None, num_gpus=0, num_cpus=64, memory_bytes=1e11),
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EnvironmentFilter(), ["LLM_1%", "cv", "head", "nlp", "pytorch-dev"]),
        (EnvironmentFilter(zones=("北京可用区A",)), ["cv", "pytorch-dev"]),
        (EnvironmentFilter(zones=("北京可用区A", "深圳可用区C")), ["LLM_1%", "cv", "pytorch-dev"]),
        (EnvironmentFilter(gpus=("v100-sxm2-16gb",)), ["cv"]),
        (EnvironmentFilter(statuses=("running", "stopped")), ["LLM_1%", "cv"]),
        (EnvironmentFilter(kinds=("jupyter",)), ["nlp"]),
        (EnvironmentFilter(frameworks=("fsdp",)), ["LLM_1%"]),
        (EnvironmentFilter(frameworks=("dd",)), []),
        (EnvironmentFilter(frameworks=("fsdp", "ddp"), zones=("北京可用区A",)), ["pytorch-dev"]),
        (EnvironmentFilter(text="llm"), ["LLM_1%"]),
        (EnvironmentFilter(text="可用区A a100"), ["nlp", "pytorch-dev"]),
        (EnvironmentFilter(text="10.1.2"), ["nlp"]),
        (EnvironmentFilter(text="%"), ["LLM_1%"]),
        (EnvironmentFilter(text="_"), ["LLM_1%"]),
        (EnvironmentFilter(text="nowhere"), []),
    ],
)
def test_filters_and_totals_agree(database, wanted, expected):
    filled(database, *MIXED)
    assert names(database, wanted) == expected
    with database.reading() as connection:
        counted = inventory.counted(connection, wanted)
    assert counted == totals([each for each in MIXED if each.name in expected])
    assert counted.num_environments == len(expected)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["a", "b", "c", "d"]),
        ("-name", ["d", "c", "b", "a"]),
        ("gpus", ["d", "a", "c", "b"]),
        ("-gpus", ["b", "a", "c", "d"]),
        ("price", ["c", "a", "b", "d"]),
        ("-price", ["a", "c", "b", "d"]),
        ("uptime", ["b", "a", "c", "d"]),
        ("-uptime", ["a", "b", "c", "d"]),
    ],
)
def test_lists_are_sorted_and_what_is_unknown_comes_last(database, sort, expected):
    filled(
        database,
        environment("env-1", name="a", num_gpus=4, dollars_per_gpu_second=2.0, started_seconds=1.0),
        environment("env-2", name="b", num_gpus=8, started_seconds=5.0),
        environment("env-3", name="c", num_gpus=4, dollars_per_gpu_second=1.0),
        environment("env-4", name="d", num_gpus=1),
    )
    assert names(database, sort=sort) == expected


@pytest.mark.parametrize("sort", sorted([*inventory.SORTS, *(f"-{name}" for name in inventory.SORTS)]))
def test_pages_have_every_row_once_whatever_comes_and_goes(database, sort):
    drawn = random.Random(sort)
    first = [
        environment(
            f"env-{number:02}",
            name=f"名-{drawn.randrange(1000)}-{number}",
            num_gpus=drawn.choice([1, 8]),
            gpu=drawn.choice([None, "a100-sxm4-80gb"]),
            dollars_per_gpu_second=drawn.choice([None, 0.1, 0.2]),
            memory_bytes=drawn.choice([None, 1.0, 2.5e11]),
            started_seconds=drawn.choice([None, NOW, NOW - 0.1]),
        )
        for number in range(12)
    ]
    filled(database, *first)
    seen, cursor, num_pages = [], None, 0
    while cursor is not None or num_pages == 0:
        with database.writing() as connection:
            page = inventory.listed(connection, EVERYTHING, sort=sort, limit=5, cursor=cursor)
            if num_pages == 1:
                inventory.remove(connection, page.rows[-1].id)
                inventory.add(connection, [environment("env-new", name="zzz")])
        seen += [each.id for each in page.rows]
        cursor, num_pages = page.cursor, num_pages + 1
    old = [each for each in seen if each != "env-new"]
    assert len(old) == len(set(old))
    assert {each.id for each in first} == set(old)


def test_a_page_that_is_just_full_is_the_last(database):
    filled(database, environment("env-1"), environment("env-2"))
    with database.reading() as connection:
        assert inventory.listed(connection, EVERYTHING, limit=2).cursor is None
        assert inventory.listed(connection, EVERYTHING, limit=1).cursor is not None


@pytest.mark.parametrize("limit", [0, -1, MOST_ROWS + 1])
def test_limits_are_held(database, limit):
    with pytest.raises(SpecError, match=f"limit is {limit}"), database.reading() as connection:
        inventory.listed(connection, EVERYTHING, limit=limit)


def test_an_order_that_nothing_has_names_the_nearest(database):
    with pytest.raises(SpecError, match='Did you mean "price"'), database.reading() as connection:
        inventory.listed(connection, EVERYTHING, sort="prize")


def test_cursors_of_other_lists_are_refused(database):
    filled(database, *MIXED)
    with database.reading() as connection:
        of_names = inventory.listed(connection, EVERYTHING, limit=2).cursor
        for sort in ("-name", "gpus"):
            with pytest.raises(SpecError, match="cursor is of no page"):
                inventory.listed(connection, EVERYTHING, sort=sort, cursor=of_names)


@pytest.fixture(scope="module")
def one_database(tmp_path_factory):
    from crosszone.store.database import Database
    from crosszone.store.history import STATE

    found = Database(str(tmp_path_factory.mktemp("one") / "state.sqlite"))
    with found.writing() as connection:
        STATE.upgrade(connection)
    yield found
    found.close()


def _encoded(value):
    import base64
    import json

    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)


@given(cursor=st.text() | st.lists(VALUES, max_size=4).map(_encoded), sort=st.sampled_from(["name", "gpus"]))
def test_no_cursor_is_a_mistake_of_ours(one_database, cursor, sort):
    with one_database.reading() as connection, contextlib.suppress(SpecError):
        inventory.listed(connection, EVERYTHING, sort=sort, cursor=cursor)


@pytest.mark.parametrize("value", [["name", 1, "x"], ["gpus", "x", "x"], ["name", "a\x00", "x"], ["gpus", True, 3], 7])
def test_cursors_of_the_wrong_kind_are_refused_by_both(database, value):
    sort = "gpus" if value != 7 and value[0] == "gpus" else "name"
    with pytest.raises(SpecError, match="cursor"), database.reading() as connection:
        inventory.listed(connection, EVERYTHING, sort=sort, cursor=_encoded(value))


def test_links_are_kept_by_direction(database):
    there = ZoneLinkPath(from_zone="a", to_zone="b", path={"bandwidth": "10 Gbit/s"}, source="hand", seen_seconds=NOW)
    back = dataclasses.replace(there, from_zone="b", to_zone="a", path={"bandwidth": "1 Gbit/s"})
    newer = dataclasses.replace(there, path={"bandwidth": "9 Gbit/s", "rtt": "30 ms"}, source="doctor")
    far = dataclasses.replace(there, to_zone="c")
    with database.writing() as connection:
        for each in (there, back, far, newer):
            inventory.keep_link(connection, each)
    with database.reading() as connection:
        assert inventory.links(connection) == (newer, far, back)
        assert inventory.links(connection, ["a", "b"]) == (newer, back)
