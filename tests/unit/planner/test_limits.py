"""Objectives and limits: what is minimised, on the wall time of the whole training, and what is said of limits."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from crosszone.core.problem import Constraints, Objective, Problem
from crosszone.planner.limits import achieved, objective, total_dollars
from crosszone.planner.search import search
from crosszone.units import format_seconds

TOKENS = {"train_tokens": "1B"}
PRICED = {"price": "2 USD/h"}
SECONDS, DOLLARS, EGRESS = np.array([2.0, 3.0]), np.array([7.0, 4.0]), np.array([1.0, 0.0])


def asked(problem: Problem, minimize: str = "time", **limits: Any) -> Problem:
    goal = Objective(minimize=minimize, **{key: limits.pop(key) for key in list(limits) if key != "batch"})
    return dataclasses.replace(
        problem, objective=goal, constraints=Constraints(min_replica_batch_size=limits.get("batch"))
    )


@pytest.mark.parametrize("minimize", ["time", "goodput"])
def test_time_is_wall_time(problem: Any, minimize: str) -> None:
    job = asked(problem(4, work=TOKENS), minimize)
    assert objective(job, SECONDS, DOLLARS, EGRESS, 1.5).tolist() == [3.0, 4.5]


@pytest.mark.parametrize("minimize", ["cost", "throughput_per_dollar"])
def test_money_is_paid_for_wall_time_and_egress_once(problem: Any, minimize: str) -> None:
    # 6 USD of rent half as long again, and 1 USD of egress.
    job = asked(problem(4, work=TOKENS), minimize)
    assert objective(job, SECONDS, DOLLARS, EGRESS, 1.5).tolist() == [10.0, 6.0]


def test_an_unknown_price_is_never_the_least(problem: Any) -> None:
    job = asked(problem(4, work=TOKENS), "cost")
    assert objective(job, SECONDS, np.array([np.nan, 4.0]), EGRESS).tolist() == [np.inf, 4.0]


def test_limits_hold_on_wall_time(problem: Any) -> None:
    job = problem(4, work=TOKENS)
    steps = -(-1e9 // job.workload.global_batch_tokens)
    late = objective(asked(job, deadline_seconds=steps * 4.0), SECONDS, DOLLARS, EGRESS, 1.5)
    dear = objective(asked(job, budget_dollars=steps * 9.0), SECONDS, DOLLARS, EGRESS, 1.5)
    assert late.tolist() == [3.0, np.inf]
    assert dear.tolist() == [np.inf, 4.5]


def test_trainings_that_never_end_are_still_ranked_but_keep_no_deadline(problem: Any) -> None:
    job = problem(4, work=TOKENS)
    free = objective(asked(job), SECONDS, DOLLARS, EGRESS, np.inf)
    assert np.isfinite(free).all()
    assert free[0] < free[1]
    assert np.isinf(objective(asked(job, deadline_seconds=1e15), SECONDS, DOLLARS, EGRESS, np.inf)).all()


def test_gpus_that_cost_nothing_cost_nothing_however_long(problem: Any) -> None:
    job = problem(4, work=TOKENS)
    found = objective(asked(job, budget_dollars=1e15), SECONDS, np.array([1.0, 4.0]), EGRESS, np.inf)
    assert found[0] == objective(asked(job), SECONDS, DOLLARS, EGRESS, np.inf)[0]
    assert np.isinf(found[1])


def test_replicas_with_too_few_sequences_are_no_answer(problem: Any) -> None:
    job = asked(problem(4), batch=4)
    assert objective(job, SECONDS, DOLLARS, EGRESS, 1.0, np.array([3.0, 4.0])).tolist() == [np.inf, 3.0]


@pytest.mark.parametrize("minimize", ["time", "goodput"])
def test_plans_are_ranked_by_when_training_is_done(problem: Any, nodes: Any, minimize: str) -> None:
    # The faster zone fails every few minutes.
    zones = nodes(8, mtbf="8 min"), nodes(4, mtbf="1000 h")
    work = {"train_tokens": "20B", "restart": "10 min"}
    answer = search(problem(*zones, work=work, objective={"minimize": minimize}), top=10)
    finishes = [one.prediction.finish.p50_seconds or 0.0 for one in answer.plans]
    assert finishes == sorted(finishes)
    assert answer.plans[0].plan.zones == ("b",)
    by_step = search(problem(*zones, work={"restart": "10 min"}), top=1).plans[0]
    assert by_step.prediction.step_seconds < answer.plans[0].prediction.step_seconds


def test_goodput_counts_failures_also_without_an_end(problem: Any, nodes: Any) -> None:
    zones = nodes(8, mtbf="8 min"), nodes(4, mtbf="1000 h")
    work = {"restart": "10 min"}
    by_step = search(problem(*zones, work=work), top=1)
    by_goodput = search(problem(*zones, work=work, objective={"minimize": "goodput"}), top=1)
    assert "a" in by_step.plans[0].plan.zones
    assert by_goodput.plans[0].plan.zones == ("b",)


def test_the_value_of_a_plan_is_its_prediction_s(problem: Any, nodes: Any) -> None:
    job = problem(nodes(8, **PRICED), work=TOKENS, objective={"minimize": "cost"})
    best = search(job, top=1).plans[0].prediction
    assert best.costs is not None
    assert achieved(job, best) == total_dollars(best) == best.costs.total_dollars
    assert achieved(asked(job), best) == best.finish.p50_seconds
    assert achieved(problem(8), search(problem(8), top=1).plans[0].prediction) is not None


def test_money_without_an_end_is_unknown_in_all(problem: Any, nodes: Any) -> None:
    job = problem(nodes(8, **PRICED), objective={"minimize": "throughput_per_dollar"})
    answer = search(job, top=1)
    assert answer.plans
    assert achieved(job, answer.plans[0].prediction) is None


@pytest.mark.parametrize("least", [2, 4, 8, 16])
def test_no_replica_consumes_fewer_sequences_than_it_must(problem: Any, least: int) -> None:
    answer = search(problem(8, constraints={"min_replica_batch": least}), top=10)
    assert answer.plans
    for one in answer.plans:
        fewest = min(replica.num_microbatches for replica in one.plan.replicas) * one.plan.microbatch_size
        assert fewest >= least


def test_where_no_replica_consumes_enough_both_numbers_are_told(problem: Any) -> None:
    job = problem(8, constraints={"min_replica_batch": 16}, plan={"dp": None, "tp": 1, "pp": 1})
    unkept = dataclasses.replace(job, constraints=Constraints(min_replica_batch_size=17))
    answer = search(unkept, top=1)
    assert answer.plans == ()
    assert "no replica consumes more than 16 sequences a step, min_replica_batch is 17" in answer.verdict


def test_a_faster_step_that_fails_too_often_is_not_called_slower(problem: Any, nodes: Any) -> None:
    zones, work = (nodes(8, mtbf="8 min"), nodes(4, mtbf="1000 h")), {"train_tokens": "20B", "restart": "10 min"}
    answer = search(problem(*zones, work=work, bandwidth="1 Tbit/s", sequences=64, length=4096), top=1)
    assert answer.comparison is not None
    assert answer.comparison.spanning.step_seconds < answer.comparison.alone.step_seconds
    assert answer.verdict.startswith("Stay in one zone: b alone")
    assert "nothing over several is done sooner, failures included" in answer.verdict


NEAR_ZONES: dict[str, Any] = {"gpu": "h100-sxm5-80gb", "price": "2.5 USD/h"}


@pytest.fixture(scope="module")
def near_job(problem: Any, nodes: Any) -> Any:
    """Eight layers on two unlike zones, where stages of uneven depth that only single moves find are the fastest."""

    def make(**objective: str) -> Problem:
        zones = nodes(4, **NEAR_ZONES), nodes(4, gpu="h20-sxm5-96gb", price="1.2 USD/h")
        more = {"work": {"train_tokens": "1B"}, "bandwidth": "100 Gbit/s", "sequences": 32}
        made: Problem = problem(*zones, objective={"minimize": "time", **objective}, **more)
        return made

    return make


def test_a_deadline_just_above_what_a_known_plan_takes_is_kept(near_job: Any) -> None:
    finish = search(near_job(), top=1).plans[0].prediction.finish.p50_seconds or 0.0
    held = search(near_job(deadline=f"{1.0005 * finish} s"), top=1)
    assert held.plans, held.verdict
    assert (held.plans[0].prediction.finish.p50_seconds or 0.0) <= 1.0005 * finish


def test_the_least_that_is_told_of_a_missed_deadline_is_simulated(near_job: Any) -> None:
    finish = search(near_job(), top=1).plans[0].prediction.finish.p50_seconds or 0.0
    verdict = search(near_job(deadline=f"{0.99 * finish} s"), top=1).verdict
    assert f"the fastest takes about {format_seconds(finish)}" in verdict


def test_numbers_that_three_digits_do_not_tell_apart_have_more(near_job: Any) -> None:
    finish = search(near_job(), top=1).plans[0].prediction.finish.p50_seconds or 0.0
    verdict = search(near_job(deadline=f"{0.9999 * finish} s"), top=1).verdict
    told = re.search(r"takes about ([\d.]+ \w+), the deadline is ([\d.]+ \w+)", verdict)
    assert told is not None, verdict
    assert told[1] != told[2]


def test_estimates_are_given_slack_and_bytes_are_not(problem: Any) -> None:
    job = problem(4, work=TOKENS)
    steps = -(-1e9 // job.workload.global_batch_tokens)
    late = asked(job, deadline_seconds=steps * 2.5)
    assert objective(late, SECONDS, DOLLARS, EGRESS).tolist() == [2.0, np.inf]
    assert objective(late, SECONDS, DOLLARS, EGRESS, slack_ratio=1.25).tolist() == [2.0, 3.0]
    egress = dataclasses.replace(asked(job), constraints=Constraints(max_egress_dollars=steps * 0.9))
    assert objective(egress, SECONDS, DOLLARS, EGRESS, slack_ratio=1.25).tolist() == [np.inf, 3.0]
