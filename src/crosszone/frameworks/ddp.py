"""PyTorch DistributedDataParallel under our own trainer: replicas, nothing else.

Read in torch 2.13.0, torch/nn/parallel/distributed.py. Accumulation runs under `no_sync`, so that ranks may work off
different numbers of microbatches and only the last one communicates; the trainer divides by the step's tokens, not by
ranks. Gradients can be compressed by a communication hook: torch has fp16, bf16 and PowerSGD, others are our trainer's.
So are zones that step by themselves, for which DDP's group is that of a zone.
"""

from crosszone.frameworks.rules import (
    OWN_PSEUDOGRADIENT_CODECS,
    SELECTIVE_IN_EVERY_LAYER,
    STAGES_ALIKE,
    codecs_only,
    offloads_only,
    replicas_only,
    shards_only,
)

TITLE = "DistributedDataParallel"
COMPUTES = ("fp32", "tf32", "bf16", "fp16")
RANK_ORDERS = (("tp", "cp", "dp", "pp"),)
RUNS_OWN_DEGREES = True
"""Zones that exchange local updates alone may have microbatches, shards and recomputation of their own."""
RULES = (
    *replicas_only(TITLE),
    shards_only(TITLE, "none", hint="Set shard=none, or take fsdp or deepspeed."),
    offloads_only(TITLE, hint="Set offload=none, or take deepspeed."),
    codecs_only(TITLE, "pseudogradients", *OWN_PSEUDOGRADIENT_CODECS),
    STAGES_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
)
