"""The search: its order, what bounds it, what it turns down, and what it says where there is no answer."""

import dataclasses
from typing import Any

import pytest

from crosszone.core.answer import Answer
from crosszone.core.plan import Sync
from crosszone.errors import InfeasiblePlan
from crosszone.frameworks import supports
from crosszone.planner.search import search

LOCAL = {"allow": ["local_sgd"]}
TOKENS = {"train_tokens": "1B"}
CHEAP, DEAR = {"price": "1 USD/h"}, {"price": "4 USD/h"}
PRICED_LINK = [{"between": ["a", "b"], "bandwidth": "100 Gbit/s", "rtt": "2 ms", "egress_price": "0.1 USD/GB"}]


def dollars(answer: Answer) -> list[float]:
    return [(one.prediction.gpu_dollars or 0.0) + (one.prediction.egress_dollars or 0.0) for one in answer.plans]


@pytest.mark.parametrize(
    ("zones", "more"),
    [
        ((8,), {}),
        ((2, 4, 8), {}),
        ((8, 8), {"bandwidth": "400 Gbit/s"}),
        ((3, 5), {"sequences": 61}),
        ((4, 4), {"sequences": 1}),
        ((4,), {"model": {"num_experts": 8, "experts_per_token": 2, "expert_ffn_size": 512}}),
    ],
)
def test_plans_are_ranked_by_simulated_time_and_none_is_slower_than_the_baseline(
    problem: Any, zones: tuple[int, ...], more: dict[str, Any]
) -> None:
    answer = search(problem(*zones, **more), top=10)
    seconds = [one.prediction.step_seconds for one in answer.plans]
    assert seconds == sorted(seconds)
    assert answer.baseline is not None
    assert len(answer.baseline.plan.zones) == 1
    assert seconds[0] <= answer.baseline.prediction.step_seconds
    assert all(one.prediction.memory.fits for one in answer.plans)


@pytest.mark.parametrize("sequences", [1, 13, 24, 61])
def test_every_plan_is_one_that_its_framework_can_express(problem: Any, nodes: Any, sequences: int) -> None:
    answer = search(problem(4, nodes(3, gpu="h100-sxm5-80gb"), sequences=sequences), top=20)
    assert answer.plans
    assert [supports(one.plan.framework, one.plan) for one in answer.plans] == [()] * len(answer.plans)


def test_no_more_plans_than_asked_for(problem: Any) -> None:
    assert len(search(problem(8), top=2).plans) == 2


def test_the_search_counts_what_it_timed_and_what_it_left_out(problem: Any) -> None:
    counts = search(problem(8), top=1).search
    assert 0 < counts.num_feasible <= counts.num_candidates
    assert counts.num_pruned > 0


def test_a_slow_link_keeps_the_job_in_one_zone_and_a_fast_one_does_not(problem: Any) -> None:
    slow = search(problem(4, 4, bandwidth="10 Mbit/s"), top=1)
    fast = search(problem(4, 4, bandwidth="1 Tbit/s", length=4096, sequences=64), top=1)
    assert slow.plans[0].plan.zones == ("a",)
    assert slow.verdict.startswith("Stay in one zone")
    assert fast.plans[0].plan.zones == ("a", "b")
    assert fast.verdict.startswith("Span zones")


def test_zones_of_different_numbers_of_pools_work_together(problem: Any, nodes: Any) -> None:
    answer = search(problem([nodes(4), nodes(2)], [nodes(8)], [nodes(1), nodes(1), nodes(2)]), top=3)
    assert answer.plans


def test_uneven_zones_leave_no_gpu_idle_without_a_word(problem: Any) -> None:
    answer = search(problem(2, 4, 8, bandwidth="100 Gbit/s", sequences=64, length=4096), top=5)
    for one in answer.plans:
        idle = sum(group.num_gpus for group in one.plan.idle_gpus)
        assert one.plan.world_size + idle == 14
        assert (idle == 0) == (not any("idle" in reason for reason in one.reasons))


def test_a_plan_of_one_zone_is_listed_once_whatever_ways_zones_may_agree_in(problem: Any, nodes: Any) -> None:
    zones = (nodes(1), nodes(1, gpu="h100-sxm5-80gb"))
    answer = search(problem(*zones, sequences=2, model="gpt2-small", length=1024, constraints=LOCAL), top=5)
    alone = [dataclasses.replace(one.plan, sync=Sync()) for one in answer.plans if len(one.plan.zones) == 1]
    assert alone
    assert len(set(alone)) == len(alone)


def test_excluded_zones_do_not_work(problem: Any) -> None:
    answer = search(problem(4, 8, constraints={"exclude_zones": ["b"]}), top=5)
    assert {zone for one in answer.plans for zone in one.plan.zones} == {"a"}
    assert "Stay in one zone" not in answer.verdict


