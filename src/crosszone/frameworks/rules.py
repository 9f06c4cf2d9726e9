"""What a framework cannot do, said once: the same rule judges one plan and a table of millions.

A rule reads columns (`Expressed`), so that `violated` is one expression over arrays; one plan is the table with one
row. Each file beside this one lists the rules of its framework. Arithmetic of the model (heads over tp, layers over
pp) and of the cluster is the planner's, not theirs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS, STREAMS, SYNC_METHODS, Plan, Stage, Sync
from crosszone.core.schedules import traits
from crosszone.core.tables import Bools, Columns, Ints, Numeric, PlanTable
from crosszone.cost.codecs import codec, families
from crosszone.cost.sync import is_local

OFFLOADS = ("none", "optimizer", "parameters")
"""What `Plan.offload` may say."""
AXIS_TITLES = {
    "tp": "tensor parallelism",
    "pp": "pipeline parallelism",
    "cp": "context parallelism",
    "ep": "expert parallelism",
}
CODECS = tuple(sorted(families()))
"""Codecs without their numbers."""
WITH_VIRTUAL_STAGES = tuple(name for name in SCHEDULES if traits(name).least_virtual_stages > 1)
"""Schedules of several virtual stages on a rank."""
FLAT, HIERARCHICAL = "flat", "hierarchical"
SUMS = (FLAT, HIERARCHICAL)
"""Ways to agree across zones that add up the gradients of every step, as one cluster would."""


FLAT_SUMS = "flat_sums"
"""Code of the rule of frameworks that add up gradients over all ranks at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressed(Columns):
    """What a plan asks of a framework, one row per plan. Codes index SCHEDULES, RECOMPUTES, SHARDS, SYNC_METHODS.

    Columns broadcast: one value stands for all rows, a leading axis for alternatives.
    """

    tp: Ints
    pp: Ints
    cp: Ints
    ep: Ints
    dp: Ints
    dp_shard: Ints
    num_virtual_stages: Ints
    num_layers: Ints
    """Of the model."""
    num_microbatches: Ints
    """Of the replica that works off fewest."""
    num_like_replicas: Ints
    """Greatest common divisor of the sizes of the replica groups: shard groups of a divisor of it mix no groups."""
    schedule: Ints
    recompute: Ints
    shard: Ints
    offload: Ints
    """Index in OFFLOADS."""
    sync: Ints
    sequence_parallel: Bools
    is_unequal: Bools
    """Replicas consume different numbers of microbatches."""
    is_mixed: Bools
    """Stages differ in tp or dp, or recompute in different ways."""
    is_recomputed_unalike: Bools
    """Stages differ in how many layers of each virtual stage they recompute, though they have as many."""
    is_selective_in_part: Bools
    """Some layers recompute single operations, others do not."""
    is_torn: Bools
    """Zones step by themselves, but what is sharded spans them."""
    is_once_per_zone: Bools
    """Ranks that add up the same part of the gradients lie in one zone, or one of them in each."""
    gradients: Ints
    """Codec of each stream, an index in `CODECS`."""
    activations: Ints
    pseudogradients: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that a framework cannot do."""

    code: str
    """For programs, in snake_case."""
    violated: Callable[[Expressed], Bools]
    message: Callable[[Plan], str]
    """What cannot be, with this plan's numbers: one sentence."""
    hint: str = ""
    """What to do instead: one sentence, or empty."""

    def reason(self, plan: Plan) -> str:
        """Message and hint as one text."""
        return f"{self.message(plan)} {self.hint}".rstrip()


