"""Zones that exchange local updates alone divide their work each in its own way."""

import dataclasses
import itertools
import json

import pytest

from crosszone import service
from crosszone.core.codec import to_json
from crosszone.core.plan import SHARDS, OwnDegrees, Sync, zone_plans
from crosszone.core.problem import Problem
from crosszone.cost.memory import TIGHT_FRACTION
from crosszone.errors import InfeasiblePlan, SpecError
from crosszone.frameworks import framework_facts, supports
from crosszone.planner.pinned import pinned
from crosszone.planner.search import search
from crosszone.spec import read_job
from crosszone.spec.plan_file import read_plan
from crosszone.timeline.fit import plan_memory
from crosszone.timeline.inputs import inputs
from crosszone.timeline.predict import plan_step_seconds, predict_plan

SMALL, LARGE = "a100-sxm4-40gb", "l40s-48gb"
FAST, LONE = "h100-sxm5-80gb", "a100-sxm4-80gb"


def job(**more) -> dict:
    """Two zones whose GPUs differ in speed and memory, and a model that fills them."""
    nodes = [("a", 1, SMALL), ("b", 2, LARGE)]
    return {
        "model": "llama-3-8b",
        "workload": {"sequence_length": 4096, "global_batch_size": 256, "precision": "bf16"},
        "cluster": {
            "zones": [
                {"name": name, "nodes": [{"count": count, "gpu": gpu, "gpus_per_node": 8, "network": "200 Gbit/s"}]}
                for name, count, gpu in nodes
            ],
            "default_link": {"bandwidth": "10 Gbit/s", "rtt": "30 ms"},
        },
        "plan": {"sync": {"method": "diloco", "every": 30}},
        "constraints": {"allow": ["local_sgd"], "frameworks": ["fsdp"]},
        **more,
    }


@pytest.fixture(scope="module")
def problem() -> Problem:
    return read_job(job())


@pytest.fixture(scope="module")
def best(problem):
    return search(problem, top=1).plans[0]


@pytest.fixture(scope="module")
def prepared(problem):
    return inputs(problem, (framework_facts("fsdp"),))


def test_the_best_plan_has_degrees_of_their_own_and_is_faster(problem, best) -> None:
    assert best.plan.has_own_degrees
    assert best.prediction.memory.verdict == "fits"
    alike = dataclasses.replace(problem, plan=dataclasses.replace(problem.plan, dp=24))  # who fixes dp gets them alike
    other = search(alike, top=1).plans[0]
    assert not other.plan.has_own_degrees
    assert best.prediction.step_seconds < 0.85 * other.prediction.step_seconds
    assert any("sequences a step: a " in reason.lower() for reason in best.reasons)


def test_zones_share_the_batch_so_that_none_waits(problem, best, prepared) -> None:
    parts = zone_plans(best.plan)
    assert sum(part.num_sequences for part in parts) == problem.workload.global_batch_size == best.plan.num_sequences
    assert sum(replica.weight for replica in best.plan.replicas) == pytest.approx(1.0)
    seconds = [plan_step_seconds(prepared, part) for part in parts]
    assert max(seconds) < 1.1 * min(seconds)
    # What all do together is what the slowest does, and what zones exchange.
    agreeing = sum(term.exposed_seconds for term in best.prediction.terms if term.name == "zone_agreement")
    assert best.prediction.step_seconds == pytest.approx(max(seconds) + agreeing, rel=0.02)


def test_each_zone_holds_what_it_would_alone_and_what_zones_keep_to_agree(best, prepared) -> None:
    stages = {stage.zone: stage for stage in best.prediction.memory.stages}
    for part in zone_plans(best.plan):
        alone, together = plan_memory(prepared, part).stages[0], stages[part.zones[0]]
        assert together.activation_bytes == alone.activation_bytes
        assert together.weight_bytes == alone.weight_bytes
        assert together.total_bytes > alone.total_bytes  # agreed weights and momentum


def test_degrees_that_are_said_to_be_ones_own_but_are_the_plans_change_nothing(best, problem) -> None:
    fsdp = framework_facts("fsdp")
    alike = dataclasses.replace(
        best.plan, replicas=tuple(dataclasses.replace(replica, own=None) for replica in best.plan.replicas)
    )
    repeated = dataclasses.replace(
        alike, replicas=tuple(dataclasses.replace(each, own=alike.degrees_of(each)) for each in alike.replicas)
    )
    plain, same = (predict_plan(problem, plan, fsdp) for plan in (alike, repeated))
    assert plain.terms == same.terms
    assert plain.memory == same.memory
    assert plain.hfu == same.hfu


