"""Requests for tasks as they are sent: the keys of `POST /api/v1/training-tasks`, read strictly and all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crosszone import units
from crosszone.core.bundle import DEVICES, NO_CHECKPOINTS
from crosszone.core.task import EXISTING, LAUNCH_MODES
from crosszone.core.task_request import BilingualFinding, TaskRequest
from crosszone.errors import Finding, SpecError, nearest, nearest_hint

MOST_NODES = 4096
MOST_CHARACTERS = 200
MOST_PRIORITY = 100
CONFIG, STRATEGY, DEPLOYMENT = "distributedConfig", "distributedConfig.strategy", "deployment"
TOP_KEYS = (
    *("taskName", "datasetId", "datasetVersionId", "modelId", "model", "launchMode", CONFIG),
    *("workload", "objective", "constraints", "priority", "budget", DEPLOYMENT),
)
CONFIG_KEYS = (
    *("enabled", "nodeIds", "masterNode", "framework", "strategy", "worldSize", "zones", "links", "defaultLink"),
)
DEPLOYMENT_KEYS = ("backend", "device", "steps", "data", "checkpoints")
"""As options of `crosszone deploy`."""
DEGREES = {
    "dataParallel": "dp",
    "pipelineParallel": "pp",
    "tensorParallel": "tp",
    "contextParallel": "cp",
    "expertParallel": "ep",
}
"""Key of the strategy, and what a plan calls it."""
ZERO_STAGES = ("none", "optimizer", "gradients", "parameters")
BATCHES = ("trainBatchSize", "microBatchSize", "gradientAccumulationSteps")
STRATEGY_KEYS = (*DEGREES, "zeroStage", *BATCHES, "plan")
FRAMEWORKS = {
    "pytorch-ddp": "ddp",
    "pytorch-fsdp": "fsdp",
    "deepspeed": "deepspeed",
    "horovod": "horovod",
    "megatron-lm": "megatron",
    "megatron": "megatron",
    "ddp": "ddp",
    "fsdp": "fsdp",
    "torchtitan": "torchtitan",
}
"""Names that a request may use, and ours."""

Findings = list[Finding]


def chosen_ids(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids of the environments that a request names, whatever else is wrong with it."""
    config = value.get(CONFIG)
    ids = config.get("nodeIds") if isinstance(config, dict) else None
    return tuple(each for each in ids[:MOST_NODES] if isinstance(each, str)) if isinstance(ids, list) else ()


def read_task_request(value: Mapping[str, Any]) -> TaskRequest:
    """The request that an object is. SpecError with everything that is wrong in its keys, in both languages."""
    findings: Findings = [*_unknown(value, TOP_KEYS, "")]
    config = _mapping(value, CONFIG, CONFIG, findings)
    findings += _unknown(config, CONFIG_KEYS, CONFIG)
    strategy = _mapping(config, "strategy", STRATEGY, findings)
    findings += _unknown(strategy, STRATEGY_KEYS, STRATEGY)
    names = _names(value, findings)
    nodes = _nodes(value, config, findings)
    plan = _plan(strategy, findings)
    request = {
        **names,
        **nodes,
        "plan": plan,
        "world_size": _whole(config, "worldSize", CONFIG, findings),
        "train_batch_size": _whole(strategy, "trainBatchSize", STRATEGY, findings),
        "gradient_accumulation_steps": _whole(strategy, "gradientAccumulationSteps", STRATEGY, findings),
        "links": tuple(_mappings(config, "links", findings)),
        **{key: _maybe_mapping(value, key, findings) for key in ("workload", "objective", "constraints")},
        "priority": _whole(value, "priority", "", findings, low=-MOST_PRIORITY, high=MOST_PRIORITY) or 0,
        "budget_dollars": _dollars(value, findings),
        "deployment": _deployment(value, findings),
    }
    if findings:
        raise SpecError(*findings)
    return TaskRequest(**request)


def bilingual(code: str, where: str, english: str, chinese: str, hint: str = "") -> BilingualFinding:
    """One finding in both languages; a sentence in Chinese too where a hint stands behind it."""
    chinese += "。" if hint and not chinese.endswith("。") else ""
    return BilingualFinding(code=code, message=english, where=where, hint=hint, message_zh=chinese)


