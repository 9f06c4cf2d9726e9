"""What each framework can express, and that one plan and a table of plans are judged alike."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosszone.core.plan import RANK_ORDER, RECOMPUTES, SCHEDULES, SHARDS, Plan, Replica, Stage, Sync
from crosszone.core.tables import PlanTable
from crosszone.errors import UnknownName
from crosszone.frameworks import expressible, framework_names, rank_order, supports

LAYERS = 32
SHARDED = {"dp": 8, "dp_shard": 8}
PIPELINE = {"pp": 4, "dp": 2}
INTERLEAVED = {"pp": 4, "schedule": "interleaved_1f1b", "num_virtual_stages": 2}


def plan(
    *,
    layers: tuple[int, ...] | None = None,
    microbatches: tuple[int, ...] = (8,),
    replicas: tuple[int, ...] | None = None,
    **changes: object,
) -> Plan:
    """A plan of one GPU, changed. `layers` of each stage; `microbatches` and sizes of the groups of replicas."""
    base = {
        "framework": "any",
        "tp": 1,
        "pp": 1,
        "cp": 1,
        "ep": 1,
        "dp": 1,
        "dp_shard": 1,
        "num_virtual_stages": 1,
        "microbatch_size": 1,
        "schedule": "1f1b",
        "sequence_parallel": False,
        "shard": "none",
        "recompute": "none",
        "sync": Sync(),
    } | changes
    pp, dp = int(str(base["pp"])), int(str(base["dp"]))
    layers = layers or (LAYERS // pp,) * pp
    groups = replicas or (dp // len(microbatches),) * len(microbatches)
    firsts = np.cumsum((0, *layers))
    return Plan(
        **base,  # type: ignore[arg-type]
        stages=tuple(
            Stage(
                first_layer=int(first),
                num_layers=num_layers,
                zone="a",
                node_group=0,
                tp=int(str(base["tp"])),
                dp=dp,
                recompute=str(base["recompute"]),
            )
            for first, num_layers in zip(firsts[:-1], layers, strict=True)
        ),
        replicas=tuple(
            Replica(
                num_replicas=size,
                zones=("a",) * pp,
                node_groups=(0,) * pp,
                num_microbatches=number,
                weight=size * number / sum(s * n for s, n in zip(groups, microbatches, strict=True)),
            )
            for size, number in zip(groups, microbatches, strict=True)
        ),
    )


def table(plans: list[Plan]) -> PlanTable:
    """The plans as a search holds them."""
    columns = {
        **{
            name: [getattr(plan, name) for plan in plans]
            for name in ("tp", "pp", "cp", "ep", "dp", "dp_shard", "num_virtual_stages", "microbatch_size")
        },
        "layout": list(range(len(plans))),
        "framework": [0] * len(plans),
        "schedule": [SCHEDULES.index(plan.schedule) for plan in plans],
        "recompute": [RECOMPUTES.index(plan.recompute) for plan in plans],
        "shard": [SHARDS.index(plan.shard) for plan in plans],
    }
    answers = {
        "sequence_parallel": [plan.sequence_parallel for plan in plans],
        "offloads_optimizer": [plan.offload == "optimizer" for plan in plans],
        "is_unequal": [len({replica.num_microbatches for replica in plan.replicas}) > 1 for plan in plans],
    }
    return PlanTable(
        **{name: np.array(values, dtype=np.int64) for name, values in columns.items()},
        **{name: np.array(values, dtype=np.bool_) for name, values in answers.items()},
    )


def gradients(name: str) -> Sync:
    """Gradients sent as codec `name`."""
    return Sync(codecs=(("gradients", name),))


def mixed(of: Plan) -> Plan:
    """The plan with another kind of recompute on its first stage."""
    return replace(of, stages=(replace(of.stages[0], recompute="full"), *of.stages[1:]))


def recomputing(of: Plan, *counts: int | None) -> Plan:
    """The plan with so many layers of each stage recomputed; None: all."""
    stages = tuple(
        replace(stage, recompute="none" if count == 0 else of.recompute, recompute_layers=count or None)
        for stage, count in zip(of.stages, counts, strict=True)
    )
    return replace(of, stages=stages)


def can(name: str, **changes: object) -> bool:
    return supports(name, plan(**changes)) == ()  # type: ignore[arg-type]


def reason(name: str, **changes: object) -> str:
    (only,) = supports(name, plan(**changes))  # type: ignore[arg-type]
    return only


def names(**changes: object) -> set[str]:
    """Frameworks that can express the plan."""
    return {name for name in framework_names() if can(name, **changes)}


def test_frameworks_are_found_by_their_folder() -> None:
    assert framework_names() == ("ddp", "deepspeed", "fsdp", "horovod", "megatron", "torchtitan")


def test_one_gpu_is_everybodys() -> None:
    assert names() == set(framework_names())


def test_who_has_which_axis() -> None:
    assert names(tp=2, sequence_parallel=True) == {"megatron", "torchtitan"}
    assert names(pp=4) == {"deepspeed", "megatron", "torchtitan"}
    assert names(cp=2) == {"megatron", "torchtitan"}
    assert names(ep=2, dp=2, dp_shard=2, shard="optimizer") == {"megatron"}
    assert names(ep=2, dp=2, dp_shard=2, shard="parameters") == {"torchtitan"}


def test_who_shards_what() -> None:
    assert names(dp=8) == {"ddp", "deepspeed", "horovod", "megatron", "torchtitan"}
    assert names(**SHARDED, shard="optimizer") == {"deepspeed", "megatron"}
    assert names(**SHARDED, shard="gradients") == {"deepspeed", "fsdp", "torchtitan"}
    assert names(**SHARDED, shard="parameters") == {"deepspeed", "fsdp", "torchtitan"}


def test_who_shards_within_groups_smaller_than_dp() -> None:
    assert names(dp=8, dp_shard=4, shard="parameters") == {"fsdp", "torchtitan"}
    assert names(dp=8, dp_shard=4, shard="optimizer") == {"megatron"}
    assert "shards over all 8 ranks of dp, but dp_shard=4." in reason("deepspeed", dp=8, dp_shard=4, shard="parameters")


def test_who_takes_unequal_replicas() -> None:
    assert names(dp=2, microbatches=(3, 5)) == {"ddp"}
    assert "3 and 5 microbatches" in reason("megatron", dp=2, microbatches=(3, 5))


def test_fsdp_takes_unequal_replicas_only_where_no_shard_group_mixes_them() -> None:
    apart = {"dp": 8, "microbatches": (3, 5), "shard": "parameters"}
    assert can("fsdp", **apart, dp_shard=4)
    assert can("fsdp", **apart, dp_shard=2)
    assert "dp_shard=8" in reason("fsdp", **apart, dp_shard=8)
    assert not can("fsdp", **apart, dp_shard=4, replicas=(2, 6))
    assert can("fsdp", **apart, dp_shard=2, replicas=(2, 6))


def test_who_has_which_schedule() -> None:
    assert names(pp=4, schedule="gpipe") == {"torchtitan"}
    assert names(pp=4, schedule="1f1b") == {"deepspeed", "megatron", "torchtitan"}
    assert names(**INTERLEAVED) == {"megatron", "torchtitan"}


def test_a_schedule_without_a_pipeline_is_nobodys_concern() -> None:
    assert names(schedule="gpipe") == set(framework_names())


def test_virtual_stages_without_interleaving_are_refused() -> None:
    assert "num_virtual_stages=2" in reason("megatron", pp=4, num_virtual_stages=2)


def test_interleaving_works_in_groups_of_pp() -> None:
    assert can("megatron", **INTERLEAVED, microbatches=(12,))
    assert "a replica has 10" in reason("megatron", **INTERLEAVED, microbatches=(10,))
    assert not can("megatron", **INTERLEAVED, microbatches=(2,))


def test_torch_interleaves_in_equal_rounds() -> None:
    """The examples of torch's own docstring: with 4 stages, 10 microbatches make 2 rounds, 3 make 1."""
    assert can("torchtitan", **INTERLEAVED, microbatches=(10,))
    assert can("torchtitan", **INTERLEAVED, microbatches=(3,))
    assert not can("torchtitan", **INTERLEAVED, microbatches=(9,))


