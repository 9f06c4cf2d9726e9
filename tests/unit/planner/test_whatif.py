"""What if: the plan held fast, every number compared, the mathematics told, what bounds the step, what to change."""

import copy
import dataclasses
from typing import Any

import pytest

from crosszone import service
from crosszone.errors import InfeasiblePlan, SpecError
from crosszone.planner.changes import changes
from crosszone.planner.regime import COMPUTE_BOUND_FRACTION, regime
from crosszone.planner.whatif import Base


def zone(name: str, count: int = 2) -> dict[str, Any]:
    node = {"count": count, "gpu": "a100-sxm4-80gb", "gpus_per_node": 4, "network": "4x100 Gbit/s", "price": "2 USD/h"}
    return {"name": name, "nodes": [node]}


JOB: dict[str, Any] = {
    "model": "bert-large",
    "workload": {"sequence_length": 512, "global_batch_size": 1024, "precision": "bf16", "train_tokens": "10B"},
    "cluster": {
        "zones": [zone("north"), zone("south")],
        "links": [
            {"between": ["north", "south"], "bandwidth": "5 Gbit/s", "rtt": "20 ms", "egress_price": "0.02 USD/GB"}
        ],
    },
    "framework": {"name": "ddp"},
    "plan": {"tp": 1, "pp": 1, "dp": 16, "microbatch_size": 8, "shard": "none", "recompute": "none"},
}


@pytest.fixture(scope="module")
def base() -> Base:
    return service.whatif_base(JOB)


def refusal(base: Base, *settings: str) -> list[tuple[str, str]]:
    with pytest.raises((SpecError, InfeasiblePlan)) as caught:
        service.whatif(base, settings)
    return [(one.where, one.message) for one in caught.value.findings]


def test_every_number_of_the_prediction_is_compared(base: Base) -> None:
    result = service.whatif(base, ["links.*.bandwidth=x2"])
    found = {change.name: change for change in result.changes}
    for name in (
        "step_seconds",
        "tokens_per_second",
        "mfu",
        "memory.peak_bytes",
        "memory.fits",
        "memory.stages[0].weight_bytes",
        "terms[zone_agreement].exposed_seconds",
        "links[north,south].step_bytes",
        "links[north,south].exposed_seconds",
        "links[north,south].groups[dp].seconds",
        "gpu_dollars",
        "egress_dollars",
        "finish.p50_seconds",
    ):
        assert name in found, name
    step = found["step_seconds"]
    assert step.base == base.ranked.prediction.step_seconds
    assert step.changed == result.changed.prediction.step_seconds
    assert step.difference == pytest.approx(step.changed - step.base)
    assert step.ratio == pytest.approx(step.changed / step.base)
    assert step.is_gain is True
    assert found["tokens_per_second"].is_gain is True
    assert found["links[north,south].bytes_per_second"].ratio == pytest.approx(2.0)
    assert found["links[north,south].step_bytes"].ratio == 1.0, "bytes do not depend on how fast they go"
    assert found["memory.peak_bytes"].is_gain is None


def test_unknown_numbers_have_no_difference(base: Base) -> None:
    before = base.ranked.prediction
    after = dataclasses.replace(before, gpu_dollars=None, mfu=float("nan"), links=())
    found = {change.name: change for change in changes(before, after)}
    for name in ("gpu_dollars", "mfu", "links[north,south].step_bytes"):
        change = found[name]
        assert change.base is not None
        assert (change.changed, change.difference, change.ratio, change.is_gain) == (None, None, None, None)


def test_nothing_set_changes_nothing_and_gives_advice(base: Base) -> None:
    result = service.whatif(base)
    assert result.changed == result.base
    assert all(change.difference in (0.0, None) for change in result.changes)
    assert result.regime == result.base_regime
    assert result.advice
    assert not result.warnings


def test_the_same_value_again_changes_nothing(base: Base) -> None:
    result = service.whatif(base, ["links.*.bandwidth=5 Gbit/s", "plan.microbatch_size=8"])
    assert all(change.difference in (0.0, None) for change in result.changes)


def test_settings_are_what_an_edited_file_predicts(base: Base) -> None:
    edited = copy.deepcopy(JOB)
    edited["cluster"]["links"][0] |= {"bandwidth": "20 Gbit/s", "rtt": "5 ms"}
    edited["workload"]["global_batch_size"] = 2048
    edited["plan"]["microbatch_size"] = 4
    settings = [
        "links[south,north].bandwidth=20 Gbit/s",
        "links.*.rtt=x0.25",
        "workload.global_batch_size=x2",
        "plan.microbatch_size=4",
    ]
    predicted = dataclasses.replace(service.predict(service.read(edited)), checks=())
    assert service.whatif(base, settings).changed == predicted


