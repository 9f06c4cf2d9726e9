"""The search's closed form beside the simulated step, for plans as the planner writes them."""

from collections.abc import Callable
from typing import Any

import pytest

from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.evaluate import evaluate
from crosszone.timeline.inputs import inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.tabulate import tabulate

REQUESTS: list[dict[str, Any]] = [
    {"tp": 4, "pp": 1},
    {"tp": 4, "pp": 2, "microbatch_size": 1},
    {"tp": 2, "pp": 4, "microbatch_size": 1},
    {"tp": 1, "pp": 8, "microbatch_size": 1, "recompute": "full"},
    {"tp": 2, "pp": 4, "microbatch_size": 1, "num_virtual_stages": 2, "schedule": "interleaved_1f1b"},
]
LINKS = [
    {"bandwidth": "100 Mbit/s", "rtt": "60 ms"},
    {"bandwidth": "1 Gbit/s", "rtt": "20 ms"},
    {"bandwidth": "100 Gbit/s", "rtt": "100 ms"},
    {"bandwidth": "100 Gbit/s", "rtt": "0.1 ms"},
]


@pytest.mark.parametrize("request_of_plan", REQUESTS, ids=str)
@pytest.mark.parametrize("link", LINKS, ids=lambda link: f"{link['bandwidth']} {link['rtt']}")
def test_the_estimate_is_near_what_is_simulated(
    job: Callable[..., Problem], request_of_plan: dict[str, Any], link: dict[str, Any]
) -> None:
    problem = job({**request_of_plan, "shard": "none"}, link=link)
    plan = placed(problem)
    simulated = predict_plan(problem, plan, framework_facts(plan.framework)).step_seconds
    prepared = inputs(problem, (framework_facts(plan.framework),))
    tables = tabulate(prepared, plan)
    estimate = evaluate(prepared, tables, keyed(prepared, tables.plans, range(len(prepared.pools)))).step_seconds
    assert float(estimate[0]) == pytest.approx(simulated, rel=0.11)