def test_frameworks_are_those_at_hand(problem: Any) -> None:
    answer = search(problem(8, constraints={"frameworks": ["ddp", "fsdp"]}), top=10)
    assert {one.plan.framework for one in answer.plans} <= {"ddp", "fsdp"}
    assert all(one.plan.framework in ("ddp", "fsdp") for one in answer.rejected)


def test_zones_agree_only_as_the_framework_can(problem: Any) -> None:
    may = {"plan": {"sync": {"method": "diloco", "every": 10}}, "constraints": {"allow": ["local_sgd"]}}
    answer = search(problem(4, 4, **may), top=5)
    assert {one.plan.framework for one in answer.plans} <= {"ddp", "fsdp", "torchtitan"}
    with pytest.raises(InfeasiblePlan):
        search(problem(4, 4, **may, framework={"name": "megatron"}), top=1)


def test_what_no_framework_at_hand_can_is_infeasible(problem: Any) -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        search(problem(8, plan={"tp": 2}, constraints={"frameworks": ["ddp", "horovod"]}), top=1)
    text = str(caught.value)
    assert "ddp: DistributedDataParallel has no tensor parallelism, but tp=2" in text
    assert "horovod: " in text


@pytest.mark.parametrize("minimize", ["cost", "throughput_per_dollar"])
def test_money_ranks_by_what_is_paid(problem: Any, nodes: Any, minimize: str) -> None:
    job = problem(nodes(4, **DEAR), nodes(4, **CHEAP), work=TOKENS, links=PRICED_LINK, objective={"minimize": minimize})
    answer = search(job, top=10)
    assert answer.plans[0].plan.zones == ("b",)
    assert dollars(answer) == sorted(dollars(answer))
    assert "cheaper" in answer.verdict


def test_idle_gpus_of_a_zone_that_works_are_paid_for(problem: Any, nodes: Any) -> None:
    # Half the GPUs for half the price would be a little cheaper, were the other half free.
    answer = search(problem(nodes(8, **CHEAP), work=TOKENS, objective={"minimize": "cost"}), top=1)
    assert answer.plans[0].plan.world_size == 8


def test_unknown_prices_are_told_and_no_plan_is_ranked_by_them(problem: Any) -> None:
    answer = search(problem(4, 4, work=TOKENS, objective={"minimize": "cost"}), top=1)
    assert answer.plans == ()
    assert answer.rejected == ()
    assert "the price of GPUs in a, b" in answer.verdict
    assert "`price`" in answer.verdict


def test_a_zone_without_a_price_is_left_out_and_named(problem: Any, nodes: Any) -> None:
    answer = search(problem(nodes(4, **DEAR), 4, work=TOKENS, objective={"minimize": "cost"}), top=5)
    assert {zone for one in answer.plans for zone in one.plan.zones} == {"a"}
    assert "the price of GPUs in b" in answer.verdict
    assert "left out" in answer.verdict


def test_a_deadline_that_nothing_meets_is_told_with_both_numbers(problem: Any) -> None:
    answer = search(problem(4, work=TOKENS, objective={"minimize": "time", "deadline": "1 s"}), top=1)
    assert answer.plans == ()
    assert "the deadline is 1 s" in answer.verdict
    assert "the fastest takes about" in answer.verdict
    assert answer.search.num_feasible > 0


def test_a_budget_that_nothing_keeps_is_told_with_both_numbers(problem: Any, nodes: Any) -> None:
    job = problem(nodes(4, **DEAR), work=TOKENS, objective={"minimize": "time", "budget": "0.5 USD"})
    answer = search(job, top=1)
    assert answer.plans == ()
    assert "the cheapest costs about" in answer.verdict
    assert "deadline" not in answer.verdict


