"""What binds the best plan, what makes the runner-up slower, and what a restriction to some frameworks costs."""

import re
from typing import Any

import pytest

from crosszone.core.answer import Answer
from crosszone.planner.search import search
from crosszone.spec import read_job

TOKENS = {"train_tokens": "1B"}
LINKS = [{"between": ["a", "b"], "bandwidth": "100 Gbit/s", "rtt": "1 ms", "egress_price": "0.02 USD/GB"}]


def bound(answer: Answer) -> dict[str, str]:
    return {one.constraint: one.message for one in answer.binding}


def test_memory_binds_where_less_recomputation_has_no_room(problem: Any) -> None:
    answer = search(problem(8, model="llama-2-7b", length=8192, sequences=64, plan={"recompute": "full"}), top=1)
    free = search(problem(8), top=1)
    assert "needs" in bound(answer)["memory"]
    assert "its GPU has 85 GB" in bound(answer)["memory"]
    assert "memory" not in bound(free)


def test_the_batch_binds_where_each_replica_has_one_sequence(problem: Any) -> None:
    answer = search(problem(8, sequences=8, plan={"dp": 8}), top=1)
    assert "8 sequences a step are one for each of 8 replicas" in bound(answer)["batch"]


def test_the_batch_binds_where_the_bubble_is_large(problem: Any) -> None:
    answer = search(problem(8, sequences=4, plan={"pp": 8, "tp": 1, "dp": 1, "schedule": "1f1b"}), top=1)
    assert "for 8 stages: the bubble takes" in bound(answer)["batch"]
    assert "pp=8 is one stage for each of 8 layers" in bound(answer)["layers"]


def test_layers_that_do_not_come_out_bind(problem: Any) -> None:
    answer = search(problem(7, plan={"pp": 7, "tp": 1}, sequences=64), top=1)
    assert bound(answer)["layers"] == "8 layers over 7 stages do not come out: stages hold 1 to 2."


def test_stages_are_uneven_on_purpose_where_gpus_are_unlike(problem: Any, nodes: Any) -> None:
    zone = [nodes(4), nodes(3, gpu="v100-sxm2-32gb")]
    answer = search(problem(zone, plan={"pp": 7, "tp": 1}, sequences=64, work={"precision": "fp16"}), top=1)
    assert len({stage.num_layers for stage in answer.plans[0].plan.stages}) > 1
    assert "layers" not in bound(answer)


def test_links_bind_where_they_take_time_or_keep_the_job_at_home(problem: Any) -> None:
    spanning = search(problem(4, 4, plan={"dp": 8}, bandwidth="10 Gbit/s", sequences=64, length=4096), top=1)
    assert "Zone links take" in bound(spanning)["links"]
    assert "10 Gbit/s" in bound(spanning)["links"]
    alone = search(problem(4, 4, bandwidth="1 Mbit/s"), top=1)
    assert alone.plans[0].plan.zones == ("a",)
    assert "Over a, b the best plan takes" in bound(alone)["links"]


def test_the_limit_that_shuts_out_the_best_plan_is_named_with_both_numbers(problem: Any, nodes: Any) -> None:
    zones, more = (nodes(4, price="9 USD/h"), nodes(4, price="1 USD/h")), {"work": TOKENS, "links": LINKS}
    free = search(problem(*zones, sequences=64, **more), top=1)
    assert set(bound(free)) & {"budget", "deadline", "egress"} == set()
    total = free.plans[0].prediction.costs
    assert total is not None
    budget = 0.5 * (total.total_dollars or 0.0)
    held = search(problem(*zones, sequences=64, objective={"budget": f"{budget:.6f} USD"}, **more), top=1)
    assert "The limit on budget is" in bound(held)["budget"]
    assert "less time is to be had" in bound(held)["budget"]


def test_too_few_sequences_a_replica_bind(problem: Any) -> None:
    answer = search(problem(8, constraints={"min_replica_batch": 16}), top=1)
    assert "min_replica_batch is 16, a replica would consume" in bound(answer)["replica_batch"]


def test_the_runner_up_is_the_second_plan_and_its_terms_make_the_difference(problem: Any) -> None:
    answer = search(problem(8, 4), top=5, in_full=True)
    assert answer.runner_up is not None
    first, second = answer.plans[:2]
    assert answer.runner_up.plan == second.plan
    gap = second.prediction.step_seconds - first.prediction.step_seconds
    assert answer.runner_up.difference.step_seconds == pytest.approx(gap)
    assert sum(term.difference_seconds for term in answer.runner_up.difference.terms) == pytest.approx(gap)
    assert search(problem(8, 4), top=1, in_full=True).runner_up == answer.runner_up
    assert search(problem(8, 4), top=1).runner_up is None


