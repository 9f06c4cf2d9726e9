"""What each rule says of plans that keep it and of plans that break it, with the numbers."""

import dataclasses
from typing import Any

import pytest

from crosszone import service
from crosszone.core.check import Check
from crosszone.planner.lint import checks
from crosszone.planner.lint.upkeep import lost_fraction

A100 = {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8, "network": "4x200 Gbit/s"}
V100 = {"count": 1, "gpu": "v100-sxm2-32gb", "gpus_per_node": 8, "network": "100 Gbit/s"}
SMALL = "opt-350m"
ONE_BY_ONE = {"microbatch_size": 1, "num_virtual_stages": 1, "schedule": "1f1b"}


def job(
    *groups: dict[str, Any], model: Any = "llama-2-7b", work: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A job file with a zone for each node group."""
    zones = [{"name": name, "nodes": [group]} for name, group in zip(("north", "south", "west"), groups, strict=False)]
    cluster: dict[str, Any] = {"zones": zones}
    if len(zones) > 1:
        cluster["default_link"] = more.pop("link", {"bandwidth": "10 Gbit/s", "rtt": "20 ms"})
    workload = {"sequence_length": 2048, "global_batch_size": 64, **(work or {})}
    return {"model": model, "workload": workload, "cluster": cluster, **more}


def said(source: dict[str, Any], name: str) -> Check | None:
    """What the rule says of the plan in the job."""
    problem = service.read(source)
    return next((check for check in service.predict(problem).checks if check.name == name), None)


def one(source: dict[str, Any], name: str) -> Check:
    check = said(source, name)
    assert check is not None
    return check


def test_one_kind_of_gpu_passes() -> None:
    check = one(job(A100, plan={"tp": 8}), "same_gpus")
    assert (check.verdict, check.message) == ("pass", "all 8 a100-sxm4-80gb are of one kind.")


def test_even_stages_on_unlike_gpus_wait() -> None:
    """16 layers each at 312e12 and 125e12 FLOP/s: 1 - (16 + 16) / (16/125 * (312 + 125)) = 42.8 %."""
    stages = [{"num_layers": 16, "zone": "north"}, {"num_layers": 16, "zone": "south"}]
    source = job(
        A100, V100, plan={"tp": 8, "dp": 1, "microbatch_size": 1, "stages": stages}, framework={"name": "megatron"}
    )
    check = one(source, "same_gpus")
    assert check.verdict == "warn"
    assert "42.8 % of their peak waits" in check.message
    assert check.settings == ("constraints.exclude_zones=[south]",)


def test_stages_in_proportion_do_not_wait() -> None:
    stages = [{"num_layers": 23, "zone": "north"}, {"num_layers": 9, "zone": "south"}]
    source = job(
        A100, V100, plan={"tp": 8, "dp": 1, "microbatch_size": 1, "stages": stages}, framework={"name": "megatron"}
    )
    assert one(source, "same_gpus").verdict == "pass"


def test_equal_shares_of_unequal_gpus_need_a_framework_that_weighs_them() -> None:
    shares = [{"zones": [zone], "num_replicas": 8, "num_microbatches": 4} for zone in ("north", "south")]
    plan = {"tp": 1, "pp": 1, "microbatch_size": 1, "shard": "none", "replicas": shares}
    check = one(job(A100, V100, model=SMALL, framework={"name": "horovod"}, plan=plan), "equal_shares")
    assert check.verdict == "warn"
    assert "replicas differ 2.50 times in speed" in check.message
    assert "framework.name=ddp" in check.settings


def test_shares_that_the_planner_found_are_not_held_against_peaks() -> None:
    shares = [
        {"zones": [zone], "num_replicas": 8, "num_microbatches": count} for zone, count in (("north", 6), ("south", 2))
    ]
    plan = {"tp": 1, "pp": 1, "microbatch_size": 1, "shard": "none", "replicas": shares}
    problem = service.read(job(A100, V100, model=SMALL, framework={"name": "ddp"}, plan=plan))
    ranked = service.predict(problem)
    written = next(check for check in ranked.checks if check.name == "equal_shares")
    assert "work off 2 and 6 microbatches each" in written.message
    found = dataclasses.replace(problem, plan=dataclasses.replace(problem.plan, replicas=None))
    check = next(each for each in checks(found, ranked) if each.name == "equal_shares")
    assert (check.verdict, "consume 2 and 6 sequences each, by predicted speed" in check.message) == ("pass", True)


def test_one_zone_of_several_passes_and_one_of_one_says_nothing() -> None:
    assert said(job(A100, plan={"tp": 8}), "same_zone_first") is None
    source = job(A100, A100, plan={"tp": 8, "dp": 1}, constraints={"exclude_zones": ["south"]})
    assert "the plan stays in north, one of 2 zones" in one(source, "same_zone_first").message


def test_spanning_is_held_against_the_best_plan_of_one_zone() -> None:
    problem = service.read(
        job(A100, A100, link={"bandwidth": "100 Mbit/s", "rtt": "100 ms"}, plan={"tp": 8, "pp": 1, "dp": 2})
    )
    ranked = service.predict(problem)

    def against(seconds: float) -> Check:
        prediction = dataclasses.replace(ranked.prediction, step_seconds=seconds)
        stays = tuple(
            dataclasses.replace(replica, zones=("north",) * ranked.plan.pp) for replica in ranked.plan.replicas
        )
        alone = dataclasses.replace(
            ranked, prediction=prediction, plan=dataclasses.replace(ranked.plan, replicas=stays)
        )
        return next(check for check in checks(problem, ranked, alone) if check.name == "same_zone_first")

    step = ranked.prediction.step_seconds
    assert [against(step * ratio).verdict for ratio in (0.5, 1.02, 1.9)] == ["fail", "warn", "pass"]
    assert "0.50 times as fast" in against(step * 0.5).message
    assert against(step * 0.5).settings == ("constraints.exclude_zones=[south]",)


def test_slow_links_are_told_without_a_baseline() -> None:
    link = {"bandwidth": "100 Mbit/s", "rtt": "100 ms"}
    check = one(job(A100, A100, link=link, plan={"tp": 8, "dp": 2}), "same_zone_first")
    assert check.verdict == "warn"
    assert "times that of one ideal zone" in check.message


def test_assumed_round_trips_are_named() -> None:
    written = job(A100, A100, plan={"tp": 8, "dp": 2})
    assert one(written, "links_measured").verdict == "pass"
    written["cluster"]["default_link"] = {"bandwidth": "10 Gbit/s"}
    for zone, region in zip(written["cluster"]["zones"], ("gcp:us-central1", "gcp:us-west1"), strict=True):
        zone["region"] = region
    check = one(written, "links_measured")
    assert check.verdict == "warn"
    assert "rtt" in check.message


def test_a_window_that_starves_a_link_is_told_the_streams_that_fill_it() -> None:
    plan = {"tp": 8, "pp": 2, "dp": 1}
    link = {"bandwidth": "10 Gbit/s", "rtt": "20 ms", "window": "100 kB"}
    source = job(A100, A100, link=link, plan=plan)
    check = one(source, "link_rate")
    assert check.verdict == "warn"
    assert "a flow takes 40 Mbit/s" in check.message  # 100 kB / 20 ms
    assert "south" in check.settings[0]
    ranked = service.predict(service.changed_problem(source, check.settings))
    (sent,) = (one for one in ranked.prediction.links if f"{one.from_zone},{one.to_zone}" in check.settings[0])
    assert sent.bytes_per_second == pytest.approx(1.25e9)
    assert one(job(A100, A100, plan=plan), "link_rate").verdict == "pass"


@pytest.mark.parametrize(
    ("price", "verdict"), [("0.0001 USD/GB", "pass"), ("0.004 USD/GB", "warn"), ("100 USD/GB", "fail")]
)
def test_egress_is_weighed_against_the_gpus(price, verdict) -> None:
    link = {"bandwidth": "10 Gbit/s", "rtt": "20 ms", "egress_price": price}
    priced = {**A100, "price": "2 USD/h"}
    check = one(job(priced, priced, link=link, plan={"tp": 8, "pp": 2, "dp": 1}), "egress_share")
    assert check.verdict == verdict
    assert "GPUs 32.00 USD" in check.message


def test_egress_is_weighed_against_all_gpus_that_are_paid_for() -> None:
    """A zone that works is rented whole: 8 + 8 + 8 GPUs, of which one node group idles, as the prediction has it."""
    priced = {**A100, "price": "2 USD/h"}
    link = {"bandwidth": "10 Gbit/s", "rtt": "20 ms", "egress_price": "0.004 USD/GB"}
    idle = [{"zone": "north", "node_group": 1, "num_gpus": 8}]
    source = job(priced, priced, link=link, plan={"tp": 8, "pp": 2, "dp": 1, "idle_gpus": idle})
    source["workload"]["train_tokens"] = "1B"
    source["cluster"]["zones"][0]["nodes"] = [priced, priced]
    prediction = service.predict(service.read(source)).prediction
    assert prediction.gpu_dollars == pytest.approx(48.0 / 3600.0 * (prediction.train_seconds or 0.0))
    assert "GPUs 48.00 USD" in one(source, "egress_share").message
    assert "8 of 24 GPUs idle, 16.00 USD an hour" in one(source, "idle_gpus").message


def test_unknown_egress_is_told_where_gpus_have_a_price() -> None:
    priced = {**A100, "price": "2 USD/h"}
    check = one(job(priced, priced, plan={"tp": 8, "pp": 2, "dp": 1}), "egress_share")
    assert check.verdict == "warn"
    assert "unknown from north to south" in check.message
    assert said(job(A100, A100, plan={"tp": 8, "pp": 2, "dp": 1}), "egress_share") is None


def test_an_oversubscribed_core_that_costs_is_told() -> None:
    plan = {"tp": 1, "pp": 1, "dp": 32, "shard": "parameters", "recompute": "full"}
    slow = {**A100, "count": 4, "network": "25 Gbit/s"}
    source = job(slow, framework={"name": "fsdp"}, plan=plan)
    assert one(source, "network_oversubscription").verdict == "pass"
    source["cluster"]["zones"][0]["oversubscription"] = 4
    check = one(source, "network_oversubscription")
    assert check.verdict == "warn"
    assert "1/4" in check.message
    assert check.settings == ("zones[north].oversubscription=1",)


def test_tensor_parallelism_stays_in_the_fabric() -> None:
    assert one(job({**A100, "count": 2}, plan={"tp": 8, "dp": 2}), "tp_in_fabric").verdict == "pass"
    check = one(job({**A100, "count": 2}, plan={"tp": 16, "dp": 1}), "tp_in_fabric")
    assert check.verdict == "warn"
    assert check.settings == ("plan.tp=8", "plan.dp=null")


@pytest.mark.parametrize(
    ("group", "precision", "verdict", "setting"),
    [
        (A100, "bf16", "pass", ()),
        (A100, "fp16", "warn", ("workload.precision=bf16",)),
        (V100, "fp16", "warn", ()),
        (A100, "fp32", "warn", ("workload.precision=bf16",)),
        ({**A100, "gpu": "h100-sxm5-80gb"}, "fp8", "warn", ("workload.precision=bf16",)),
    ],
)
def test_precision(group, precision, verdict, setting) -> None:
    check = one(job(group, model=SMALL, work={"precision": precision}, plan={"tp": 1}), "precision")
    assert (check.verdict, check.settings) == (verdict, setting)


def test_fp32_says_how_much_faster_16_bits_are() -> None:
    check = one(job(A100, model=SMALL, work={"precision": "fp32"}, plan={"tp": 1}), "precision")
    assert "bf16 has 16 times its peak" in check.message  # 312e12 / 19.5e12


def test_fewer_microbatches_than_stages_fail() -> None:
    check = one(job(A100, plan={"pp": 8, "dp": 1, "microbatch_size": 16, "recompute": "full"}), "pipeline_fill")
    assert check.verdict == "fail"
    assert check.message.startswith("4 microbatches for 8 stages")
    assert check.settings == ("plan.microbatch_size=1",)


def test_a_full_pipeline_passes() -> None:
    source = job(A100, plan={"pp": 8, "dp": 1, "microbatch_size": 1}, work={"global_batch_size": 256})
    assert one(source, "pipeline_fill").verdict == "pass"


def test_a_small_batch_of_single_sequences_is_told_the_batch_that_fills_it() -> None:
    check = one(job(A100, plan={"pp": 8, "dp": 1, **ONE_BY_ONE}, work={"global_batch_size": 16}), "pipeline_fill")
    assert check.verdict == "warn"
    assert check.settings == ("workload.global_batch_size=63",)  # 7 * 0.9 / 0.1


def test_agreeing_too_often_is_told() -> None:
    slow = {**A100, "count": 2, "network": "10 Gbit/s"}
    plan = {"tp": 1, "pp": 1, "dp": 16, "shard": "none", "microbatch_size": 1}
    few = job(slow, model=SMALL, framework={"name": "ddp"}, plan=plan, work={"global_batch_size": 16})
    check = one(few, "gradient_accumulation")
    assert check.verdict == "warn"
    assert check.settings == ("workload.global_batch_size=32",)
    many = job(slow, model=SMALL, framework={"name": "ddp"}, plan=plan, work={"global_batch_size": 65536})
    assert one(many, "gradient_accumulation").verdict == "pass"


def test_gathering_weights_too_often_is_told() -> None:
    slow = {**A100, "count": 4, "network": "10 Gbit/s"}
    plan = {
        "tp": 1,
        "pp": 1,
        "dp": 32,
        "dp_shard": 32,
        "shard": "parameters",
        "microbatch_size": 1,
        "recompute": "full",
    }
    check = one(job(slow, framework={"name": "fsdp"}, plan=plan, work={"global_batch_size": 128}), "weight_gathers")
    assert check.verdict == "warn"
    assert "32 ranks for each of 4 microbatches" in check.message
    assert check.settings == ("plan.microbatch_size=2",)


def test_idle_gpus_are_counted() -> None:
    idle = {"tp": 4, "pp": 1, "dp": 1, "idle_gpus": [{"zone": "north", "num_gpus": 4}]}
    check = one(job({**A100, "price": "2 USD/h"}, plan=idle), "idle_gpus")
    assert (check.verdict, check.message) == ("warn", "4 of 8 GPUs idle, 8.00 USD an hour: 4 a100-sxm4-80gb in north.")
    assert "What binds it" in check.fix
    assert one(job(A100, plan={"tp": 8}), "idle_gpus").verdict == "pass"


def test_lopsided_stages_are_told() -> None:
    stages = [{"num_layers": 24}, {"num_layers": 8}]
    check = one(job(A100, plan={"tp": 4, "dp": 1, "stages": stages}, framework={"name": "megatron"}), "stage_balance")
    assert check.verdict == "warn"
    assert "33.3 % of the stages wait" in check.message  # 1 - 32 / (24 * 2)
    assert one(job(A100, plan={"tp": 4, "pp": 2, "dp": 1}), "stage_balance").verdict == "pass"


def test_what_does_not_fit_is_told_the_least_sharding_that_helps() -> None:
    source = job({**A100, "gpus_per_node": 2}, framework={"name": "ddp"}, plan={"tp": 1, "dp": 2, "recompute": "full"})
    sharding = one(source, "sharding")
    assert sharding.verdict == "fail"
    assert "108 GB of 85 GB" in sharding.message
    fixed = service.predict(service.changed_problem(source, sharding.settings))
    assert fixed.prediction.memory.fits
    framework = one(source, "framework")
    assert framework.verdict == "fail"
    fixed = service.predict(service.changed_problem(source, framework.settings))
    assert fixed.prediction.memory.fits
    assert one(source, "memory_headroom").verdict == "fail"


def test_sharding_that_nothing_needs_should_not_cross_zones() -> None:
    plan = {"tp": 1, "pp": 1, "dp": 16, "dp_shard": 16, "shard": "parameters", "microbatch_size": 1}
    check = one(job(A100, A100, model=SMALL, framework={"name": "fsdp"}, plan=plan), "sharding")
    assert check.verdict == "warn"
    assert "nothing needs it" in check.message
    inside = {**plan, "dp_shard": 8}
    assert one(job(A100, A100, model=SMALL, framework={"name": "fsdp"}, plan=inside), "sharding").verdict == "pass"


def test_sharding_that_is_needed_is_kept_inside_zones() -> None:
    plan = {
        "tp": 1,
        "pp": 1,
        "dp": 16,
        "dp_shard": 16,
        "shard": "parameters",
        "microbatch_size": 1,
        "recompute": "full",
    }
    check = one(job(A100, A100, framework={"name": "fsdp"}, plan=plan), "sharding")
    assert check.verdict == "warn"
    assert check.settings == ("plan.dp_shard=8",)


def test_frameworks_that_can_express_the_plan_are_listed() -> None:
    check = one(job(A100, plan={"tp": 8}, framework={"name": "megatron"}), "framework")
    assert check.verdict == "pass"
    assert check.message.startswith("this plan can be expressed by megatron, torchtitan, not by ddp:")
    assert "no tensor parallelism, but tp=8" in check.message
    assert "121 GB of 85 GB, does not fit" in check.message  # 6.74e9 parameters of 18 bytes


def test_host_memory_holds_a_staged_checkpoint() -> None:
    work = {"checkpoint": {"async": True}, "train_tokens": "1B"}
    unknown = one(job(A100, plan={"tp": 8}, work=work), "host_memory")
    assert unknown.verdict == "warn"
    assert one(job({**A100, "memory": "1 TB"}, plan={"tp": 8}, work=work), "host_memory").verdict == "pass"
    small = one(job({**A100, "memory": "32 GB"}, plan={"tp": 8}, work=work), "host_memory")
    assert small.verdict == "fail"
    assert "94.3 GB of a checkpoint, and has 32 GB" in small.message  # 6.74e9 parameters of 14 bytes
    assert said(job(A100, plan={"tp": 8}), "host_memory") is None


@pytest.mark.parametrize(("every", "verdict"), [("auto", "pass"), ("1 min", "warn"), ("300 d", "fail")])
def test_checkpoints_come_about_as_often_as_loses_least(every, verdict) -> None:
    work = {"checkpoint": {"every": every}, "train_tokens": "10T"}
    check = one(job({**A100, "mtbf": "100 d"}, plan={"tp": 8}, work=work), "checkpoint_interval")
    assert check.verdict == verdict
    assert check.settings == (() if verdict == "pass" else ("workload.checkpoint.every=auto",))


def test_lost_time_is_least_at_youngs_interval() -> None:
    best = (2 * 60.0 * 1e6) ** 0.5
    losses = [lost_fraction(best * ratio, 60.0, 1e6) for ratio in (0.5, 1.0, 2.0)]
    assert losses[1] == min(losses) == pytest.approx((2 * 60.0 / 1e6) ** 0.5)


@pytest.mark.parametrize(
    ("model", "length", "verdict"),
    [("llama-2-7b", 4096, "pass"), ("llama-2-7b", 8192, "warn"), ("bert-large", 1024, "fail")],
)
def test_sequences_are_held_to_the_models_positions(model, length, verdict) -> None:
    check = one(job(A100, model=model, work={"sequence_length": length}, plan={"tp": 8}), "sequence_length")
    assert check.verdict == verdict
    assert str(length) in check.message


def test_key_and_value_heads_split_over_tp() -> None:
    shape = {
        "num_layers": 8,
        "hidden_size": 1024,
        "ffn_size": 2816,
        "num_heads": 8,
        "num_kv_heads": 2,
        "vocab_size": 32000,
    }
    check = one(job(A100, model=shape, plan={"tp": 8}), "kv_heads")
    assert check.verdict == "warn"
    assert "each head is held by 4 ranks" in check.message
    assert check.settings == ("plan.tp=2", "plan.dp=null")
    assert one(job(A100, plan={"tp": 8}), "kv_heads").verdict == "pass"


def test_a_padded_vocabulary_is_told() -> None:
    shape = {"num_layers": 8, "hidden_size": 1024, "ffn_size": 2816, "num_heads": 8, "vocab_size": 1100}
    check = one(job(A100, model=shape, plan={"tp": 8}), "vocabulary")
    assert check.verdict == "warn"
    assert "padded to 2048" in check.message  # 128 * 8 * 2
    assert one(job(A100, plan={"tp": 8}), "vocabulary").verdict == "pass"


def test_waiting_for_data_is_told() -> None:
    work = {"train_tokens": "10B", "dataset": {"zone": "north", "size": "100 TB", "tokens": "10B"}}
    link = {"bandwidth": "100 Mbit/s", "rtt": "20 ms"}
    check = one(job(A100, A100, link=link, plan={"tp": 8, "dp": 2}, work=work), "data_loading")
    assert check.verdict == "warn"
    assert check.settings == ("workload.dataset.zone=null",)
    few = one(job({**A100, "cpus": 8}, plan={"tp": 8}), "data_loading")
    assert (few.verdict, "8 cores feed 8 GPUs" in few.message) == ("warn", True)
    assert one(job({**A100, "cpus": 64}, plan={"tp": 8}), "data_loading").verdict == "pass"