def test_the_plan_stays_where_another_would_now_be_better() -> None:
    job = {**JOB, "plan": {}, "framework": {"name": "fsdp"}}
    base = service.whatif_base(job)
    changed = service.whatif(base, ["links.*.bandwidth=x0.01"])
    assert changed.changed.plan == base.ranked.plan
    assert (
        changed.changed.prediction.step_seconds > base.ranked.prediction.step_seconds
        or len(base.ranked.plan.zones) == 1
    )


def test_microbatches_are_shared_as_before(base: Base) -> None:
    plan = service.whatif(base, ["workload.global_batch_size=1536"]).changed.plan
    assert [(one.num_replicas, one.num_microbatches) for one in plan.replicas] == [(8, 12), (8, 12)]
    assert sum(one.weight for one in plan.replicas) == pytest.approx(1.0)


def test_unequal_shares_keep_their_proportion() -> None:
    replicas = [
        {"zones": ["north"], "num_replicas": 8, "num_microbatches": 12},
        {"zones": ["south"], "num_replicas": 8, "num_microbatches": 4},
    ]
    base = service.whatif_base({**JOB, "plan": {**JOB["plan"], "replicas": replicas}})
    plan = service.whatif(base, ["workload.global_batch_size=x2"]).changed.plan
    assert [(one.zones, one.num_replicas, one.num_microbatches) for one in plan.replicas] == [
        (("north",), 8, 24),
        (("south",), 8, 8),
    ]
    bigger = service.whatif(base, ["plan.microbatch_size=64"]).changed.plan
    assert [(one.zones, one.num_replicas, one.num_microbatches) for one in bigger.replicas] == [
        (("north",), 8, 1),
        (("south",), 8, 1),
    ]


def test_new_gpus_stay_idle(base: Base) -> None:
    plan = service.whatif(base, ["zones[south].nodes[0].count=3"]).changed.plan
    assert [(one.zone, one.num_gpus) for one in plan.idle_gpus] == [("south", 4)]
    assert plan.world_size == 16


def test_a_degree_places_the_plan_anew(base: Base) -> None:
    plan = service.whatif(base, ["plan.dp=8", "plan.idle_gpus=[{zone: south, num_gpus: 8}]"]).changed.plan
    assert (plan.dp, plan.zones) == (8, ("north",))


def test_replicas_of_an_excluded_zone_go(base: Base) -> None:
    result = service.whatif(base, ["constraints.exclude_zones=[south]"])
    plan = result.changed.plan
    assert (plan.dp, plan.zones, plan.zone_axis) == (8, ("north",), "none")
    assert [one.num_microbatches for one in plan.replicas] == [16]
    assert result.changed.prediction.links == ()


def test_what_the_plan_has_no_room_for_is_refused_with_numbers(base: Base) -> None:
    assert refusal(base, "zones[south].nodes[0].count=1", "model=llama-2-7b", "workload.sequence_length=512") == [
        ("cluster.zones", "the plan uses 8 GPUs in south, node group 0, which has 4."),
        ("model", "the plan's stages hold 24 layers, llama-2-7b has 32."),
    ]
    assert refusal(base, "workload.global_batch_size=64") == [
        ("workload.global_batch_size", "a step has 8 microbatches of 8, too few for 16 replicas.")
    ]
    assert refusal(base, "workload.global_batch_size=1028") == [
        ("plan.microbatch_size", "microbatch_size 8 does not divide the 1028 sequences of a step.")
    ]


def test_a_plan_of_another_job_speaks_of_no_change(base: Base) -> None:
    alone = {**JOB, "plan": {}, "cluster": {"zones": [zone("north")]}}
    with pytest.raises(SpecError) as caught:
        service.whatif_base(alone, plan=base.ranked.plan)
    assert "changed" not in str(caught.value)


def test_all_that_is_wrong_with_the_values_is_told_at_once(base: Base) -> None:
    found = refusal(base, "links.*.bandwidth=20", "plan.shard=gradient", "workload.optimizer=adamx")
    places = ["cluster.links[0].bandwidth", "plan.shard", "workload.optimizer"]
    assert sorted(where for where, _ in found) == places


