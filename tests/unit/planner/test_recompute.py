"""How many layers are recomputed: as few as fit, of each stage where the framework lets them differ."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.plan import Plan, recompute_words
from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts, supports
from crosszone.planner.complete import complete
from crosszone.planner.search import search
from crosszone.timeline.predict import predict_plan

LONG = {"hidden_size": 4096, "ffn_size": 11008, "vocab_size": 8192}


def with_layers(plan: Plan, counts: list[int]) -> Plan:
    """The plan with so many layers of each stage recomputed."""
    stages = tuple(
        replace(
            stage,
            recompute="full" if count else "none",
            recompute_layers=count if 0 < count < stage.num_layers else None,
        )
        for stage, count in zip(plan.stages, counts, strict=True)
    )
    return replace(plan, recompute="full" if any(counts) else "none", stages=stages)


def counts_of(plan: Plan) -> list[int]:
    return [
        0
        if stage.recompute == "none"
        else stage.num_layers
        if stage.recompute_layers is None
        else stage.recompute_layers
        for stage in plan.stages
    ]


def fewer(plan: Plan) -> Iterator[Plan]:
    """The plan with one layer fewer of one stage, as far as its framework can do that."""
    counts = counts_of(plan)
    for stage, count in enumerate(counts):
        if count:
            other = with_layers(plan, [*counts[:stage], count - 1, *counts[stage + 1 :]])
            if supports(other.framework, other) == ():
                yield other


@pytest.fixture
def long(problem: Any) -> Any:
    """Four GPUs with sequences of which the layers keep more than there is room for."""

    def make(framework: str, **more: Any) -> Problem:
        made: Problem = problem(
            {"count": 1, "gpu": "a100-sxm4-40gb", "gpus_per_node": 4}, model={**LONG, "num_layers": 8},
            length=32768, sequences=8, framework={"name": framework}, **more,
        )  # fmt: skip
        return made

    return make


@pytest.mark.parametrize("framework", ["deepspeed", "fsdp", "megatron", "torchtitan"])
def test_the_search_recomputes_no_layer_more_than_it_must(long: Any, framework: str) -> None:
    made = long(framework, plan={"tp": 1, "cp": 1, "microbatch_size": 1})
    best = search(made, top=1).plans[0]
    assert best.prediction.memory.verdict == "fits"
    assert 0 < sum(counts_of(best.plan)) < 8
    facts = framework_facts(framework)
    lighter = [predict_plan(made, plan, facts) for plan in fewer(best.plan)]
    assert lighter or framework == "megatron"
    assert all(one.memory.verdict != "fits" and one.step_seconds <= best.prediction.step_seconds for one in lighter)


def test_stages_recompute_what_their_own_memory_needs(long: Any) -> None:
    plan = {"tp": 1, "cp": 1, "pp": 4, "dp": 1, "microbatch_size": 1, "schedule": "1f1b"}
    counts = {name: counts_of(search(long(name, plan=plan), top=1).plans[0].plan) for name in ("deepspeed", "megatron")}
    assert len(set(counts["megatron"])) == 1
    assert counts["deepspeed"][0] > counts["deepspeed"][-1]  # the first stage holds most microbatches


def test_what_is_written_stands(long: Any) -> None:
    fixed = {"tp": 1, "cp": 1, "pp": 4, "dp": 1, "microbatch_size": 1, "schedule": "1f1b", "recompute": "full"}
    for layers, counts in ((None, [2] * 4), (1, [1] * 4)):
        made = long("deepspeed", plan={**fixed, **({"recompute_layers": layers} if layers else {})})
        assert counts_of(complete(made)) == counts
        found = search(made, top=1)
        assert [counts_of(one.plan) for one in found.plans] == ([counts] if found.plans else [])


def test_a_layer_more_costs_its_forward_and_frees_what_it_kept(long: Any) -> None:
    plan = complete(long("fsdp", plan={"microbatch_size": 1, "shard": "parameters"}))
    made, facts = long("fsdp"), framework_facts("fsdp")
    found = [predict_plan(made, with_layers(plan, [count]), facts) for count in range(9)]
    seconds = [one.step_seconds for one in found]
    steps = [later - former for former, later in itertools.pairwise(seconds)]
    assert steps == pytest.approx([steps[0]] * 8, rel=1e-6)
    assert steps[0] > 0.0
    kept = [one.memory.stages[0].activation_bytes for one in found]
    saved = [former - later for former, later in itertools.pairwise(kept)]
    assert saved == pytest.approx([saved[0]] * 8)
    peaks = [one.memory.peak_bytes for one in found]
    assert all(later < former for former, later in itertools.pairwise(peaks))
    again = [sum(term.exposed_seconds for term in one.terms if term.name == "recompute") for one in found]
    assert again == pytest.approx([count * again[8] / 8 for count in range(9)])


def test_words_say_how_many(long: Any) -> None:
    plan = complete(long("deepspeed", plan={"pp": 4, "dp": 1, "tp": 1, "microbatch_size": 1, "recompute": "full"}))
    assert recompute_words(plan) == "full"
    assert recompute_words(with_layers(plan, [0] * 4)) == "none"
    assert recompute_words(with_layers(plan, [2, 1, 1, 0])) == "0 to 2 of 2 layers a stage"
    assert with_layers(plan, [2, 1, 1, 0]).recompute_layers == 2