def test_how_many_are_shown_does_not_change_their_order(problem: Any) -> None:
    job = problem(8, 4, sequences=64)
    every = search(job, top=1000)
    assert every.search.num_ranked == len(every.plans)
    for top in (1, 3, len(every.plans)):
        some = search(job, top=top)
        assert [one.plan for one in some.plans] == [one.plan for one in every.plans[:top]]
        assert some.search.num_ranked == every.search.num_ranked


def test_a_restriction_to_one_framework_costs_what_the_best_of_the_others_saves(problem: Any) -> None:
    free = search(problem(8, 4, sequences=64), top=1, in_full=True)
    assert free.restriction is None
    best = free.plans[0]
    held = search(problem(8, 4, sequences=64, constraints={"frameworks": ["horovod"]}), top=1, in_full=True)
    assert held.restriction is not None
    assert held.restriction.plan == best.plan
    steps = held.plans[0].prediction.step_seconds, best.prediction.step_seconds
    assert held.restriction.saved_fraction == pytest.approx(1.0 - steps[1] / steps[0])
    assert "Only horovod is allowed" in held.restriction.message


def test_a_restriction_to_the_best_framework_costs_nothing(problem: Any) -> None:
    best = search(problem(8), top=1).plans[0].plan
    held = search(problem(8, framework={"name": best.framework}), top=1, in_full=True)
    assert held.restriction is not None
    assert held.restriction.plan is None
    assert held.restriction.saved_fraction == 0.0
    assert "costs nothing" in held.restriction.message


def test_where_the_allowed_framework_has_no_room_the_one_that_has_is_named(problem: Any) -> None:
    job = problem(8, model="llama-2-13b", framework={"name": "ddp"}, plan={"offload": "none"})
    held = search(job, top=1, in_full=True)
    assert held.plans == ()
    assert held.restriction is not None
    assert held.restriction.plan is not None
    assert held.restriction.message.startswith("No plan of ddp is an answer; ")


def test_a_deadline_that_shuts_out_the_cheapest_plan_is_named(problem: Any, nodes: Any) -> None:
    zones = nodes(8, price="9 USD/h", gpu="h100-sxm5-80gb"), nodes(2, price="1 USD/h")
    more: dict[str, Any] = {"work": TOKENS, "links": LINKS, "sequences": 64}
    cheap = search(problem(*zones, objective={"minimize": "cost"}, **more), top=1).plans[0]
    assert cheap.plan.zones == ("b",)
    limit = f"{0.5 * (cheap.prediction.finish.p50_seconds or 0.0)} s"
    held = search(problem(*zones, objective={"minimize": "cost", "deadline": limit}, **more), top=1)
    assert held.plans[0].plan.zones != ("b",)
    assert "The deadline is" in bound(held)["deadline"]
    assert "less money is to be had" in bound(held)["deadline"]


def test_a_restriction_is_told_in_money_where_money_is_minimised(problem: Any, nodes: Any) -> None:
    job = problem(
        nodes(8, price="2 USD/h"), work=TOKENS, objective={"minimize": "cost"}, constraints={"frameworks": ["horovod"]}
    )
    held = search(job, top=1, in_full=True)
    assert held.restriction is not None
    assert " USD" in held.restriction.message
    assert "less money" in held.restriction.message


def test_headroom_binds_where_a_neighbour_fits_only_tightly() -> None:
    job = {
        "model": "llama-2-7b",
        "workload": {"sequence_length": 4096, "global_batch_size": 32, "precision": "bf16"},
        "cluster": {
            "zones": [
                {
                    "name": "a",
                    "nodes": [{"count": 1, "gpu": "a100-sxm4-40gb", "gpus_per_node": 2, "memory": "512 GB"}],
                }
            ]
        },
    }
    answer = search(read_job(job), top=1)
    assert answer.plans[0].prediction.memory.verdict == "fits"
    told = bound(answer)["memory"]
    assert re.search(r"Tight: 9\d(\.\d)? %, [\d.]+ GB of 42.5 GB on stage 0 in a", told), told
    assert "plans above 90 % are taken only if nothing else fits" in told