def test_torchs_1f1b_needs_as_many_microbatches_as_stages() -> None:
    assert can("torchtitan", pp=4, microbatches=(4,))
    assert "at least pp=4" in reason("torchtitan", pp=4, microbatches=(3,))
    assert can("torchtitan", pp=4, microbatches=(3,), schedule="gpipe")
    assert can("megatron", pp=4, microbatches=(3,))


def test_every_chunk_holds_a_layer() -> None:
    assert can("megatron", pp=4, schedule="interleaved_1f1b", num_virtual_stages=8)
    assert "4*9 = 36 chunks" in reason("megatron", pp=4, schedule="interleaved_1f1b", num_virtual_stages=9)


def test_who_takes_uneven_stages() -> None:
    assert names(pp=2, layers=(14, 18)) == {"deepspeed", "megatron", "torchtitan"}


def test_nobody_takes_stages_of_different_kinds() -> None:
    assert {name for name in framework_names() if supports(name, mixed(plan(pp=2))) == ()} == set()


def test_who_recomputes_other_numbers_of_layers_on_other_stages() -> None:
    def takers(*counts: int | None, **changes: object) -> set[str]:
        some = recomputing(plan(pp=2, **changes), *counts)
        return {name for name in framework_names() if supports(name, some) == ()}

    whole = {"recompute": "full", "layers": (14, 18)}
    assert takers(3, 3, **whole) == takers(None, None, **whole) == {"deepspeed", "megatron", "torchtitan"}
    assert takers(None, 14, **whole) == {"deepspeed", "megatron", "torchtitan"}  # all of the stage that has no more
    assert takers(4, 3, **whole) == takers(0, None, **whole) == {"deepspeed", "torchtitan"}
    assert takers(3, 3, recompute="selective") == takers(0, None, recompute="selective") == set()


