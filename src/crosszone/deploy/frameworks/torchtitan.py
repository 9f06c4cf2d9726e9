"""torchtitan's own trainer, told by one TOML file: `python -m torchtitan.train --job.config_file FILE`.

Keys read in torchtitan 0.2.2, config/job_config.py; what it has no key for (sizes of the model, tokens) is in the
section `[crosszone]`, which `crosszone.runtime.titan` adds and reads: docs/decisions/0014-torchtitan.md. Its mesh has
tp, cp, dp_shard, dp_replicate, pp from the innermost axis on (distributed/parallel_dims.py), as `rank_grid` has.
"""

import math
from typing import Any

from crosszone.core.bundle import DeployRequest, Launch, Program
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.timeouts import Timeouts
from crosszone.cost.flop import model_flop
from crosszone.cost.parameters import num_parameters
from crosszone.deploy.entry import trainer_files
from crosszone.deploy.pipeline_parts import part_layers, recomputed_layers
from crosszone.deploy.ranks import single_replicas
from crosszone.deploy.rotation import rotary_base, scaling_factor
from crosszone.deploy.titan_limits import titan_problems
from crosszone.deploy.toml_text import toml_text
from crosszone.deploy.trainer import RunSettings, run_settings
from crosszone.errors import InfeasiblePlan
from crosszone.frameworks.rules import plan_expressed
from crosszone.frameworks.torchtitan import compiles_loss_alone, compiles_nothing

REQUIREMENTS = ("torch==2.13.0", "torchtitan==0.2.2", "numpy==2.4.6")
FLOAT8_REQUIREMENT = "torchao==0.18.0"
"""Read in it: float8/config.py, float8/float8_linear_utils.py (`convert_to_float8_training`)."""
PACKAGES = ("gcc", "libc6-dev")
"""Layers are compiled: Triton builds the code that launches its kernels with a C compiler."""
CONFIG_PATH = "configs/torchtitan.toml"
OWN_MODULE = "crosszone.runtime.titan"
ENVIRONMENT = (("PYTORCH_ALLOC_CONF", "expandable_segments:True"),)
"""As torchtitan's run_train.sh; the prediction of memory counts on it."""
SCHEDULE_NAMES = {
    "gpipe": "GPipe",
    "1f1b": "1F1B",
    "interleaved_1f1b": "Interleaved1F1B",
    "zbv": "ZBVZeroBubble",
}
"""torch 2.13.0, distributed/pipelining/schedules.py, `get_schedule_class`."""
ASSUMED = (
    "Nodes have a C compiler (gcc), as the Containerfile installs: torchtitan compiles layers.",
    "Weight decay is of norms too: torchtitan's optimizer takes all parameters alike.",
)
LOG_FOLDER = "logs"
CHECKPOINTS_FROM_LOGS = "../checkpoints"
FEWEST_KEPT = 2
"""torchtitan keeps no single checkpoint: the last may still be being written (components/checkpoint.py)."""


