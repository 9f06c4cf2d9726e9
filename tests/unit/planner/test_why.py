"""Why not another plan: never a better one, every reason, and plans nearby."""

from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.why import Why
from crosszone.frameworks import supports
from crosszone.planner.search import search
from crosszone.planner.why import why, why_plan

TOKENS = {"train_tokens": "1B"}


def only_reason(found: Why) -> str:
    assert len(found.reasons) == 1, found.reasons
    return found.reasons[0]


@pytest.mark.parametrize(
    "text",
    ["tp=1", "tp=8", "pp=2", "pp=4", "dp=4", "zones=a", "zones=b", "zones=a+b", "framework=fsdp", "framework=ddp",
     "schedule=gpipe,pp=2", "shard=parameters", "recompute=full", "microbatch_size=1", "tp=2,pp=2,dp=2"],
)  # fmt: skip
def test_what_is_asked_is_kept_and_never_better_than_the_chosen(problem: Any, text: str) -> None:
    job = problem(8, 4, bandwidth="100 Gbit/s", sequences=32)
    found = why(job, text)
    assert found.is_possible, found.reasons
    assert found.plan is not None
    assert found.chosen is not None
    for key, value in (part.split("=") for part in text.split(",")):
        plan = found.plan.plan
        assert (sorted(plan.zones) == sorted(value.split("+"))) if key == "zones" else str(getattr(plan, key)) == value
    assert found.plan.prediction.step_seconds >= found.chosen.prediction.step_seconds
    assert supports(found.plan.plan.framework, found.plan.plan) == ()
    assert found.plan.prediction.memory.fits


def test_the_difference_is_that_of_the_predictions_and_its_terms_add_up(problem: Any) -> None:
    found = why(problem(8, 4), "tp=8")
    assert found.plan is not None
    assert found.chosen is not None
    assert found.difference is not None
    gap = found.plan.prediction.step_seconds - found.chosen.prediction.step_seconds
    assert found.difference.step_seconds == pytest.approx(gap)
    assert sum(term.difference_seconds for term in found.difference.terms) == pytest.approx(gap)
    assert found.difference.peak_bytes == (
        found.plan.prediction.memory.peak_bytes - found.chosen.prediction.memory.peak_bytes
    )
    by_name = {change.name: change for change in found.changes}
    assert by_name["step_seconds"].difference == pytest.approx(gap)
    assert "more time" in found.verdict


def test_the_chosen_plan_itself_is_recognised(problem: Any) -> None:
    job = problem(8, 4)
    best = search(job, top=1).plans[0].plan
    text = f"tp={best.tp},pp={best.pp},dp={best.dp},microbatch_size={best.microbatch_size},framework={best.framework}"
    found = why(job, text)
    assert found.verdict == "It is the plan that is chosen."
    assert found.reasons == ()


@pytest.mark.parametrize("text", ["pp={best.pp}", "zones=a", "framework={best.framework}"])
def test_the_chosen_plan_is_the_answer_to_whatever_it_keeps(problem: Any, nodes: Any, text: str) -> None:
    """Its layers are cut by single moves, which no candidate of the scan has."""
    job = problem([nodes(4), nodes(2), nodes(2, gpu="v100-sxm2-32gb")], sequences=32, work={"precision": "fp16"})
    best = search(job, top=1).plans[0].plan
    assert len({stage.num_layers for stage in best.stages}) > 1
    found = why(job, text.format(best=best))
    assert found.verdict == "It is the plan that is chosen."
    assert found.plan is not None
    assert found.plan.plan == best


def test_what_is_asked_is_refined_like_the_chosen_plan(problem: Any, nodes: Any) -> None:
    job = problem([nodes(4), nodes(2), nodes(2, gpu="v100-sxm2-32gb")], sequences=32, work={"precision": "fp16"})
    found = why(job, "pp=3")
    alone = search(replace(job, plan=replace(job.plan, pp=3)), top=1).plans[0]
    assert len({stage.num_layers for stage in alone.plan.stages}) > 1
    assert found.plan is not None
    assert found.plan.prediction.step_seconds == pytest.approx(alone.prediction.step_seconds)


def test_arithmetic_that_is_broken_is_told_and_a_neighbour_named(problem: Any) -> None:
    found = why(problem(8, 4), "tp=3")
    assert not found.is_possible
    assert found.plan is None
    assert only_reason(found) == "tp=3 does not divide 8 heads; 2 and 4 would."
    assert [one.plan.tp for one in found.neighbours] == [4]
    assert found.neighbours[0].reasons == ("tp=4 instead of 3.",)


def test_memory_is_told_with_numbers_and_the_nearest_plan_shown(problem: Any) -> None:
    found = why(problem(8, model="llama-2-7b"), "tp=1,pp=1,shard=none,offload=none")
    assert "needs" in only_reason(found)
    assert found.plan is not None
    assert not found.plan.prediction.memory.fits
    assert found.difference is not None
    assert found.neighbours
    for one in found.neighbours:
        assert one.prediction.memory.fits
        same = [one.plan.tp == 1, one.plan.pp == 1, one.plan.shard == "none", one.plan.offload == "none"]
        assert same.count(False) == 1


