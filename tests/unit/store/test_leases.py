"""One holds a lease at a time, and who held it before is turned away."""

from __future__ import annotations

import pytest

from crosszone.errors import Conflict, Stale
from crosszone.store import environments as inventory
from crosszone.store import leases, reservations, tasks
from crosszone.store.reservations import Quota, Reservation


def take(connection, holder, at, *, name="scheduler"):
    return leases.take(connection, name, holder, for_seconds=10.0, now_seconds=at)


def test_a_lease_is_held_by_one_until_its_time_is_over(database):
    with database.writing() as connection:
        first = take(connection, "a", 0.0)
        with pytest.raises(Conflict, match=r"a holds it for 0\.5 s more"):
            take(connection, "b", 9.5)
        second = take(connection, "b", 10.0)
        assert (first.fencing_token, second.fencing_token) == (1, 2)
        with pytest.raises(Stale, match="a held it under 1; now b under 2 does"):
            leases.check(connection, first)
        with pytest.raises(Stale):
            leases.renew(connection, first, for_seconds=10.0, now_seconds=10.0)
        with pytest.raises(Stale):
            leases.give_back(connection, first)
        leases.check(connection, second)
        assert take(connection, "c", 0.0, name="task-1").fencing_token == 1


def test_a_lease_that_ran_out_and_that_nobody_took_is_renewed(database):
    with database.writing() as connection:
        first = take(connection, "a", 0.0)
        renewed = leases.renew(connection, first, for_seconds=10.0, now_seconds=60.0)
        assert (renewed.fencing_token, renewed.expires_seconds) == (1, 70.0)
        with pytest.raises(Conflict):
            take(connection, "b", 69.0)


def test_who_starts_again_gets_it_at_once_and_its_older_self_is_turned_away(database):
    with database.writing() as connection:
        older = take(connection, "a", 0.0)
        newer = take(connection, "a", 1.0)
        assert newer.fencing_token == 2
        with pytest.raises(Stale):
            leases.check(connection, older)


def test_numbers_grow_beyond_who_gave_it_back(database):
    with database.writing() as connection:
        first = take(connection, "a", 0.0)
        leases.give_back(connection, first)
        with pytest.raises(Stale, match="now nobody does"):
            leases.check(connection, first)
        assert take(connection, "b", 1.0).fencing_token == 2


@pytest.fixture
def attempts(database, add_task, make_environment, now):
    with database.writing() as connection:
        inventory.add(connection, [make_environment("env-1"), make_environment("env-2")])
        for number in (1, 2):
            add_task(connection, f"task-{number}", ["env-1"])
            made = tasks.Attempt(
                id=f"attempt-{number}",
                task_id=f"task-{number}",
                number=1,
                state="pending",
                main_node=None,
                fencing_token=1,
                started_seconds=now,
            )
            tasks.add_attempt(connection, made, tasks.Cause(code="asked"), actor="worker")


def wanted(attempt_id, *numbers, kind="gpu", environment_id="env-1"):
    return [
        Reservation(
            environment_id=environment_id,
            kind=kind,
            number=number,
            attempt_id=attempt_id,
            fencing_token=1,
            created_seconds=0.0,
        )
        for number in numbers
    ]


def test_gpus_belong_to_one_attempt_and_all_that_is_taken_is_told(database, attempts):
    first = wanted("attempt-1", 0, 1, 2) + wanted("attempt-1", 29500, kind="port")
    with database.writing() as connection:
        reservations.reserve(connection, first)
    with pytest.raises(Conflict) as caught, database.writing() as connection:
        reservations.reserve(connection, wanted("attempt-2", 3, 2, 1) + wanted("attempt-2", 29500, kind="port"))
    assert [each.message for each in caught.value.findings] == [
        "gpu 2 belongs to attempt-1.",
        "gpu 1 belongs to attempt-1.",
        "port 29500 belongs to attempt-1.",
    ]
    with database.writing() as connection:
        reservations.reserve(connection, wanted("attempt-2", 1, environment_id="env-2"))
        reservations.reserve(connection, first)  # its own, again
        assert [(each.kind, each.number) for each in reservations.reserved(connection, ["env-1"])] == [
            ("gpu", 0),
            ("gpu", 1),
            ("gpu", 2),
            ("port", 29500),
        ]
        assert reservations.release(connection, "attempt-1") == 4
        assert reservations.reserved(connection) == tuple(wanted("attempt-2", 1, environment_id="env-2"))


def test_an_environment_with_reservations_is_not_forgotten(database, attempts, now):
    with database.writing() as connection:
        reservations.reserve(connection, wanted("attempt-1", 0, environment_id="env-2"))
        with pytest.raises(Conflict, match="1 reservations"):
            inventory.remove(connection, "env-2")


def test_a_quota_replaces_the_one_before(database):
    with database.writing() as connection:
        for most in (8.0, 16.0):
            reservations.set_quota(connection, Quota(owner="ann", resource="gpus", most=most))
        reservations.set_quota(connection, Quota(owner="bob", resource="gpus", most=1.0))
        assert reservations.all_quotas(connection, "ann") == (Quota(owner="ann", resource="gpus", most=16.0),)
        assert len(reservations.all_quotas(connection)) == 2
