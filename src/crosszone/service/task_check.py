"""What a request for a task comes to: all that is wrong with it, told with the numbers, or its job, predicted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import quantiles
from typing import Any

from crosszone.core.environment import FAULTY, RUNNING, STOPPED, UNREACHABLE, Environment, main_environment
from crosszone.core.task import EXISTING, SIMULATE, TaskNode
from crosszone.core.task_request import (
    UNAVAILABLE,
    BilingualFinding,
    ExaminedTask,
    StartEstimate,
    TaskFacts,
    TaskRequest,
)
from crosszone.errors import Finding, SpecError, UnknownName, nearest_hint
from crosszone.service.task_job import (
    STRATEGY,
    data_transfers,
    hourly_costs,
    job_file,
    num_replicas,
    predicted_job,
    spanning,
    spanning_warning,
    staying,
    staying_warning,
)

ASSUMED_LINK = {"bandwidth": "1 Gbit/s", "rtt": "50 ms"}
"""Between zones of which nothing is known: the plan's memory does not depend on it, and its times are not told."""
FEWEST_STARTS = 5
"""Below it, quantiles of earlier starts say nothing."""
NUM_NEAREST = 3
MOST_PAIRS = 6
"""Of zones, that are told by name."""
NODES = "distributedConfig.nodeIds"


def examine(value: Mapping[str, Any], facts: TaskFacts) -> ExaminedTask:
    """What the request `value` comes to, given what is known of what it names. Nothing is kept.

    Errors: SpecError with everything that is wrong, in both languages; InfeasiblePlan where it cannot fit or no
    framework can do it.
    """
    from crosszone.spec.task_request import read_task_request

    request = read_task_request(value)
    findings = _environment_findings(request, facts.environments)
    if findings:
        raise SpecError(*findings)
    ordered, cluster, missing = _cluster(request, facts)
    num_gpus = _num_gpus(cluster)
    findings = [
        *_size_findings(request, cluster, num_gpus),
        *_batch_findings(request, num_gpus),
        *_backend_findings(request),
        *_length_findings(request),
        *_path_findings(request, missing),
    ]
    if findings:
        raise SpecError(*findings)
    told = [*_path_warnings(ordered, facts.unreachable), *_link_warnings(missing)]
    warnings = [*_node_warnings(request, ordered), *told]
    model = _model(request, facts)
    nodes = _nodes(ordered)
    start = _start(facts.starting_seconds)
    found = ExaminedTask(
        request=request,
        is_known=model is not None,
        job=None,
        nodes=nodes,
        main_node=ordered[0].id if ordered else None,
        num_gpus=num_gpus,
        prediction=None,
        start=start,
        warnings=tuple(warnings),
    )
    if model is None:
        return replace(found, warnings=(*warnings, _unknown_model(request)))
    job, assumed = job_file(request, facts, model, cluster, num_gpus)
    prediction, told = predicted_job(job, is_without_times=bool(missing), has_own_zones=request.cluster is not None)
    across = None if prediction is None else spanning(job, prediction)
    within = None if prediction is None or across is not None else staying(job, prediction)
    crossing = [] if across is None else [spanning_warning(across)]
    keeping = [] if within is None else [staying_warning(within)]
    warnings += [*assumed, *crossing, *keeping, *told]
    return replace(
        found,
        job=job,
        prediction=prediction,
        spanning=across,
        comparison=within,
        costs=hourly_costs(job, prediction),
        transfers=() if missing else data_transfers(job),
        warnings=tuple(warnings),
    )


def _environment_findings(request: TaskRequest, known: Sequence[Environment]) -> list[Finding]:
    from crosszone.spec.task_request import bilingual

    by_id = {each.id: each for each in known}
    findings: list[Finding] = []
    for index, key in enumerate(request.environment_ids):
        where, each = f"{NODES}[{index}]", by_id.get(key)
        if each is None:
            english, chinese = f'there is no environment "{key[:100]}".', f"开发环境不存在：{key[:100]}"
            findings.append(bilingual("not_there", where, english, chinese))
            continue
        if not each.num_gpus or each.gpu is None:
            findings.append(bilingual("no_gpu", where, f'"{each.name}" has no GPU.', f"开发环境 {each.name} 没有 GPU"))
        state = _why_not(each)
        if state and request.launch_mode == EXISTING:
            english, chinese = f'"{each.name}" {state[0]}.', f"开发环境 {each.name} {state[1]}"
            hint = "Take another, or change it where that is not so any more."
            findings.append(bilingual(UNAVAILABLE, where, english, chinese, hint))
    return findings


