"""Rounds of regular orders, against what a pencil says of their order and their time."""

from dataclasses import replace

import pytest

from crosszone.timeline import simulate as simulation
from crosszone.timeline.rounds import Rounds, edges, rounds, ways
from crosszone.timeline.simulate import Boundary, Pipeline, simulate

FORWARD, BACKWARD = 1.0, 2.0
STAGE = FORWARD + BACKWARD


def pipeline(name: str, p: int, m: int, v: int = 1, *, links: tuple[str | None, ...] = ()) -> Pipeline:
    """Equal stages half a second from each other; boundaries with a link take it for a quarter."""
    return Pipeline(
        schedule=name,
        num_microbatches=m,
        num_virtual_stages=v,
        forward_seconds=(FORWARD,) * p,
        backward_seconds=(BACKWARD,) * p,
        boundaries=tuple(
            Boundary(delay_seconds=0.5, transfer_seconds=0.25 if link else 0.0, forward_link=link, backward_link=link)
            for link in links or (None,) * p
        ),
    )


def rounds_of(asked: Pipeline) -> Rounds | None:
    return rounds(simulation._tasks(asked), edges(simulation._nodes(asked)), asked.num_microbatches)


def test_a_round_of_1f1b_is_a_forward_and_a_backward_of_every_rank() -> None:
    found = rounds_of(pipeline("1f1b", 4, 8))
    assert found is not None
    assert found.shift == 1
    assert sorted((step.rank, step.node) for step in found.middle) == [
        (rank, node) for rank in range(4) for node in (rank, 4 + rank)
    ]
    assert len(found.start) + len(found.rest) == 2 * 4 * 8


def test_a_round_of_interleaved_1f1b_is_as_many_microbatches_as_ranks() -> None:
    found = rounds_of(pipeline("interleaved_1f1b", 3, 12, 2))
    assert found is not None
    assert (found.shift, len(found.middle)) == (3, 2 * 3 * 2 * 3)


def test_forwards_that_all_come_first_make_no_round() -> None:
    assert rounds_of(pipeline("gpipe", 4, 16)) is None


def test_too_few_microbatches_make_no_round() -> None:
    assert rounds_of(pipeline("1f1b", 4, 4)) is None


def test_a_link_of_several_ranks_makes_no_round() -> None:
    assert rounds_of(pipeline("1f1b", 3, 9, links=("one", "one"))) is None


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(
    ("name", "p", "v"), [("1f1b", 5, 1), ("zb_h1", 4, 1), ("zbv", 3, 2), ("interleaved_1f1b", 3, 4)]
)
def test_rounds_take_what_all_their_events_take(name: str, p: int, v: int, early: bool) -> None:
    long = replace(pipeline(name, p, 30 * p, v), receives_early=early)
    nodes = simulation._nodes(long)
    found = rounds_of(replace(long, num_microbatches=4 * p))
    assert found is not None
    assert found.makespan_seconds(ways(nodes, early=early), 26 * p // found.shift) == simulate(long)[-1].end_seconds


def test_a_billion_rounds_are_told_from_a_few() -> None:
    # Without delay a microbatch takes a stage's time, however many came before.
    asked = replace(pipeline("1f1b", 4, 8), boundaries=(Boundary(delay_seconds=0.0),) * 3)
    found = rounds_of(asked)
    assert found is not None
    taken = ways(simulation._nodes(asked), early=True)
    assert found.makespan_seconds(taken, 10**9) == found.makespan_seconds(taken, 0) + 10**9 * STAGE
