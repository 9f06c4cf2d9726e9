"""FSDP2 (`fully_shard`) and HSDP: our trainer's configuration, and the same numbers for a program of one's own."""

from crosszone.core.bundle import DeployRequest, Launch, Program
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.deploy.trainer import TRAINER_PROGRAM, TRAINER_REQUIREMENTS, train_files

REQUIREMENTS = TRAINER_REQUIREMENTS
OWN_CONFIG_PATH = "configs/fsdp_config.py"
TORCH_DTYPES = {"fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Of formats that are narrower FSDP gathers bf16, which a program's own layers narrow."""
OWN_CONFIG = '''"""FSDP2 as the plan has it, for a training program of one's own; our trainer reads configs/train.json.

    model = ...                             # on this process's device, before an optimizer is made
    shard(model, blocks=model.layers)       # one unit per block: what is gathered at a time
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard

DP_SHARD = {dp_shard}
"""Consecutive ranks that share one copy of the model."""
DP_REPLICATE = {dp_replicate}
"""Copies of it; above 1 this is HSDP."""
RESHARD_AFTER_FORWARD = {reshard}
"""Whether weights are sharded too (ZeRO-3), or gradients and optimizer only (ZeRO-2)."""
COMPUTE_DTYPE = torch.{compute}
REDUCE_DTYPE = torch.{reduce}
OFFLOADS = {offloads}
"""Whether weights rest in host memory."""


def mesh(device_type: str = "{device}") -> DeviceMesh:
    """Ranks by copy and by shard; called once, by all ranks, after they have met."""
    return init_device_mesh(
        device_type, (DP_REPLICATE, DP_SHARD), mesh_dim_names=("dp_replicate", "dp_shard")
    )


def shard(model: nn.Module, *, blocks: Sequence[nn.Module], over: DeviceMesh | None = None) -> nn.Module:
    """The model, sharded in place: each of `blocks` by itself, then what is left."""
    found = mesh() if over is None else over
    options = {{
        "mesh": found if DP_REPLICATE > 1 else found["dp_shard"],
        "reshard_after_forward": RESHARD_AFTER_FORWARD,
        "mp_policy": MixedPrecisionPolicy(param_dtype=COMPUTE_DTYPE, reduce_dtype=REDUCE_DTYPE),
        "offload_policy": CPUOffloadPolicy() if OFFLOADS else OffloadPolicy(),
    }}
    for block in blocks:
        fully_shard(block, **options)
    fully_shard(model, **options)
    return model
'''


def program(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> Program:
    """What each rank runs."""
    return TRAINER_PROGRAM


def files(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> dict[str, str]:
    """Configuration files by path. Errors: InfeasiblePlan, SpecError."""
    found = train_files(problem, plan, prediction, request)
    if not plan.has_own_degrees:  # which one file cannot say
        found[OWN_CONFIG_PATH] = _own_config(problem, plan, request)
    return found


def _own_config(problem: Problem, plan: Plan, request: DeployRequest) -> str:
    dtypes = problem.workload.dtypes
    return OWN_CONFIG.format(
        dp_shard=plan.dp_shard,
        dp_replicate=plan.dp // plan.dp_shard,
        reshard=plan.shard == "parameters",
        compute=TORCH_DTYPES.get(dtypes.compute, "bfloat16"),
        reduce=TORCH_DTYPES.get(dtypes.gradient_reduction, "float32"),
        offloads=plan.offload == "parameters" and request.device == "cuda",
        device=request.device,
    )