def _backend_findings(request: TaskRequest) -> list[Finding]:
    from crosszone.deploy.backends import backend_names
    from crosszone.spec.task_request import bilingual

    name = request.deployment.get("backend")
    if name is None or name in backend_names():
        return []
    english, hint = f"there is no backend {name}.", nearest_hint(name, backend_names())
    return [bilingual("unknown_name", "deployment.backend", english, f"未知的启动后端：{name}", hint)]


def _length_findings(request: TaskRequest) -> list[Finding]:
    """What is to be rendered must say how long it trains; a prediction need not."""
    from crosszone.spec.task_request import bilingual

    workload = request.workload or {}
    is_said = "steps" in request.deployment or any(workload.get(key) is not None for key in ("train_tokens", "epochs"))
    if is_said or request.launch_mode == SIMULATE:
        return []
    english = "how long to train is not said."
    hint = "Write deployment.steps, or workload.train_tokens."
    return [bilingual("missing_key", "deployment.steps", english, "请指定训练多久（步数或训练 token 数）", hint)]


def _why_not(each: Environment) -> tuple[str, str] | None:
    reasons = (
        (each.status == STOPPED, ("is stopped", "已停止")),
        (each.status == UNREACHABLE, ("is not reached", "不可达")),
        (each.health == FAULTY, ("is faulty", "存在故障")),
        (each.is_draining, ("is draining and takes nothing new", "正在排空，不接受新任务")),
    )
    return next((said for is_so, said in reasons if is_so), None)


def _cluster(
    request: TaskRequest, facts: TaskFacts
) -> tuple[tuple[Environment, ...], dict[str, Any], tuple[tuple[str, str], ...]]:
    """Environments in the order of their ranks, the cluster of the job, and paths of which nothing is known."""
    from crosszone.spec.clusters import cluster_keys, missing_links, node_groups

    if request.cluster is not None:
        return (), {**request.cluster, **({"links": list(request.links)} if request.links else {})}, ()
    main = request.main_node or main_environment(facts.environments, facts.unreachable).id
    by_main = sorted(facts.environments, key=lambda each: each.id != main)
    ordered = tuple(each for group in node_groups(by_main) for each in group)
    known = {(start, end): path for start, end, path in facts.links}
    cluster = cluster_keys(ordered, known)
    said = _said_pairs(request.links)
    missing = tuple(pair for pair in missing_links(ordered, known) if pair not in said)
    if request.links:
        cluster["links"] = [*cluster.get("links", ()), *request.links]
    if missing:
        cluster["default_link"] = ASSUMED_LINK
    return ordered, cluster, missing


