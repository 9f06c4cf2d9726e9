"""PyTorch DistributedDataParallel under our own trainer: replicas, nothing else.

Read in torch 2.13.0, torch/nn/parallel/distributed.py. Accumulation runs under `no_sync`, so that ranks may work off
different numbers of microbatches and only the last one communicates; the trainer divides by the step's tokens, not by
ranks. Gradients can be compressed by a communication hook: torch has fp16, bf16 and PowerSGD, others are our trainer's.
So are ways to agree less often than each step, or late.
"""

from crosszone.frameworks.rules import (
    SEQUENCE_PARALLEL_NEEDS_TP,
    STAGES_ALIKE,
    lacks,
    offloads_only,
    shards_only,
)

TITLE = "DistributedDataParallel"
RANK_ORDERS = (("tp", "cp", "dp", "pp"),)
RULES = (
    lacks("tp", TITLE, hint="Set tp=1, or take megatron or torchtitan."),
    lacks("pp", TITLE, hint="Set pp=1, or take megatron, torchtitan or deepspeed."),
    lacks("cp", TITLE, hint="Set cp=1, or take megatron or torchtitan."),
    lacks("ep", TITLE, hint="Set ep=1, or take megatron or torchtitan."),
    SEQUENCE_PARALLEL_NEEDS_TP,
    shards_only(TITLE, "none", hint="Set shard=none, or take fsdp or deepspeed."),
    offloads_only(TITLE, hint="Set offload=none, or take deepspeed."),
    STAGES_ALIKE,
)
