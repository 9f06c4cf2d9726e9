"""DeepSpeed: `ds_config.json` with every number resolved, and our trainer's configuration beside it.

Read in DeepSpeed 0.19.8:
- runtime/zero/config.py: `reduce_bucket_size`, `allgather_bucket_size` and the `stage3_` sizes count elements;
  `overlap_comm` is on by default with stage 3 only. runtime/zero/stage_1_and_2.py allocates a whole bucket, twice
  where communication overlaps, and takes an even `allgather_bucket_size` only.
- runtime/engine.py, `_do_optimizer_sanity_check`: without ZeRO, gradients are summed in the format of the weights;
  `communication_data_type` is otherwise the format of the weights, not the fp32 that a workload asks for.
- runtime/engine.py, `get_optimizer_configuration`: `torch_adam` takes torch.optim.AdamW, whose fused kernels come with
  torch; DeepSpeed's own are compiled at the first start, by a CUDA toolkit that nodes may not have.
- runtime/pipe/engine.py: the pipeline engine reduces after the last backward pass, and overlaps nothing.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from crosszone.core.bundle import DeployRequest, Launch, Program
from crosszone.core.deepspeed_config import CONFIG_NAME, config_problems
from crosszone.core.model import Model
from crosszone.core.plan import SHARDS, Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.train import TrainOptimizer
from crosszone.core.workload import DTYPE_BYTES, Dtypes
from crosszone.cost.parameters import embedding_parameters, head_parameters, num_parameters
from crosszone.deploy.trainer import TRAINER_PROGRAM, TRAINER_REQUIREMENTS, train_files, usual_learning_rate
from crosszone.errors import Finding, InfeasiblePlan
from crosszone.frameworks import framework_facts

REQUIREMENTS = (*TRAINER_REQUIREMENTS, "deepspeed==0.19.8")
SAME_CONFIG_PATH = "configs/deepspeed_config.json"
"""The same text under the other name that people look for."""
WIDE, NARROW = ("fp32", "tf32"), ("bf16", "fp16")
PREFETCH_ELEMENTS = 50_000_000
PERSISTENCE_ELEMENTS = 100_000
LIVE_ELEMENTS = 1_000_000_000
SUB_GROUP_ELEMENTS = 1_000_000_000
"""DeepSpeed's own defaults (runtime/zero/config.py), written out."""
LOSS_SCALE = {
    "loss_scale": 0,
    "initial_scale_power": 16,
    "loss_scale_window": 1000,
    "hysteresis": 2,
    "min_loss_scale": 1,
}
"""0 is dynamic; DeepSpeed's own defaults (runtime/precision_config.py), written out."""