def table_expressed(
    table: PlanTable,
    *,
    num_layers: int | Ints,
    num_microbatches: int | Ints,
    num_like_replicas: Ints | None = None,
    fewest_replicas: Ints | None = None,
    num_zones: int | Ints = 0,
    sync: Sync | None = None,
) -> Expressed:
    """The columns that rules read, of every row of `table`.

    What a table does not hold is what the search never varies: stages alike, and how zones agree, as in `sync`. Where
    `num_like_replicas` is not given, rows with unequal replicas count as having groups of one. `fewest_replicas` is
    what the zone with fewest holds of the `num_zones` among which replicas agree; where it is not given, one zone has
    all.
    """
    sync = sync or Sync()
    like = np.where(table.is_unequal, 1, table.dp) if num_like_replicas is None else num_like_replicas
    no = np.zeros(1, dtype=np.bool_)
    return Expressed(
        **{name: getattr(table, name) for name in _SHARED_COLUMNS},
        num_layers=np.atleast_1d(num_layers),
        num_microbatches=np.atleast_1d(num_microbatches),
        num_like_replicas=like,
        offload=table.offloads_optimizer.astype(np.int64) * OFFLOADS.index("optimizer"),
        sync=np.array([SYNC_METHODS.index(sync.method)]),
        is_mixed=no,
        is_recomputed_unalike=no,
        is_selective_in_part=no,
        is_torn=no if fewest_replicas is None else is_local(sync.method) & (fewest_replicas % table.dp_shard != 0),
        is_once_per_zone=~no
        if fewest_replicas is None
        else _once_per_zone(table.dp, table.cp, table.shard, table.dp_shard, fewest_replicas, num_zones),
        **{stream: np.array([code]) for stream, code in _codec_codes(sync).items()},
    )


def plan_expressed(plan: Plan) -> Expressed:
    """The columns of one plan: one row."""
    in_zones = _zone_replicas(plan)
    fewest, num_zones = min(in_zones), len(in_zones) if "dp" in plan.zone_axis else 0
    shard = SHARDS.index(plan.shard)
    numbers: dict[str, int] = {
        **{name: getattr(plan, name) for name in ("tp", "pp", "cp", "ep", "dp", "dp_shard", "num_virtual_stages")},
        "num_layers": sum(stage.num_layers for stage in plan.stages),
        "num_microbatches": min(replica.num_microbatches for replica in plan.replicas),
        "num_like_replicas": math.gcd(*(replica.num_replicas for replica in plan.replicas)),
        "schedule": SCHEDULES.index(plan.schedule),
        "recompute": RECOMPUTES.index(plan.recompute),
        "shard": shard,
        "offload": OFFLOADS.index(plan.offload),
        "sync": SYNC_METHODS.index(plan.sync.method),
        **_codec_codes(plan.sync),
    }
    answers: dict[str, bool] = {
        "sequence_parallel": plan.sequence_parallel,
        "is_unequal": len({replica.num_microbatches for replica in plan.replicas}) > 1,
        "is_mixed": any(
            (s.tp, s.dp) != (plan.tp, plan.dp) or s.recompute not in ("none", plan.recompute) for s in plan.stages
        ),
        "is_recomputed_unalike": _is_recomputed_unalike(plan),
        "is_selective_in_part": plan.recompute == "selective"
        and any(s.recompute != plan.recompute or s.recompute_layers is not None for s in plan.stages),
        "is_torn": is_local(plan.sync.method) and num_zones > 0 and any(count % plan.dp_shard for count in in_zones),
        "is_once_per_zone": bool(_once_per_zone(plan.dp, plan.cp, shard, plan.dp_shard, fewest, num_zones)),
    }
    columns: dict[str, Any] = {name: np.array([value], dtype=np.int64) for name, value in numbers.items()}
    columns |= {name: np.array([value], dtype=np.bool_) for name, value in answers.items()}
    return Expressed(**columns)


