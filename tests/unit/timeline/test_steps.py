"""Plans timed at once: each as if it stood alone."""

import dataclasses
import math
from typing import Any

import pytest

from crosszone.core.plan import Plan, Sync
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.predict import plan_step_seconds
from crosszone.timeline.rows import Tables
from crosszone.timeline.steps import Steps, stacked
from crosszone.timeline.tabulate import tabulate

DEGREES: tuple[dict[str, Any], ...] = (
    {"tp": 1, "pp": 2, "dp": 8, "dp_shard": 4},
    {"tp": 1, "pp": 4, "dp": 4, "dp_shard": 2},
    {"tp": 2, "pp": 1, "dp": 8, "dp_shard": 4},
)
SYNCS = (Sync(), Sync(method="flat"), Sync(method="delayed"), Sync(method="diloco", every=4))


@pytest.fixture
def several(job: Any) -> tuple[Inputs, list[Plan]]:
    """Plans of different depth; the replicas of some lie in two zones."""
    plans = [placed(job({**one, "shard": "parameters"}, framework="torchtitan")) for one in DEGREES]
    assert {plan.zone_axis for plan in plans} >= {"dp"}
    return inputs(job({}, framework="torchtitan"), (framework_facts("torchtitan"),)), plans


def steps_of(prepared: Inputs, tables: Tables) -> Steps:
    return Steps.of(prepared, tables, keyed(prepared, tables.plans, range(len(prepared.pools))))


@pytest.mark.parametrize("sync", SYNCS, ids=lambda sync: sync.method)
def test_plans_beside_each_other_step_as_each_alone(several: tuple[Inputs, list[Plan]], sync: Sync) -> None:
    prepared, plans = several
    plans = [dataclasses.replace(plan, sync=sync) for plan in plans]
    steps = steps_of(prepared, stacked([tabulate(prepared, plan) for plan in plans]))
    for index, plan in enumerate(plans):
        seconds = plan_step_seconds(prepared, plan)
        assert steps.seconds(prepared, index) == seconds
        assert steps.seconds(prepared, index, most_seconds=seconds * (1.0 + 1e-9)) == seconds
        assert steps.seconds(prepared, index, most_seconds=seconds / 2.0) in (seconds, math.inf)


def test_the_longer_the_pipeline_the_less_of_a_late_exchange_is_waited_for(several: tuple[Inputs, list[Plan]]) -> None:
    prepared, plans = several
    steps = steps_of(prepared, tabulate(prepared, dataclasses.replace(plans[-1], sync=Sync(method="delayed"))))
    pipelines = [0.0, 0.1, 1.0, 1e4]
    rest = [float(steps.rest_seconds(seconds)[0]) for seconds in pipelines]
    assert rest == sorted(rest, reverse=True)
    assert rest[0] > rest[-1]
    whole = [sum(pair) for pair in zip(pipelines, rest, strict=True)]
    assert whole == pytest.approx(sorted(whole))
