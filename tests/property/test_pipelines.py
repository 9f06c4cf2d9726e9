"""Laws of the event simulation, on random pipelines of every schedule."""

import dataclasses
import itertools
import random

import pytest

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import refusal, schedule, traits
from crosszone.core.schedules.action import BACKWARD, FORWARD, WEIGHT_GRADIENT
from crosszone.core.schedules.placement import position_of
from crosszone.timeline.simulate import Boundary, Event, Pipeline, Played, makespan_seconds, play, with_orders

NUM_CASES = 12
"""Of each schedule."""
ROUNDING = 1e-9


def pipelines(name: str, seed: int = 1, count: int = NUM_CASES) -> list[Pipeline]:
    """Random shapes that the schedule can run: uneven stages, some boundaries between zones, links shared or not."""
    draw, found = random.Random(f"{name} {seed}"), []
    while len(found) < count:
        p, m = draw.randint(2, 8), draw.randint(1, 32)
        v = traits(name).least_virtual_stages
        if name == "interleaved_1f1b":
            m, v = max(m // p, 1) * p, draw.choice((2, 3))
        if refusal(name, p, m):
            continue
        backward = tuple(draw.uniform(1.0, 3.0) for _ in range(p))
        wraps = v > 1 and traits(name).placement == "loop"
        found.append(
            Pipeline(
                schedule=name,
                num_microbatches=m,
                num_virtual_stages=v,
                forward_seconds=tuple(draw.uniform(0.5, 1.5) for _ in range(p)),
                backward_seconds=backward,
                weight_seconds=tuple(draw.uniform(0.2, 0.6) * seconds for seconds in backward),
                boundaries=tuple(boundary(draw) for _ in range(p if wraps else p - 1)),
            )
        )
    return found


def boundary(draw: random.Random) -> Boundary:
    """Inside a zone, or one of two that share a link."""
    if draw.random() < 0.6:
        return Boundary(delay_seconds=draw.choice((0.0, 0.02)))
    delay, transfer, link = draw.uniform(0.0, 6.0), draw.uniform(0.0, 2.0), draw.choice(("a", "c"))
    return Boundary(
        delay_seconds=delay, transfer_seconds=transfer, forward_link=f"{link}>b", backward_link=f"b>{link}",
        backward_delay_seconds=2.0 * delay,
    )  # fmt: skip


def changed(pipeline: Pipeline, delay: float, transfer: float) -> Pipeline:
    """The same in the same order, with all delays and transfers times these."""
    fixed = with_orders(pipeline)
    hops = [
        dataclasses.replace(
            hop,
            delay_seconds=hop.delay_seconds * delay,
            transfer_seconds=hop.transfer_seconds * transfer,
            backward_delay_seconds=hop.way(is_forward=False)[0] * delay,
        )
        for hop in fixed.boundaries
    ]
    return dataclasses.replace(fixed, boundaries=tuple(hops))


def busiest_seconds(pipeline: Pipeline, played: Played) -> float:
    """Work of the rank that has most of it."""
    work = [0.0] * len(pipeline.forward_seconds)
    for event in played.events:
        work[event.rank] += event.end_seconds - event.start_seconds
    return max(work)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("late", [False, True])
def test_less_delay_and_more_bandwidth_are_never_slower(name: str, late: bool) -> None:
    for pipeline in pipelines(name):
        pipeline = dataclasses.replace(pipeline, receives_early=not late)
        own = [hop.forward_link for hop in pipeline.boundaries if hop.forward_link]
        if len(set(own)) < len(own):  # several boundaries on one link: who is served first may change
            pipeline = apart(pipeline)
        base = makespan_seconds(with_orders(pipeline))
        for delay, transfer in ((0.5, 1.0), (1.0, 0.5), (0.0, 0.3), (0.0, 0.0)):
            assert makespan_seconds(changed(pipeline, delay, transfer)) <= base * (1.0 + ROUNDING), pipeline


def apart(pipeline: Pipeline) -> Pipeline:
    """The same with a link of its own for each boundary."""
    hops = [
        hop
        if hop.forward_link is None
        else dataclasses.replace(hop, forward_link=f"{index}>", backward_link=f"{index}<")
        for index, hop in enumerate(pipeline.boundaries)
    ]
    return dataclasses.replace(pipeline, boundaries=tuple(hops))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_step_is_no_shorter_than_its_busiest_rank_and_its_longest_microbatch(name: str) -> None:
    for pipeline in pipelines(name):
        played = play(pipeline)
        assert played.makespan_seconds == makespan_seconds(pipeline)
        assert played.makespan_seconds >= busiest_seconds(pipeline, played) * (1.0 - ROUNDING)
        alone = max(
            max(event.end_seconds for event in own) - min(event.start_seconds for event in own)
            for own in by_microbatch(played).values()
        )
        assert played.makespan_seconds >= alone


def by_microbatch(played: Played) -> dict[int, list[Event]]:
    """The events of each microbatch."""
    ordered = sorted(played.events, key=lambda event: event.action.microbatch)
    return {key: list(own) for key, own in itertools.groupby(ordered, key=lambda event: event.action.microbatch)}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_rank_does_one_thing_at_a_time(name: str) -> None:
    for pipeline in pipelines(name):
        played = play(pipeline)
        for rank in range(len(pipeline.forward_seconds)):
            own = [event for event in played.events if event.rank == rank]
            for before, after in itertools.pairwise(own):
                assert after.start_seconds >= before.end_seconds - ROUNDING


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_message_is_sent_after_its_action_and_arrives_before_it_is_used(name: str) -> None:
    for pipeline in pipelines(name, seed=2):
        for early in (True, False):
            played = play(dataclasses.replace(pipeline, receives_early=early))
            placement, p = traits(name).placement, len(pipeline.forward_seconds)
            events = {(event.rank, event.action): event for event in played.events}
            starts = {
                (event.action.kind, event.action.microbatch, event.action.part,
                 position_of(event.rank, event.action.virtual_stage, p, placement)): event.start_seconds
                for event in played.events
            }  # fmt: skip
            for message in played.messages:
                action = message.action
                made = events[message.from_rank, action]
                at = position_of(message.from_rank, action.virtual_stage, p, placement)
                to = at + (1 if action.kind == FORWARD else -1)
                assert made.end_seconds <= message.start_seconds + ROUNDING
                assert message.start_seconds <= message.end_seconds <= message.arrival_seconds
                used = starts[action.kind, action.microbatch, action.part, to]
                assert message.arrival_seconds <= used + ROUNDING


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_link_carries_one_message_at_a_time(name: str) -> None:
    for pipeline in pipelines(name, seed=3):
        sent = [message for message in play(pipeline).messages if message.link is not None]
        for _, own in itertools.groupby(
            sorted(sent, key=lambda one: (one.link, one.start_seconds)), key=lambda one: one.link
        ):
            for before, after in itertools.pairwise(own):
                assert after.start_seconds >= before.end_seconds - ROUNDING


@pytest.mark.parametrize("name", SCHEDULES)
def test_memory_in_flight_is_what_the_schedule_states_at_most(name: str) -> None:
    for pipeline in pipelines(name, seed=4):
        p, m, v = len(pipeline.forward_seconds), pipeline.num_microbatches, pipeline.num_virtual_stages
        events = play(pipeline).events
        apart_ = {(event.rank, *event.action[1:]) for event in events if event.action.kind == WEIGHT_GRADIENT}
        held = [0] * p
        for event in events:
            key = (event.rank, *event.action[1:])
            ends = event.action.kind == WEIGHT_GRADIENT or (event.action.kind == BACKWARD and key not in apart_)
            held[event.rank] += event.action.is_forward - ends
            most = float(schedule(name).in_flight(event.rank, p, m, v)) * v * traits(name).num_parts
            assert held[event.rank] <= most + 1.0 + ROUNDING  # events are in order of end: a forward at work counts


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_same_pipeline_is_played_the_same(name: str) -> None:
    for pipeline in pipelines(name, count=5):
        assert play(pipeline) == play(pipeline)


@pytest.mark.parametrize("name", ["cross_1f1b", "cross_ud", "cross_ud_sub", "cross_wave"])
def test_generated_schedules_keep_to_the_memory_they_are_given(name: str) -> None:
    for pipeline in pipelines(name, seed=5):
        for most in (2.0, 4.0):
            orders = with_orders(dataclasses.replace(pipeline, most_in_flight=most)).orders or ()
            for order in orders:
                held = reached = 0
                ending = WEIGHT_GRADIENT if traits(name).splits_backward else BACKWARD
                for action in order:
                    held += action.is_forward - (action.kind == ending)
                    reached = max(reached, held)
                assert reached <= most * pipeline.num_virtual_stages * traits(name).num_parts


def test_more_memory_hides_more_delay() -> None:
    # CrossPipe, table 5: with twice the memory latency of two forwards costs 5 %, with 1F1B's memory 12 %.
    far = Boundary(delay_seconds=4.0, transfer_seconds=0.1, forward_link="a>b", backward_link="b>a")
    near = Boundary(delay_seconds=0.0)
    base = Pipeline(
        schedule="cross_ud", num_microbatches=32, num_virtual_stages=1, forward_seconds=(1.0,) * 4,
        backward_seconds=(2.0,) * 4, boundaries=(near, far, near),
    )  # fmt: skip
    spans = [makespan_seconds(dataclasses.replace(base, most_in_flight=float(most))) for most in (2, 4, 8, 16)]
    assert spans == sorted(spans, reverse=True)
    assert spans[0] > 1.5 * spans[-1]
    assert spans[-1] < 1.15 * 32 * 3.0


@pytest.mark.parametrize("delay", [1.0, 4.0, 10.0])
def test_warm_up_microbatches_hide_what_1f1b_shows(delay: float) -> None:
    far = Boundary(delay_seconds=delay, transfer_seconds=0.2, forward_link="a>b", backward_link="b>a")
    near = Boundary(delay_seconds=0.0)
    spans = {
        name: makespan_seconds(
            Pipeline(
                schedule=name, num_microbatches=64, num_virtual_stages=1, forward_seconds=(1.0,) * 4,
                backward_seconds=(2.0,) * 4, boundaries=(near, far, near), most_in_flight=64.0,
            )
        )
        for name in ("1f1b", "cross_1f1b")
    }  # fmt: skip
    # Only the first microbatch feels the delay, there and back.
    assert spans["cross_1f1b"] == pytest.approx((64 + 3) * 3.0 + 2 * (delay + 0.2))
    assert spans["1f1b"] > spans["cross_1f1b"] + 30 * delay


@pytest.mark.soak
@pytest.mark.parametrize("name", SCHEDULES)
def test_less_delay_and_more_bandwidth_are_never_slower_in_many_cases(name: str) -> None:
    for seed in range(10, 20):
        for pipeline in pipelines(name, seed=seed, count=500):
            base = makespan_seconds(with_orders(apart(pipeline)))
            draw = random.Random(seed)
            faster = changed(apart(pipeline), draw.random(), draw.random())
            assert makespan_seconds(faster) <= base * (1.0 + ROUNDING), pipeline