def own_degrees_reason(plan: Plan, *, runs_them: bool) -> str:
    """Why replicas of `plan` may not have degrees of their own, whatever these are; empty where they may."""
    if not runs_them:
        return (
            "every replica has the plan's microbatch_size, dp_shard, shard and recompute, but some of this plan have "
            "their own. Take ddp or fsdp."
        )
    if not is_local(plan.sync.method):
        return (
            f"zones that agree in every step (sync.method={plan.sync.method}) divide their work alike, but replicas of "
            "this plan have degrees of their own. Set sync.method=diloco or local_sgd."
        )
    for zone in plan.zones:
        inside = [replica for replica in plan.replicas if zone in replica.zones]
        if len({plan.degrees_of(replica) for replica in inside}) > 1 or any(len(set(one.zones)) > 1 for one in inside):
            return f"replicas of one zone divide their work alike, but those of {zone} differ."
        size, count = plan.degrees_of(inside[0]).dp_shard, sum(replica.num_replicas for replica in inside)
        if count % size:
            return f"dp_shard={size} does not divide the {count} replicas of {zone}. Set own.dp_shard to a divisor."
    return ""


def lacks(axis: str, why: str, hint: str = "") -> Rule:
    """The framework has no axis `axis`: it must be 1."""
    return Rule(
        code=f"no_{axis}",
        violated=lambda of: getattr(of, axis) > 1,
        message=lambda plan: f"{why} has no {AXIS_TITLES[axis]}, but {axis}={getattr(plan, axis)}.",
        hint=hint or f"Set {axis}=1 or take another framework.",
    )


def replicas_only(why: str) -> tuple[Rule, ...]:
    """Ranks are replicas: no axis divides the model."""
    return (
        lacks("tp", why, hint="Set tp=1, or take megatron or torchtitan."),
        lacks("pp", why, hint="Set pp=1, or take megatron, torchtitan or deepspeed."),
        lacks("cp", why, hint="Set cp=1, or take megatron or torchtitan."),
        lacks("ep", why, hint="Set ep=1, or take megatron or torchtitan."),
        SEQUENCE_PARALLEL_NEEDS_TP,
    )


def shards_only(why: str, *shards: str, hint: str) -> Rule:
    """Where there are ranks to shard over, of dp and of cp, `shard` must be one of these."""
    return Rule(
        code="shard",
        violated=lambda of: (of.dp * of.cp > 1) & ~_is_one_of(of.shard, SHARDS, shards),
        message=lambda plan: f"{why} cannot do shard={plan.shard} over dp={plan.dp}{_and_cp(plan)}.",
        hint=hint,
    )


def _and_cp(plan: Plan) -> str:
    return f", cp={plan.cp}" if plan.cp > 1 else ""


def schedules_only(why: str, *schedules: str) -> Rule:
    """With pp > 1, the schedule must be one of these."""
    return Rule(
        code="schedule",
        violated=lambda of: (of.pp > 1) & ~_is_one_of(of.schedule, SCHEDULES, schedules),
        message=lambda plan: f"{why} has no schedule {plan.schedule}.",
        hint=f"Set schedule to {' or '.join(schedules)}.",
    )


def equal_replicas(why: str) -> Rule:
    """Every replica works off the same number of microbatches."""
    return Rule(
        code="unequal_replicas",
        violated=lambda of: of.is_unequal,
        message=lambda plan: f"{why}, but the replicas have {_microbatches(plan)} microbatches.",
        hint="Give every replica the same number, or take ddp.",
    )


def whole_shard_groups(why: str) -> Rule:
    """What is sharded is sharded over all of dp."""
    return Rule(
        code="partial_shard_group",
        violated=lambda of: (of.shard > 0) & (of.dp_shard != of.dp),
        message=lambda plan: f"{why} shards over all {plan.dp} ranks of dp, but dp_shard={plan.dp_shard}.",
        hint="Set dp_shard to dp or take fsdp.",
    )


def offloads_only(why: str, *offloads: str, hint: str) -> Rule:
    """What waits in host memory is one of these."""
    return Rule(
        code="offload",
        violated=lambda of: ~_is_one_of(of.offload, OFFLOADS, ("none", *offloads)),
        message=lambda plan: f"{why} cannot do offload={plan.offload}.",
        hint=hint,
    )