def test_no_choice_of_shares_microbatches_and_shards_is_faster(problem, best, prepared) -> None:
    """Brute force over both zones, recomputing as many layers as the found plan does or all."""
    parts = {part.zones[0]: part for part in zone_plans(best.plan)}
    least = {zone: dict[int, float]() for zone in parts}
    for (zone, part), share, size, shards, shard, is_full in itertools.product(
        parts.items(), range(48, 209, 8), (1, 2, 4), (8, 16), SHARDS[2:], (True, False)
    ):
        if shards > part.dp or share % (size * part.dp):
            continue
        own = OwnDegrees(
            microbatch_size=size, dp_shard=shards, shard=shard, recompute="full",
            recompute_layers=None if is_full else part.recompute_layers,
        )  # fmt: skip
        count = share // size // part.dp
        one = dataclasses.replace(part.replicas[0], num_replicas=part.dp, num_microbatches=count, own=own)
        others = (each for each in best.plan.replicas if each.zones != (zone,))
        tried = dataclasses.replace(best.plan, replicas=(one, *others))
        memory = plan_memory(prepared, tried)
        if all(each.total_bytes < TIGHT_FRACTION * each.capacity_bytes for each in memory.stages if each.zone == zone):
            seconds = plan_step_seconds(prepared, zone_plans(tried)[0])
            least[zone][share] = min(seconds, least[zone].get(share, seconds))
    batch = problem.workload.global_batch_size
    together = min(
        max(one, least["b"][batch - share]) for share, one in least["a"].items() if batch - share in least["b"]
    )
    agreeing = sum(term.exposed_seconds for term in best.prediction.terms if term.name == "zone_agreement")
    assert best.prediction.step_seconds <= 1.01 * (together + agreeing)


def test_only_where_zones_step_by_themselves_and_our_trainer_runs_them(best) -> None:
    assert supports("fsdp", best.plan) == ()
    (why,) = supports("torchtitan", best.plan)
    assert "Take ddp or fsdp" in why
    (why,) = supports("fsdp", dataclasses.replace(best.plan, sync=Sync()))
    assert "sync.method=hierarchical" in why
    first, *others = best.plan.replicas
    own = dataclasses.replace(best.plan.degrees_of(first), microbatch_size=7)
    half = dataclasses.replace(first, num_replicas=4)
    torn = dataclasses.replace(best.plan, replicas=(half, dataclasses.replace(half, own=own), *others))
    (why,) = supports("fsdp", torn)
    assert "those of a differ" in why
    # What a zone does must be what the framework can do there.
    held = dataclasses.replace(best.plan.degrees_of(first), shard="optimizer")
    wrong = dataclasses.replace(best.plan, replicas=(dataclasses.replace(first, own=held), *others))
    assert any("cannot do shard=optimizer" in why for why in supports("fsdp", wrong))


def test_like_zones_and_zones_that_agree_in_every_step_are_left_alike() -> None:
    like = job()
    like["cluster"]["zones"][1]["nodes"] = like["cluster"]["zones"][0]["nodes"]
    gradients = job(plan={}, constraints={"frameworks": ["fsdp"]})
    for each in (like, gradients):
        assert not any(one.plan.has_own_degrees for one in search(read_job(each), top=5).plans)


def test_zones_that_no_degrees_alike_fit_have_their_own() -> None:
    """A zone of one GPU has nobody to share with, and fsdp elsewhere shares."""
    nodes = [{"count": 1, "gpu": gpu, "gpus_per_node": count} for gpu, count in ((FAST, 1), (LONE, 2))]
    zones = [{"name": name, "nodes": [node]} for name, node in zip("ab", nodes, strict=True)]
    found = read_job(
        job(
            model="gpt2-xl",
            workload={"sequence_length": 1024, "global_batch_size": 64, "precision": "bf16"},
            cluster={"zones": zones, "default_link": {"bandwidth": "1 Gbit/s", "rtt": "50 ms"}},
            plan={},
        )
    )
    first = search(found, top=1).plans[0]
    assert [part.dp_shard for part in zone_plans(first.plan)] == [1, 2]
    bundle = service.deploy(found, plan=first.plan, backend="local", device="cpu", num_steps=10, checkpoints="none")
    assert json.loads(bundle.text("configs/train.json"))["own"][0]["shard"] == "none"


