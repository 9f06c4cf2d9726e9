"""The event simulation against times that follow with a pencil."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.schedules import rank_orders, traits
from crosszone.core.schedules.action import backward, forward
from crosszone.timeline import simulate as simulation
from crosszone.timeline.simulate import Boundary, Event, Pipeline, makespan_seconds, play, simulate

FORWARD, BACKWARD = 1.0, 2.0
STAGE = FORWARD + BACKWARD
FREE = Boundary(delay_seconds=0.0)


def pipeline(
    name: str,
    p: int,
    m: int,
    v: int = 1,
    *,
    slow: dict[int, Boundary] | None = None,
    near_seconds: float = 0.0,
) -> Pipeline:
    """Equal stages; `slow` replaces boundaries by index, -1 is the wrap of virtual stages."""
    boundaries = [Boundary(delay_seconds=near_seconds) for _ in range(p if v > 1 else p - 1)]
    for index, boundary in (slow or {}).items():
        boundaries[index] = boundary
    return Pipeline(
        schedule=name,
        num_microbatches=m,
        num_virtual_stages=v,
        forward_seconds=(FORWARD,) * p,
        backward_seconds=(BACKWARD,) * p,
        boundaries=tuple(boundaries),
    )


def last_end(events: list[Event]) -> float:
    return max(event.end_seconds for event in events)


def over_link(delay: float, transfer: float, *, turned: bool = False) -> Boundary:
    there, back = ("b>a", "a>b") if turned else ("a>b", "b>a")
    return Boundary(delay_seconds=delay, transfer_seconds=transfer, forward_link=there, backward_link=back)


# Without delay: the closed forms of the literature.


@pytest.mark.parametrize("name", ["1f1b", "gpipe"])
@pytest.mark.parametrize(("p", "m"), [(1, 4), (2, 2), (2, 7), (4, 4), (4, 16), (8, 12)])
def test_textbook_bubble(name: str, p: int, m: int) -> None:
    # Huang et al. 2019, sec. 2.3; Narayanan et al. 2021, sec. 2.2.1: (m + p - 1)(t_f + t_b).
    assert last_end(simulate(pipeline(name, p, m))) == pytest.approx((m + p - 1) * STAGE)
    assert makespan_seconds(pipeline(name, p, m)) == pytest.approx((m + p - 1) * STAGE)


@pytest.mark.parametrize(("p", "m", "v"), [(2, 2, 2), (2, 8, 4), (4, 4, 2), (4, 16, 2), (4, 8, 5), (8, 16, 3)])
def test_interleaving_divides_the_bubble(p: int, m: int, v: int) -> None:
    # Narayanan et al. 2021, sec. 2.2.2: the bubble is (p - 1)(t_f + t_b) / v.
    assert last_end(simulate(pipeline("interleaved_1f1b", p, m, v))) == pytest.approx((m + (p - 1) / v) * STAGE)


def test_a_busy_stage_sets_the_pace() -> None:
    # The last stage takes 6 s a microbatch and never waits but for the first: 1 s before it starts, 2 s after it ends.
    uneven = replace(pipeline("1f1b", 2, 10), forward_seconds=(1.0, 2.0), backward_seconds=(2.0, 4.0))
    assert makespan_seconds(uneven) == pytest.approx(1.0 + 10 * 6.0 + 2.0)


def test_one_stage_is_work_alone() -> None:
    assert makespan_seconds(pipeline("1f1b", 1, 5)) == 5 * STAGE
    assert last_end(simulate(pipeline("1f1b", 1, 5))) == 5 * STAGE


# With delay.


@pytest.mark.parametrize("p", [2, 3, 6])
def test_one_microbatch_feels_every_delay_twice(p: int) -> None:
    assert makespan_seconds(pipeline("1f1b", p, 1, near_seconds=0.25)) == pytest.approx(p * STAGE + 2 * (p - 1) * 0.25)


def test_gpipe_hides_the_delay_of_all_but_the_first() -> None:
    # Forwards stream over the boundary, then backwards: one delay each way whatever m is.
    for m in (1, 5, 20):
        slow = {0: Boundary(delay_seconds=7.0)}
        assert makespan_seconds(pipeline("gpipe", 2, m, slow=slow)) == pytest.approx((m + 1) * STAGE + 2 * 7.0)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 9, 10])
def test_1f1b_waits_once_for_every_two_microbatches(m: int) -> None:
    # Two ranks: two microbatches are on their way at once. The third waits for the first to be back, and so on:
    # every second one waits a round trip of 2c.
    delayed = pipeline("1f1b", 2, m, slow={0: Boundary(delay_seconds=4.0)})
    assert makespan_seconds(delayed) == pytest.approx((m + 1) * STAGE + 2 * 4.0 + (m - 1) // 2 * 2 * 4.0)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_1f1b_period_is_work_and_delay(index: int) -> None:
    spans = [makespan_seconds(pipeline("1f1b", 4, m, slow={index: Boundary(delay_seconds=5.0)})) for m in (20, 40)]
    assert (spans[1] - spans[0]) / 20 == pytest.approx(STAGE + 5.0)


def test_1f1b_period_over_equal_delays_is_that_of_the_whole_line() -> None:
    # The loop over all p stages holds p microbatches and lasts p*t + 2(p-1)c.
    spans = [makespan_seconds(pipeline("1f1b", 4, m, near_seconds=1.0)) for m in (40, 80)]
    assert (spans[1] - spans[0]) / 40 == pytest.approx(STAGE + 2 * 3 / 4)


@pytest.mark.parametrize("v", [2, 4])
def test_interleaving_hides_delays_up_to_half_a_chunk(v: int) -> None:
    hidden, shown = STAGE / v / 2, STAGE / v
    spans = {
        delay: [
            makespan_seconds(pipeline("interleaved_1f1b", 4, m, v, slow={1: Boundary(delay_seconds=delay)}))
            for m in (48, 72)
        ]
        for delay in (hidden, shown)
    }
    assert (spans[hidden][1] - spans[hidden][0]) / 24 == pytest.approx(STAGE)
    # Beyond, three chunks share a loop of two chunks' work and a round trip: v(2t/v + 2c)/3 a microbatch.
    assert (spans[shown][1] - spans[shown][0]) / 24 == pytest.approx(v * (2 * STAGE / v + 2 * shown) / 3)


def test_the_wrap_delays_what_goes_from_the_last_rank_to_the_first() -> None:
    # One round of p = 2, v = 2: microbatch 0 passes the wrap once each way and the boundary twice each way.
    wrapped = pipeline("interleaved_1f1b", 2, 2, 2, slow={-1: Boundary(delay_seconds=100.0)})
    crossed = pipeline("interleaved_1f1b", 2, 2, 2, slow={0: Boundary(delay_seconds=100.0)})
    plain = makespan_seconds(pipeline("interleaved_1f1b", 2, 2, 2))
    assert 200.0 < makespan_seconds(wrapped) <= 200.0 + plain
    assert 400.0 < makespan_seconds(crossed) <= 400.0 + plain


def test_virtual_stages_of_one_rank_hand_over_in_place() -> None:
    alone = Pipeline(
        schedule="interleaved_1f1b", num_microbatches=3, num_virtual_stages=2, forward_seconds=(FORWARD,),
        backward_seconds=(BACKWARD,), boundaries=(),
    )  # fmt: skip
    assert last_end(simulate(alone)) == pytest.approx(3 * STAGE) == makespan_seconds(alone)


# A limit.


@pytest.mark.parametrize("name", ["gpipe", "1f1b", "interleaved_1f1b"])
@pytest.mark.parametrize("share", [0.5, 0.99, 1.0, 1.5])
def test_a_simulation_that_is_given_up_would_have_taken_longer(name: str, share: float) -> None:
    asked = pipeline(name, 4, 96, 2 if name == "interleaved_1f1b" else 1, slow={1: over_link(0.3, 3.7)})
    most_seconds = share * last_end(simulate(asked))
    seconds = makespan_seconds(asked, most_seconds=most_seconds)  # first, so that nothing of it is known yet
    exact = makespan_seconds(asked)
    assert exact == pytest.approx(last_end(simulate(asked)))
    assert seconds == exact if share >= 1.0 else seconds in (exact, math.inf)
    assert makespan_seconds(asked, most_seconds=most_seconds) in (exact, math.inf)


def test_a_simulation_is_given_up_once_it_must_take_longer() -> None:
    assert makespan_seconds(pipeline("gpipe", 4, 100), most_seconds=150 * STAGE / 2) == math.inf
    assert makespan_seconds(pipeline("gpipe", 4, 100), most_seconds=103 * STAGE) == 103 * STAGE


# Links that are shared.


def test_messages_on_a_link_queue_first_come_first_served() -> None:
    # Forwards end at 1, 2, 3 and take the link 10 s each: they are sent at 11, 21 and 31, whoever needs them.
    slow = {0: over_link(0.0, 10.0)}
    events = simulate(pipeline("gpipe", 2, 3, slow=slow))
    arrived = [event.start_seconds for event in events if event.rank == 1 and event.action.is_forward]
    assert arrived == [11.0, 21.0, 31.0]


def test_boundaries_that_share_a_link_share_its_bandwidth() -> None:
    apart = {0: over_link(0.0, 4.0), 2: Boundary(delay_seconds=0.0, transfer_seconds=4.0, forward_link="c>d")}
    shared = {0: over_link(0.0, 4.0), 2: over_link(0.0, 4.0)}
    spans = [makespan_seconds(pipeline("1f1b", 4, 12, slow=slow)) for slow in (shared, apart)]
    assert spans[0] > spans[1]


def test_each_boundary_without_a_link_has_its_own() -> None:
    # A transfer without a queue is a delay.
    queued = pipeline("1f1b", 3, 9, slow={0: Boundary(delay_seconds=1.0, transfer_seconds=2.0)})
    delayed = pipeline("1f1b", 3, 9, slow={0: Boundary(delay_seconds=3.0)})
    assert makespan_seconds(queued) == makespan_seconds(delayed)


@pytest.mark.parametrize("name", ["gpipe", "1f1b"])
@pytest.mark.parametrize("transfer", [0.5, 3.0, 20.0])
def test_a_step_is_no_shorter_than_its_link_is_busy(name: str, transfer: float) -> None:
    m = 12
    span = makespan_seconds(pipeline(name, 4, m, slow={1: over_link(0.1, transfer)}))
    assert span >= m * transfer
    assert span >= (m + 3) * STAGE


def test_with_virtual_stages_a_link_carries_boundary_and_wrap() -> None:
    # Two ranks in two zones, v = 3: forward over the boundary 3 times, backward over the wrap twice, both a>b.
    m, v, transfer = 8, 3, 10.0
    slow = {0: over_link(0.0, transfer), -1: over_link(0.0, transfer, turned=True)}
    span = makespan_seconds(pipeline("interleaved_1f1b", 2, m, v, slow=slow))
    assert span >= m * (2 * v - 1) * transfer
    assert span < m * (2 * v - 1) * transfer * 1.2


# Events.


def test_events_of_two_microbatches_over_two_ranks() -> None:
    events = simulate(pipeline("1f1b", 2, 2, slow={0: Boundary(delay_seconds=0.5)}))
    assert [(event.rank, event.action, event.start_seconds, event.end_seconds) for event in events] == [
        (0, forward(0), 0.0, 1.0),
        (0, forward(1), 1.0, 2.0),
        (1, forward(0), 1.5, 2.5),
        (1, backward(0), 2.5, 4.5),
        (1, forward(1), 4.5, 5.5),
        (0, backward(0), 5.0, 7.0),
        (1, backward(1), 5.5, 7.5),
        (0, backward(1), 8.0, 10.0),
    ]


@pytest.mark.parametrize(("name", "v"), [("gpipe", 1), ("1f1b", 1), ("interleaved_1f1b", 3)])
def test_a_rank_does_one_thing_at_a_time_in_its_order(name: str, v: int) -> None:
    events = simulate(pipeline(name, 4, 8, v, slow={1: over_link(1.0, 0.7)}, near_seconds=0.1))
    assert len(events) == 2 * 4 * 8 * v
    for rank in range(4):
        own = [event for event in events if event.rank == rank]
        assert [event.action for event in own] == list(simulation.schedule(name).order(rank, 4, 8, v))
        assert all(after.start_seconds >= before.end_seconds for before, after in itertools.pairwise(own))


@pytest.mark.parametrize(("name", "v"), [("gpipe", 1), ("1f1b", 1), ("interleaved_1f1b", 2)])
def test_nothing_starts_before_its_message_arrives(name: str, v: int) -> None:
    p, m, delay = 4, 8, 0.3
    ends, starts = {}, {}
    for event in simulate(pipeline(name, p, m, v, near_seconds=delay)):
        position = event.action.virtual_stage * p + event.rank
        ends[event.action.is_forward, event.action.microbatch, position] = event.end_seconds
        starts[event.action.is_forward, event.action.microbatch, position] = event.start_seconds
    for (is_forward, microbatch, position), start in starts.items():
        before = ends.get((is_forward, microbatch, position - 1 if is_forward else position + 1))
        assert before is None or start >= before + delay - 1e-12
    assert all(starts[False, index, p * v - 1] >= ends[True, index, p * v - 1] for index in range(m))


def test_the_same_pipeline_gives_the_same_events() -> None:
    shape = pipeline("interleaved_1f1b", 4, 8, 2, slow={1: over_link(1.0, 0.7), -1: over_link(1.0, 0.7, turned=True)})
    assert simulate(shape) == simulate(shape)


# Messages.


def test_messages_of_two_microbatches_over_a_link() -> None:
    # Forwards end at 1 and 2 and take the link 3 s each; the gradients of the first go back at 6.5.
    played = play(pipeline("1f1b", 2, 2, slow={0: over_link(0.5, 3.0)}))
    assert [
        (one.from_rank, one.to_rank, one.link, one.action, one.start_seconds, one.end_seconds, one.arrival_seconds)
        for one in played.messages
    ] == [
        (0, 1, "a>b", forward(0), 1.0, 4.0, 4.5),
        (0, 1, "a>b", forward(1), 4.0, 7.0, 7.5),
        (1, 0, "b>a", backward(0), 7.5, 10.5, 11.0),
        (1, 0, "b>a", backward(1), 10.5, 13.5, 14.0),
    ]
    assert played.makespan_seconds == 16.0


def test_what_stays_on_a_rank_is_no_message() -> None:
    # Two ranks, there and back: 0 > 1, turn, 1 > 0 forward and the same backward.
    played = play(pipeline("zbv", 2, 1, 2))
    ways = [(one.from_rank, one.to_rank, one.action.virtual_stage) for one in played.messages]
    assert ways == [(0, 1, 0), (1, 0, 1), (0, 1, 1), (1, 0, 0)]


def test_a_late_receive_shows_every_delay() -> None:
    # GPipe, two ranks, c = 2: the second rank waits 2 s before each forward, the first one before each backward.
    shape = pipeline("gpipe", 2, 3, slow={0: Boundary(delay_seconds=2.0)})
    assert makespan_seconds(shape) == pytest.approx(4 * STAGE + 2 * 2.0)
    late = makespan_seconds(replace(shape, receives_early=False))
    # Forwards of the second rank end at 4, 7, 10, its backwards at 12, 14, 16; the first rank's end at 16, 20, 24.
    assert late == 24.0


def test_late_receives_over_a_link_take_it_when_they_are_posted() -> None:
    shape = pipeline("gpipe", 2, 2, slow={0: over_link(0.0, 2.0)})
    played = play(replace(shape, receives_early=False))
    assert [one.start_seconds for one in played.messages if one.action.is_forward] == [1.0, 4.0]


def test_without_delay_it_matters_not_when_receives_are_posted() -> None:
    for name, v in (("1f1b", 1), ("zb_h1", 1), ("zbv", 2), ("interleaved_1f1b", 2)):
        shape = pipeline(name, 4, 8, v)
        assert makespan_seconds(shape) == makespan_seconds(replace(shape, receives_early=False))


# Weight gradients apart.


def test_a_gradient_goes_back_before_the_weights_are_done() -> None:
    # ZB-H1 of two ranks and one microbatch: F 0-1, F 1-2, B 2-3, then the first rank's B 3-4 and W 4-5.
    played = play(pipeline("zb_h1", 2, 1))
    assert [(one.rank, one.action.kind, one.end_seconds) for one in played.events] == [
        (0, "forward", 1.0),
        (1, "forward", 2.0),
        (1, "backward", 3.0),
        (0, "backward", 4.0),
        (1, "weight_gradient", 4.0),
        (0, "weight_gradient", 5.0),
    ]


def test_both_copies_of_dualpipe_share_the_ranks_evenly() -> None:
    played = play(pipeline("dualpipe", 4, 8))
    work = [sum(one.end_seconds - one.start_seconds for one in played.events if one.rank == rank) for rank in range(4)]
    assert work == pytest.approx([8 * STAGE] * 4)


def test_parts_of_a_microbatch_take_a_part_of_its_time() -> None:
    played = play(pipeline("cross_ud_sub", 2, 2))
    forwards = [one for one in played.events if one.rank == 0 and one.action.is_forward]
    assert [(one.action.microbatch, one.action.part) for one in forwards] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(one.end_seconds - one.start_seconds == FORWARD / 2 for one in forwards)


# Long pipelines.

LONG = [
    ("1f1b", 2, 1, {0: Boundary(delay_seconds=4.0)}),
    ("1f1b", 4, 1, {}),
    ("1f1b", 4, 1, {1: over_link(5.0, 0.5)}),
    ("1f1b", 5, 1, {1: over_link(0.2, 4.0)}),
    ("1f1b", 6, 1, {2: over_link(0.5, 0.5), 3: Boundary(delay_seconds=0.5)}),
    ("zb_h1", 4, 1, {1: over_link(5.0, 0.5)}),
    ("zb_h1", 3, 1, {}),
    ("interleaved_1f1b", 4, 2, {}),
    ("interleaved_1f1b", 4, 2, {1: over_link(3.0, 0.1), -1: over_link(3.0, 0.1, turned=True)}),
    ("interleaved_1f1b", 2, 4, {0: over_link(1.0, 0.2), -1: over_link(1.0, 0.2, turned=True)}),
    ("interleaved_1f1b", 3, 3, {0: over_link(10.0, 0.1), -1: over_link(10.0, 0.1, turned=True)}),
]


@pytest.mark.parametrize(("name", "p", "v", "slow"), LONG)
@pytest.mark.parametrize("rest", [0, 1, 2])
def test_a_long_pipeline_is_extended_exactly(
    name: str, p: int, v: int, slow: dict[int, Boundary], rest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    m = 40 * p + rest * (p if v > 1 else 1)
    long = pipeline(name, p, m, v, slow=slow, near_seconds=0.05)
    monkeypatch.setattr(simulation, "EXACT_EVENTS", 0)
    assert makespan_seconds(long) == last_end(simulate(long))


@pytest.mark.parametrize("name", ["1f1b", "zb_h1", "zbv", "interleaved_1f1b", "dualpipe"])
def test_what_repeats_itself_is_left_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    played = simulation._played

    def counted(*arguments: Any, **named: Any) -> list[tuple[int, float, float]]:
        lengths.append(len(found := played(*arguments, **named)))
        return found

    v = traits(name).least_virtual_stages
    # Two boundaries on one link: who comes first shows only as it is played.
    long = pipeline(name, 4, 1600, v, slow={1: over_link(5.0, 0.5), 2: over_link(5.0, 0.5)})
    whole = last_end(simulate(long))
    monkeypatch.setattr(simulation, "_played", counted)
    assert makespan_seconds(long) == whole
    assert sum(lengths) < 0.1 * 1600 * 4 * 2 * v


def test_what_never_repeats_itself_is_simulated_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two cycles nearly as long as each other: which one leads shows only after many microbatches.
    late = replace(
        pipeline("1f1b", 3, 400, slow={0: Boundary(delay_seconds=0.5)}),
        forward_seconds=(1.0, 1.0, 1.1663),
        backward_seconds=(2.0, 2.0, 2.3337),
    )
    monkeypatch.setattr(simulation, "EXACT_EVENTS", 0)
    assert makespan_seconds(late) == last_end(simulate(late))


def test_messages_that_want_a_link_at_the_same_time_go_in_one_order_however_long_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Equal stages on one link ask for it at the same moment, if 0.1 + 0.2 is 0.3 in every microbatch.
    crowded = pipeline("1f1b", 8, 130, slow={index: over_link(0.0, 0.1) for index in (0, 3, 5, 6)})
    monkeypatch.setattr(simulation, "EXACT_EVENTS", 0)
    assert makespan_seconds(crowded) == last_end(simulate(crowded))


def test_forwards_that_all_come_first_are_not_repeated_with_their_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    long = pipeline("gpipe", 4, 200, slow={1: over_link(5.0, 0.5)})
    monkeypatch.setattr(simulation, "EXACT_EVENTS", 0)
    assert makespan_seconds(long) == last_end(simulate(long))


def test_an_order_that_changes_half_way_is_not_extended_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    # 1F1B for 60 microbatches, then one after the other.
    together = rank_orders("1f1b", simulation._work(pipeline("1f1b", 2, 60)))
    apart = tuple(unit for index in range(60, 80) for unit in (forward(index), backward(index)))
    changing = replace(pipeline("1f1b", 2, 80), orders=tuple((*own, *apart) for own in together))
    monkeypatch.setattr(simulation, "EXACT_EVENTS", 0)
    assert makespan_seconds(changing) == last_end(simulate(changing))
    assert makespan_seconds(changing) == pytest.approx(61 * STAGE + 20 * 2 * STAGE)


def test_times_that_are_unknown_stay_unknown() -> None:
    assert math.isnan(makespan_seconds(pipeline("gpipe", 2, 1, slow={0: Boundary(delay_seconds=math.nan)})))
