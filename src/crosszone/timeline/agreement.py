"""Agreeing on gradients inside a zone, over all its pools; `zone_agreement` is for what crosses zones."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Floats
from crosszone.cost.collectives import all_gather_seconds, all_reduce_seconds
from crosszone.cost.memory import StateBytes, state_bytes
from crosszone.timeline.stages import GRADIENTS, OPTIMIZER, StageView, shard_path
from crosszone.timeline.zone_groups import group_path, zone_path


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAgreement:
    """One value per row of a StageTable."""

    reduce_seconds: Floats
    """Reducing gradients over the replicas of the zone."""
    gather_seconds: Floats
    """Gathering updated weights where the optimizer's states are sharded."""
    num_buckets: Floats


def pool_agreement(view: StageView) -> PoolAgreement:
    """Time of the collectives among a zone's replicas, per stage, whichever of its pools they lie in.

    Unsharded: one all-reduce. Sharded over n_s ranks and replicated n_r times: reduce-scatter over n_s, all-reduce of
    the shard over n_r, all-gather of the weights over n_s. Weights sharded too: gradients were scattered with every
    microbatch, only the all-reduce over n_r is left. Source: Rajbhandari et al. 2020, sec. 7; Zhao et al. 2023, sec.
    3.2.2.
    """
    plans, domain, ranks = view.plans, view.inputs.hardware.domain_size[view.stages.pool], view.ranks
    reduce, gather = _group_seconds(view, view.dense, ranks, view.num_shards, domain // plans.tp)
    if view.expert.any():  # an expert's copies are fewer by ep and more by the tp ranks that hold it whole
        spread = np.where(plans.ep > 1, plans.tp / plans.ep, 1.0)
        inside = np.where(plans.ep > 1, domain // plans.ep, domain // plans.tp)
        more = _group_seconds(view, view.expert, ranks * spread, view.expert_shards, inside)
        reduce, gather = reduce + more[0], gather + more[1]
    buckets = view.parameters * _sizes(view).reduction / view.bucket_bytes
    return PoolAgreement(reduce_seconds=reduce, gather_seconds=gather, num_buckets=np.maximum(np.ceil(buckets), 1.0))


def _group_seconds(
    view: StageView, parameters: Floats, ranks: Floats, num_shards: Floats, per_domain: Floats
) -> tuple[Floats, Floats]:
    """Reducing gradients and gathering weights of `parameters`, bucket by bucket; a pool holds `ranks` of the ranks."""
    plans, sizes, groups = view.plans, _sizes(view), view.groups
    total = np.maximum(groups.total(ranks), 1.0)
    gradient, weight = parameters * sizes.reduction, parameters * sizes.gathered_weight
    shards = np.where(plans.shard > 0, np.minimum(num_shards, total), 1.0)
    inside = np.clip(per_domain, 1.0, None)
    copies, own = total / shards, group_path(view.inputs, view.stages.pool)
    copies_inside, path = zone_path(own, groups, ranks / shards, np.clip(inside // shards, 1.0, None))
    shards_inside, shards_path = shard_path(view, ranks, shards, np.minimum(inside, shards))
    buckets = np.maximum(np.ceil(gradient / view.bucket_bytes), 1.0)
    across = all_reduce_seconds(copies, np.minimum(copies_inside, copies), gradient / shards / buckets, path)
    scatter = all_gather_seconds(shards, shards_inside, gradient / buckets, shards_path)
    gather = all_gather_seconds(shards, shards_inside, weight / buckets, shards_path)
    times = buckets * view.fact("agreement_factor")
    across, scatter, gather = times * across, times * scatter, times * gather
    across = across + buckets * view.fact("bucket_seconds") * (total > 1.0)
    shards_state = (plans.shard == OPTIMIZER) | (plans.shard == GRADIENTS)
    return across + shards_state * scatter, shards_state * gather


def _sizes(view: StageView) -> StateBytes:
    return state_bytes(view.inputs.problem.workload, weights_are_master=False)