def test_sequence_parallelism_goes_with_tensor_parallelism() -> None:
    assert names(sequence_parallel=True) == set()
    assert names(tp=2, sequence_parallel=False) == {"megatron"}  # torchtitan always splits the sequence
    assert "needs sequence_parallel" in reason("megatron", tp=2, ep=2, dp=2)


def test_torchtitan_replicates_without_sharding_only_alone() -> None:
    assert can("torchtitan", dp=8)
    assert "pp=4" in reason("torchtitan", **PIPELINE)
    assert can("torchtitan", **PIPELINE, shard="gradients", dp_shard=2)


def test_torchtitan_recomputes_no_single_operations_where_backwards_are_split() -> None:
    zbv = {"pp": 4, "schedule": "zbv", "num_virtual_stages": 2}
    assert can("torchtitan", **zbv, recompute="full")
    assert can("torchtitan", **{**zbv, "schedule": "interleaved_1f1b"}, recompute="selective")
    assert "goes back through a layer twice" in reason("torchtitan", **zbv, recompute="selective")


def test_deepspeeds_pipeline_takes_zero_1_at_most() -> None:
    assert can("deepspeed", **PIPELINE)
    assert can("deepspeed", **PIPELINE, shard="optimizer", dp_shard=2)
    for shard in ("gradients", "parameters"):
        assert f"pp=4 with shard={shard}" in reason("deepspeed", **PIPELINE, shard=shard, dp_shard=2)


def test_deepspeeds_pipeline_recomputes_whole_layers() -> None:
    assert can("deepspeed", **PIPELINE, recompute="full")
    assert not can("deepspeed", **PIPELINE, recompute="selective")
    assert can("deepspeed", dp=8, recompute="selective")


def test_who_offloads() -> None:
    assert names(**SHARDED, shard="optimizer", offload="optimizer") == {"deepspeed", "megatron"}
    assert names(**SHARDED, shard="parameters", offload="parameters") == {"deepspeed", "fsdp", "torchtitan"}
    assert not can("deepspeed", dp=8, offload="optimizer")
    assert not can("megatron", dp=8, offload="optimizer")
    assert not can("deepspeed", **PIPELINE, shard="optimizer", dp_shard=2, offload="optimizer")


def test_megatrons_groups_of_optimizer_states_hold_whole_replicas_of_an_expert() -> None:
    shape = {"dp": 8, "shard": "optimizer", "ep": 4}
    assert can("megatron", **shape, dp_shard=8)
    assert can("megatron", **shape, dp_shard=4)
    why = reason("megatron", **shape, dp_shard=2)
    assert "dp/dp_shard = 4 copies" in why
    assert "tp*cp*dp/ep = 2 replicas" in why
    assert can("megatron", **shape, tp=2, sequence_parallel=True, dp_shard=2)
    assert can("megatron", dp=8, ep=4)


def test_who_agrees_less_often_than_each_step() -> None:
    for method in ("local_sgd", "diloco", "streaming_diloco"):
        assert names(dp=8, sync=Sync(method=method, every=100)) == {"ddp"}
        assert names(**SHARDED, shard="parameters", sync=Sync(method=method, every=100)) == {"fsdp"}
    assert names(dp=8, sync=Sync(method="delayed")) == {"ddp"}
    assert names(dp=8, sync=Sync(method="flat")) == names(dp=8)