def _said_pairs(links: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """What a request itself says of paths; what is wrong in it is told when the job is read."""
    found = set()
    for link in links:
        between = link.get("between")
        if isinstance(between, list) and len(between) == 2:
            found |= {(str(between[0]), str(between[1])), (str(between[1]), str(between[0]))}
        found.add((str(link.get("from")), str(link.get("to"))))
    return found


def _num_gpus(cluster: Mapping[str, Any]) -> int:
    """GPUs of a cluster as it is written; what is no number counts nothing, and is told when the job is read."""
    return sum(num_nodes * num_gpus for num_nodes, num_gpus in _node_sizes(cluster))


def _node_sizes(cluster: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(nodes, GPUs on each) of every node group."""
    zones = [zone for zone in cluster.get("zones", ()) if isinstance(zone, dict)]
    groups = [group for zone in zones for group in zone.get("nodes") or () if isinstance(group, dict)]
    pairs = [(group.get("count"), group.get("gpus_per_node")) for group in groups]
    return [(count, size) for count, size in pairs if isinstance(count, int) and isinstance(size, int)]


def _size_findings(request: TaskRequest, cluster: Mapping[str, Any], num_gpus: int) -> list[Finding]:
    """Processes are as many as GPUs: not as many as nodes, and not as many as somebody would like."""
    from crosszone.spec.task_request import bilingual

    findings: list[Finding] = []
    num_nodes = sum(count for count, _ in _node_sizes(cluster))
    if request.world_size is not None and request.world_size != num_gpus:
        english = f"worldSize is {request.world_size}, but there is one process for each of the {num_gpus} GPUs."
        if request.world_size == num_nodes:
            english = (
                f"worldSize {request.world_size} is the number of nodes; processes are {num_gpus}, one for each GPU."
            )
        chinese = f"worldSize 为 {request.world_size}，应等于进程数（每个 GPU 一个）：{num_gpus}"
        findings.append(bilingual("world_size", "distributedConfig.worldSize", english, chinese, f"Write {num_gpus}."))
    degrees = {name: request.plan[name] for name in ("dp", "pp", "tp", "cp") if isinstance(request.plan.get(name), int)}
    product = math.prod(degrees.values())
    is_whole = "dp" in degrees and ("tp" in degrees or "pp" in degrees or product == degrees["dp"])
    if degrees and (num_gpus % product or (is_whole and product != num_gpus)) and not request.plan.get("idle_gpus"):
        findings.append(_product_finding(degrees, product, num_gpus, num_nodes, cluster))
    return findings


def _product_finding(
    degrees: Mapping[str, int], product: int, num_gpus: int, num_nodes: int, cluster: Mapping[str, Any]
) -> BilingualFinding:
    from crosszone.spec.task_request import DEGREES, bilingual

    called = {name: key for key, name in DEGREES.items()}
    chinese_names = {"dp": "数据并行", "pp": "流水线并行", "tp": "张量并行", "cp": "上下文并行"}
    keys = " × ".join(called[name] for name in degrees)
    numbers = f"{' × '.join(map(str, degrees.values()))} = {product}" if len(degrees) > 1 else str(product)
    english = f"{keys} = {numbers} processes, but the {num_nodes} nodes have {num_gpus} GPUs."
    words = " × ".join(chinese_names[name] for name in degrees)
    chinese = f"{words} = {numbers} 个进程，但所选 {num_nodes} 个节点共有 {num_gpus} 个 GPU"
    nearest = _nearest_degrees(degrees, num_gpus, cluster)
    listed = " or ".join(
        ", ".join(f"{called[name]} {degree}" for name, degree in zip(("dp", "pp", "tp"), each, strict=True))
        for each in nearest
    )
    return bilingual("degrees", STRATEGY, english, chinese, f"Nearest on {num_gpus} GPUs: {listed}.")


def _nearest_degrees(
    degrees: Mapping[str, int], num_gpus: int, cluster: Mapping[str, Any]
) -> list[tuple[int, int, int]]:
    """(dp, pp, tp) that use all GPUs, nearest first; a tensor-parallel group stays within a node."""
    smallest = math.gcd(*(size for _, size in _node_sizes(cluster)))
    wanted = [degrees.get(name, 1) for name in ("dp", "pp", "tp")]
    legal = [
        (num_gpus // (pp * tp), pp, tp)
        for pp, tp in itertools.product(_divisors(num_gpus), _divisors(smallest))
        if num_gpus % (pp * tp) == 0
    ]

    def distance(each: tuple[int, int, int]) -> float:
        return sum(abs(math.log2(degree / asked)) for degree, asked in zip(each, wanted, strict=True))

    return sorted(legal, key=lambda each: (round(distance(each), 6), each[1]))[:NUM_NEAREST]


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _batch_findings(request: TaskRequest, num_gpus: int) -> list[Finding]:
    """The global batch is microbatch × accumulation × replicas, exactly: frameworks assert it."""
    from crosszone.spec.task_request import bilingual

    dp = num_replicas(request, num_gpus)
    batch = request.train_batch_size or (request.workload or {}).get("global_batch_size")
    microbatch = request.plan.get("microbatch_size") or 1
    if not (isinstance(batch, int) and isinstance(dp, int) and isinstance(microbatch, int) and dp >= 1):
        return []
    accumulation = request.gradient_accumulation_steps
    share = dp * microbatch * (accumulation or 1)
    is_exact = batch == share if accumulation is not None and "microbatch_size" in request.plan else batch % share == 0
    if is_exact:
        return []
    where = f"{STRATEGY}.trainBatchSize" if request.train_batch_size else "workload.global_batch_size"
    factors = f"microBatchSize {microbatch} × gradientAccumulationSteps {accumulation or 'n'} × {dp} replicas"
    english = f"a batch of {batch} is not {factors}: {batch} / {share} = {batch / share:.4g}."
    chinese = f"全局批大小 {batch} 不等于 微批 {microbatch} × 梯度累积 {accumulation or 'n'} × 数据并行 {dp}"
    below, above = batch // share * share, (batch // share + 1) * share
    hint = f"Nearest are {below} or {above}." if below else f"Nearest is {above}."
    return [bilingual("batch", where, english, chinese, hint)]


def _node_warnings(request: TaskRequest, ordered: Sequence[Environment]) -> list[str]:
    unknown = [each.name for each in ordered if each.status not in (RUNNING, STOPPED, UNREACHABLE)]
    found = [f"nobody has looked whether they run: {', '.join(unknown)}."] if unknown else []
    silent = [each.name for each in ordered if not each.addresses]
    if silent and len(ordered) > 1:
        found.append(f"nobody knows at which address they answer: {', '.join(silent)}.")
    main = ordered[0] if request.main_node is not None and ordered else None
    if main is not None and len(ordered) > 1 and main.is_preemptible:
        found.append(f'the main node "{main.name}" may be taken back by its owner, and the others meet there.')
    return found


def _path_warnings(ordered: Sequence[Environment], unreachable: Sequence[tuple[str, str]]) -> list[str]:
    names = {each.id: each.name for each in ordered}
    told = [f"{names[start]} → {names[end]}" for start, end in unreachable if start in names and end in names]
    return [f"these did not reach each other when it was tried last: {', '.join(told)}."] if told else []


def _path_findings(request: TaskRequest, missing: Sequence[tuple[str, str]]) -> list[BilingualFinding]:
    """A task that only predicts has nothing to do without its paths; others train all the same."""
    from crosszone.spec.task_request import bilingual

    if request.launch_mode != SIMULATE or not missing:
        return []
    chinese = f"以下路径没有数据，因此无法预测时间：{_pairs(missing, '等 {} 条')}。请测量或填写。"
    return [bilingual("unknown_paths", NODES, _link_warning(missing), chinese)]


def _link_warnings(missing: Sequence[tuple[str, str]]) -> list[str]:
    return [_link_warning(missing)] if missing else []


def _link_warning(missing: Sequence[tuple[str, str]]) -> str:
    pairs = _pairs(missing)
    return f"nothing is known of the paths {pairs}, so that no times are predicted: measure them, or write them."


def _pairs(missing: Sequence[tuple[str, str]], others: str = "and {} more") -> str:
    told = ", ".join(f"{start} → {end}" for start, end in missing[:MOST_PAIRS])
    num_others = len(missing) - MOST_PAIRS
    return f"{told} {others.format(num_others)}" if num_others > 0 else told


def _model(request: TaskRequest, facts: TaskFacts) -> Any:
    """What the job file has under `model`; None where nothing is known of it."""
    from crosszone.catalog.models import model

    if request.model is not None or facts.model is not None:
        return facts.model if request.model is None else request.model
    if request.model_id is None:
        return None
    try:
        return model(request.model_id).name
    except UnknownName:
        return None


def _nodes(ordered: Sequence[Environment]) -> tuple[TaskNode, ...]:
    """Ranks are counted through the nodes, one for each GPU."""
    firsts = itertools.accumulate((each.num_gpus for each in ordered), initial=0)
    return tuple(
        TaskNode(
            environment_id=each.id,
            name=each.name,
            zone=each.zone,
            node_rank=rank,
            first_rank=first,
            num_ranks=each.num_gpus,
        )
        for rank, (each, first) in enumerate(zip(ordered, firsts, strict=False))
    )


def _start(seconds: Sequence[float]) -> StartEstimate | None:
    if len(seconds) < FEWEST_STARTS:
        return None
    deciles = quantiles(seconds, n=10, method="inclusive")
    return StartEstimate(num_starts=len(seconds), p50_seconds=deciles[4], p90_seconds=deciles[8])


def _unknown_model(request: TaskRequest) -> str:
    called = f'"{request.model_id}"' if request.model_id else "The model"
    return f"{called} is not known here: nothing is predicted, and the task stays a draft until it is."
