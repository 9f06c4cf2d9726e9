"""The command line of Megatron-LM's pretrain_gpt.py, from a plan: every number resolved.

Read in Megatron-LM core_v0.19.0:
- core/transformer/pipeline_parallel_layer_layout.py: `--pipeline-model-parallel-layout` names what each part of the
  pipeline holds, in the order in which a microbatch passes them: E embedding, t*3 three layers, L head and loss.
- training/initialize.py: ranks are ordered tp-cp-ep-dp-pp, with `--use-tp-pp-dp-mapping` tp-cp-ep-pp-dp.
- core/parallel_state.py: the optimizer is sharded over dp*cp ranks, cut into `--num-distributed-optimizer-instances`
  runs of neighbours. core/distributed/distributed_data_parallel.py: `--ddp-bucket-size` counts elements.
- training/arguments.py: `--overlap-grad-reduce` and `--overlap-param-gather` are off by default, and the prediction
  counts on them (catalog, `overlaps_gradient_reduce`, `overlaps_weight_gather`).
- core/distributed/param_and_grad_buffer.py: the pattern "all" keeps sums in fp32 beside a buffer that travels in bf16.
- core/transformer/transformer_block.py, `_checkpointed_forward`: `--recompute-num-layers` is of each part of a rank.
- core/tensor_parallel/layers.py: fused accumulation of gradients needs Apex, which neither wheels nor images promise.
- core/optimizer_param_scheduler.py: the decay's steps count from the first step, with the warm-up.
- training/checkpointing.py: `--load` without a checkpoint starts anew.
- training/training.py, `checkpoint_and_decide_exit`: with `--exit-signal-handler`, ranks tell each other after every
  step whether one of them got SIGTERM (`--exit-signal`), and then all save and end with 0.
"""

import math
from collections.abc import Mapping
from typing import Any

from crosszone.core.bundle import DeployRequest
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.timeouts import Timeouts
from crosszone.core.train import TrainCheckpoint, TrainOptimizer
from crosszone.core.workload import DTYPE_BYTES, Dtypes, Workload
from crosszone.deploy.megatron_model import model_options
from crosszone.deploy.pipeline_parts import part_layers
from crosszone.deploy.trainer import RunSettings, ladder, run_settings

SEED = 1234
"""Megatron's default, written out."""
CHECKPOINT_FOLDER, CACHE_NAME = "checkpoints", "dataset-index"
FP8_OPTIONS = {
    "--fp8-format": "hybrid",
    "--fp8-recipe": "delayed",
    "--fp8-amax-history-len": 1024,
    "--fp8-amax-compute-algo": "max",
}
"""Transformer Engine 2.17's own default recipe (common/recipe, `DelayedScaling`)."""


