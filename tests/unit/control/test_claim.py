"""Who may start now: nodes, quotas, the budget, and that nobody is overtaken for ever."""

from __future__ import annotations

import dataclasses

import pytest

from crosszone.control.claim import why_waiting
from crosszone.control.drive import step
from crosszone.core.bundle import DEFAULT_PORT
from crosszone.errors import InfeasiblePlan
from crosszone.store import environments as inventory
from crosszone.store import reservations, tasks
from crosszone.store.reservations import Quota


def why(place, task_id):
    with place.state.reading() as connection:
        return [each.code for each in why_waiting(connection, tasks.one(connection, task_id))]


def quota(place, resource, most, owner=""):
    with place.state.writing() as connection:
        reservations.set_quota(connection, Quota(owner=owner, resource=resource, most=most))


def test_a_claim_reserves_all_gpus_and_a_port_of_the_main_node(held, place):
    with place.state.reading() as connection:
        found = reservations.reserved(connection)
    assert [(each.environment_id, each.kind, each.number) for each in found] == [
        ("north", "gpu", 0),
        ("north", "gpu", 1),
        ("north", "port", DEFAULT_PORT),
        ("south", "gpu", 0),
        ("south", "gpu", 1),
    ]
    attempt = held.newest()[1]
    assert {each.attempt_id for each in found} == {attempt.id}
    assert {each.fencing_token for each in found} == {held.lease.fencing_token}
    with place.state.reading() as connection:
        parts = tasks.parts_of(connection, attempt.id)
    by_id = {part.id: part for part in parts}
    ranks = [(part.name, by_id[part.parent_id].name) for part in parts if part.level == "rank"]
    assert ranks == [("0", "north"), ("1", "north"), ("2", "south"), ("3", "south")]
    assert [by_id[part.parent_id].name for part in parts if part.level == "node"] == ["north", "south"]


def test_a_task_waits_for_nodes_that_another_has_and_is_not_overtaken_on_its_own(
    held, add_environments, add_task, take, place, clock, hands, drive
):
    add_environments("west")
    add_task("wide", ("south", "west"))
    add_task("later", ("west",), created_seconds=clock.now + 1.0)
    clock.now += 1.0
    assert take() == {}
    assert why(place, "wide") == ["reserved"]
    with place.state.reading() as connection:
        (obstacle,) = why_waiting(connection, tasks.one(connection, "wide"))
    assert (obstacle.where, obstacle.message) == ("south", 'task "task-1" has its GPUs.')
    hands.faults["render"] = InfeasiblePlan.of("no.")
    assert step(held) is None
    assert set(take()) == {"wide"}
    assert why(place, "later") == ["reserved"]


def test_who_needs_other_nodes_goes_ahead(held, add_environments, add_task, take, place):
    add_environments("west")
    add_task("blocked", ("south",))
    add_task("free", ("west",))
    assert set(take()) == {"free"}
    assert why(place, "blocked") == ["reserved"]


def test_a_drained_node_takes_nothing_new_and_keeps_what_it_has(held, add_task, take, place, drive, hands):
    with place.state.writing() as connection:
        found = inventory.one(connection, "north")
        inventory.change(connection, dataclasses.replace(found, is_draining=True))
    add_task("next", ("north",))
    assert take() == {}
    assert set(why(place, "next")) == {"draining", "reserved"}
    drive(held, "starting")
    step(held)
    hands.train(1, 2)
    drive(held, "running")


@pytest.mark.parametrize("fields", [{"status": "stopped"}, {"status": "unreachable"}, {"health": "faulty"}])
def test_a_node_that_is_off_is_waited_for(add_environments, add_task, take, place, fields):
    add_environments("north", **fields)
    add_task(environments=("north",))
    assert take() == {}
    assert why(place, "task-1") == ["not_ready"]