def test_a_framework_says_what_it_cannot(base: Base) -> None:
    ((where, message),) = refusal(base, "plan.shard=parameters")
    assert where == "plan"
    assert message.startswith("ddp: ")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("workload.global_batch_size=512", "a step has 512 sequences, not 1024"),
        ("workload.optimizer=sgd", "sgd updates the weights, not adamw"),
        ("workload.precision=fp16", "number formats differ"),
        ("plan.sync.every=4", "hierarchical: the optimizer steps once in 4 steps"),
        ("plan.sync.method=diloco", "diloco: 2 zones step by themselves"),
        ("plan.sync.codecs.gradients=int8_block", "gradients as int8_block: rounds"),
    ],
)
def test_what_changes_the_mathematics_is_told_with_its_source(base: Base, setting: str, words: str) -> None:
    (warning,) = service.whatif(base, [setting]).warnings
    assert warning.startswith(words)
    assert "Source: " in warning


@pytest.mark.parametrize(
    "setting", ["plan.recompute=full", "plan.microbatch_size=4", "plan.sync.method=flat", "links.*.streams=8"]
)
def test_what_keeps_the_mathematics_warns_of_nothing(base: Base, setting: str) -> None:
    assert service.whatif(base, [setting]).warnings == ()


def test_a_sync_key_leaves_the_others_alone(base: Base) -> None:
    settings = ["plan.sync.codecs.gradients=bf16", "plan.sync.streams=4"]
    first = service.whatif_base({**JOB, "plan": {**JOB["plan"], "sync": {"codecs": {"gradients": "bf16"}}}})
    both = service.whatif(first, ["plan.sync.streams=4"]).changed.plan.sync
    assert both == service.whatif(base, settings).changed.plan.sync
    assert (both.num_streams, both.codecs) == (4, (("gradients", "bf16"),))


def test_regime_moves_from_communication_to_compute_as_bandwidth_grows(base: Base) -> None:
    order = ["communication_bound", "balanced", "compute_bound"]
    names = [
        service.whatif(
            base, [f"links.*.bandwidth={rate} Gbit/s", "links.*.rtt=1 ms", "workload.global_batch_size=8192"]
        ).regime.name
        for rate in (0.2, 0.5, 2, 5, 20, 100, 400)
    ]
    places = [order.index(name) for name in names]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 2)


def test_slopes_are_differences_of_predictions(base: Base) -> None:
    slopes = {slope.what: slope for slope in base.regime.slopes if slope.what != "zone_link"}
    seconds = base.ranked.prediction.step_seconds
    for what, setting in (("zone_links", "links.*.bandwidth=x2"), ("rtt", "links.*.rtt=x0.5")):
        changed = service.whatif(base, [setting]).changed.prediction.step_seconds
        assert slopes[what].seconds_saved == pytest.approx(seconds - changed, rel=1e-6), what
    assert slopes["gpus"].seconds_saved >= slopes["gpu_compute"].seconds_saved > 0.0
    assert [slope.seconds_saved for slope in base.regime.slopes] == sorted(
        (slope.seconds_saved for slope in base.regime.slopes), reverse=True
    )


def test_two_directions_that_bind_together_have_a_slope_of_both(base: Base) -> None:
    """An exchange waits for the slower direction: one alone twice as fast saves nothing."""
    saved = [slope.seconds_saved for slope in base.regime.slopes if slope.what == "zone_link"]
    (both,) = [slope.seconds_saved for slope in base.regime.slopes if slope.what == "zone_pair"]
    assert saved == [0.0, 0.0]
    assert both > 0.0


def test_buckets_that_pay_too_many_round_trips_are_advised_larger() -> None:
    job = copy.deepcopy(JOB)
    job["cluster"]["links"][0] |= {"rtt": "200 ms", "bandwidth": "40 Gbit/s"}
    advice = service.advice(service.whatif_base(job))
    (bucket,) = [one for one in advice if one.settings[0].startswith("plan.bucket_bytes")]
    assert float(bucket.settings[0].split("=")[1].split()[0]) > 25.0
    assert bucket.seconds_saved > 5.0  # 52 of 54 round trips of 200 ms, each


def test_links_that_carry_nothing_have_no_slope() -> None:
    base = service.whatif_base({**JOB, "constraints": {"exclude_zones": ["south"]}, "plan": {**JOB["plan"], "dp": 8}})
    assert {slope.what for slope in base.regime.slopes} == {
        "communication",
        "gpus",
        "gpu_compute",
        "gpu_memory",
        "zone_network",
    }


