"""PyTorch DistributedDataParallel under our own trainer: replicas, nothing else.

Read in torch 2.13.0, torch/nn/parallel/distributed.py. Accumulation runs under `no_sync`, so that ranks may work off
different numbers of microbatches and only the last one communicates; the trainer divides by the step's tokens, not by
ranks. Gradients can be compressed by a communication hook: torch has fp16, bf16 and PowerSGD, others are our trainer's.
So are zones that step by themselves, for which DDP's group is that of a zone.
"""

from crosszone.core.train import COMPUTE_DTYPES, ZONE_CODECS
from crosszone.frameworks.rules import (
    SELECTIVE_IN_EVERY_LAYER,
    STAGES_ALIKE,
    codecs_only,
    offloads_only,
    replicas_only,
    shards_only,
)

TITLE = "DistributedDataParallel"
COMPUTES = COMPUTE_DTYPES
RANK_ORDERS = (("tp", "cp", "dp", "pp"),)
RULES = (
    *replicas_only(TITLE),
    shards_only(TITLE, "none", hint="Set shard=none, or take fsdp or deepspeed."),
    offloads_only(TITLE, hint="Set offload=none, or take deepspeed."),
    codecs_only(TITLE, "pseudogradients", *ZONE_CODECS),
    STAGES_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
)