def test_plans_keep_the_deadline_and_the_budget_as_predicted(problem: Any, nodes: Any) -> None:
    free = search(problem(nodes(4, **DEAR), nodes(4, **CHEAP), work=TOKENS, bandwidth="1 Tbit/s"), top=20)
    seconds = [one.prediction.train_seconds or 0.0 for one in free.plans]
    middle = sorted(seconds)[len(seconds) // 2]
    limit = {"minimize": "cost", "deadline": f"{middle} s"}
    job = problem(
        nodes(4, **DEAR), nodes(4, **CHEAP), work=TOKENS, bandwidth="1 Tbit/s", links=PRICED_LINK, objective=limit
    )
    for one in search(job, top=20).plans:
        assert (one.prediction.train_seconds or 0.0) <= middle


def test_egress_above_its_limit_keeps_the_job_in_one_zone(problem: Any, nodes: Any) -> None:
    more = {"work": TOKENS, "links": PRICED_LINK, "sequences": 64, "length": 4096}
    zones = (nodes(4, **CHEAP), nodes(4, **CHEAP))
    free = search(problem(*zones, **more), top=1)
    held = search(problem(*zones, constraints={"max_egress": "0 USD"}, **more), top=1)
    assert (free.plans[0].prediction.egress_dollars or 0.0) > 0.0
    assert held.plans[0].prediction.egress_dollars == 0.0
    assert len(held.plans[0].plan.zones) == 1


def test_a_limit_that_cannot_be_checked_is_named(problem: Any) -> None:
    answer = search(problem(4, work=TOKENS, objective={"minimize": "time", "budget": "1 USD"}), top=1)
    assert answer.plans
    assert "not held to the limits" in answer.verdict


def test_states_wait_in_host_memory_only_where_nothing_else_fits(problem: Any) -> None:
    job = problem(1, model="llama-2-7b", sequences=8)
    answer = search(job, top=1)
    assert answer.plans[0].plan.offload == "optimizer"
    assert any("Only with" in reason for reason in answer.plans[0].reasons)
    assert answer.problem == job
    assert search(problem(1), top=1).plans[0].plan.offload == "none"


def test_offload_that_the_job_file_fixes_is_not_called_a_last_resort(problem: Any) -> None:
    answer = search(problem(1, plan={"offload": "optimizer"}), top=1)
    assert answer.plans[0].plan.offload == "optimizer"
    assert not any("Only with" in reason for reason in answer.plans[0].reasons)


def test_where_nothing_fits_the_nearest_plans_say_what_they_lack(problem: Any) -> None:
    answer = search(problem(1, model="gpt3-175b"), top=3)
    assert answer.plans == ()
    assert answer.baseline is None
    assert answer.verdict.startswith("Nothing fits")
    assert "lacks" in answer.verdict
    assert len(answer.rejected) >= 1
    assert all("needs" in one.reasons[0] and "has" in one.reasons[0] for one in answer.rejected)


def test_a_limit_that_is_missed_is_not_called_a_lack_of_memory(problem: Any) -> None:
    # The first zone has no room, the second no time.
    job = problem(1, 8, model="llama-2-7b", work=TOKENS, objective={"minimize": "time", "deadline": "1 s"})
    answer = search(job, top=1)
    assert "Plans fit in memory" in answer.verdict
    assert answer.rejected == ()


def test_a_written_plan_stands_beside_the_best_of_one_zone(problem: Any) -> None:
    stages = [{"num_layers": 4, "zone": "a"}, {"num_layers": 4, "zone": "b"}]
    job = problem(4, 4, plan={"tp": 4, "stages": stages}, bandwidth="10 Mbit/s")
    answer = search(job, top=5)
    assert answer.problem == job
    assert len(answer.plans) == 1
    assert answer.verdict.startswith("As written, the plan takes")
    assert answer.baseline is not None
    assert answer.baseline.prediction.step_seconds < answer.plans[0].prediction.step_seconds
    assert "Span" not in answer.verdict


def test_a_written_plan_that_does_not_fit_says_what_it_lacks(problem: Any) -> None:
    job = problem(2, model="llama-2-70b", plan={"stages": [{"num_layers": 40}, {"num_layers": 40}]})
    answer = search(job, top=1)
    assert answer.plans == ()
    assert "does not fit" in answer.verdict
    assert "lacks" in answer.verdict
    assert [len(one.plan.stages) for one in answer.rejected] == [2]


def test_a_tie_goes_to_the_plan_of_one_zone_and_the_verdict_agrees(
    problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = problem(4, 4, sequences=64, bandwidth="1 Tbit/s")
    assert len(search(job, top=1).plans[0].plan.zones) == 2
    monkeypatch.setattr("crosszone.planner.search.TIE_RATIO", 100.0)
    monkeypatch.setattr("crosszone.planner.explain.MINOR_RATIO", 100.0)
    tied = search(job, top=2)
    assert [len(one.plan.zones) for one in tied.plans] == [1, 2]
    assert "Stay in one zone" in tied.verdict
    assert "nothing over several is over 0.1 % faster" in tied.verdict
    assert "done sooner" not in tied.verdict


def test_only_frameworks_that_compute_in_the_precision_are_proposed(problem) -> None:
    fp8, nodes = {"precision": "fp8"}, {"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8}
    found = search(problem(nodes, work=fp8), top=50).plans
    assert {one.plan.framework for one in found} <= {"megatron", "torchtitan"}
    with pytest.raises(InfeasiblePlan, match=r"fsdp cannot compute in fp8\. Take megatron or torchtitan"):
        search(problem(nodes, work=fp8, constraints={"frameworks": ["fsdp"]}), top=1)
    old = {"count": 1, "gpu": "v100-sxm2-32gb", "gpus_per_node": 8}
    found = search(problem(old, work={"precision": "fp16"}), top=50).plans
    assert "torchtitan" not in {one.plan.framework for one in found}