@pytest.mark.parametrize(
    ("resource", "most", "codes"),
    [
        ("gpus", 4.0, []),
        ("gpus", 3.0, ["quota"]),
        ("tasks", 2.0, []),
        ("tasks", 1.0, ["quota"]),
        ("dollars_per_hour", 14.5, []),  # 4 GPUs x 0.001 USD/s x 3600 s = 14.4
        ("dollars_per_hour", 14.3, ["quota"]),
    ],
)
def test_a_quota_counts_what_its_owner_has_begun(add_environments, add_task, take, place, resource, most, codes):
    add_environments("north", "south")
    quota(place, resource, most)
    quota(place, resource, 0.0, owner="bob")
    add_task("first", ("north",))
    assert set(take()) == {"first"}
    add_task("second", ("south",))
    assert why(place, "second") == codes
    assert set(take()) == (set() if codes else {"second"})


def test_a_quota_of_a_team_counts_all_of_its_people(add_environments, add_task, take, place):
    add_environments("north", "south", "west")
    quota(place, "gpus", 4.0, owner="vision")
    quota(place, "gpus", 100.0, owner="vision/ann")
    add_task("of-ann", ("north",), owner="vision/ann")
    add_task("of-bob", ("south",), owner="vision/bob")
    assert set(take()) == {"of-ann", "of-bob"}
    add_task("one-more", ("west",), owner="vision/ann")
    assert take() == {}
    assert why(place, "one-more") == ["quota"]
    add_task("of-others", ("west",), owner="visionary")
    assert set(take()) == {"of-others"}


def test_a_quota_in_dollars_needs_prices(add_environments, add_task, take, place):
    add_environments("north", dollars_per_gpu_second=None)
    quota(place, "dollars_per_hour", 1e9)
    add_task(environments=("north",))
    assert take() == {}
    assert why(place, "task-1") == ["unknown_price"]


def test_who_is_over_its_quota_holds_no_nodes_for_itself(add_environments, add_task, take, place):
    add_environments("north")
    quota(place, "gpus", 0.0, owner="ann")
    add_task("poor", ("north",), owner="ann", priority=9)
    add_task("rich", ("north",), owner="bob")
    assert set(take()) == {"rich"}


def test_what_is_predicted_to_cost_more_than_its_budget_is_refused_with_both_numbers(
    add_environments, add_task, take, life, place
):
    add_environments("north")
    prediction = {"gpu_dollars": 100.0, "egress_dollars": 5.0}
    add_task("dear", ("north",), prediction=prediction, budget_dollars=104.0)
    assert take() == {}
    assert life("dear")[-1] == ("failed", "over_budget")
    with place.state.reading() as connection:
        text = tasks.history(connection, "dear")[-1].cause.text
    assert text.startswith("budget: ")
    assert "105.00 USD" in text
    assert "104.00 USD" in text
    add_task("cheap", ("north",), prediction=prediction, budget_dollars=105.0)
    assert set(take()) == {"cheap"}


def test_a_price_that_is_unknown_refuses_nothing(add_environments, add_task, take):
    add_environments("north")
    add_task(environments=("north",), prediction={"gpu_dollars": None, "egress_dollars": 1.0}, budget_dollars=1.0)
    assert set(take()) == {"task-1"}


def test_a_second_task_on_a_main_node_gets_another_port(held, place, take, add_task):
    """Ports are counted by node; that of a task which is over is free again."""
    with place.state.writing() as connection:
        reservations.release(connection, held.newest()[1].id)
        other = reservations.Reservation(
            environment_id="north",
            kind="port",
            number=DEFAULT_PORT,
            attempt_id=held.newest()[1].id,
            fencing_token=1,
            created_seconds=0.0,
        )
        reservations.reserve(connection, [other])
    add_task("second", ("north",))
    assert set(take()) == {"second"}
    with place.state.reading() as connection:
        ports = [each.number for each in reservations.reserved(connection) if each.kind == "port"]
    assert ports == [DEFAULT_PORT, DEFAULT_PORT + 1]


def test_no_more_than_a_worker_can_drive(add_environments, add_task, take):
    add_environments("a", "b", "c")
    for name in "abc":
        add_task(name, (name,))
    assert set(take(most=2)) == {"a", "b"}
    assert set(take("worker-2")) == {"c"}
