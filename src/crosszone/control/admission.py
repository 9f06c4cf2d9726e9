"""What stands in the way of starting a task now: nodes that are drained or taken, quotas, the budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from crosszone.core.access import covers
from crosszone.core.bundle import DEFAULT_PORT
from crosszone.core.environment import FAULTY, STOPPED, UNREACHABLE, Environment
from crosszone.core.task import Attempt, Task
from crosszone.errors import Finding
from crosszone.store.reservations import GPU, PORT, Quota, Reservation

GPUS, TASKS, DOLLARS = "gpus", "tasks", "dollars_per_hour"
RESOURCES = (GPUS, TASKS, DOLLARS)
NUM_PORTS = 1000
"""That an attempt's ranks may meet at, from the usual one on."""
HOUR_SECONDS = 3600.0


def dollars_per_second(task: Task, environments: Mapping[str, Environment]) -> float | None:
    """What a task costs while it runs; None where a price is not known."""
    prices = []
    for node in task.nodes:
        environment = environments.get(node.environment_id or "")
        price = None if environment is None else environment.dollars_per_gpu_second
        if price is None:
            return None
        prices.append(price * node.num_ranks)
    return math.fsum(prices)


def spent_dollars(
    task: Task, environments: Mapping[str, Environment], tried: Iterable[Attempt], *, now_seconds: float
) -> float | None:
    """What all attempts have cost until now; None where a price is not known."""
    price = dollars_per_second(task, environments)
    if price is None:
        return None
    return price * math.fsum((each.ended_seconds or now_seconds) - each.started_seconds for each in tried)


def predicted_dollars(task: Task) -> float | None:
    """GPU hours and egress of the whole training; None where either is unknown."""
    parts = [(task.prediction or {}).get(name) for name in ("gpu_dollars", "egress_dollars")]
    return None if None in parts else math.fsum(part for part in parts if part is not None)


def refusals(task: Task) -> tuple[Finding, ...]:
    """What no waiting will change."""
    dollars = predicted_dollars(task)
    if task.budget_dollars is None or dollars is None or dollars <= task.budget_dollars:
        return ()
    message = f"it is predicted to cost {dollars:.2f} USD, and its budget is {task.budget_dollars:.2f} USD."
    hint = "Raise the budget, train on fewer tokens, or take cheaper nodes."
    return (Finding(code="over_budget", message=message, where="budget", hint=hint),)


def obstacles(
    task: Task,
    environments: Mapping[str, Environment],
    *,
    reserved: Sequence[Reservation],
    holders: Mapping[str, str],
    quotas: Sequence[Quota],
    begun: Sequence[Task],
) -> tuple[Finding, ...]:
    """What must change before the task can start.

    `environments`: by id, those of this task and of the tasks that have `begun`; `holders`: by attempt, the name of its
    task; `quotas` are its owner's, and those of their team.
    """
    found = [*_of_nodes(task, environments, reserved, holders)]
    others = [each for each in begun if each.id != task.id]
    for quota in quotas:
        found += _of_quota(quota, [*others, task], environments)
    return tuple(found)


def used(quota: Quota, begun: Sequence[Task], environments: Mapping[str, Environment]) -> float | None:
    """What tasks under a quota use of its resource, of those that have `begun`; None where a price is unknown."""
    own = [each for each in begun if covers(quota.owner, each.owner)]
    if quota.resource == GPUS:
        return float(sum(each.num_gpus for each in own))
    if quota.resource == TASKS:
        return float(len(own))
    prices = [dollars_per_second(each, environments) for each in own]
    known = [price for price in prices if price is not None]
    return math.fsum(known) * HOUR_SECONDS if len(known) == len(prices) else None


def wanted(
    task: Task,
    environments: Mapping[str, Environment],
    *,
    main_node: str | None,
    reserved: Iterable[Reservation],
    attempt_id: str,
    fencing_token: int,
    now_seconds: float,
) -> tuple[Reservation, ...]:
    """All GPUs of all nodes of a task, and a port on its main one."""
    places = [
        (node.environment_id, GPU, number)
        for node in task.nodes
        if node.environment_id is not None
        for number in range(environments[node.environment_id].num_gpus)
    ]
    if main_node is not None:
        taken = {each.number for each in reserved if (each.environment_id, each.kind) == (main_node, PORT)}
        port = next(number for number in range(DEFAULT_PORT, DEFAULT_PORT + NUM_PORTS) if number not in taken)
        places.append((main_node, PORT, port))
    return tuple(
        Reservation(
            environment_id=place,
            kind=kind,
            number=number,
            attempt_id=attempt_id,
            fencing_token=fencing_token,
            created_seconds=now_seconds,
        )
        for place, kind, number in places
    )


def _of_nodes(
    task: Task,
    environments: Mapping[str, Environment],
    reserved: Sequence[Reservation],
    holders: Mapping[str, str],
) -> Iterable[Finding]:
    held: dict[str, set[str]] = {}
    for each in reserved:
        if each.kind == GPU:
            held.setdefault(each.environment_id, set()).add(holders[each.attempt_id])
    for node in task.nodes:
        if node.environment_id is None:
            continue
        environment = environments.get(node.environment_id)
        if environment is None:
            yield Finding(code="no_environment", message="it is not in the inventory any more.", where=node.name)
            continue
        if environment.is_draining:
            yield Finding(code="draining", message="it is drained: it takes nothing new.", where=environment.name)
        if environment.status in (STOPPED, UNREACHABLE) or environment.health == FAULTY:
            state = FAULTY if environment.health == FAULTY else environment.status
            yield Finding(code="not_ready", message=f"it is {state}.", where=environment.name)
        if environment.id in held:
            names = ", ".join(f'"{name}"' for name in sorted(held[environment.id]))
            yield Finding(code="reserved", message=f"task {names} has its GPUs.", where=environment.name)


def _of_quota(quota: Quota, every: Sequence[Task], environments: Mapping[str, Environment]) -> Iterable[Finding]:
    who, amount = quota.owner or "everybody", used(quota, every, environments)
    if amount is None:
        message = f"the quota of {who} is {quota.most:g} dollars per hour, and a price is unknown."
        yield Finding(code="unknown_price", message=message, where=quota.resource, hint="Give the nodes their price.")
    elif amount > quota.most:
        what = quota.resource.replace("_", " ")
        message = f"with it {who} would use {amount:g} {what}, and the quota is {quota.most:g}."
        yield Finding(code="quota", message=message, where=quota.resource)
