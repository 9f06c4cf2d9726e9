"""PyTorch FSDP2 (`fully_shard`) under our own trainer: sharded replicas.

Read in torch 2.13.0, torch/distributed/fsdp/_fully_shard: a one-dimensional mesh shards over all of dp, a
two-dimensional one within groups of dp_shard (HSDP). `reshard_after_forward=False` keeps the gathered weights
(shard=gradients). Optimizer states follow the sharded parameters; they alone cannot be sharded or offloaded.

Gradients are reduced in `MixedPrecisionPolicy.reduce_dtype`, which may be bf16 or fp16. Zones that step by themselves,
each with a mesh of its own, are our trainer's, and so are the formats in which it sends pseudogradients.

Ranks of one shard group meet in every microbatch, so that they must have the same number of them; different shard
groups meet once a step, weighted by tokens in our trainer, and may differ.
"""

from crosszone.core.train import COMPUTE_DTYPES, ZONE_CODECS
from crosszone.frameworks.rules import (
    SELECTIVE_IN_EVERY_LAYER,
    STAGES_ALIKE,
    ZONES_HOLD_WHOLE_SHARDS,
    Rule,
    codecs_only,
    flat_sums,
    offloads_only,
    replicas_only,
    shards_only,
)

TITLE = "fully_shard"
COMPUTES = COMPUTE_DTYPES
RANK_ORDERS = (("tp", "cp", "dp", "pp"),)

UNEQUAL_WITHIN_SHARD_GROUP = Rule(
    code="unequal_shard_group",
    violated=lambda of: of.is_unequal & (of.num_like_replicas % of.dp_shard != 0),
    message=lambda plan: (
        f"ranks of one shard group gather together in every microbatch, but groups of dp_shard={plan.dp_shard} mix "
        "replicas with different numbers of microbatches."
    ),
    hint="Set dp_shard to a divisor of every group of like replicas, or take ddp.",
)

RULES = (
    *replicas_only(TITLE),
    shards_only(TITLE, "gradients", "parameters", hint="Set shard=gradients or parameters, or take ddp for none."),
    offloads_only(
        TITLE,
        "parameters",
        hint="CPUOffloadPolicy moves weights, gradients and states together: set offload=parameters.",
    ),
    UNEQUAL_WITHIN_SHARD_GROUP,
    ZONES_HOLD_WHOLE_SHARDS,
    flat_sums(TITLE),
    codecs_only(TITLE, "gradients", "bf16", "fp16"),
    codecs_only(TITLE, "pseudogradients", *ZONE_CODECS),
    STAGES_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
)