def test_who_compresses_gradients() -> None:
    assert names(dp=8, sync=gradients("fp16")) == {"ddp", "deepspeed", "horovod"}
    assert names(dp=8, sync=gradients("bf16")) == {"ddp", "deepspeed", "megatron"}
    assert names(dp=8, sync=gradients("powersgd_rank_8")) == names(dp=8, sync=gradients("int8_block")) == {"ddp"}
    assert can("fsdp", **SHARDED, shard="parameters", sync=gradients("bf16"))
    assert names(dp=8, sync=gradients("none")) == names(dp=8)
    assert "megatron: Megatron cannot send gradients as topk_64." in reason("megatron", dp=8, sync=gradients("topk_64"))


def test_nobody_compresses_activations_between_stages() -> None:
    assert names(**PIPELINE, sync=Sync(codecs=(("activations", "int8_block"),))) == set()


def test_zones_that_step_by_themselves_hold_whole_shards() -> None:
    shape = {"dp": 8, "dp_shard": 8, "shard": "parameters", "sync": Sync(method="diloco", every=10)}
    torn = replace(plan(**shape, microbatches=(8, 8)))  # type: ignore[arg-type]
    zones = [replace(replica, zones=(name,)) for replica, name in zip(torn.replicas, "ab", strict=True)]
    torn = replace(torn, replicas=tuple(zones))
    assert torn.zone_axis == "dp"
    (why,) = supports("fsdp", torn)
    assert "dp_shard=8 shards them over zones that hold 4 and 4 replicas" in why
    assert supports("fsdp", replace(torn, dp_shard=4)) == ()
    mask = expressible(
        "fsdp",
        table([torn, replace(torn, dp_shard=4)]),
        num_layers=LAYERS,
        num_microbatches=8,
        fewest_replicas=np.array([4, 4]),
        sync=torn.sync,
    )
    assert mask.tolist() == [False, True]
    uneven = [replace(each, num_replicas=count) for each, count in zip(zones, (2, 6), strict=True)]
    assert "zones that hold 2 and 6 replicas" in supports("fsdp", replace(torn, dp_shard=4, replicas=tuple(uneven)))[0]


def test_our_trainer_packs_what_zones_send_when_they_step_by_themselves() -> None:
    for name in ("bf16", "fp16", "int8_block", "int4", "none"):
        sync = Sync(method="diloco", every=10, codecs=(("pseudogradients", name),))
        assert can("ddp", dp=8, sync=sync)
        assert can("fsdp", **SHARDED, shard="parameters", sync=sync)
    sync = Sync(method="diloco", every=10, codecs=(("pseudogradients", "topk_64"),))
    assert "cannot send pseudogradients as topk_64" in reason("ddp", dp=8, sync=sync)
    assert names(**SHARDED, shard="parameters", sync=sync) == set()


def test_rank_order() -> None:
    assert {rank_order(name) for name in framework_names()} == {("tp", "cp", "dp", "pp")}
    across = {"tp": 2, "sequence_parallel": True, "pp": 2, "dp": 2, "rank_order": ("tp", "cp", "pp", "dp")}
    assert can("megatron", **across)  # --use-tp-pp-dp-mapping
    sharded = {**across, "shard": "parameters", "dp_shard": 2}
    assert "not tp-cp-pp-dp" in reason("torchtitan", **sharded)
    assert can("torchtitan", **{**sharded, "dp": 1, "dp_shard": 1, "shard": "none"})  # one replica: any order
    torn = {**across, "rank_order": ("dp", "tp", "cp", "pp")}
    assert "tp-cp-dp-pp or tp-cp-pp-dp, innermost first, not dp-tp-cp-pp" in reason("megatron", **torn)


@pytest.mark.parametrize("order", list(itertools.permutations(RANK_ORDER)))
def test_a_search_takes_the_order_of_ranks_as_a_plan_does(order: tuple[str, ...]) -> None:
    degrees = [dict(zip(RANK_ORDER, each, strict=True)) for each in itertools.product((1, 2), repeat=4)]
    plans = [plan(**each, sequence_parallel=each["tp"] > 1, rank_order=order) for each in degrees]
    found = expressible("megatron", table(plans), num_layers=LAYERS, num_microbatches=8, rank_order=order)
    assert found.tolist() == [not supports("megatron", each) for each in plans]


