"""Which ways to agree the search tries, and the consent that they need."""

import dataclasses

import pytest

from crosszone.core.plan import Sync
from crosszone.errors import InfeasiblePlan, SpecError
from crosszone.frameworks import framework_facts
from crosszone.planner.search import search
from crosszone.planner.ways import gentleness, refuse_without_consent, ways
from crosszone.service import predict
from crosszone.spec import read_job
from crosszone.timeline.predict import predict_plan

NODES = {"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}
MODEL = {"num_layers": 12, "hidden_size": 2048, "ffn_size": 5632, "num_heads": 16, "vocab_size": 32000}


def problem(plan=None, allow=(), zones="ab", framework=None, bandwidth="1 Gbit/s"):
    job = {
        "model": MODEL,
        "workload": {"sequence_length": 2048, "global_batch_size": 256, "precision": "bf16", "optimizer": "adamw"},
        "cluster": {
            "zones": [{"name": name, "nodes": [NODES]} for name in zones],
            "default_link": {"bandwidth": bandwidth, "rtt": "30 ms"},
        },
        "constraints": {"allow": list(allow)},
    }
    if plan is not None:
        job["plan"] = plan
    if framework is not None:
        job["framework"] = {"name": framework}
    return read_job(job)


class _Layout:
    """A stand-in with what `ways` reads."""

    def __init__(self, *ring):
        self.ring = ring


def methods(allow, ring=(0, 1)):
    return {sync.method for sync in ways(problem(allow=allow), _Layout(*ring))}


def codecs(allow):
    return {name for sync in ways(problem(allow=allow), _Layout(0, 1)) for _, name in sync.codecs}


def test_nothing_changes_without_consent():
    assert ways(problem(), _Layout(0, 1)) == (Sync(), Sync(method="flat"))
    assert ways(problem(allow=["batch_change"]), _Layout(0, 1)) == (Sync(), Sync(method="flat"))


def test_what_the_job_says_of_the_way_is_kept_and_only_what_it_leaves_open_is_tried():
    streams = problem({"sync": {"streams": 4}})
    assert ways(streams, _Layout(0, 1)) == (Sync(num_streams=4), Sync(method="flat", num_streams=4))
    assert ways(problem({"sync": {"method": "flat"}}), _Layout(0, 1)) == (Sync(method="flat"),)
    assert ways(problem({"sync": {"algorithm": "tree"}}), _Layout(0, 1, 2)) == (Sync(algorithm="tree"),)


def test_each_framework_is_planned_with_the_sum_that_it_runs():
    plan = {"tp": 1, "pp": 1, "cp": 1, "dp": 32, "microbatch_size": 1}
    found = {name: search(problem(plan, framework=name), top=1).plans[0].plan for name in ("ddp", "horovod")}
    assert {name: one.sync.method for name, one in found.items()} == {"ddp": "hierarchical", "horovod": "flat"}
    whole = {**plan, "shard": "parameters", "dp_shard": 16}
    assert search(problem(whole, framework="fsdp"), top=1).plans[0].plan.sync.method == "hierarchical"
    part = {**plan, "shard": "parameters", "dp_shard": 8}
    assert search(problem(part, framework="fsdp"), top=1).plans[0].plan.sync.method == "flat"


def test_a_sum_that_the_framework_does_not_run_is_refused():
    asked = {"tp": 1, "pp": 1, "cp": 1, "dp": 32, "sync": {"method": "hierarchical"}}
    with pytest.raises(InfeasiblePlan, match=r"dp/dp_shard = 32/1 ranks at once, in zones that hold 16 and 16"):
        search(problem(asked, framework="horovod"), top=1)


def test_each_word_opens_its_own_ways():
    assert methods(["local_sgd"]) == {"flat", "hierarchical", "local_sgd", "diloco", "streaming_diloco"}
    assert methods(["async"]) == {"flat", "hierarchical"}  # nothing that we render runs gradients that come late
    assert methods(["compression"]) == {"flat", "hierarchical"}
    assert codecs(["local_sgd", "async"]) == set()
    assert codecs(["compression"]) == {"bf16", "int8_block"}
    assert codecs(["compression", "local_sgd"]) == {"bf16", "int8_block", "int4"}


def test_local_steps_are_those_that_were_trained():
    every = {(sync.method, sync.every) for sync in ways(problem(allow=["local_sgd"]), _Layout(0, 1))}
    local = {("local_sgd", 8), ("diloco", 10), ("diloco", 30), ("diloco", 100)}
    assert every == {("hierarchical", 1), ("flat", 1), *local, ("streaming_diloco", 30), ("streaming_diloco", 100)}


def test_the_algorithm_is_that_of_every_way():
    found = ways(problem(allow=["local_sgd"]), _Layout(0, 1, 2), algorithm="tree")
    assert {(sync.method, sync.algorithm) for sync in found} == {
        ("hierarchical", "tree"),
        ("flat", "ring"),
        *((method, "tree") for method in ("local_sgd", "diloco", "streaming_diloco")),
    }


def test_the_search_takes_the_fastest_algorithm_of_more_than_two_zones():
    """Over links of their own, all pairs at once carry a third of what a ring of four does."""
    wide = problem({"tp": 1, "pp": 1, "dp": 64}, zones="abcd", framework="ddp")
    best = search(wide, top=1).plans[0]
    assert best.plan.sync.algorithm == "direct"
    ring = predict_plan(wide, dataclasses.replace(best.plan, sync=Sync()), framework_facts("ddp"))
    assert ring.step_seconds > 2.0 * best.prediction.step_seconds


def test_one_zone_has_nothing_to_agree_on():
    assert methods(["local_sgd", "async", "compression"], ring=()) == {"hierarchical"}


def test_a_fixed_way_is_the_only_one():
    fixed = problem({"sync": {"method": "diloco", "every": 500}}, allow=["local_sgd", "async"])
    assert ways(fixed, _Layout(0, 1)) == (Sync(method="diloco", every=500),)


@pytest.mark.parametrize(
    ("sync", "word"),
    [
        ({"method": "diloco", "every": 100}, "local_sgd"),
        ({"method": "delayed"}, "async"),
        ({"codecs": {"gradients": "bf16"}}, "compression"),
        ({"codecs": {"activations": "int8_block"}}, "compression"),
        ({"every": 4}, "batch_change"),
        ({"method": "diloco", "every": 100, "delay": 5}, "async"),
    ],
)
def test_planning_what_nobody_allowed_is_refused_by_its_word(sync, word):
    allowed = [] if word != "async" or sync["method"] == "delayed" else ["local_sgd"]
    with pytest.raises(SpecError) as caught:
        search(problem({"sync": sync}, allow=allowed), top=1)
    (finding,) = caught.value.findings
    assert finding.where == "plan.sync"
    assert f"does not name {word}" in finding.message
    assert word in finding.hint
    refuse_without_consent(problem({"sync": sync}, allow=[*allowed, word]))


def test_words_that_are_missing_are_told_together():
    sync = {"method": "diloco", "every": 100, "codecs": {"pseudogradients": "int4"}}
    with pytest.raises(SpecError) as caught:
        refuse_without_consent(problem({"sync": sync}))
    assert len(caught.value.findings) == 2


def test_one_zone_needs_no_consent():
    refuse_without_consent(problem({"sync": {"method": "diloco", "every": 100}}, zones="a"))


def test_gentler_is_fewer_changes_fewer_steps_wider_formats():
    ranked = [
        Sync(),
        Sync(method="diloco", every=10),
        Sync(method="diloco", every=100),
        Sync(codecs=(("gradients", "bf16"),)),
        Sync(codecs=(("gradients", "int8_block"),)),
    ]
    assert sorted(ranked, key=gentleness) == ranked


def test_the_search_takes_what_is_allowed_and_gains_by_it():
    plain = search(problem(), top=3)
    free = search(problem(allow=["local_sgd"]), top=3)
    assert all(one.plan.sync.method == "hierarchical" for one in plain.plans)
    best = free.plans[0]
    assert best.plan.sync.method in ("local_sgd", "diloco", "streaming_diloco")
    assert best.prediction.step_seconds < plain.plans[0].prediction.step_seconds
    assert best.prediction.sync.changes_mathematics
    tried, before = (one.search.num_candidates + one.search.num_pruned for one in (free, plain))
    assert tried > before


def test_a_written_way_is_predicted_with_a_warning():
    plan = {"tp": 1, "pp": 1, "dp": 32, "microbatch_size": 1, "sync": {"method": "diloco", "every": 50}}
    told = predict(problem(plan)).prediction
    assert any("changes the mathematics" in line and "local_sgd" in line for line in told.warnings)
    assert "2 zones step by themselves for 50 steps" in told.sync.effect
    allowed = predict(problem(plan, allow=["local_sgd"])).prediction
    assert not any("changes the mathematics" in line for line in allowed.warnings)
    assert allowed.step_seconds == told.step_seconds


def test_what_no_framework_can_do_is_told_with_names():
    plan = {"tp": 1, "pp": 1, "microbatch_size": 1, "sync": {"method": "delayed"}}
    with pytest.raises(InfeasiblePlan) as caught:
        predict(problem(plan, framework="megatron"))
    assert "take ddp" in str(caught.value)
