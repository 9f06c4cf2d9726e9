"""The job file that a request for a task comes to, and its prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crosszone import units
from crosszone.core.answer import Comparison
from crosszone.core.task_request import DataTransfer, HourlyCosts, Spanning, TaskFacts, TaskRequest
from crosszone.errors import CrossZoneError, Finding, InfeasiblePlan
from crosszone.service.task_memory import memory_finding

ASSUMED_SEQUENCE_LENGTH = 2048
"""Where a request does not say: short enough for every model of the catalog but BERT, so that what does not fit then
never does."""
LOCAL_STEPS = 50
"""For the comparison with agreeing less often."""
STRATEGY = "distributedConfig.strategy"
DEGREES = {"dp", "pp", "tp"}
"""A request that counts processes by these means ZeRO stage 0 where it names none, as its clients do."""
SHARDING = ("fsdp", "torchtitan")
"""Frameworks that are taken because they shard."""
_PLACES = {
    "plan.dp": f"{STRATEGY}.dataParallel",
    "plan.pp": f"{STRATEGY}.pipelineParallel",
    "plan.tp": f"{STRATEGY}.tensorParallel",
    "plan.cp": f"{STRATEGY}.contextParallel",
    "plan.ep": f"{STRATEGY}.expertParallel",
    "plan.shard": f"{STRATEGY}.zeroStage",
    "plan.microbatch_size": f"{STRATEGY}.microBatchSize",
    "plan": STRATEGY,
    "framework": "distributedConfig.framework",
    "cluster": "distributedConfig.nodeIds",
}
"""Place in a job file, and where a request says it."""
_CLUSTER_PLACES = {
    "cluster.zones": "distributedConfig.zones",
    "cluster.links": "distributedConfig.links",
    "cluster.default_link": "distributedConfig.defaultLink",
}
"""The same of a request that writes its zones itself: what is below these places is said below those."""


def job_file(
    request: TaskRequest, facts: TaskFacts, model: Any, cluster: Mapping[str, Any], num_gpus: int
) -> tuple[dict[str, Any], list[str]]:
    """The job file of the request, and what was assumed in it."""
    workload = dict(request.workload or {})
    assumed = []
    if "sequence_length" not in workload:
        workload["sequence_length"] = ASSUMED_SEQUENCE_LENGTH
        assumed.append(f"assumed: sequences of {ASSUMED_SEQUENCE_LENGTH} tokens; workload.sequence_length says others.")
    if request.train_batch_size is not None:
        workload.setdefault("global_batch_size", request.train_batch_size)
    if "global_batch_size" not in workload:
        workload["global_batch_size"] = _least_batch(request, num_gpus)
        batch = workload["global_batch_size"]
        assumed.append(f"assumed: {batch} sequences a step, one microbatch for each replica.")
    if facts.dataset is not None and facts.dataset:
        workload.setdefault("dataset", facts.dataset)
    job: dict[str, Any] = {"model": model, "workload": workload, "cluster": dict(cluster)}
    if request.framework is not None:
        job["framework"] = {"name": request.framework}
    plan = dict(request.plan)
    if DEGREES & set(plan) and "shard" not in plan and request.framework not in SHARDING:
        plan["shard"] = "none"
        assumed.append("assumed: nothing is sharded; distributedConfig.strategy.zeroStage says otherwise.")
    said = {"plan": plan, "objective": request.objective, "constraints": request.constraints}
    return {**job, **{key: value for key, value in said.items() if value}}, assumed


def num_replicas(request: TaskRequest, num_gpus: int) -> int | None:
    """Replicas of the model: as many as are asked for, else as the other degrees leave room for."""
    others = [degree for name in ("pp", "tp", "cp") if isinstance(degree := request.plan.get(name, 1), int)]
    dp = request.plan.get("dp", max(num_gpus // max(math.prod(others), 1), 1))
    return dp if isinstance(dp, int) else None


def data_transfers(job: Mapping[str, Any]) -> tuple[DataTransfer, ...]:
    """What it takes to copy the data set of a job to each zone that does not hold it, over paths that are known."""
    from crosszone.service.verbs import read
    from crosszone.timeline.dataset import reading_bytes_per_second

    problem = read(dict(job))
    dataset = problem.workload.dataset
    if dataset is None or dataset.zone is None or dataset.size_bytes is None:
        return ()
    found = []
    for zone in problem.cluster.zones:
        if zone.name == dataset.zone:
            continue
        rate = reading_bytes_per_second(problem, dataset.zone, zone.name)
        price = problem.cluster.link(dataset.zone, zone.name).egress_dollars_per_byte
        found.append(
            DataTransfer(
                from_zone=dataset.zone,
                to_zone=zone.name,
                size_bytes=dataset.size_bytes,
                seconds=dataset.size_bytes / rate,
                egress_dollars=None if price is None else price * dataset.size_bytes,
            )
        )
    return tuple(found)


def hourly_costs(job: Mapping[str, Any], prediction: Mapping[str, Any] | None) -> HourlyCosts:
    """What is paid for all nodes of a job, and for what crosses zones while they train."""
    from crosszone.service.verbs import read

    groups = [group for zone in read(dict(job)).cluster.zones for group in zone.node_groups]
    gpus = [
        None if group.dollars_per_gpu_second is None else group.dollars_per_gpu_second * group.num_gpus
        for group in groups
    ]
    links = [None] if prediction is None else [link["dollars_per_hour"] for link in prediction["links"]]
    return HourlyCosts(
        gpu_dollars_per_hour=None if None in gpus else sum(filter(None, gpus)) * units.SECONDS_PER_HOUR,
        egress_dollars_per_hour=None if None in links else float(sum(filter(None, links))),
    )


def predicted_job(
    job: Mapping[str, Any], *, is_without_times: bool, has_own_zones: bool = False
) -> tuple[dict[str, Any] | None, list[str]]:
    """Prediction JSON and what to say of it. SpecError, InfeasiblePlan, with places of the request."""
    from crosszone.service.as_json import prediction_json
    from crosszone.service.verbs import predict, read

    try:
        problem = read(dict(job))
        ranked = predict(problem)
    except CrossZoneError as error:
        raise type(error)(*(_placed(each, has_own_zones=has_own_zones) for each in error.findings)) from None
    if not ranked.prediction.memory.fits:
        raise InfeasiblePlan(memory_finding(job, problem, ranked, where=STRATEGY))
    value = prediction_json(ranked)
    idle = [check.message for check in ranked.checks if check.name == "idle_gpus" and check.verdict == "warn"]
    told = [*idle, *value["assumed"], *value["warnings"]]
    if is_without_times:
        return None, told
    return value, told


def spanning(job: Mapping[str, Any], prediction: Mapping[str, Any]) -> Spanning | None:
    """What spanning zones costs in this very job, and what agreeing less often would leave of it."""
    waited = [link for link in prediction["links"] if link["exposed_seconds"]]
    if not waited:
        return None
    worst = max(waited, key=lambda link: link["exposed_seconds"])
    local_step_seconds, local_framework = _local(job, prediction)
    return Spanning(
        **{name: worst[name] for name in ("from_zone", "to_zone", "step_bytes", "exposed_seconds")},
        step_seconds=prediction["step_seconds"],
        local_every=LOCAL_STEPS,
        local_step_seconds=local_step_seconds,
        local_framework=local_framework,
    )


def spanning_warning(found: Spanning) -> str:
    """`found` in words."""
    said = (
        f"training across zones: {units.format_seconds(found.exposed_seconds)} of each step of "
        f"{units.format_seconds(found.step_seconds)} is spent waiting for {found.from_zone} → {found.to_zone}, "
        f"which carries {units.format_bytes(found.step_bytes)} a step."
    )
    if found.local_step_seconds is None:
        return said
    rarely = f"{units.format_seconds(found.local_step_seconds)} a step with {found.local_framework}"
    return f"{said} Agreeing every {found.local_every} steps would make it {rarely}; it changes the mathematics."


def staying(job: Mapping[str, Any], prediction: Mapping[str, Any]) -> Comparison | None:
    """What the nodes of all zones would do together, where the plan keeps to one of several; None elsewhere."""
    from crosszone.planner.search import search
    from crosszone.service.verbs import read

    problem = read(dict(job))
    working = {zone for replica in prediction["plan"]["replicas"] for zone in replica["zones"]}
    if len(problem.cluster.zones) == 1 or len(working) > 1:
        return None
    try:
        return search(problem, top=1).comparison
    except CrossZoneError:
        return None


def staying_warning(found: Comparison) -> str:
    """`found` in words."""
    one, all_ = found.alone, found.spanning
    return (
        f"only {one.zones[0]} trains: {one.num_gpus} of its GPUs take {units.format_seconds(one.step_seconds)} a step, "
        f"{all_.num_gpus} GPUs of {len(all_.zones)} zones {units.format_seconds(all_.step_seconds)} at best."
    )


def _least_batch(request: TaskRequest, num_gpus: int) -> int:
    """One microbatch for each replica: what does not fit with it fits with none."""
    dp, microbatch = num_replicas(request, num_gpus), request.plan.get("microbatch_size", 1)
    return dp * microbatch if dp is not None and isinstance(microbatch, int) else num_gpus


def _placed(finding: Finding, *, has_own_zones: bool) -> Finding:
    """A finding of the job with the place where the request says it."""
    for place, key in _CLUSTER_PLACES.items():
        if has_own_zones and finding.where.startswith(place):
            return replace(finding, where=key + finding.where.removeprefix(place))
    for place, key in _PLACES.items():
        if finding.where == place or finding.where.startswith((f"{place}.", f"{place}[")):
            return replace(finding, where=key)
    return finding


def _local(job: Mapping[str, Any], prediction: Mapping[str, Any]) -> tuple[float | None, str | None]:
    """(seconds of a step, framework) where zones agree every `LOCAL_STEPS` steps; None where that is not shorter."""
    from crosszone.service.verbs import predict, read

    allowed = {**job.get("constraints", {}), "allow": ["local_sgd"]}
    plan = {**_degrees(prediction), "sync": {"method": "local_sgd", "every": LOCAL_STEPS}}
    free = {key: value for key, value in job.items() if key != "framework"}  # not all can
    try:
        local = predict(read({**free, "plan": plan, "constraints": allowed}))
    except CrossZoneError:
        return None, None
    is_shorter = local.prediction.step_seconds < prediction["step_seconds"]
    return (local.prediction.step_seconds, local.plan.framework) if is_shorter else (None, None)


def _degrees(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """The degrees of a prediction's plan, as a job file has them."""
    plan = prediction["plan"]
    return {name: plan[name] for name in ("tp", "pp", "cp", "dp", "microbatch_size") if plan.get(name)}
