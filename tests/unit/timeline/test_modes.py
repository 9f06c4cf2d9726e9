"""Facts that depend on the plan: what torchtitan compiles, in predictions and in the search's tables."""

import itertools
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from crosszone.core.framework import Framework
from crosszone.core.plan import RECOMPUTES, SCHEDULES
from crosszone.core.prediction import Prediction
from crosszone.core.tables import PlanTable
from crosszone.frameworks import framework_facts, framework_names
from crosszone.planner.complete import placed
from crosszone.timeline.evaluate import evaluate
from crosszone.timeline.inputs import inputs, modes_of
from crosszone.timeline.keys import keyed
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.steps import stacked
from crosszone.timeline.tabulate import tabulate

SHARDED = {"shard": "parameters", "microbatch_size": 1}
ZBV = {"pp": 2, "schedule": "zbv", "num_virtual_stages": 2, **SHARDED}
MODES = ["compiled", "uncompiled-layers", "uncompiled"]
CASES = [
    ({"tp": 2, "recompute": "none", **SHARDED}, "compiled"),
    ({"tp": 1, "recompute": "full", **SHARDED}, "compiled"),
    ({"pp": 2, "tp": 1, "recompute": "selective", **SHARDED}, "compiled"),
    ({"tp": 2, "recompute": "selective", **SHARDED}, "uncompiled-layers"),
    ({"tp": 2, "pp": 2, "recompute": "full", **SHARDED}, "uncompiled-layers"),
    ({"tp": 1, "recompute": "none", **ZBV}, "uncompiled"),
    ({"tp": 2, "recompute": "full", **ZBV}, "uncompiled"),
]
DURATIONS = ("launch_seconds", "elementwise_factor", "logit_traffic_bytes", "norm_traffic_bytes")
KEPT = ("kept_norm_elements", "kept_attention_elements", "kept_ffn_elements", "score_elements", "logit_bytes")


def in_mode(name: str) -> Framework:
    """torchtitan as if it always ran so."""
    today = framework_facts("torchtitan")
    each = [today, *(mode.framework for mode in today.modes)]
    return replace(each[MODES.index(name)], name="torchtitan", modes=())


@pytest.fixture
def prediction(job: Callable[..., Any]) -> Callable[..., Prediction]:
    """Of a plan, with these facts."""

    def predict(plan: dict[str, Any], facts: Framework) -> Prediction:
        problem = job(plan, num_zones=1, framework="torchtitan")
        return predict_plan(problem, placed(problem), facts)

    return predict


@pytest.mark.parametrize(("plan", "mode"), CASES)
def test_a_plan_takes_and_keeps_what_its_mode_does(
    prediction: Callable[..., Prediction], plan: dict[str, Any], mode: str
) -> None:
    found = prediction(plan, framework_facts("torchtitan"))
    assert (found.step_seconds, found.memory.peak_bytes, found.terms) == (
        (same := prediction(plan, in_mode(mode))).step_seconds,
        same.memory.peak_bytes,
        same.terms,
    )
    if mode != "compiled":
        compiled = prediction(plan, in_mode("compiled"))
        assert found.step_seconds > compiled.step_seconds
        assert found.memory.peak_bytes >= compiled.memory.peak_bytes


def test_a_table_of_plans_has_each_in_its_mode(job: Callable[..., Any], prediction: Callable[..., Prediction]) -> None:
    problem = job(CASES[0][0], num_zones=1, framework="torchtitan")
    prepared = inputs(problem, (framework_facts("megatron"), framework_facts("torchtitan")))
    plans = [placed(job(plan, num_zones=1, framework="torchtitan")) for plan, _ in CASES]
    tables = stacked([tabulate(prepared, plan) for plan in plans])
    assert [MODES[mode] for mode in modes_of(prepared, tables.plans)] == [mode for _, mode in CASES]
    others = replace(tables.plans, framework=np.zeros(len(plans), dtype=np.int64))
    assert not modes_of(prepared, others).any()
    together = evaluate(prepared, tables, keyed(prepared, tables.plans, range(len(prepared.pools)))).step_seconds
    for index, (plan, mode) in enumerate(CASES):
        alone = inputs(job(plan, num_zones=1, framework="torchtitan"), (in_mode(mode),))
        one = tabulate(alone, plans[index])
        seconds = evaluate(alone, one, keyed(alone, one.plans, range(len(alone.pools)))).step_seconds
        assert together[index] == pytest.approx(seconds[0], rel=1e-12)


@pytest.mark.parametrize("name", framework_names())
def test_a_mode_makes_no_layer_quicker_or_smaller_and_changes_nothing_else(name: str) -> None:
    """Lower bounds, and what is not tried because less recomputation fits, rely on it; keys alone read these facts."""
    today = framework_facts(name)
    for mode in today.modes:
        differ = {
            each.name for each in fields(Framework) if getattr(mode.framework, each.name) != getattr(today, each.name)
        }
        assert differ <= {"name", "title", "version", "facts", "modes", *DURATIONS, *KEPT}
        assert differ & {*DURATIONS, *KEPT}
        for fact in (*DURATIONS, *KEPT):
            assert getattr(mode.framework, fact) >= getattr(today, fact), fact


@pytest.mark.parametrize("name", framework_names())
def test_no_plan_runs_in_a_mode_for_more_recomputation_less(name: str) -> None:
    """What runs in a mode does so, or in a later one, with more recomputation: the least costs least."""
    axes = np.meshgrid([1, 2, 8], [1, 2, 4], np.arange(len(SCHEDULES)), indexing="ij")
    tp, pp, schedule = (axis.ravel() for axis in axes)
    one = np.ones_like(tp)
    no = np.zeros(len(tp), dtype=np.bool_)
    columns = {
        field.name: no if field.name.startswith(("is_", "offloads", "sequence")) else one for field in fields(PlanTable)
    }
    plans = PlanTable(**{**columns, "tp": tp, "pp": pp, "schedule": schedule})
    for mode in framework_facts(name).modes:
        held = [mode.holds(replace(plans, recompute=0 * one + code)) for code in range(len(RECOMPUTES))]
        assert all((before <= after).all() for before, after in itertools.pairwise(held))
