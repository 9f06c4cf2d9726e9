import itertools

import pytest

from crosszone.launch.preflight.sample import (
    BUDGET_SECONDS,
    MOST_FULL_NODES,
    Trial,
    measured_pairs,
    reach_pairs,
    ring_pairs,
    rounds,
    schedule,
    zone_trials,
)


@pytest.mark.parametrize("zones", [(1,), (1, 1), (4, 4, 4), (12,), (1,) * 12, (3, 2, 7)])
def test_no_node_is_in_two_measurements_at_a_time(made, zones) -> None:
    planned, _ = schedule(made.request(*zones).nodes, trial_seconds=1.9)
    for trials in planned:
        busy = [node for trial in trials for pair in trial.pairs for node in pair]
        assert len(busy) == len(set(busy))


@pytest.mark.parametrize("zones", [(4, 4, 4), (12,), (1,) * 12, (6, 6)])
def test_a_dozen_nodes_are_done_within_the_budget_and_the_rest_is_told(made, zones) -> None:
    planned, left_out = schedule(made.request(*zones).nodes, trial_seconds=1.9)
    assert len(planned) * 1.9 <= BUDGET_SECONDS
    wanted = (12 * 11 if len(zones) == 12 else 0) + len(zones)
    assert bool(left_out) is (wanted > 100 or len(zones) == 3)


def test_every_pair_of_zones_is_measured_with_many_streams_and_with_one(made) -> None:
    nodes = made.request(4, 4, 4).nodes
    planned, _ = schedule(nodes, trial_seconds=1.9)
    done = {(pair, trial.num_streams) for trials in planned for trial in trials for pair in trial.pairs}
    for pair in itertools.permutations((0, 4, 8), 2):
        assert {(pair, 1), (pair, 8)} <= done


def test_in_a_zone_each_node_sends_once_and_receives_once(made) -> None:
    ring = ring_pairs(made.request(5, 2, 1).nodes)
    assert sorted(start for start, _ in ring) == sorted(to for _, to in ring) == [0, 1, 2, 3, 4, 5, 6]


def test_several_nodes_send_at_the_same_time_where_both_zones_have_them(made) -> None:
    trials = zone_trials(made.request(6, 2, 1).nodes)
    assert {trial.pairs for trial in trials} == {((0, 6), (1, 7)), ((6, 0), (7, 1))}


def test_every_node_tries_every_other_and_a_large_job_the_first_and_its_neighbours(made) -> None:
    assert len(reach_pairs(made.request(3, 2).nodes)) == 20
    nodes = made.request(MOST_FULL_NODES, 2).nodes
    pairs = reach_pairs(nodes)
    assert len(pairs) == len(set(pairs)) < 5 * len(nodes)
    assert {(index, 0) for index in range(1, len(nodes))} <= set(pairs)
    assert set(measured_pairs(nodes)) <= set(pairs)


def test_rounds_keep_every_trial_once() -> None:
    trials = [Trial(pairs=(pair,), num_streams=1) for pair in itertools.combinations(range(6), 2)]
    planned = rounds(trials)
    assert sorted(trial.pairs for each in planned for trial in each) == sorted(trial.pairs for trial in trials)
    assert len(planned) < len(trials)
