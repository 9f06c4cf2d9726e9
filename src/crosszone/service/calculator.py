"""What the LLM Training Calculator answered, by its names and our figures: parameters, degrees, time and memory.

Where its request leaves something out that a job needs, a value is filled in and listed as assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crosszone.errors import Finding, InfeasiblePlan, SpecError
from crosszone.service.older_requests import GPUS_PER_NODE, MOST_GPUS, Filled
from crosszone.service.received import received_problem

if TYPE_CHECKING:
    from crosszone.core.answer import RankedPlan
    from crosszone.core.model import Model

STRATEGIES = {"No recomputation": "none", "Selective recomputation": "selective", "Full recomputation": "full"}
"""Its optimization strategies, and what a plan calls them."""
DEGREES = {
    "tensor_parallel_degree": "tp",
    "pipeline_parallel_degree": "pp",
    "data_parallel_degree": "dp",
    "microbatch_size": "microbatch_size",
}
SHAPE = {
    "hidden_layer_size": "hidden_size",
    "num_attention_heads": "num_heads",
    "num_layers": "num_layers",
    "vocab_size": "vocab_size",
}
"""Its fields of a model, and those of a job file."""
FRAMEWORK = "megatron"
"""What it modelled."""
DEFAULT_TOKENS = 2048
DEFAULT_NETWORK = "200 Gbit/s"
DEFAULT_GPUS = 8
FFN_RATIO = 4
"""Its feed-forward part has 8·h² weights: two matrices of h × 4·h, without a gate."""


def parameter_metrics(request: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a model by part, as exact as the framework counts them. SpecError."""
    without_effect = {"gpu": "a100-sxm4-80gb", "token_length": 1, "network_bandwidth": DEFAULT_NETWORK}
    filled = Filled({**without_effect, **request}, [])
    problem = received_problem(_job(filled.request, {}, 1, 1, filled))
    return {"schema_version": 1, "parameter": _parameters(problem.model), "assumed": filled.assumed}


