"""Plans of every schedule: a whole prediction, and what the schedule changes in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.plan import SCHEDULES, Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.schedules import traits
from crosszone.cost.pipeline import SPLIT
from crosszone.errors import InfeasiblePlan, SpecError
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.evaluate import evaluate
from crosszone.timeline.inputs import inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.tabulate import tabulate

Job = Callable[..., Problem]
FAR = {"bandwidth": "10 Gbit/s", "rtt": "100 ms"}
NEAR = {"bandwidth": "400 Gbit/s", "rtt": "0.01 ms"}


def across(job: Job, name: str, **link: Any) -> tuple[Problem, Plan]:
    """pp = 4 over two zones in this order of work, whether a framework has it or not."""
    problem = job({"tp": 4, "pp": 4, "microbatch_size": 1, "shard": "none"}, link=link or FAR)
    plan = replace(placed(problem), schedule=name, num_virtual_stages=traits(name).least_virtual_stages)
    return problem, plan


def prediction(job: Job, name: str, **link: Any) -> Prediction:
    problem, plan = across(job, name, **link)
    assert plan.zone_axis == "pp"
    return predict_plan(problem, plan, framework_facts(plan.framework))


@pytest.mark.parametrize("name", SCHEDULES)
def test_terms_add_up_to_the_step(job: Job, name: str) -> None:
    found = prediction(job, name)
    assert sum(term.exposed_seconds for term in found.terms) == pytest.approx(found.step_seconds)
    assert all(term.exposed_seconds >= 0.0 for term in found.terms)
    assert found.compute_fraction + found.exposed_communication_fraction + found.bubble_fraction <= 1.0 + 1e-9


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("link", [NEAR, FAR], ids=["near", "far"])
def test_the_estimate_is_near_what_is_simulated(job: Job, name: str, link: dict[str, str]) -> None:
    problem, plan = across(job, name, **link)
    prepared = inputs(problem, (framework_facts(plan.framework),))
    tables = tabulate(prepared, plan)
    estimate = evaluate(prepared, tables, keyed(prepared, tables.plans, range(len(prepared.pools)))).step_seconds
    assert float(estimate[0]) == pytest.approx(prediction(job, name, **link).step_seconds, rel=0.2)


def test_schedules_made_for_distance_hide_it(job: Job) -> None:
    steps = {name: prediction(job, name).step_seconds for name in ("1f1b", "cross_1f1b", "cross_ud", "cross_ud_sub")}
    assert steps["cross_1f1b"] < 0.8 * steps["1f1b"]
    assert steps["cross_ud"] < steps["cross_1f1b"]
    assert steps["cross_ud_sub"] < steps["cross_1f1b"]


def test_hiding_the_distance_costs_activations(job: Job) -> None:
    held = {name: prediction(job, name).memory.stages[-1].activation_bytes for name in ("1f1b", "zb_h1", "cross_ud")}
    # The last stage: one microbatch; four that wait for weight gradients; twice as many on their way.
    assert [held[name] / held["1f1b"] for name in ("zb_h1", "cross_ud")] == pytest.approx([4.0, 8.0])


def test_two_copies_are_held_twice(job: Job) -> None:
    once, twice = (prediction(job, name).memory.stages[1] for name in ("1f1b", "dualpipe"))
    assert twice.weight_bytes == pytest.approx(2 * once.weight_bytes)
    assert twice.optimizer_bytes == pytest.approx(2 * once.optimizer_bytes)


def test_where_the_pipeline_turns_the_first_rank_has_the_head(job: Job) -> None:
    loop, turned = (prediction(job, name).memory.stages for name in ("interleaved_1f1b", "zbv"))
    assert loop[0].weight_bytes < turned[0].weight_bytes
    assert turned[3].weight_bytes < loop[3].weight_bytes
    assert sum(row.weight_bytes for row in turned) == pytest.approx(sum(row.weight_bytes for row in loop))


def test_a_pipeline_that_turns_crosses_no_wrap(job: Job) -> None:
    # Two chunks each: four messages of a microbatch between the middle ranks; a loop adds the wrap, there and back.
    sent = {name: sum(link.step_bytes for link in prediction(job, name).links) for name in ("zbv", "interleaved_1f1b")}
    assert sent["interleaved_1f1b"] == pytest.approx(1.5 * sent["zbv"])


@pytest.mark.parametrize("name", ["zb_h1", "dualpipe", "cross_1f1b", "cross_ud", "cross_ud_sub", "cross_wave"])
@pytest.mark.parametrize("framework", ["megatron", "deepspeed", "torchtitan"])
def test_no_framework_of_today_runs_it(job: Job, name: str, framework: str) -> None:
    with pytest.raises(InfeasiblePlan, match=f"has no schedule {name}"):
        placed(job({"tp": 4, "pp": 4, "schedule": name, "shard": "none"}, framework=framework))


def test_torchtitan_runs_zbv(job: Job) -> None:
    plan = placed(job({"tp": 4, "pp": 4, "schedule": "zbv"}, framework="torchtitan"))
    assert (plan.schedule, plan.num_virtual_stages) == ("zbv", 2)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"pp": 4, "schedule": "zbv", "num_virtual_stages": 4}, "zbv has 2 virtual stages on each rank"),
        ({"pp": 4, "schedule": "zbv", "num_virtual_stages": 1}, "zbv needs num_virtual_stages above 1"),
        ({"pp": 4, "schedule": "cross_ud", "num_virtual_stages": 2}, "cross_ud has one stage on each rank"),
        ({"pp": 1, "schedule": "cross_wave"}, "cross_wave needs pp above 1"),
        ({"pp": 3, "schedule": "dualpipe"}, "needs an even pp, not 3"),
    ],
)
def test_what_a_schedule_cannot_do_is_said(job: Job, plan: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        job(plan)