def own_mathematics_only(why: str) -> Rule:
    """Zones agree in every step: flat or hierarchical."""
    return syncs_only(why, *SUMS, hint="Set sync.method=hierarchical or flat, or take ddp or fsdp.")


def flat_sums(why: str) -> Rule:
    """Gradients are added up by one collective of all ranks that hold the same part of them."""
    return Rule(
        code=FLAT_SUMS,
        violated=lambda of: (of.sync == SYNC_METHODS.index(HIERARCHICAL)) & ~of.is_once_per_zone,
        message=lambda plan: (
            f"{why} adds up the gradients of dp/dp_shard = {plan.dp}/{plan.dp_shard} ranks at once, in zones that hold "
            f"{' and '.join(str(count) for count in _zone_replicas(plan))} replicas, which is not once per zone "
            "(sync.method=hierarchical)."
        ),
        hint="Set sync.method=flat, dp_shard to the replicas of a zone, or take ddp.",
    )


def syncs_only(why: str, *methods: str, hint: str) -> Rule:
    """Zones agree in one of these ways."""
    return Rule(
        code="sync",
        violated=lambda of: ~_is_one_of(of.sync, SYNC_METHODS, methods),
        message=lambda plan: f"{why} cannot do sync.method={plan.sync.method}.",
        hint=hint,
    )


def codecs_only(why: str, stream: str, *names: str, hint: str = "") -> Rule:
    """`stream` crosses zones as it is or as one of these codecs."""
    legal = ("none", *names)
    return Rule(
        code=f"{stream}_codec",
        violated=lambda of: ~_is_one_of(getattr(of, stream), CODECS, legal),
        message=lambda plan: f"{why} cannot send {stream} as {dict(plan.sync.codecs)[stream]}.",
        hint=hint or (f"Leave out that codec, or write {' or '.join(names)}." if names else "Leave out that codec."),
    )


def no_codecs(why: str) -> tuple[Rule, ...]:
    """Nothing is compressed between zones."""
    return tuple(codecs_only(why, stream) for stream in STREAMS)


ZONES_HOLD_WHOLE_SHARDS = Rule(
    code="torn_shards",
    violated=lambda of: of.is_torn,
    message=lambda plan: (
        f"with {plan.sync.method} each zone has its own weights, but dp_shard={plan.dp_shard} shards them over zones "
        f"that hold {' and '.join(str(count) for count in _zone_replicas(plan))} replicas."
    ),
    hint="Set dp_shard to a divisor of each zone's replicas, or sync.method=hierarchical.",
)

SEQUENCE_PARALLEL_NEEDS_TP = Rule(
    code="sequence_parallel_without_tp",
    violated=lambda of: of.sequence_parallel & (of.tp == 1),
    message=lambda plan: "sequence_parallel splits what tp leaves whole, but tp=1.",
    hint="Set sequence_parallel=false.",
)

VIRTUAL_STAGES_NEED_INTERLEAVING = Rule(
    code="virtual_stages_without_interleaving",
    violated=lambda of: (of.num_virtual_stages > 1) & ~_is_one_of(of.schedule, SCHEDULES, WITH_VIRTUAL_STAGES),
    message=lambda plan: f"num_virtual_stages={plan.num_virtual_stages} needs interleaved_1f1b, not {plan.schedule}.",
    hint="Set schedule=interleaved_1f1b or num_virtual_stages=1.",
)

EVERY_CHUNK_HAS_A_LAYER = Rule(
    code="empty_virtual_stage",
    # The first chunk may hold the embedding alone, the last the LM head, as 126 layers on 16 ranks of 8 chunks need:
    # Megatron's --pipeline-model-parallel-layout, torchtitan's first_stage_less_layers; Grattafiori et al. 2024, 3.3.2.
    violated=lambda of: of.pp * of.num_virtual_stages > of.num_layers + 2,
    message=lambda plan: (
        f"pp*num_virtual_stages = {plan.pp}*{plan.num_virtual_stages} = {plan.pp * plan.num_virtual_stages} chunks, "
        f"but the model has {sum(stage.num_layers for stage in plan.stages)} layers."
    ),
    hint="Lower pp or num_virtual_stages.",
)

