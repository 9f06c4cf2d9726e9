"""Every schedule: each piece of work once, in an order that never waits for itself, with the memory that it states."""

import pytest

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import schedule, schedules
from crosszone.core.schedules.action import Action, backward, forward
from crosszone.timeline.simulate import Boundary, Pipeline, simulate

SHAPES = [
    (p, m, v)
    for p in (1, 2, 3, 4, 8)
    for m in (1, 2, 3, 4, 6, 8, 24)
    for v in (1, 2, 3)
    if v == 1 or (m % p == 0 and p > 1)
]
"""(stages, microbatches, virtual stages): few and many microbatches for each depth."""


@pytest.fixture(params=sorted(schedules()))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shapes(name: str) -> list[tuple[int, int, int]]:
    """The shapes that this schedule can run: only interleaving has virtual stages, and it needs whole rounds."""
    if name == "interleaved_1f1b":
        return [(p, m, v) for p, m, v in SHAPES if m % p == 0]
    return [(p, m, v) for p, m, v in SHAPES if v == 1]


def most_in_flight(actions: tuple[Action, ...]) -> int:
    """The most forwards whose backward is still to come, over the course of `actions`."""
    held = most = 0
    for action in actions:
        held += 1 if action.is_forward else -1
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
        wanted = sorted(make(index, chunk) for make in (forward, backward) for index in range(m) for chunk in range(v))
        for stage in range(p):
            assert sorted(schedule(name).order(stage, p, m, v)) == wanted, (p, m, v, stage)


def test_a_rank_does_a_backward_only_after_its_forward(name: str) -> None:
    for p, m, v in shapes(name):
        for stage in range(p):
            seen: set[tuple[int, int]] = set()
            for action in schedule(name).order(stage, p, m, v):
                work = (action.microbatch, action.virtual_stage)
                if action.is_forward:
                    seen.add(work)
                else:
                    assert work in seen, (p, m, v, stage, action)


def test_no_order_waits_for_itself(name: str) -> None:
    for p, m, v in shapes(name):
        boundaries = tuple(Boundary(delay_seconds=0.5) for _ in range(p if v > 1 else p - 1))
        pipeline = Pipeline(
            schedule=name,
            num_microbatches=m,
            num_virtual_stages=v,
            forward_seconds=(1.0,) * p,
            backward_seconds=(2.0,) * p,
            boundaries=boundaries,
        )
        assert len(simulate(pipeline)) == 2 * m * p * v


def test_what_is_held_at_once_is_what_the_order_reaches(name: str) -> None:
    for p, m, v in shapes(name):
        for stage in range(p):
            reached = most_in_flight(schedule(name).order(stage, p, m, v))
            stated = float(schedule(name).in_flight(stage, p, m, v))
            assert stated * v == pytest.approx(reached), (p, m, v, stage)


def test_in_flight_broadcasts_over_columns(name: str) -> None:
    p, m, v = shapes(name)[-1]
    stages = list(range(p))
    rows = schedule(name).in_flight(stages, [p] * p, [m] * p, [v] * p)
    assert rows.tolist() == [float(schedule(name).in_flight(stage, p, m, v)) for stage in stages]


def test_earlier_stages_never_hold_less_than_later_ones(name: str) -> None:
    for p, m, v in shapes(name):
        held = [float(schedule(name).in_flight(stage, p, m, v)) for stage in range(p)]
        assert held == sorted(held, reverse=True)