def program(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> Program:
    """What each rank runs. Errors: InfeasiblePlan for what torchtitan cannot train."""
    is_own = request.entry_text is not None
    findings = () if is_own else tuple(titan_problems(problem, plan, request))
    if findings:
        raise InfeasiblePlan(*findings)
    return Program(
        argv=("-m", "torchtitan.train", "--job.config_file", CONFIG_PATH),
        environment=ENVIRONMENT if request.device == "cuda" else (),
        has_our_trainer=False,
        saves_when_stopped=True,  # torchtitan itself catches no signal; OWN_MODULE does
        requirements=(FLOAT8_REQUIREMENT,) if _is_float8(problem) else (),
        packages=PACKAGES,
        assumed=() if is_own else ASSUMED,
    )


def files(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> dict[str, str]:
    """Configuration files by path, and our part of the program. Errors: InfeasiblePlan, SpecError."""
    if request.entry_text is not None:
        return {}
    settings = run_settings(problem, plan, prediction, request)
    tables = {
        **_run_tables(problem, plan, settings, launch.timeouts),
        **_model_tables(problem, plan, settings, prediction),
        "parallelism": _parallelism(plan),
    }
    return {CONFIG_PATH: toml_text(tables), **trainer_files(OWN_MODULE)}


def _is_float8(problem: Problem) -> bool:
    return problem.workload.dtypes.compute == "fp8"


def _compiled(plan: Plan) -> list[str]:
    """What torch 2.13.0 can compile, as the prediction has it."""
    columns = plan_expressed(plan)
    if compiles_nothing(columns)[0]:
        return []
    return ["loss"] if compiles_loss_alone(columns)[0] else ["model", "loss"]


def _run_tables(problem: Problem, plan: Plan, settings: RunSettings, limits: Timeouts) -> dict[str, dict[str, Any]]:
    workload, optimizer = problem.workload, settings.optimizer
    num_microbatches = single_replicas(plan)[0].num_microbatches
    dtypes = workload.dtypes
    narrow, wide = "bfloat16", "float32"
    return {
        "job": {
            "description": "CrossZone",
            "dump_folder": LOG_FOLDER,
            "custom_config_module": OWN_MODULE,
        },
        "experimental": {"custom_import": OWN_MODULE},
        "metrics": {"log_freq": 1, "disable_color_printing": True},
        "training": {
            "steps": settings.num_steps,
            "seq_len": workload.sequence_length,
            # With a pipeline a rank's whole share of a step is one batch, which the schedule divides.
            "local_batch_size": plan.microbatch_size * (num_microbatches if plan.pp > 1 else 1),
            "global_batch_size": workload.global_batch_size,
            "max_norm": optimizer.max_gradient_norm,
            "enable_cpu_offload": plan.offload == "parameters",
            "dtype": narrow if dtypes.master_weights is None and dtypes.weights == "bf16" else wide,
            "mixed_precision_param": wide if dtypes.compute == "fp32" else narrow,
            "mixed_precision_reduce": wide,
        },
        "optimizer": {
            "name": "AdamW",
            "lr": optimizer.learning_rate,
            "beta1": optimizer.beta1,
            "beta2": optimizer.beta2,
            "eps": optimizer.epsilon,
            "weight_decay": optimizer.weight_decay,
        },
        "lr_scheduler": {
            "warmup_steps": optimizer.num_warmup_steps,
            "decay_type": "cosine",
            "min_lr_factor": optimizer.final_learning_rate_fraction,
        },
        "activation_checkpoint": _recompute(plan),
        "compile": {"enable": bool(_compiled(plan)), "components": _compiled(plan) or None},
        "checkpoint": _checkpoint(problem, settings),
        "comm": {
            "init_timeout_seconds": math.ceil(max(limits.rendezvous_seconds, limits.first_step_seconds)),
            "train_timeout_seconds": math.ceil(limits.collective_seconds),
        },
        "debug": {"seed": 0},
    }


def _recompute(plan: Plan) -> dict[str, Any]:
    # By operation, as the prediction has it; torchtitan's default is every second layer. Some layers: OWN_MODULE.
    mode = plan.recompute if recomputed_layers(plan) is None else "none"
    return {"mode": mode, "selective_ac_option": "op" if plan.recompute == "selective" else None}


def _checkpoint(problem: Problem, settings: RunSettings) -> dict[str, Any]:
    saved = settings.checkpoint
    if saved is None:
        return {"enable": False}
    return {
        "enable": True,
        "folder": saved.folder if saved.folder.startswith("/") else CHECKPOINTS_FROM_LOGS,
        "interval": saved.every_steps,
        "keep_latest_k": max(saved.num_kept, FEWEST_KEPT),
        "last_save_model_only": False,
        "async_mode": "async" if problem.workload.checkpoint.is_async else "disabled",
    }


def _model_tables(
    problem: Problem, plan: Plan, settings: RunSettings, prediction: Prediction
) -> dict[str, dict[str, Any]]:
    model, workload, data = problem.model, problem.workload, settings.data
    is_float8, layers = _is_float8(problem), recomputed_layers(plan)
    return {
        "model": {
            "name": "crosszone",
            "flavor": "job",
            "hf_assets_path": ".",
            "converters": ["quantize.linear.float8"] if is_float8 else None,
        },
        # The LM head stays wide, as the prediction has it.
        **({"quantize.linear.float8": {"filter_fqns": ["output"]}} if is_float8 else {}),
        "crosszone": {
            "fingerprint": prediction.fingerprint,
            "num_layers": model.num_layers,
            "hidden_size": model.hidden_size,
            "ffn_size": model.ffn_size,
            "num_heads": model.num_heads,
            "num_kv_heads": model.num_kv_heads,
            "vocab_size": model.vocab_size,
            "rope_base": rotary_base(model),
            "rope_scaling_factor": scaling_factor(model),
            "num_parameters": num_parameters(model),
            "step_flop": model_flop(model, workload.sequence_length) * workload.global_batch_size,
            "token_path": data.path or "",
            "token_bytes": data.token_bytes,
            "num_samples": data.num_samples,
            "recomputed_layers": list(layers) if layers is not None else None,
        },
    }


def _parallelism(plan: Plan) -> dict[str, Any]:
    is_sharded = plan.shard != "none"
    dp_shard = plan.dp_shard if is_sharded else 1
    found = {
        "data_parallel_replicate_degree": plan.dp // dp_shard,
        "data_parallel_shard_degree": dp_shard,
        # "default" gathers again in the backward pass, but not with a pipeline, as the prediction has it.
        "fsdp_reshard_after_forward": "never" if plan.shard == "gradients" else "default",
        "tensor_parallel_degree": plan.tp,
        "enable_async_tensor_parallel": False,
        "context_parallel_degree": plan.cp,
        "pipeline_parallel_degree": plan.pp,
    }
    if plan.pp == 1:
        return found
    return {
        **found,
        "pipeline_parallel_schedule": SCHEDULE_NAMES[plan.schedule],
        "pipeline_parallel_microbatch_size": plan.microbatch_size,
        "module_fqns_per_model_part": _module_names(plan),
    }


def _module_names(plan: Plan) -> list[list[str]]:
    """Modules of each part of the pipeline, in order of a microbatch's way."""
    parts, first = [], 0
    for count in part_layers(plan):
        parts.append([f"layers.{layer}" for layer in range(first, first + count)])
        first += count
    parts[0].insert(0, "tok_embeddings")
    parts[-1] += ["norm", "output"]
    return parts
