"""What the engine predicts for a training on other numbers of GPUs, to stand beside what is measured."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING

from crosszone.core.scaling import MODES, default_sizes
from crosszone.errors import CrossZoneError

if TYPE_CHECKING:
    from crosszone.core.cluster import Cluster, NodeGroup, Zone
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem

SCALING_PATH = "configs/scaling.json"
"""Where `scripts/evaluate_scaling.py` of a bundle looks for it."""


def scaling_files(problem: Problem, plan: Plan) -> dict[str, str]:
    """The predictions as a file of a bundle; nothing where the plan splits the model, which has no smaller twin."""
    if plan.tp * plan.pp * plan.cp * plan.ep > 1:
        return {}
    predicted = {mode: predicted_scaling(problem, plan, mode) for mode in MODES}
    return {SCALING_PATH: json.dumps(predicted, indent=2) + "\n"}


def predicted_scaling(problem: Problem, plan: Plan, mode: str) -> dict[str, float]:
    """Step seconds by number of GPUs, as text: powers of two up to the plan's. What cannot be predicted is left out.

    strong: the global batch stays; weak: each GPU's. The GPUs are the plan's first, zone by zone.
    """
    from crosszone.frameworks import framework_facts
    from crosszone.planner.complete import placed
    from crosszone.timeline.predict import predict_plan

    found = {}
    for num_gpus in default_sizes(plan.dp):
        smaller = _smaller(problem, plan, mode, num_gpus)
        if smaller is None:
            continue
        try:
            whole = placed(smaller)
            found[str(num_gpus)] = predict_plan(smaller, whole, framework_facts(plan.framework)).step_seconds
        except CrossZoneError:
            continue
    return found


def _smaller(problem: Problem, plan: Plan, mode: str, num_gpus: int) -> Problem | None:
    """The same training on `num_gpus`; None where a step's batch cannot be dealt evenly, or nodes be cut so."""
    from crosszone.core.problem import PlanRequest
    from crosszone.frameworks.rules import SUMS

    cluster = _cut(problem.cluster, plan, num_gpus)
    microbatches = [replica.num_microbatches for replica in plan.replicas for _ in range(replica.num_replicas)]
    total = sum(microbatches) if mode == "strong" else max(microbatches) * num_gpus
    if cluster is None or total % num_gpus:
        return None
    is_whole = plan.dp_shard == plan.dp
    request = PlanRequest(
        tp=1,
        pp=1,
        cp=1,
        dp=num_gpus,
        dp_shard=num_gpus if is_whole else math.gcd(plan.dp_shard, num_gpus),
        microbatch_size=plan.microbatch_size,
        shard=plan.shard,
        recompute=plan.recompute,
        recompute_layers=plan.recompute_layers,
        offload=plan.offload,
        sync=plan.sync if len(cluster.zones) > 1 else None,
        is_sync_method_open=len(cluster.zones) > 1 and plan.sync.method in SUMS,
        bucket_bytes=plan.bucket_bytes,
        prefetch=plan.prefetch,
    )
    workload = dataclasses.replace(problem.workload, global_batch_size=total * plan.microbatch_size)
    return dataclasses.replace(problem, cluster=cluster, workload=workload, plan=request, framework=plan.framework)


def _cut(cluster: Cluster, plan: Plan, num_gpus: int) -> Cluster | None:
    """The first `num_gpus` of the plan's zones; None where the last nodes would differ from their group's others."""
    left, zones = num_gpus, []
    for name in plan.zones:
        zone: Zone = cluster.zone(name)
        groups: list[NodeGroup] = []
        for group in zone.node_groups:
            taken = min(left, group.num_gpus)
            if taken == 0:
                break
            if taken > group.gpus_per_node and taken % group.gpus_per_node:
                return None
            per_node = min(taken, group.gpus_per_node)
            groups.append(dataclasses.replace(group, num_nodes=taken // per_node, gpus_per_node=per_node, addresses=()))
            left -= taken
        if groups:
            zones.append(dataclasses.replace(zone, node_groups=tuple(groups)))
    if left:
        return None
    names = {zone.name for zone in zones}
    links = tuple(link for link in cluster.links if {link.from_zone, link.to_zone} <= names)
    return dataclasses.replace(cluster, zones=tuple(zones), links=links)