def test_rules_of_a_framework_are_told(problem: Any) -> None:
    found = why(problem(8), "framework=ddp,tp=2")
    assert found.plan is None
    assert "ddp: DistributedDataParallel has no tensor parallelism, but tp=2" in found.reasons[0]
    assert {one.reasons[0] for one in found.neighbours} >= {"tp=1 instead of 2."}


def test_a_framework_that_is_not_allowed_has_numbers_all_the_same(problem: Any) -> None:
    found = why(problem(8, constraints={"frameworks": ["fsdp"]}), "framework=megatron")
    assert not found.is_possible
    assert only_reason(found) == "The job file allows only fsdp, not megatron."
    assert found.plan is not None
    assert found.plan.plan.framework == "megatron"
    assert {one.plan.framework for one in found.neighbours} == {"fsdp"}


def test_zones_that_are_left_out_are_told(problem: Any) -> None:
    found = why(problem(8, 8, constraints={"exclude_zones": ["b"]}), "zones=a+b")
    assert "constraints.exclude_zones leaves b out." in found.reasons
    assert all(one.plan.zones == ("a",) for one in found.neighbours)


def test_what_changes_the_mathematics_needs_consent(problem: Any) -> None:
    found = why(problem(4, 4), "sync=diloco,every=30,zones=a+b")
    assert not found.is_possible
    assert "constraints.allow does not name local_sgd" in only_reason(found)
    assert found.plan is not None
    assert found.plan.plan.sync.method == "diloco"
    assert found.chosen is not None
    assert found.chosen.plan.sync.method != "diloco"
    allowed = why(problem(4, 4, constraints={"allow": ["local_sgd"]}), "sync=diloco,every=30,zones=a+b")
    assert allowed.is_possible


def test_limits_that_are_missed_are_told_and_the_plan_shown(problem: Any, nodes: Any) -> None:
    zones = nodes(4, price="4 USD/h"), nodes(4, price="1 USD/h")
    free = search(problem(*zones, work=TOKENS, objective={"minimize": "cost"}), top=1).plans[0].prediction
    assert free.costs is not None
    budget = 1.2 * (free.costs.total_dollars or 0.0)
    found = why(problem(*zones, work=TOKENS, objective={"budget": f"{budget:.6f} USD"}), "zones=a")
    assert not found.is_possible
    assert "the budget is" in only_reason(found)
    assert found.plan is not None
    assert found.plan.plan.zones == ("a",)


def test_where_nothing_fits_the_verdict_says_so(problem: Any) -> None:
    found = why(problem(1, model="gpt3-175b"), "tp=1")
    assert found.chosen is None
    assert "nothing else fits either" in found.verdict


def test_a_saved_plan_is_weighed_as_it_is(problem: Any) -> None:
    job = problem(8, 4)
    plans = search(job, top=3).plans
    found = why_plan(job, plans[2].plan, "plans.json#3")
    assert found.plan is not None
    assert found.plan.plan == plans[2].plan
    assert found.is_possible
    assert found.difference is not None
    assert found.difference.step_seconds >= 0.0
    other = why_plan(problem(4), plans[0].plan, "plans.json#1")
    assert other.plan is None
    assert other.reasons


def test_a_way_to_agree_takes_effect_in_the_plan_or_there_is_none(problem: Any) -> None:
    # The fastest plan passes activations between the zones, where no way to agree has any effect.
    job = problem(4, 4, bandwidth="10 Mbit/s", sequences=64, constraints={"allow": ["compression"]})
    found = why(job, "zones=a+b,sync=diloco")
    assert not found.is_possible
    assert "constraints.allow does not name local_sgd" in only_reason(found)
    assert found.plan is not None
    assert (found.plan.plan.sync.method, found.plan.plan.zone_axis) == ("diloco", "dp")
    fixed = why(job, "zones=a+b,sync=diloco,dp=1")
    assert not fixed.is_possible
    assert any("cannot do sync.method=diloco" in reason for reason in fixed.reasons)  # stages over zones
    assert any("does not name local_sgd" in reason for reason in fixed.reasons)


def test_a_way_to_agree_in_one_zone_is_no_way(problem: Any) -> None:
    found = why(problem(4, 4, constraints={"allow": ["local_sgd"]}), "zones=a,sync=diloco")
    assert not found.is_possible
    assert "sync=diloco is for replicas in several zones" in only_reason(found)


def test_a_faster_plan_that_is_tight_is_told_as_tight(problem: Any) -> None:
    gpus = {"count": 1, "gpu": "a100-sxm4-40gb", "gpus_per_node": 2, "memory": "512 GB"}
    work = {"optimizer": "adamw", "train_tokens": "10B"}
    job = problem(gpus, model="llama-2-7b", sequences=32, length=4096, work=work)
    found = why(job, "tp=2,microbatch_size=2,recompute=none,framework=megatron")
    assert found.is_possible
    assert "less time, but it is tight" in found.verdict
    assert "above 90 % are taken only where nothing else fits" in found.verdict
    assert found.chosen is not None
    assert found.plan is not None
    assert found.chosen.prediction.memory.verdict == "fits"
    assert found.chosen.prediction.step_seconds > found.plan.prediction.step_seconds
