"""Reasons, verdicts and rejected neighbours: what they name, and that nothing is said twice."""

import re
from typing import Any

import pytest

from crosszone.core.answer import Answer
from crosszone.errors import InfeasiblePlan
from crosszone.planner.search import search


def best_reasons(answer: Answer) -> str:
    return " ".join(answer.plans[0].reasons)


@pytest.fixture(scope="module")
def across_stages(problem: Any) -> Answer:
    return search(problem(2, 4, 8, plan={"tp": 2, "pp": 7}, sequences=24), top=5)


@pytest.fixture(scope="module")
def across_replicas(problem: Any) -> Answer:
    return search(problem(4, 4, plan={"dp": 8}, sequences=64, bandwidth="1 Tbit/s"), top=5)


def test_bytes_across_zones_are_named_for_both_axes(across_stages: Answer, across_replicas: Answer) -> None:
    assert across_stages.plans[0].plan.zone_axis == "pp"
    assert re.search(r"PP across zones moves [\d.]+ \w?B .* DP would move [\d.]+ \w?B", best_reasons(across_stages))
    assert across_replicas.plans[0].plan.zone_axis == "dp"
    assert re.search(r"DP across zones moves [\d.]+ \w?B .* PP would move [\d.]+ \w?B", best_reasons(across_replicas))


def test_the_other_axis_moves_what_its_own_plan_moves(across_stages: Answer, problem: Any) -> None:
    # One pipeline boundary carries every token's hidden state in bf16.
    expected = 64 * 2048 * 1024 * 2
    answer = search(problem(4, 4, plan={"dp": 8}, sequences=64, bandwidth="1 Tbit/s"), top=1)
    assert f"PP would move {expected / 1e6:.3g} MB" in best_reasons(answer)


def test_the_busiest_links_bytes_are_the_predictions(across_stages: Answer) -> None:
    best = across_stages.plans[0]
    busiest = max(link.step_bytes for link in best.prediction.links)
    assert f"moves {busiest / 1e6:.3g} MB" in best_reasons(across_stages)


def test_memory_is_named_with_both_numbers_and_its_place(across_stages: Answer) -> None:
    pattern = r"Memory (fits|tight): [\d.]+ GB of [\d.]+ GB on stage \d in [abc]\."
    assert all(sum(bool(re.fullmatch(pattern, why)) for why in one.reasons) == 1 for one in across_stages.plans)


def test_uneven_layers_are_named(across_stages: Answer) -> None:
    counts = sorted({stage.num_layers for stage in across_stages.plans[0].plan.stages})
    assert f"Stages hold {counts[0]} to {counts[-1]} layers" in best_reasons(across_stages)


def test_uneven_shares_are_named(problem: Any) -> None:
    answer = search(problem(3, plan={"tp": 1, "pp": 1}, framework={"name": "ddp"}, sequences=7), top=1)
    assert "Replicas consume 2 to 3 microbatches a step" in best_reasons(answer)


def test_idle_gpus_are_named_once_a_zone(problem: Any, nodes: Any) -> None:
    groups = [nodes(3), nodes(3)]
    answer = search(problem(groups, 1, bandwidth="1 Mbit/s", plan={"tp": 2}), top=1)
    assert "2 GPUs in a stay idle." in best_reasons(answer)
    assert "1 GPU in b stays idle." in best_reasons(answer)


def test_no_reason_is_given_twice(across_stages: Answer, across_replicas: Answer) -> None:
    for answer in (across_stages, across_replicas):
        for one in [*answer.plans, *answer.rejected]:
            assert len(set(one.reasons)) == len(one.reasons)
        plans = [one.plan for one in answer.rejected]
        assert len(set(plans)) == len(plans)


def test_later_plans_say_how_much_slower_they_are(across_stages: Answer) -> None:
    first, *others = across_stages.plans
    assert not any("the first plan" in why for why in first.reasons)
    assert others
    for one in others:
        assert sum("slower than the first plan" in why for why in one.reasons) == 1


def test_a_faster_plan_that_costs_more_is_not_called_slower(problem: Any, nodes: Any) -> None:
    links = [{"between": ["a", "b"], "bandwidth": "100 Gbit/s", "rtt": "1 ms", "egress_price": "0 USD/GB"}]
    zones = nodes(4, price="9 USD/h", gpu="h100-sxm5-80gb"), nodes(4, price="1 USD/h")
    answer = search(problem(*zones, links=links, objective={"minimize": "cost"}), top=20)
    faster = [one for one in answer.plans if one.prediction.step_seconds < answer.plans[0].prediction.step_seconds]
    assert faster
    for one in faster:
        assert any("less time than the first plan, but it costs more" in why for why in one.reasons)
        assert not any("slower" in why for why in one.reasons)