STAGES_ALIKE = Rule(
    code="mixed_stages",
    violated=lambda of: of.is_mixed,
    message=lambda plan: "every stage has the same tp, dp and kind of recompute, but this plan's stages differ.",
    hint="Give all stages the plan's own tp and dp, and its recompute or none.",
)

RECOMPUTED_ALIKE = Rule(
    code="unalike_recompute",
    violated=lambda of: of.is_recomputed_unalike,
    message=lambda plan: (
        "one number says how many layers of each virtual stage are recomputed, but the stages have "
        f"{' and '.join(str(number) for number in sorted(set(map(_recompute_layers, plan.stages))))}."
    ),
    hint="Set recompute_layers of the plan, not of its stages, or take torchtitan or deepspeed.",
)

SELECTIVE_IN_EVERY_LAYER = Rule(
    code="selective_in_part",
    violated=lambda of: of.is_selective_in_part,
    message=lambda plan: "recompute=selective is of every layer, but not in this plan.",
    hint="Leave out recompute_layers, or set recompute=full.",
)


def _codec_codes(sync: Sync) -> dict[str, int]:
    """Codec of each stream as an index in `CODECS`."""
    named = dict(sync.codecs)
    found = {stream: codec(named.get(stream, "none")) for stream in STREAMS}
    return {stream: CODECS.index(one.family) for stream, one in found.items() if one is not None}


def _recompute_layers(stage: Stage) -> int:
    """Layers of each virtual stage that a stage recomputes; its own number where it is all."""
    if stage.recompute == RECOMPUTES[0]:
        return 0
    return stage.num_layers if stage.recompute_layers is None else min(stage.recompute_layers, stage.num_layers)


def _is_recomputed_unalike(plan: Plan) -> bool:
    """No one number of layers, of which a virtual stage with fewer recomputes all, says what each stage does."""
    chunks = [-(-stage.num_layers // plan.num_virtual_stages) for stage in plan.stages]
    counts = [min(_recompute_layers(stage), most) for stage, most in zip(plan.stages, chunks, strict=True)]
    number = max(counts)
    return any(count != min(number, most) for count, most in zip(counts, chunks, strict=True))


def _once_per_zone(
    dp: Numeric, cp: Numeric, shard: Numeric, dp_shard: Numeric, fewest_replicas: Numeric, num_zones: Numeric
) -> Bools:
    """Every zone holds one rank of all that agree, or as many replicas as share one copy. 0 zones: nothing crosses."""
    fewest, zones = np.asarray(fewest_replicas), np.asarray(num_zones)
    fills = (cp * fewest == 1) | ((np.asarray(shard) > 0) & (dp_shard == fewest))
    return np.asarray((zones == 0) | ((dp == fewest * zones) & fills))


def _zone_replicas(plan: Plan) -> tuple[int, ...]:
    """Replicas of each zone that holds first stages."""
    counts = Counter[str]()
    for replica in plan.replicas:
        counts[replica.zones[0]] += replica.num_replicas
    return tuple(counts.values())


def is_interleaved(of: Expressed) -> Bools:
    """Rows whose schedule is interleaved."""
    return _is_one_of(of.schedule, SCHEDULES, ("interleaved_1f1b",))


def _is_one_of(codes: Ints, names: tuple[str, ...], wanted: tuple[str, ...]) -> Bools:
    return np.array([name in wanted for name in names])[codes]


def _microbatches(plan: Plan) -> str:
    return " and ".join(str(number) for number in sorted({replica.num_microbatches for replica in plan.replicas}))


_SHARED_COLUMNS = tuple({field.name for field in fields(PlanTable)} & {field.name for field in fields(Expressed)})
