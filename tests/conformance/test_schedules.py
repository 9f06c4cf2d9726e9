"""Every schedule: each piece of work once, in an order that never waits for itself, with the memory that it states."""

import pytest

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import refusal, schedule, schedules, traits
from crosszone.core.schedules.action import BACKWARD, FORWARD, WEIGHT_GRADIENT, Action
from crosszone.core.schedules.work import Orders
from crosszone.timeline.simulate import Boundary, Pipeline, simulate, with_orders

SHAPES = [(p, m) for p in (1, 2, 3, 4, 6, 8) for m in (1, 2, 3, 4, 6, 8, 16, 24, 32)]
"""(stages, microbatches): few and many microbatches for each depth."""


@pytest.fixture(params=sorted(schedules()))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shapes(name: str) -> list[tuple[int, int, int]]:
    """(stages, microbatches, virtual stages) that this schedule can run; interleaving needs whole rounds."""
    runs = [(p, m) for p, m in SHAPES if not refusal(name, p, m)]
    if name == "interleaved_1f1b":
        return [(p, m, v) for p, m in runs for v in (1, 2, 3) if m % p == 0 and (v == 1 or p > 1)]
    return [(p, m, v) for p, m in runs for v in (traits(name).least_virtual_stages,)]


def pipeline(name: str, p: int, m: int, v: int, delay: float = 0.5, transfer: float = 0.0) -> Pipeline:
    """Equal stages, equal boundaries."""
    link = {"forward_link": "a>b", "backward_link": "b>a"} if transfer else {}
    hop = Boundary(delay_seconds=delay, transfer_seconds=transfer, **link)
    return Pipeline(
        schedule=name,
        num_microbatches=m,
        num_virtual_stages=v,
        forward_seconds=(1.0,) * p,
        backward_seconds=(2.0,) * p,
        weight_seconds=(0.9,) * p,
        boundaries=(hop,) * (p if v > 1 else p - 1),
    )


def orders(name: str, p: int, m: int, v: int) -> Orders:
    """What each rank does."""
    found = with_orders(pipeline(name, p, m, v)).orders
    assert found is not None
    return found


def most_in_flight(actions: tuple[Action, ...]) -> int:
    """The most forwards whose backward, all of it, is still to come, over the course of `actions`."""
    apart = {action[1:] for action in actions if action.kind == WEIGHT_GRADIENT}
    held = most = 0
    for action in actions:
        ends = action.kind == WEIGHT_GRADIENT or (action.kind == BACKWARD and action[1:] not in apart)
        held += action.is_forward - ends
        most = max(most, held)
    assert held == 0
    return most


def test_the_plan_s_schedules_are_those_of_the_folder() -> None:
    assert sorted(schedules()) == sorted(SCHEDULES)


def test_an_unknown_schedule_has_no_module() -> None:
    with pytest.raises(KeyError):
        schedule("no_such_schedule")


def test_a_schedule_has_the_name_it_is_found_by(name: str) -> None:
    module = schedule(name)
    assert name == module.NAME
    assert module.__doc__


def test_each_rank_does_every_action_once(name: str) -> None:
    for p, m, v in shapes(name):
        units = [
            (index, chunk, part) for index in range(m) for chunk in range(v) for part in range(traits(name).num_parts)
        ]
        for order in orders(name, p, m, v):
            for kind in (FORWARD, BACKWARD):
                done = sorted(action[1:] for action in order if action.kind == kind)
                if traits(name).placement == "both_ways":  # half of them in each virtual stage
                    done = sorted((index, 0, part) for index, _, part in done)
                assert done == units, (p, m, v, kind)
            apart = [action for action in order if action.kind == WEIGHT_GRADIENT]
            assert len(set(apart)) == len(apart)
            assert bool(apart) <= traits(name).splits_backward


def test_a_rank_does_a_backward_only_after_its_forward_and_a_weight_gradient_after_that(name: str) -> None:
    for p, m, v in shapes(name):
        for order in orders(name, p, m, v):
            seen: set[Action] = set()
            for action in order:
                if not action.is_forward:
                    assert action._replace(kind=FORWARD if action.kind == BACKWARD else BACKWARD) in seen, (p, m, v)
                seen.add(action)


def test_no_order_waits_for_itself(name: str) -> None:
    for p, m, v in shapes(name):
        for delay, transfer in ((0.0, 0.0), (0.5, 0.0), (7.0, 2.0)):
            shape = pipeline(name, p, m, v, delay, transfer)
            assert len(simulate(shape)) == sum(map(len, with_orders(shape).orders or ()))


def test_what_is_held_at_once_is_what_the_schedule_states(name: str) -> None:
    for p, m, v in shapes(name):
        for stage, order in enumerate(orders(name, p, m, v)):
            reached = most_in_flight(order) / traits(name).num_parts
            stated = float(schedule(name).in_flight(stage, p, m, v))
            assert reached <= stated * v + 1e-9, (p, m, v, stage)
            if not traits(name).is_generated and m >= 2 * p:
                assert reached == pytest.approx(stated * v), (p, m, v, stage)


def test_in_flight_broadcasts_over_columns(name: str) -> None:
    p, m, v = shapes(name)[-1]
    stages = list(range(p))
    rows = schedule(name).in_flight(stages, [p] * p, [m] * p, [v] * p)
    assert rows.tolist() == [float(schedule(name).in_flight(stage, p, m, v)) for stage in stages]


def test_earlier_stages_never_hold_less_than_later_ones(name: str) -> None:
    for p, m, v in shapes(name):
        held = [float(schedule(name).in_flight(stage, p, m, v)) for stage in range(p)]
        assert held == sorted(held, reverse=True)
