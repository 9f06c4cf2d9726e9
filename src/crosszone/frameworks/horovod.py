"""Horovod: replicas, averaged with equal weight.

Read in Horovod 0.28.1 (its last release), horovod/torch/optimizer.py: `backward_passes_per_step` is one number for all
ranks, and the average gives each rank the same weight. Compression of gradients to fp16 is its own.
"""

from crosszone.core.train import COMPUTE_DTYPES
from crosszone.frameworks.rules import (
    SELECTIVE_IN_EVERY_LAYER,
    STAGES_ALIKE,
    codecs_only,
    equal_replicas,
    flat_sums,
    offloads_only,
    own_mathematics_only,
    replicas_only,
    shards_only,
)

TITLE = "Horovod"
COMPUTES = COMPUTE_DTYPES
RANK_ORDERS = (("tp", "cp", "dp", "pp"),)
RULES = (
    *replicas_only(TITLE),
    shards_only(TITLE, "none", hint="Set shard=none, or take fsdp or deepspeed."),
    offloads_only(TITLE, hint="Set offload=none, or take deepspeed."),
    equal_replicas("Horovod averages all ranks with equal weight"),
    own_mathematics_only(TITLE),
    flat_sums(TITLE),
    codecs_only(TITLE, "gradients", "fp16"),
    STAGES_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
)