def test_all_reasons_come_at_once_with_the_frameworks_name() -> None:
    reasons = supports("ddp", plan(tp=2, pp=4, shard="parameters", dp=2, dp_shard=2))
    assert len(reasons) == 3
    assert all(reason.startswith("ddp: ") for reason in reasons)
    assert "tp=2" in reasons[0]
    assert "Set tp=1" in reasons[0]


def test_an_unknown_framework_is_answered_with_the_nearest() -> None:
    for ask in (lambda: supports("megatorn", plan()), lambda: rank_order("megatorn")):
        with pytest.raises(UnknownName, match="megatron"):
            ask()


degrees = st.sampled_from([1, 2, 4, 8])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    dp = draw(degrees)
    pp = draw(degrees)
    unequal = dp > 1 and draw(st.booleans())
    first = draw(st.integers(1, dp - 1)) if unequal else dp
    uneven = pp > 1 and draw(st.booleans())
    layers = (LAYERS // pp + 1, LAYERS // pp - 1, *(LAYERS // pp,) * (pp - 2)) if uneven else None
    microbatches = tuple(draw(st.lists(st.integers(1, 16), min_size=2, max_size=2)))
    return plan(
        tp=draw(degrees),
        pp=pp,
        cp=draw(degrees),
        ep=draw(degrees),
        dp=dp,
        dp_shard=draw(st.sampled_from([d for d in (1, 2, 4, 8) if dp % d == 0])),
        num_virtual_stages=draw(st.sampled_from([1, 2, 8])),
        schedule=draw(st.sampled_from(SCHEDULES[:3])),
        recompute=draw(st.sampled_from(RECOMPUTES)),
        shard=draw(st.sampled_from(SHARDS)),
        offload=draw(st.sampled_from(["none", "optimizer"])),
        sequence_parallel=draw(st.booleans()),
        layers=layers,
        microbatches=microbatches if unequal else microbatches[:1],
        replicas=(first, dp - first) if unequal else (dp,),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(plans(), min_size=1, max_size=6), st.sampled_from(framework_names()))
def test_a_table_is_judged_as_each_of_its_plans(rows: list[Plan], name: str) -> None:
    mask = expressible(
        name,
        table(rows),
        num_layers=LAYERS,
        num_microbatches=np.array([min(r.num_microbatches for r in row.replicas) for row in rows]),
        num_like_replicas=np.array([math.gcd(*(r.num_replicas for r in row.replicas)) for row in rows]),
    )
    assert mask.tolist() == [supports(name, row) == () for row in rows]


def test_without_group_sizes_a_table_refuses_what_may_mix() -> None:
    apart = plan(dp=8, dp_shard=4, microbatches=(3, 5), shard="parameters")
    even = plan(dp=8, dp_shard=4, shard="parameters")
    mask = expressible("fsdp", table([apart, even]), num_layers=LAYERS, num_microbatches=3)
    assert mask.tolist() == [False, True]


def test_what_a_framework_has_but_crosszone_does_not_plan_is_said_so() -> None:
    assert "deepspeed: DeepSpeed as CrossZone plans it has no tensor parallelism, but tp=2." in reason(
        "deepspeed", tp=2
    )
    assert "Megatron as CrossZone plans it cannot do shard=parameters over dp=8." in reason(
        "megatron", **SHARDED, shard="parameters"
    )


def test_one_replica_shards_over_its_ranks_of_cp_as_replicas_do() -> None:
    refusal = "Megatron as CrossZone plans it cannot do shard=gradients over dp=1, cp=2."
    assert refusal in reason("megatron", cp=2, shard="gradients")
    assert names(cp=2, shard="gradients") == {"torchtitan"}
    assert names(cp=2, shard="optimizer") == {"megatron"}


def test_no_reason_speaks_of_our_own_parts() -> None:
    changes = [{"tp": 2}, {"cp": 2}, {"pp": 4}, {**SHARDED, "shard": "parameters"}, {"sync": Sync(method="diloco")}]
    for name in framework_names():
        for change in changes:
            for why in supports(name, plan(**change)):  # type: ignore[arg-type]
                assert not {"renderer", "our", "ours"} & set(why.split()), why


def test_ends_may_stand_alone_in_their_chunks() -> None:
    # 34 chunks for 32 layers: the embedding and the LM head take one each, as 128 for the 126 of Llama 3.1 405B.
    assert can("megatron", pp=2, schedule="interleaved_1f1b", num_virtual_stages=17)
    assert "2*18 = 36 chunks" in reason("megatron", pp=2, schedule="interleaved_1f1b", num_virtual_stages=18)