def recommended_config(request: dict[str, Any]) -> dict[str, Any]:
    """The degrees of the best plan that keeps those of the request. SpecError; InfeasiblePlan where nothing fits."""
    from crosszone.service.verbs import plan

    filled = Filled(request, [])
    num_gpus = filled.value("total_number_of_gpus", DEFAULT_GPUS)
    fixed = _fixed(request)
    dp = fixed.get("dp", max(1, num_gpus // (fixed.get("tp", 1) * fixed.get("pp", 1))))
    batch = filled.value("minibatch_size", fixed.get("microbatch_size", 1)) * dp
    filled.assumed.append(f"global_minibatch_size: {batch}, minibatch_size of each of {dp} replicas.")
    answer = plan(received_problem(_job(request, fixed, num_gpus, batch, filled)), top=1, with_front=False)
    if not answer.plans:
        raise InfeasiblePlan.of(answer.verdict, hint="Take more GPUs, a smaller minibatch_size, or full recomputation.")
    return {"schema_version": 1, **_config(answer.plans[0]), "assumed": filled.assumed}


def calculate(request: dict[str, Any]) -> dict[str, Any]:
    """Time, memory and parameters of a plan, and the degrees that would be recommended. SpecError."""
    from crosszone.service.as_json import prediction_json
    from crosszone.service.verbs import predict

    filled = Filled(request, [])
    fixed = {"microbatch_size": 1, **_fixed(request)}
    num_gpus = fixed["tp"] * fixed["pp"] * fixed["dp"]
    if num_gpus > MOST_GPUS:
        message = f"the degrees make {num_gpus:,} GPUs; at most {MOST_GPUS:,} are taken."
        raise SpecError(Finding(code="out_of_range", message=message, where="--data_parallel_degree"))
    batch = request["minibatch_size"] * fixed["dp"]
    problem = received_problem(_job(request, fixed, num_gpus, batch, filled))
    ranked = predict(problem)
    found = ranked.prediction
    fullest = max(found.memory.stages, key=lambda stage: stage.total_bytes)
    kinds = ("optimizer", "weight", "gradient", "activation", "buffer", "overhead", "total", "capacity")
    return {
        "schema_version": 1,
        "parameter": _parameters(problem.model),
        "memory_usage": {f"{kind}_bytes": getattr(fullest, f"{kind}_bytes") for kind in kinds}
        | {"fits": found.memory.fits},
        "total_time": {
            "total_number_of_gpus": num_gpus,
            "global_minibatch_size": batch,
            "per_iter_training_seconds": found.step_seconds,
            "total_number_of_iters": problem.workload.num_steps,
            "total_training_seconds": found.train_seconds,
        },
        "prediction": prediction_json(ranked),
        "assumed": [*filled.assumed, *found.assumed],
    }


def _fixed(request: dict[str, Any]) -> dict[str, Any]:
    """What the request says of the plan, as a job file has it."""
    found = {ours: request[theirs] for theirs, ours in DEGREES.items() if theirs in request}
    strategy = request.get("optimization_strategy")
    return found if strategy is None else {**found, "recompute": STRATEGIES[strategy]}


def _job(request: dict[str, Any], plan: dict[str, Any], num_gpus: int, batch: int, filled: Filled) -> dict[str, Any]:
    model, token_length = _model(request["model"], filled)
    length = request.get("token_length", token_length) or filled.value("token_length", DEFAULT_TOKENS)
    network = filled.value("network_bandwidth", DEFAULT_NETWORK)
    sizes = [(num_gpus // GPUS_PER_NODE, GPUS_PER_NODE), (1, num_gpus % GPUS_PER_NODE)]
    nodes = [
        {"count": count, "gpu": request["gpu"], "gpus_per_node": size, "network": network}
        for count, size in sizes
        if count * size
    ]
    workload: dict[str, Any] = {"sequence_length": length, "global_batch_size": batch}
    if "number_of_input_tokens" in request:
        workload["dataset"] = {"tokens": request["number_of_input_tokens"]}
        workload["epochs"] = request.get("epochs", 1)
    return {
        "model": model,
        "workload": workload,
        "cluster": {"zones": [{"name": "zone-1", "nodes": nodes}]},
        "framework": {"name": FRAMEWORK},
        **({"plan": plan} if plan else {}),
    }


def _model(written: Any, filled: Filled) -> tuple[Any, int | None]:
    """What a job file has under `model`, and the length of its sequences where the model says it."""
    if not isinstance(written, dict) or not {*SHAPE, "token_length"} & written.keys() - {"num_layers", "vocab_size"}:
        return written, None
    known = {*SHAPE, "token_length", "name", "minibatch_size"}
    rest = {key: value for key, value in written.items() if key not in known}
    shape = {ours: written[theirs] for theirs, ours in SHAPE.items() if theirs in written}
    hidden_size, length = shape.get("hidden_size"), written.get("token_length")
    if isinstance(hidden_size, int) and "ffn_size" not in rest:
        shape |= {"ffn_size": FFN_RATIO * hidden_size, "gated_ffn": False}
        filled.assumed.append(f"ffn_size: {FFN_RATIO} x hidden_layer_size, without a gate; write it to have another.")
    return {**shape, **rest}, length if isinstance(length, int) else None


def _parameters(model: Model) -> dict[str, int]:
    from crosszone.cost import parameters

    attention = parameters.attention_parameters(model).total * model.num_layers
    norms = parameters.norm_parameters(model) * model.num_layer_norms * model.num_layers
    layers = sum(parameters.layer_parameters(model, kind).total for kind in model.layer_kinds())
    total = parameters.num_parameters(model)
    position = model.num_position_rows * model.hidden_size
    word = parameters.token_table_parameters(model)
    return {
        "word_embedding": word,
        "position_embedding": position,
        "self_attention": attention,
        "feed_forward": layers - attention - norms,
        "other": total - word - position - layers + norms,
        "total_parameters": total,
    }


def _config(ranked: RankedPlan) -> dict[str, Any]:
    plan = ranked.plan
    called = {ours: theirs for theirs, ours in STRATEGIES.items()}
    return {
        **{theirs: getattr(plan, ours) for theirs, ours in DEGREES.items()},
        "optimization_strategy": called.get(plan.recompute, plan.recompute),
        "per_iter_training_seconds": ranked.prediction.step_seconds,
        "reasons": list(ranked.reasons),
    }
