"""Requests as the programs before this one took them, as requests of ours: their field names, our checks and figures.

The first is CrossZoneLLM's `POST /api/deploy` and `/api/generate_training_script`. What those never asked for is
filled in, and listed as assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosszone.errors import Finding, SpecError
from crosszone.service.deployments import bundle_json, deploy
from crosszone.service.received import received_problem

if TYPE_CHECKING:
    from crosszone.core.bundle import Bundle

GPUS_PER_NODE = 8
MOST_GPUS = 16_384
"""As many as Llama 3 was trained on (2024); each node of theirs gets a script of its own."""
DEFAULT_GPU = "a100-sxm4-80gb"
DEFAULT_FRAMEWORK = "deepspeed"
DEFAULT_LINK = {"bandwidth": "10 Gbit/s", "rtt": "30 ms"}
DEFAULT_SEQUENCE_LENGTH = 2048
NUM_STEPS = 1000
SCRIPT = "scripts/distributed_train.py"
MESSAGE = (
    "配置已生成，请用各节点的地址替换 region-1-node-1 等名称。The files are in this answer; put your nodes' addresses "
    "in place of region-1-node-1 and its like."
)


@dataclass(frozen=True, slots=True)
class Filled:
    """Takes what was asked for, else a value of ours, and remembers which."""

    request: dict[str, Any]
    assumed: list[str]

    def value(self, name: str, default: Any) -> Any:
        if name in self.request:
            return self.request[name]
        self.assumed.append(f"{name}: {default}; write it to have another.")
        return default


def older_deployment(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to `POST /api/deploy`: regions, gpusPerRegion, modelSize, batchSize, dp, pp, tp. SpecError."""
    from crosszone.core.codec import fingerprint

    bundle, assumed = _bundle(request)
    return {
        "success": True,
        "deployment_id": fingerprint([(file.path, file.sha256) for file in bundle.files]),
        "message": MESSAGE,
        "deployment_path": None,
        **_files(bundle, assumed),
    }


def older_script(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to `POST /api/generate_training_script`: modelSize, dp, pp, tp, over GPUs of one region. SpecError."""
    num_gpus = request["dp"] * request["pp"] * request["tp"]
    whole = {"regions": 1, "gpusPerRegion": [num_gpus], "batchSize": request.get("batchSize", num_gpus), **request}
    bundle, assumed = _bundle(whole)
    if "batchSize" not in request:
        assumed.append(f"batchSize: {num_gpus}; write it to have another.")
    script = next(file.text for file in bundle.files if file.path == SCRIPT)
    return {"success": True, "script": script, **_files(bundle, assumed)}


def _bundle(request: dict[str, Any]) -> tuple[Bundle, list[str]]:
    from crosszone.core.bundle import NO_CHECKPOINTS

    _check(request)
    filled = Filled(request, [])
    framework = filled.value("framework", DEFAULT_FRAMEWORK)
    bundle = deploy(
        received_problem(_job(request, framework, filled)),
        framework=framework,
        backend="bare",
        num_steps=NUM_STEPS,
        checkpoints=NO_CHECKPOINTS,
    )
    return bundle, filled.assumed


def _check(request: dict[str, Any]) -> None:
    """SpecError where the numbers do not agree."""
    regions, per_region = request["regions"], request["gpusPerRegion"]
    findings = []
    if regions != len(per_region):
        message = f"regions is {regions}, but gpusPerRegion has {len(per_region)}."
        hint = "Write the GPUs of every region."
        findings.append(Finding(code="wrong_sum", message=message, where="--gpusPerRegion", hint=hint))
    product = request["dp"] * request["pp"] * request["tp"]
    if product != sum(per_region):
        message = (
            f"dp*pp*tp = {request['dp']}*{request['pp']}*{request['tp']} = {product}, but gpusPerRegion adds up to "
            f"{sum(per_region)}."
        )
        hint = "Change a degree, or the GPUs."
        findings.append(Finding(code="wrong_sum", message=message, where="--dp", hint=hint))
    elif product > MOST_GPUS:
        message = f"dp*pp*tp = {product:,} GPUs; at most {MOST_GPUS:,} are taken."
        findings.append(Finding(code="out_of_range", message=message, where="--dp", hint="Change a degree."))
    if findings:
        raise SpecError(*findings)


def _job(request: dict[str, Any], framework: str, filled: Filled) -> dict[str, Any]:
    gpu = filled.value("gpu", DEFAULT_GPU)
    zones = [
        {"name": f"region-{number}", "nodes": _nodes(number, num_gpus, gpu)}
        for number, num_gpus in enumerate(request["gpusPerRegion"], start=1)
    ]
    cluster: dict[str, Any] = {"zones": zones}
    if len(zones) > 1:
        cluster["default_link"] = {name: filled.value(name, default) for name, default in DEFAULT_LINK.items()}
    plan = {name: request[name] for name in ("dp", "pp", "tp")}
    if framework == DEFAULT_FRAMEWORK:
        # Stages 2 and 3 are "incompatible with pipeline parallelism" (DeepSpeed 0.19.8, runtime/pipe/engine.py).
        plan["shard"] = "parameters" if request["pp"] == 1 else "optimizer"
        filled.assumed.append(f"shard: {plan['shard']}, as much as DeepSpeed can with pp={request['pp']}.")
    return {
        "model": {"parameters": f"{request['modelSize']:.10g}B"},
        "workload": {
            "sequence_length": filled.value("sequenceLength", DEFAULT_SEQUENCE_LENGTH),
            "global_batch_size": request["batchSize"],
        },
        "cluster": cluster,
        "plan": plan,
    }


def _nodes(region: int, num_gpus: int, gpu: str) -> list[dict[str, Any]]:
    """Nodes of eight GPUs, and one with the rest."""
    sizes = [GPUS_PER_NODE] * (num_gpus // GPUS_PER_NODE)
    rest = [num_gpus % GPUS_PER_NODE] if num_gpus % GPUS_PER_NODE else []
    names = iter(f"region-{region}-node-{number}" for number in range(1, len(sizes + rest) + 1))
    return [
        {"count": len(group), "gpu": gpu, "gpus_per_node": group[0], "addresses": [next(names) for _ in group]}
        for group in (sizes, rest)
        if group
    ]


def _files(bundle: Bundle, assumed: list[str]) -> dict[str, Any]:
    value = bundle_json(bundle, ())
    texts = [{**file, "text": one.text} for file, one in zip(value["files"], bundle.files, strict=True)]
    return {"files": texts, "assumed": [*assumed, *value["assumed"]], "warnings": value["warnings"]}
