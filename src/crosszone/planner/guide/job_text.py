"""The answers as a job file."""

from __future__ import annotations

import json
import re
from typing import Any

from crosszone.core.plan import Plan, Sync
from crosszone.core.problem import PlanRequest, Problem
from crosszone.planner.guide.question import Draft
from crosszone.spec import read_job

NUMBER_KEYS = ("microbatch_size", "tp", "pp", "cp", "ep", "dp")
TEXT_KEYS = ("shard", "recompute")
PLAIN = re.compile(r"[A-Za-z][\w.-]*|[0-9.]+ ?[A-Za-zµ]+(/s)?")
"""Names, and numbers with their unit."""
NAMES = "abcdefghijklmnop"
"""Last letters of the zones' names."""


def problem_of(draft: Draft) -> Problem:
    """What the answers so far say, with stand-ins for those to come, and without a plan. SpecError."""
    get = draft.get
    nodes = {"gpu": get("gpu", "a100-sxm4-80gb"), "gpus_per_node": draft.number("gpus_per_node")}
    zones = [
        {"name": zone_name(number), "nodes": [{"count": draft.number(f"nodes_{number}"), **nodes}]}
        for number in range(1, draft.number("zones") + 1)
    ]
    workload: dict[str, Any] = {
        "sequence_length": draft.number("sequence_length"),
        "global_batch_size": draft.number("global_batch_size"),
        "optimizer": "adamw",
    }
    if get("precision"):
        workload["precision"] = get("precision")
    if get("dataset_tokens"):
        workload |= {"dataset": {"tokens": get("dataset_tokens")}, "epochs": _number(get("epochs", "1"))}
    cluster: dict[str, Any] = {"zones": zones}
    if len(zones) > 1:
        cluster["default_link"] = {"bandwidth": get("bandwidth", "10 Gbit/s"), "rtt": get("rtt", "30 ms")}
    job: dict[str, Any] = {"model": get("model"), "workload": workload, "cluster": cluster}
    if allowed(draft):
        job["constraints"] = {"allow": list(allowed(draft))}
    return read_job(job, draft.base)


def plan_request(draft: Draft) -> PlanRequest:
    """What the answers fix of the plan."""
    given = dict(draft.answers)
    fixed: dict[str, Any] = {key: int(given[key]) for key in NUMBER_KEYS if key in given}
    fixed |= {key: given[key] for key in TEXT_KEYS if key in given}
    return PlanRequest(**fixed)


def allowed(draft: Draft) -> tuple[str, ...]:
    """Changes of the mathematics that the answers allow."""
    return tuple(word.strip() for word in draft.get("allow", "none").split(",") if word.strip() != "none")


def zone_name(number: int) -> str:
    """Name of the zone with this number, 1 first."""
    return f"zone-{NAMES[number - 1]}"


def job_text(draft: Draft) -> str:
    """The job file: what was answered, and the plan that was chosen."""
    assert draft.best is not None, "not all is answered"
    get = draft.get
    lines = [
        "# Written by `crosszone init --guide`. Next: crosszone predict, or crosszone plan to search again.",
        f"model: {_scalar(get('model'))}",
        "workload:",
        f"  sequence_length: {get('sequence_length')}",
        f"  global_batch_size: {get('global_batch_size')}",
        f"  precision: {get('precision')}",
        "  optimizer: adamw",
        f"  dataset: {{tokens: {_scalar(get('dataset_tokens'))}}}",
        f"  epochs: {get('epochs')}",
        "cluster:",
        "  zones:",
    ]
    for number in range(1, draft.number("zones") + 1):
        group = (
            f"{{count: {get(f'nodes_{number}')}, gpu: {_scalar(get('gpu'))}, gpus_per_node: {get('gpus_per_node')}}}"
        )
        lines += [f"    - name: {zone_name(number)}", f"      nodes: [{group}]"]
    if draft.number("zones") > 1:
        lines.append(f"  default_link: {{bandwidth: {_scalar(get('bandwidth'))}, rtt: {_scalar(get('rtt'))}}}")
    if allowed(draft):
        lines.append(f"constraints: {{allow: [{', '.join(allowed(draft))}]}}")
    lines += [f"framework: {{name: {draft.best.plan.framework}}}", "plan:"]
    lines += [f"  {key}: {value}" for key, value in _plan_lines(draft.best.plan)]
    return "\n".join(lines) + "\n"


def _plan_lines(plan: Plan) -> list[tuple[str, Any]]:
    """What is fixed of the plan, so that it is predicted as it was shown; where its parts go follows."""
    found: list[tuple[str, Any]] = [("tp", plan.tp), ("pp", plan.pp)]
    found += [(key, getattr(plan, key)) for key in ("cp", "ep") if getattr(plan, key) > 1]
    found += [("dp", plan.dp), ("microbatch_size", plan.microbatch_size)]
    if plan.pp > 1:
        found += [("schedule", plan.schedule)]
    if plan.num_virtual_stages > 1:
        found += [("num_virtual_stages", plan.num_virtual_stages)]
    found += [("shard", plan.shard), ("recompute", plan.recompute)]
    if plan.recompute_layers is not None:
        found += [("recompute_layers", plan.recompute_layers)]
    if plan.dp_shard > 1:
        found += [("dp_shard", plan.dp_shard)]
    if plan.tp > 1:
        found += [("sequence_parallel", str(plan.sequence_parallel).lower())]
    if plan.offload != "none":
        found += [("offload", plan.offload)]
    if "dp" in plan.zone_axis and plan.sync != Sync():
        found += [("sync", _sync_text(plan))]
    if _is_uneven(plan):
        found += [("stages", _stages_text(plan))]
    if plan.idle_gpus:
        idle = (
            f"{{zone: {one.zone}, node_group: {one.node_group}, num_gpus: {one.num_gpus}}}" for one in plan.idle_gpus
        )
        found += [("idle_gpus", f"[{', '.join(idle)}]")]
    return found


def _is_uneven(plan: Plan) -> bool:
    """Whether layers do not follow from the degrees: they differ by stage, or by chunk of a stage."""
    counts = {stage.num_layers for stage in plan.stages}
    return len(counts) > 1 or bool(max(counts) % plan.num_virtual_stages)


def _stages_text(plan: Plan) -> str:
    crosses = "pp" in plan.zone_axis
    parts = [
        f"{{num_layers: {stage.num_layers}, zone: {stage.zone}}}"
        if crosses and stage.zone is not None
        else f"{{num_layers: {stage.num_layers}}}"
        for stage in plan.stages
    ]
    return f"[{', '.join(parts)}]"


def _sync_text(plan: Plan) -> str:
    codecs = ", ".join(f"{stream}: {name}" for stream, name in plan.sync.codecs)
    parts = [f"method: {plan.sync.method}", f"every: {plan.sync.every}"]
    if plan.sync.algorithm != Sync().algorithm:
        parts.append(f"algorithm: {plan.sync.algorithm}")
    return f"{{{', '.join([*parts, *([f'codecs: {{{codecs}}}'] if codecs else [])])}}}"


def _scalar(text: str) -> str:
    """As YAML reads it as this text, whatever is in it."""
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