def test_a_saved_plan_and_a_written_one_are_predicted_alike(problem, best, tmp_path) -> None:
    path = tmp_path / "plans.json"
    path.write_text(json.dumps({"plans": [{"plan": to_json(best.plan)}]}))
    assert read_plan(path.read_text(), where="plans.json", model=problem.model) == best.plan
    written = read_job(job(plan=as_written(best.plan)))
    found = service.predict(written)
    assert found.prediction.step_seconds == best.prediction.step_seconds
    assert found.prediction.memory == best.prediction.memory


def as_written(plan) -> dict:
    """The plan as the keys of a job file."""
    keys = ("microbatch_size", "dp_shard", "shard", "recompute", "recompute_layers")
    return {
        **{key: getattr(plan, key) for key in keys if getattr(plan, key) is not None},
        "sync": {"method": plan.sync.method, "every": plan.sync.every},
        "replicas": [
            {
                "zones": list(replica.zones), "num_replicas": replica.num_replicas,
                "num_microbatches": replica.num_microbatches,
                **({} if replica.own is None else {"own": {
                    key: value for key in keys if (value := getattr(replica.own, key)) is not None
                }}),
            }
            for replica in plan.replicas
        ],
    }  # fmt: skip


def test_written_degrees_that_do_not_add_up_are_refused_with_both_numbers(best) -> None:
    plan = as_written(best.plan)
    plan["replicas"][0]["num_microbatches"] += 1
    with pytest.raises(SpecError, match=r"consume \d+ sequences a step, but the global batch has 256"):
        read_job(job(plan=plan))
    plan["replicas"][1]["own"] = {"recompute": "none", "recompute_layers": 3}
    with pytest.raises(SpecError, match="recompute_layers is 3, but recompute is none"):
        read_job(job(plan=plan))
    del plan["replicas"][0]["num_microbatches"]
    with pytest.raises(SpecError, match="does not say how many microbatches"):
        read_job(job(plan=plan))


def test_written_shards_that_a_zone_has_not_the_ranks_for_and_weights_of_other_shares_are_refused(best) -> None:
    plan = as_written(best.plan)
    for replica in plan["replicas"]:
        if replica["zones"] == ["a"]:
            replica["own"] = replica.get("own", {}) | {"dp_shard": 16}
    with pytest.raises(InfeasiblePlan, match=r"dp_shard=16 does not divide the 8 replicas of a"):
        service.predict(read_job(job(plan=plan)))
    plan = as_written(best.plan)
    plan["replicas"][0]["weight"] = 0.9
    with pytest.raises(SpecError, match=r"weight 0\.9 of 256 sequences is not the \d+ of these microbatches"):
        read_job(job(plan=plan))


def test_what_is_set_for_the_plan_is_set_for_every_zone(problem, best) -> None:
    request = dataclasses.replace(problem.plan, microbatch_size=1, dp_shard=8)
    places = [("plan", "microbatch_size"), ("plan", "dp_shard")]
    alike = pinned(dataclasses.replace(problem, plan=request), best.plan, places)
    assert not alike.has_own_degrees
    assert alike.num_sequences == 256
    shares = [[part.num_sequences for part in zone_plans(plan)] for plan in (best.plan, alike)]
    assert shares[0] == pytest.approx(shares[1], rel=0.1)


def test_zones_left_alone_have_the_plan_of_their_own(problem, best) -> None:
    alone = dataclasses.replace(problem, constraints=dataclasses.replace(problem.constraints, exclude_zones=("a",)))
    left = pinned(alone, best.plan, [("constraints", "exclude_zones")])
    assert (left.zones, left.num_sequences, left.has_own_degrees) == (("b",), 256, False)


def test_another_batch_is_refused_with_both_numbers(problem, best) -> None:
    larger = dataclasses.replace(problem, workload=dataclasses.replace(problem.workload, global_batch_size=512))
    with pytest.raises(SpecError, match="share 256 sequences, and 512 are to be shared"):
        pinned(larger, best.plan, [("workload", "global_batch_size")])