def test_compute_bound_is_what_faster_communication_hardly_helps(base: Base) -> None:
    problem = base.read(
        base.job.with_settings(["links.*.bandwidth=400 Gbit/s", "links.*.rtt=1 ms", "workload.global_batch_size=8192"])[
            0
        ]
    )
    ranked = service.predict(problem)
    found = regime(problem, ranked.plan, ranked.prediction)
    saved = {slope.what: slope.seconds_saved for slope in found.slopes}["communication"]
    assert found.name == "compute_bound"
    assert saved < COMPUTE_BOUND_FRACTION * ranked.prediction.step_seconds


def test_advice_is_ranked_and_each_gain_is_what_its_settings_predict(base: Base) -> None:
    advice = service.advice(base)
    gains = [one.seconds_saved for one in advice]
    assert gains == sorted(gains, reverse=True)
    before = base.ranked.prediction
    for one in advice:
        result = service.whatif(base, one.settings)
        prediction = result.changed.prediction
        tokens = before.global_batch_tokens / prediction.global_batch_tokens
        assert one.step_seconds == prediction.step_seconds, one.title
        assert one.seconds_saved == pytest.approx(before.step_seconds - prediction.step_seconds * tokens)
        assert one.saved_fraction == pytest.approx(one.seconds_saved / before.step_seconds)
        assert prediction.memory.fits
        assert one.source
        assert (one.mathematics == "unchanged") == (not result.warnings), one.title
        assert one.consent in (None, "local_sgd", "compression", "async", "batch_change")


def test_advice_for_a_slow_link_names_the_mechanisms(base: Base) -> None:
    by_settings = {one.settings: one for one in service.advice(base)}
    bandwidth = by_settings[("links[north,south].bandwidth=x2",)]
    assert (bandwidth.mathematics, bandwidth.consent) == ("unchanged", None)
    batch = by_settings[("workload.global_batch_size=2048",)]
    assert batch.consent is None  # `plan` takes the batch that is written
    kinds = {one.consent for one in by_settings.values()}
    assert {"local_sgd", "compression"} <= kinds


def test_links_of_several_pairs_are_advised_one_by_one_and_together() -> None:
    job = copy.deepcopy(JOB)
    job["cluster"]["zones"].append(zone("west"))
    job["cluster"]["links"][0]["bandwidth"] = "20 Gbit/s"
    job["cluster"]["links"].append({"between": ["north", "west"], "bandwidth": "20 Gbit/s", "rtt": "30 ms"})
    job["cluster"]["default_link"] = {"per_node": "1 Gbit/s", "rtt": "30 ms"}
    job["plan"] |= {"dp": 24, "sync": {"algorithm": "ring"}}  # a tree would go round the slow pair
    job["workload"]["global_batch_size"] = 1536
    found = {one.settings for one in service.advice(service.whatif_base(job))}
    assert ("links[south,west].per_node=x2",) in found
    assert not any(setting.startswith("links.*.bandwidth") for one in found for setting in one), "not all have one"
    job["cluster"]["default_link"]["bandwidth"] = job["cluster"]["default_link"].pop("per_node")
    assert ("links.*.bandwidth=x2",) in {one.settings for one in service.advice(service.whatif_base(job))}


def test_streams_that_fill_the_link_are_advised() -> None:
    job = copy.deepcopy(JOB)
    job["cluster"]["links"][0] |= {"bandwidth": "20 Gbit/s", "per_flow": "50 Mbit/s"}
    base = service.whatif_base(job)
    (found,) = [one for one in service.advice(base) if "streams a flow" in one.title]
    assert found.settings[0].startswith("links[north,south].streams=")
    for link in service.whatif(base, found.settings).changed.prediction.links:
        assert link.bytes_per_second == pytest.approx(2.5e9, rel=0.01)
    fewer = int(found.settings[0].rpartition("=")[2]) - 1
    for link in service.whatif(base, [f"links[north,south].streams={fewer}"]).changed.prediction.links:
        assert link.bytes_per_second < 2.5e9


def test_a_saved_plan_is_the_base_where_there_is_one() -> None:
    plan = service.predict(service.read(JOB)).plan
    other = {**JOB, "plan": {"tp": 1, "pp": 1, "microbatch_size": 2}}
    assert service.whatif_base(other, plan=plan).ranked.plan == plan
    small = copy.deepcopy(JOB)
    small["cluster"]["zones"][1] = zone("south", 1)
    del small["plan"]
    with pytest.raises(SpecError, match="the plan uses 8 GPUs in south"):
        service.whatif_base(small, plan=plan)