def _names(value: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """The name of the task, what it reads, and which model; told in the order of the form."""
    name = _text(value, "taskName", "", findings)
    if not name:
        findings.append(bilingual("task_name_missing", "taskName", "the task has no name.", "请输入任务名称"))
    dataset = _text(value, "datasetId", "", findings)
    version = _text(value, "datasetVersionId", "", findings)
    if not dataset or not version:
        where = "datasetVersionId" if dataset else "datasetId"
        findings.append(bilingual("dataset_missing", where, "no data set is chosen.", "请选择数据集"))
    model_id, model = _text(value, "modelId", "", findings) or None, value.get("model")
    if model is not None and model_id is not None:
        message = "the model is said twice, as modelId and as model."
        findings.append(bilingual("conflict", "model", message, "modelId 与 model 不能同时指定"))
    return {
        "name": name,
        "dataset_id": dataset,
        "dataset_version_id": version,
        "model_id": model_id,
        "model": model,
    }


def _nodes(value: Mapping[str, Any], config: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """How it is launched, on what, and by which framework."""
    mode = value.get("launchMode", EXISTING)
    if mode not in LAUNCH_MODES:
        english = f'there is no launch mode "{str(mode)[:50]}".'
        hint = f"Write one of {', '.join(LAUNCH_MODES)}."
        findings.append(bilingual("unknown_name", "launchMode", english, f"未知的启动方式：{str(mode)[:50]}", hint))
    ids = _ids(config, findings)
    cluster = _cluster(config, findings)
    if mode == EXISTING and not ids and not isinstance(config.get("nodeIds", []), str):
        english = "no environment is chosen."
        findings.append(bilingual("environment_missing", f"{CONFIG}.nodeIds", english, "请至少选择一个开发环境"))
    if mode == "new" and cluster is None:
        english, hint = "which nodes are to be rented is not said.", "Write zones as a job file has them."
        findings.append(bilingual("zones_missing", f"{CONFIG}.zones", english, "请指定要租用的节点", hint))
    if ids and cluster is not None:
        english = "both environments and zones are said."
        findings.append(bilingual("conflict", f"{CONFIG}.zones", english, "nodeIds 与 zones 不能同时指定"))
    if mode in LAUNCH_MODES and mode not in (EXISTING, "new") and not ids and cluster is None:
        english = "neither environments nor zones are chosen."
        findings.append(bilingual("environment_missing", f"{CONFIG}.nodeIds", english, "请至少选择一个开发环境"))
    _check_enabled(config, ids, findings)
    main = _text(config, "masterNode", CONFIG, findings) or None
    if main is not None and main not in ids:
        english = f"the main node {main} is not among the {len(ids)} environments that are chosen."
        findings.append(bilingual("main_node_invalid", f"{CONFIG}.masterNode", english, "请选择有效的主节点"))
    return {
        "launch_mode": mode,
        "environment_ids": ids,
        "cluster": cluster,
        "main_node": main,
        "framework": _framework(config, ids, findings),
    }


def _framework(config: Mapping[str, Any], ids: Sequence[str], findings: Findings) -> str | None:
    where = f"{CONFIG}.framework"
    written = _text(config, "framework", CONFIG, findings)
    if not written:
        if len(ids) > 1:
            english = f"no framework is chosen for {len(ids)} nodes."
            findings.append(bilingual("framework_missing", where, english, "请选择分布式框架"))
        return None
    if written not in FRAMEWORKS:
        hint = nearest_hint(written, FRAMEWORKS, max_listed=len(FRAMEWORKS))
        english = f'there is no framework "{written}".'
        findings.append(bilingual("unknown_name", where, english, f"未知的分布式框架：{written}", hint))
    return FRAMEWORKS.get(written)


def _ids(config: Mapping[str, Any], findings: Findings) -> tuple[str, ...]:
    where, written = f"{CONFIG}.nodeIds", config.get("nodeIds", [])
    if not isinstance(written, list) or not all(isinstance(each, str) for each in written):
        findings.append(bilingual("wrong_type", where, "nodeIds is not a list of ids.", "nodeIds 必须是环境 ID 列表"))
        return ()
    if len(written) > MOST_NODES:
        english = f"{len(written)} environments are chosen; at most {MOST_NODES} are taken."
        findings.append(bilingual("too_large", where, english, f"最多可选择 {MOST_NODES} 个开发环境"))
    for key in dict.fromkeys(key for key in written[:MOST_NODES] if written.count(key) > 1):
        english = f"{key[:100]} is chosen {written.count(key)} times."
        findings.append(bilingual("chosen_twice", where, english, f"开发环境 {key[:100]} 被重复选择"))
    return tuple(dict.fromkeys(written[:MOST_NODES]))


def _cluster(config: Mapping[str, Any], findings: Findings) -> dict[str, Any] | None:
    zones = _mappings(config, "zones", findings)
    if not zones:
        return None
    default = _maybe_mapping(config, "defaultLink", findings, CONFIG)
    return {"zones": zones, **({} if default is None else {"default_link": default})}


def _check_enabled(config: Mapping[str, Any], ids: Sequence[str], findings: Findings) -> None:
    enabled = config.get("enabled")
    where = f"{CONFIG}.enabled"
    if enabled is not None and not isinstance(enabled, bool):
        findings.append(bilingual("wrong_type", where, "enabled is neither true nor false.", "enabled 必须为布尔值"))
    elif enabled is False and len(ids) > 1:
        english = f"training over {len(ids)} nodes is distributed, and enabled is false."
        findings.append(bilingual("conflict", where, english, f"已选择 {len(ids)} 个节点，但未启用分布式训练"))


def _plan(strategy: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """The keys of a plan that a strategy says."""
    plan = dict(_maybe_mapping(strategy, "plan", findings, STRATEGY) or {})
    for key, name in (*DEGREES.items(), ("microBatchSize", "microbatch_size")):
        degree = _whole(strategy, key, STRATEGY, findings)
        if degree is not None:
            plan[name] = degree
    stage = _whole(strategy, "zeroStage", STRATEGY, findings, low=0, high=len(ZERO_STAGES) - 1)
    if stage is not None:
        plan["shard"] = ZERO_STAGES[stage]
    return plan


def _deployment(value: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """How it is to be started, where somebody says so."""
    written = _mapping(value, DEPLOYMENT, DEPLOYMENT, findings)
    findings += _unknown(written, DEPLOYMENT_KEYS, DEPLOYMENT)
    read: dict[str, Any] = {
        "backend": _text(written, "backend", DEPLOYMENT, findings),
        "device": _text(written, "device", DEPLOYMENT, findings),
        "steps": _whole(written, "steps", DEPLOYMENT, findings),
        "data": _text(written, "data", DEPLOYMENT, findings),
        "checkpoints": _text(written, "checkpoints", DEPLOYMENT, findings),
    }
    if read["device"] not in ("", *DEVICES):
        english, hint = f"there is no device {read['device']}.", f"Write {' or '.join(DEVICES)}."
        where = f"{DEPLOYMENT}.device"
        findings.append(bilingual("unknown_name", where, english, f"未知的设备：{read['device']}", hint))
    for key in ("data", "checkpoints"):
        path = read[key]
        if path and not path.startswith("/") and (key, path) != ("checkpoints", NO_CHECKPOINTS):
            english = f"{path} is no absolute path on the nodes."
            findings.append(bilingual("not_absolute", f"{DEPLOYMENT}.{key}", english, f"{key} 必须是节点上的绝对路径"))
    return {key: each for key, each in read.items() if each}


def _dollars(value: Mapping[str, Any], findings: Findings) -> float | None:
    written = value.get("budget")
    if written is None:
        return None
    try:
        return units.parse(written, "dollars", name="budget")
    except SpecError as error:
        found = error.findings[0]
        findings.append(bilingual(found.code, "budget", found.message, "预算格式不正确", found.hint))
        return None


def _unknown(value: Mapping[str, Any], known: Sequence[str], where: str) -> Findings:
    return [
        bilingual(
            "unknown_key",
            f"{where}.{key}".lstrip("."),
            f'unknown key "{str(key)[:50]}".',
            f"未知字段：{str(key)[:50]}",
            f'Did you mean "{close[0]}"?' if (close := nearest(str(key), known)) else "",
        )
        for key in value
        if key not in known
    ]


def _text(value: Mapping[str, Any], key: str, where: str, findings: Findings) -> str:
    """The text under a key, without spaces around it; empty where there is none."""
    written, place = value.get(key), f"{where}.{key}".lstrip(".")
    if written is None:
        return ""
    if not isinstance(written, str) or not written.isprintable():
        findings.append(bilingual("wrong_type", place, f"{key} is not printable text.", f"{key} 必须是文本"))
        return "?"
    if len(written) > MOST_CHARACTERS:
        english = f"{key} has {len(written)} characters; at most {MOST_CHARACTERS} are taken."
        findings.append(bilingual("too_large", place, english, f"{key} 最多 {MOST_CHARACTERS} 个字符"))
    return written.strip()


def _whole(
    value: Mapping[str, Any], key: str, where: str, findings: Findings, *, low: int = 1, high: int = 10**9
) -> int | None:
    written = value.get(key)
    if written is None:
        return None
    if not isinstance(written, int) or isinstance(written, bool) or not low <= written <= high:
        place, shown = f"{where}.{key}".lstrip("."), str(written)[:50]
        english = f"{key} is {shown}, not a whole number from {low} to {high}."
        findings.append(bilingual("out_of_range", place, english, f"{key} 必须是 {low} 到 {high} 之间的整数"))
        return None
    return written


def _mapping(value: Mapping[str, Any], key: str, where: str, findings: Findings) -> dict[str, Any]:
    found: dict[str, Any] = _checked(value.get(key), dict, {}, where, findings, "an object", "对象")
    return found


def _maybe_mapping(value: Mapping[str, Any], key: str, findings: Findings, where: str = "") -> dict[str, Any] | None:
    place = f"{where}.{key}".lstrip(".")
    found: dict[str, Any] | None = _checked(value.get(key), dict, None, place, findings, "an object", "对象")
    return found


def _mappings(config: Mapping[str, Any], key: str, findings: Findings) -> list[dict[str, Any]]:
    place = f"{CONFIG}.{key}"
    found: list[dict[str, Any]] = _checked(config.get(key), list, [], place, findings, "a list", "列表")
    if not all(isinstance(each, dict) for each in found):
        findings.append(bilingual("wrong_type", place, f"{key} is not a list of objects.", f"{key} 必须是对象列表"))
        return []
    return found


def _checked(
    written: Any, kind: Callable[..., Any], absent: Any, where: str, findings: Findings, called: str, chinese: str
) -> Any:
    if written is None:
        return absent
    if not isinstance(written, kind):  # type: ignore[arg-type]
        key = where.rpartition(".")[2]
        findings.append(bilingual("wrong_type", where, f"{key} is not {called}.", f"{key} 必须是{chinese}"))
        return absent
    return written
