"""Single moves: every neighbour is legal, differs, and what is fixed stays fixed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosszone.planner.climb import STAGE_SECONDS, STRUCTURE_SECONDS, virtual_stages
from crosszone.planner.options import options
from crosszone.planner.refine import LARGE, refined
from crosszone.planner.search import search
from crosszone.planner.seeds import MOST_GPUS, seeds
from crosszone.planner.structure import Moves, Structure, layout_of, structure_of
from crosszone.planner.trial import Degrees, Fixed, plan_of, tables_of, timed, trials
from crosszone.timeline.predict import plan_step_seconds
from crosszone.timeline.rows import Settings
from crosszone.timeline.tabulate import tabulate

FIXED = Fixed(settings=Settings(), sequence_parallel=True, offload="none", memory_fraction=1.0)
EVERY = Degrees(framework=(0,), microbatch_size=(1, 2), num_virtual_stages=(1, 2), shard=(0, 1), ep=(1,))
TWO = Structure(1, 1, (5, 3), (((0, 1), 2),))


def moves(inputs: Any, tps: tuple[int, ...] = (1, 2, 4)) -> Moves:
    return Moves(inputs, tuple(range(len(inputs.pools))), tps, (1,))


def test_neighbours_are_legal_each_once_and_never_the_same(prepared: Any) -> None:
    inputs = prepared(4, 8)
    around = moves(inputs).around(TWO)
    assert TWO not in around
    assert len(set(around)) == len(around) > 20
    for other in around:
        assert sum(other.layers) == 8
        assert min(other.layers) >= 1
        assert all(len(chain) == other.pp for chain, _ in other.groups)
        used = [0, 0]
        for chain, count in other.groups:
            for pool in chain:
                used[pool] += other.tp * other.cp * count
        assert used[0] <= 4
        assert used[1] <= 8


def test_every_kind_of_move_is_made(prepared: Any) -> None:
    around = moves(prepared(4, 8)).around(TWO)
    wanted = {
        "a layer": Structure(1, 1, (4, 4), (((0, 1), 2),)),
        "a stage": Structure(1, 1, (5, 3), (((1, 1), 2),)),
        "the way round": Structure(1, 1, (3, 5), (((1, 0), 2),)),
        "fewer replicas": Structure(1, 1, (5, 3), (((0, 1), 1),)),
        "more replicas": Structure(1, 1, (5, 3), (((0, 1), 4),)),
        "another group": Structure(1, 1, (5, 3), (((0, 1), 2), ((1, 1), 1))),
        "one stage": Structure(1, 1, (8,), (((1,), 2),)),
        "three stages": Structure(1, 1, (2, 3, 3), (((0, 1, 1), 2),)),
        "larger blocks": Structure(2, 1, (5, 3), (((0, 1), 1),)),
    }
    assert [name for name, structure in wanted.items() if structure not in around] == []


def test_more_neighbours_than_asked_for_are_none_at_all(prepared: Any) -> None:
    legal = moves(prepared(4, 8))
    around = legal.around(TWO)
    assert legal.around(TWO, len(around)) == around
    assert legal.around(TWO, len(around) - 1) == []


def test_degrees_that_the_job_file_fixes_stay(prepared: Any) -> None:
    inputs = prepared(4, 8, plan={"pp": 2, "dp": 2})
    around = moves(inputs).around(TWO)
    assert around
    assert {(other.pp, other.dp) for other in around} == {(2, 2)}


def test_a_plan_and_its_structure_say_the_same(problem: Any, prepared: Any) -> None:
    plan = search(problem(4, 8, framework={"name": "megatron"}), top=1).plans[0].plan
    inputs = prepared(4, 8)
    structure = structure_of(inputs, plan)
    assert (structure.tp, structure.pp, structure.dp) == (plan.tp, plan.pp, plan.dp)
    assert layout_of(inputs, structure).crosses_pp == ("pp" in plan.zone_axis)


def test_a_trial_is_timed_and_placed_like_the_plan_it_becomes(prepared: Any) -> None:
    inputs = prepared(4, 8)
    structures = [TWO, Structure(2, 1, (8,), (((0,), 1), ((1,), 3))), Structure(1, 1, (3, 5), (((1, 1), 2),))]
    found = timed(inputs, trials(inputs, [(one, EVERY) for one in structures]), FIXED, (0,))
    assert found is not None
    assert len(found.trials) > 8
    for index in range(len(found.trials)):
        plan = plan_of(inputs, found, index, FIXED)
        assert plan_step_seconds(inputs, plan) == found.steps.seconds(inputs, index)
        assert found.bound_seconds[index] <= found.steps.seconds(inputs, index) * (1 + 1e-9)
        done = sum(one.num_replicas * one.num_microbatches for one in plan.replicas) * plan.microbatch_size
        assert done == inputs.problem.workload.global_batch_size
        own = tabulate(inputs, plan)
        assert (
            own.stages.pool.tolist()
            == tables_of(inputs, found.trials.take(np.array([index])), FIXED).stages.pool.tolist()
        )


def test_interleaving_needs_a_layer_in_every_chunk_and_whole_rounds(prepared: Any) -> None:
    inputs = prepared(4, 8)
    found = trials(inputs, [(Structure(1, 1, (7, 1), (((1, 1), 2),)), EVERY)])
    assert set(found.num_virtual_stages.tolist()) == {1, 2}  # the last chunk may hold the head alone
    odd = trials(prepared(4, 8, sequences=6), [(Structure(1, 1, (4, 4), (((1, 1), 2),)), EVERY)])
    assert set(odd.num_virtual_stages[odd.microbatch_size == 1].tolist()) == {1}  # three microbatches on two ranks


def test_seeds_are_laid_in_small_clusters_only(prepared: Any) -> None:
    small, large = prepared(4, 8), prepared(8, 32)
    assert large.hardware.num_gpus.sum() > MOST_GPUS
    assert seeds(large, (0, 1), (1, 2), (1,)) == []
    laid = seeds(small, (0, 1), (1, 2), (1,))
    assert len(laid) == len(set(laid)) > 50
    legal = moves(small)
    assert all(legal.is_legal(one) for one in laid if one.dp <= 16)


def test_refinement_is_deterministic_and_keeps_to_schedules_of_its_own(problem: Any, prepared: Any) -> None:
    inputs = prepared(4, 8)
    plan = search(problem(4, 8, framework={"name": "megatron"}), top=1).plans[0].plan
    start = [[(float("inf"), plan)]]
    free = options(inputs)
    assert refined(inputs, free, start) == refined(inputs, free, start)
    fixed = prepared(4, 8, plan={"schedule": "gpipe"})
    assert refined(fixed, options(fixed), start) == []


def test_plans_of_many_zones_are_climbed_from_within_the_budget(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of all their neighbours, of 104 stages each, would be too large."""
    inputs = prepared(*(8 for _ in range(26)), sequences=104)
    wide = Structure(1, 1, (2, 2, 2, 2), tuple(((zone,) * 4, 1) for zone in range(26)))
    each_seconds = STRUCTURE_SECONDS + STAGE_SECONDS * wide.num_stages
    assert len(moves(inputs).around(wide)) * each_seconds > LARGE.seconds
    row = trials(inputs, [(wide, replace(EVERY, microbatch_size=(1,), num_virtual_stages=(1,), shard=(0,)))])
    plan = plan_of(inputs, timed(inputs, row, FIXED, (0,)), 0, FIXED)
    tabled: list[int] = []

    def counted(inputs: Any, asked: Any, *more: Any) -> Any:
        tabled.append(int(asked.num_stages.sum()))
        return timed(inputs, asked, *more)

    monkeypatch.setattr("crosszone.planner.climb.timed", counted)
    refined(inputs, options(inputs), [[(float("inf"), plan)]])
    assert tabled[0] == 104  # its own
    assert sum(tabled) <= LARGE.seconds / STAGE_SECONDS


def test_virtual_stages_need_not_divide_the_layers(prepared: Any) -> None:
    inputs = prepared(4, model={"num_layers": 7})
    assert virtual_stages(inputs, options(inputs)) == [1, 2, 3, 4, 5, 6, 7]
    fixed = prepared(4, plan={"schedule": "1f1b"})
    assert virtual_stages(fixed, options(fixed)) == [1]