def megatron_arguments(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> tuple[str, ...]:
    """Words after `pretrain_gpt`. Errors: InfeasiblePlan and SpecError as `run_settings`."""
    settings = run_settings(problem, plan, prediction, request)
    workload = problem.workload
    return argument_words(
        {
            **_degrees(plan),
            **_sharding(plan, workload.dtypes),
            **_recompute(plan),
            **model_options(problem.model, workload),
            "--attention-backend": "auto" if workload.attention == "flash" else "unfused",
            **_batch(workload, plan, settings),
            **_formats(workload.dtypes, plan),
            **_optimizer(settings.optimizer, settings.num_steps),
            **_data(request),
            **_checkpoint(settings.checkpoint, workload, request),
            **_run(ladder(problem, plan, prediction)),
        }
    )


def argument_words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Flags with their values: True stands alone, None and False are left out, a tuple is several words."""
    words: list[str] = []
    for flag, value in options.items():
        if value is None or value is False:
            continue
        values = () if value is True else value if isinstance(value, tuple) else (value,)
        words += [flag, *(str(each) for each in values)]
    return tuple(words)


def pipeline_layout(plan: Plan) -> str | None:
    """What each part of the pipeline holds; None without stages."""
    if plan.pp == 1:
        return None
    parts = [f"t*{count}" if count > 1 else "t" * count for count in part_layers(plan)]
    return f"E{'|'.join(parts)}L"


def has_distributed_optimizer(plan: Plan) -> bool:
    """Whether optimizer states are Megatron's sharded ones, as offloaded ones always are."""
    return (plan.shard == "optimizer" and plan.dp > 1) or plan.offload == "optimizer"


def _degrees(plan: Plan) -> dict[str, Any]:
    return {
        "--tensor-model-parallel-size": plan.tp,
        "--pipeline-model-parallel-size": plan.pp,
        "--context-parallel-size": plan.cp,
        "--expert-model-parallel-size": plan.ep,
        # With ep the prediction leaves experts whole; without, tp splits them as Megatron does by default.
        "--expert-tensor-parallel-size": 1 if plan.ep > 1 else None,
        "--sequence-parallel": plan.sequence_parallel,
        "--pipeline-model-parallel-layout": pipeline_layout(plan),
        "--use-tp-pp-dp-mapping": _has_pipelines_inside(plan),
    }


def _has_pipelines_inside(plan: Plan) -> bool:
    """Whether pp is nearer than dp in the order of ranks; without replicas or stages both orders are one."""
    order = plan.rank_order
    return plan.pp > 1 and plan.dp > 1 and order.index("pp") < order.index("dp")


def _sharding(plan: Plan, dtypes: Dtypes) -> dict[str, Any]:
    is_sharded, is_shared = has_distributed_optimizer(plan), plan.dp * plan.cp > 1
    has_instances = plan.shard == "optimizer" and 1 < plan.dp_shard < plan.dp
    bucket_bytes, element_bytes = plan.bucket_bytes, DTYPE_BYTES[dtypes.gradient_reduction]
    return {
        "--use-distributed-optimizer": is_sharded,
        "--num-distributed-optimizer-instances": plan.dp // plan.dp_shard if has_instances else None,
        "--overlap-grad-reduce": is_shared,
        "--overlap-param-gather": is_shared and is_sharded,
        "--ddp-bucket-size": None if bucket_bytes is None else max(1, round(bucket_bytes / element_bytes)),
        "--optimizer-cpu-offload": plan.offload == "optimizer",
        "--no-gradient-accumulation-fusion": True,
    }


def _recompute(plan: Plan) -> dict[str, Any]:
    """`block` recomputes the first layers of each part of the pipeline, `uniform` all of them, one by one."""
    is_full, layers = plan.recompute == "full", plan.recompute_layers
    method = "uniform" if layers is None else "block"
    return {
        "--recompute-granularity": None if plan.recompute == "none" else plan.recompute,
        "--recompute-modules": "core_attn" if plan.recompute == "selective" else None,
        "--recompute-method": method if is_full else None,
        "--recompute-num-layers": (layers or 1) if is_full else None,
    }


def _batch(workload: Workload, plan: Plan, settings: RunSettings) -> dict[str, Any]:
    return {
        "--seq-length": workload.sequence_length,
        "--micro-batch-size": plan.microbatch_size,
        "--global-batch-size": workload.global_batch_size,
        "--train-iters": settings.num_steps,
    }


def _formats(dtypes: Dtypes, plan: Plan) -> dict[str, Any]:
    """fp32 needs no argument. States in other formats, or offloaded ones, need the precision-aware optimizer."""
    is_fp8, moments = dtypes.compute == "fp8", dtypes.moments
    is_aware = moments != "fp32" or plan.offload == "optimizer"
    is_narrow_bf16 = dtypes.weights == "bf16" and dtypes.gradient_reduction == "bf16"
    return {
        "--bf16": dtypes.weights == "bf16",
        "--fp16": dtypes.weights == "fp16",
        **(FP8_OPTIONS if is_fp8 else {}),
        "--accumulate-allreduce-grads-in-fp32": dtypes.weights != "fp32" and dtypes.gradient_reduction == "fp32",
        "--grad-reduce-in-bf16": is_narrow_bf16,
        "--ddp-param-name-patterns-for-fp32-local-accumulation": (
            "all" if is_narrow_bf16 and dtypes.gradients == "fp32" else None
        ),
        "--use-precision-aware-optimizer": is_aware,
        "--exp-avg-dtype": moments if is_aware else None,
        "--exp-avg-sq-dtype": moments if is_aware else None,
    }


def _optimizer(optimizer: TrainOptimizer, num_steps: int) -> dict[str, Any]:
    """`adam` is AdamW: its weight decay is decoupled by default, and spares norms and biases."""
    decays = optimizer.num_decay_steps is not None
    lowest_rate = float(f"{optimizer.learning_rate * optimizer.final_learning_rate_fraction:.6g}")
    return {
        "--optimizer": "adam",
        "--lr": optimizer.learning_rate,
        "--min-lr": lowest_rate if decays else None,
        "--lr-decay-style": "cosine" if decays else "constant",
        "--lr-warmup-iters": optimizer.num_warmup_steps,
        "--lr-decay-iters": optimizer.num_warmup_steps + (optimizer.num_decay_steps or num_steps),
        "--adam-beta1": optimizer.beta1,
        "--adam-beta2": optimizer.beta2,
        "--adam-eps": optimizer.epsilon,
        "--weight-decay": optimizer.weight_decay,
        "--clip-grad": optimizer.max_gradient_norm or 0.0,
    }


def _data(request: DeployRequest) -> dict[str, Any]:
    """Tokens are numbers already. An index of the data is made at the first start, where all nodes see it."""
    folder = request.checkpoint_folder
    is_seen = folder is not None and folder.startswith("/")
    return {
        "--tokenizer-type": "NullTokenizer",
        "--mock-data": request.data_path is None,
        "--data-path": request.data_path,
        "--data-cache-path": f"{folder}/{CACHE_NAME}" if request.data_path is not None and is_seen else None,
        "--split": "100,0,0",
        "--no-create-attention-mask-in-dataloader": True,
        "--eval-iters": 0,
    }


def _checkpoint(checkpoint: TrainCheckpoint | None, workload: Workload, request: DeployRequest) -> dict[str, Any]:
    if checkpoint is None:
        return {}
    folder = request.checkpoint_folder or CHECKPOINT_FOLDER
    is_async = workload.checkpoint.is_async
    return {
        "--save": folder,
        "--load": folder,
        "--save-interval": checkpoint.every_steps,
        "--ckpt-format": "torch_dist",
        "--exit-signal-handler": True,
        "--async-save": is_async,
        "--use-persistent-ckpt-worker": is_async,
        "--async-strategy": "mcore" if is_async else None,
    }


def _run(limits: Timeouts) -> dict[str, Any]:
    """Time-outs of process groups: in the first step, and after it, when checkpoints are saved between steps."""
    return {
        "--seed": SEED,
        "--distributed-backend": "nccl",
        "--distributed-timeout-minutes": math.ceil(max(limits.first_step_seconds, limits.rendezvous_seconds) / 60.0),
        "--distributed-timeout-seconds-after-init": math.ceil(limits.watchdog_seconds),
        "--log-interval": 1,
        "--log-throughput": True,
    }