def test_the_gain_over_one_zone_is_the_quotient_of_the_steps(across_replicas: Answer, problem: Any) -> None:
    answer = search(problem(4, 4, sequences=64, bandwidth="1 Tbit/s"), top=1)
    assert answer.baseline is not None
    gain = answer.baseline.prediction.step_seconds / answer.plans[0].prediction.step_seconds
    assert f"{gain:.2f} times as fast as the best plan of one zone" in best_reasons(answer)


def test_the_verdict_says_both_times(problem: Any) -> None:
    links = [{"between": ["a", "b"], "bandwidth": "1 Tbit/s", "rtt": "1 ms"}]
    answer = search(problem(4, 4, sequences=256, length=4096, links=links), top=1)
    seconds = r"[\d.]+ m?s"
    alone = rf"the best zone alone \([ab], \d GPUs\) {seconds}: 1\.\d\d times as fast"
    assert re.match(rf"Span zones: a, b together \(\d GPUs\) take {seconds} a step, {alone}\. ", answer.verdict)


def test_a_gain_within_the_models_error_is_said_to_be_one_and_the_verdict_keeps_to_the_first_plan(
    problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosszone.planner.explain.TIE_RATIO", 100.0)
    answer = search(problem(4, 4, sequences=64, bandwidth="1 Tbit/s"), top=1)
    assert len(answer.plans[0].plan.zones) == 2
    assert answer.verdict.startswith("Span zones, if only just: a, b together")
    assert "So small a gain is within the model's error: one zone does as well." in answer.verdict


def test_where_no_zone_alone_has_the_memory_the_verdict_says_so(problem: Any) -> None:
    answer = search(problem(1, 1, 1, model="llama-2-7b"), top=1)
    assert answer.baseline is None
    assert answer.verdict.endswith("no zone alone has the memory.")


def test_where_no_zone_alone_has_the_stages_memory_is_not_blamed(problem: Any) -> None:
    answer = search(problem(2, 2, plan={"tp": 2, "pp": 2}), top=1)
    assert answer.baseline is None
    assert "memory" not in answer.verdict
    assert "no zone alone has room for what the job file fixes" in answer.verdict


def test_rejected_neighbours_name_the_rule_or_the_memory_with_numbers(problem: Any) -> None:
    answer = search(problem(8, model="llama-2-7b"), top=1)
    best = answer.plans[0].plan
    assert answer.rejected
    for one in answer.rejected:
        assert one.plan != best
        assert one.plan.world_size == best.world_size
        for why in one.reasons:
            assert re.search(r"needs [\d.]+ \w?B, its GPU has [\d.]+ \w?B|^\w+: .*(=|order|have)", why), why


def test_neighbours_differ_in_one_choice(problem: Any) -> None:
    answer = search(problem(8, model="llama-2-7b"), top=1)
    best = answer.plans[0].plan
    names = ("framework", "shard", "recompute", "microbatch_size", "tp", "pp", "cp", "ep", "dp", "schedule", "offload")
    for one in answer.rejected:
        assert sum(getattr(one.plan, name) != getattr(best, name) for name in names) == 1


def test_neighbours_of_interleaved_plans_keep_whole_rounds(problem: Any) -> None:
    # 4 microbatches for 4 stages: two larger ones would be half a round.
    plan = {"pp": 4, "tp": 1, "dp": 1, "schedule": "interleaved_1f1b", "microbatch_size": 1}
    answer = search(problem(4, plan=plan, sequences=4), top=1)
    assert answer.plans[0].plan.num_virtual_stages > 1
    assert all(one.plan.microbatch_size == 1 for one in answer.rejected)


def test_where_nothing_comes_out_whole_the_keys_that_decide_it_are_named(problem: Any) -> None:
    # 5 microbatches are no whole rounds of 4 stages.
    plan = {"pp": 4, "dp": 1, "schedule": "interleaved_1f1b", "microbatch_size": 1}
    with pytest.raises(InfeasiblePlan, match=r"pp=4, .*schedule=interleaved_1f1b leave no whole stages and replicas"):
        search(problem(4, plan=plan, sequences=5), top=1)