def program(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> Program:
    """What each rank runs: our trainer, on the accelerator that DeepSpeed would otherwise guess."""
    return replace(TRAINER_PROGRAM, environment=(("DS_ACCELERATOR", request.device),))


def files(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> dict[str, str]:
    """Configuration files by path. Errors: InfeasiblePlan, SpecError."""
    keys = deepspeed_config(problem, plan, prediction, request)
    text = json.dumps(keys, indent=2, allow_nan=False) + "\n"
    return {**train_files(problem, plan, prediction, request), CONFIG_NAME: text, SAME_CONFIG_PATH: text}


def deepspeed_config(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> dict[str, Any]:
    """What `deepspeed.initialize` is told.

    There is no scheduler: our trainer sets the rate of each step, a person's own program brings its own.

    Errors: InfeasiblePlan where DeepSpeed trains in no such formats, or the batch does not come out.
    """
    dtypes = problem.workload.dtypes
    stage = zero_stage(plan, dtypes)
    optimizer = TrainOptimizer(learning_rate=usual_learning_rate(prediction))
    keys: dict[str, Any] = {
        "train_batch_size": problem.workload.global_batch_size,
        "train_micro_batch_size_per_gpu": plan.microbatch_size,
        "gradient_accumulation_steps": plan.replicas[0].num_microbatches,
        "gradient_clipping": optimizer.max_gradient_norm or 0.0,
        "communication_data_type": dtypes.gradient_reduction,
        "data_types": {"grad_accum_dtype": dtypes.gradients},
        "bf16": {"enabled": dtypes.compute == "bf16"},
        "fp16": {"enabled": dtypes.compute == "fp16", **LOSS_SCALE},
        "optimizer": _optimizer(optimizer),
        "zero_optimization": _zero(problem, plan, prediction, stage, request.device),
        "checkpoint": {"tag_validation": "Fail"},
        "steps_per_print": None,
        "wall_clock_breakdown": False,
    }
    findings = (*_dtype_problems(dtypes, stage, plan.pp), *config_problems(keys, num_replicas=plan.dp))
    if findings:
        raise InfeasiblePlan(*findings)
    return keys


def zero_stage(plan: Plan, dtypes: Dtypes) -> int:
    """ZeRO's stage. With one replica nothing is shared, but some is ZeRO's all the same.

    That is what is offloaded, and the fp32 gradients of a pipeline of 16-bit weights.
    """
    least = {"none": 0, "optimizer": 1, "parameters": 3}[plan.offload]
    if plan.pp > 1 and plan.dp == 1 and dtypes.compute in NARROW:
        least = max(least, 1)
    return max(SHARDS.index(plan.shard), least)


def _optimizer(optimizer: TrainOptimizer) -> dict[str, Any]:
    params = {
        "lr": optimizer.learning_rate,
        "betas": [optimizer.beta1, optimizer.beta2],
        "eps": optimizer.epsilon,
        "weight_decay": optimizer.weight_decay,
        "torch_adam": True,
        "fused": True,
    }
    return {"type": "AdamW", "params": params}


def _zero(problem: Problem, plan: Plan, prediction: Prediction, stage: int, device: str) -> dict[str, Any]:
    bucket = _bucket_elements(problem, plan, prediction)
    keys: dict[str, Any] = {
        "stage": stage,
        "overlap_comm": stage > 0 and plan.pp == 1,
        "contiguous_gradients": True,
        "reduce_scatter": True,
        "reduce_bucket_size": bucket,
        "allgather_partitions": True,
        "allgather_bucket_size": bucket,
    }
    if stage == SHARDS.index("parameters"):
        keys |= {
            "stage3_prefetch_bucket_size": _prefetch_elements(problem.model, plan),
            "stage3_param_persistence_threshold": PERSISTENCE_ELEMENTS,
            "stage3_max_live_parameters": LIVE_ELEMENTS,
            "stage3_max_reuse_distance": LIVE_ELEMENTS,
            "stage3_gather_16bit_weights_on_model_save": False,
            "sub_group_size": SUB_GROUP_ELEMENTS,
        }
    to_host = {"device": "cpu", "pin_memory": device == "cuda"}
    if plan.offload != "none":
        keys["offload_optimizer"] = to_host
    if plan.offload == "parameters":
        keys["offload_param"] = to_host
    return keys


def _bucket_elements(problem: Problem, plan: Plan, prediction: Prediction) -> int:
    """Elements of one reduction: the bytes that the prediction counted with, in the format in which they travel.

    An even number, as ZeRO-1 and 2 need; no more than the model has, as all of it is allocated.
    """
    bucket_bytes = plan.bucket_bytes or framework_facts("deepspeed").gradient_bucket_bytes
    elements = min(bucket_bytes / DTYPE_BYTES[problem.workload.dtypes.gradient_reduction], prediction.num_parameters)
    return max(2, 2 * math.ceil(elements / 2))


def _prefetch_elements(model: Model, plan: Plan) -> int:
    """Of as many layers ahead as the plan says."""
    if plan.prefetch is None:
        return PREFETCH_ELEMENTS
    in_layers = num_parameters(model) - embedding_parameters(model) - head_parameters(model)
    return math.ceil(plan.prefetch * in_layers / model.num_layers)


def _dtype_problems(dtypes: Dtypes, stage: int, pp: int) -> Iterator[Finding]:
    """Formats in which DeepSpeed does not train as the workload says."""
    compute = dtypes.compute
    if compute in NARROW and stage == 0 and pp > 1:
        yield Finding(
            code="not_expressible",
            where="plan.shard",
            message=f"a pipeline in {compute} needs ZeRO-1, which sums gradients in fp32, but shard=none.",
            hint="Set plan.shard=optimizer.",
        )
        return
    if compute not in (*WIDE, *NARROW):
        yield _finding("compute", f"DeepSpeed computes in fp32, tf32, bf16 or fp16, not in {compute}.", "Take bf16.")
        return
    stored = "fp32" if compute in WIDE else compute
    masters = (None, "fp32") if compute in WIDE else ("fp32",)
    sums = (compute,) if compute in NARROW and stage == 0 else tuple(dict.fromkeys(("fp32", stored)))
    allowed: dict[str, tuple[str | None, ...]] = {
        "weights": (stored,),
        "activations": (stored,),
        "master_weights": masters,
        "moments": ("fp32",),
        "gradients": sums,
        "gradient_reduction": ("fp32", "bf16", "fp16"),
    }
    for name, formats in allowed.items():
        value = getattr(dtypes, name)
        if value not in formats:
            legal = " or ".join(str(each) for each in formats if each is not None)
            without = " without ZeRO" if name == "gradients" and stage == 0 else ""
            hint = f"Set workload.dtypes.{name}={legal}" + (", or plan.shard=optimizer." if without else ".")
            yield _finding(name, f"DeepSpeed{without} computes in {compute} with {name} in {legal}, not {value}.", hint)


def _finding(name: str, message: str, hint: str) -> Finding:
    return Finding(code="not_expressible", where=f"workload.dtypes.{name}", message=message, hint=hint)
