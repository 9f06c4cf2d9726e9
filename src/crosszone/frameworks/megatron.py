"""Megatron-Core with Megatron-LM: tensor, pipeline, context and expert parallelism, distributed optimizer.

Read in megatron-core 0.16.1, 0.19.0 and 0.19.2:
- core/parallel_state.py: ranks are ordered tp-cp-ep-dp-pp; training/initialize.py: --use-tp-pp-dp-mapping swaps the
  last two.
- core/pipeline_parallel/schedules.py: 1F1B and interleaved 1F1B. Interleaved works in groups of pp microbatches, and
  the last group may not be smaller.
- training/arguments.py: --pipeline-model-parallel-layout (0.16.1 has it) gives each stage and virtual stage its own
  layers; sequence parallelism is switched off where tp is 1; --use-distributed-optimizer shards optimizer states, over
  groups of dp / --num-distributed-optimizer-instances; --optimizer-cpu-offload needs the precision-aware optimizer,
  which is the distributed one.
- core/parallel_state.py: those groups cut the replicas of an expert, too: tp*cp*dp/ep ranks, as experts are whole.
- core/transformer/transformer_block.py: --recompute-method block recomputes the first --recompute-num-layers layers of
  each stage or virtual stage, one number for all of them.
- core/model_parallel_config.py: experts with tensor parallelism need sequence parallelism.
- training/arguments.py: --grad-reduce-in-bf16 reduces gradients in bf16.
- core/num_microbatches_calculator.py: one number of microbatches for all ranks.
Its own FSDP (--use-megatron-fsdp) would shard gradients and parameters; CrossZone does not plan it.
"""

import numpy as np

from crosszone.core.plan import SHARDS
from crosszone.frameworks.rules import (
    EVERY_CHUNK_HAS_A_LAYER,
    OFFLOADS,
    RECOMPUTED_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
    SEQUENCE_PARALLEL_NEEDS_TP,
    STAGES_ALIKE,
    VIRTUAL_STAGES_NEED_INTERLEAVING,
    Rule,
    codecs_only,
    equal_replicas,
    flat_sums,
    is_interleaved,
    offloads_only,
    own_mathematics_only,
    schedules_only,
    shards_only,
)

TITLE = "Megatron"
COMPUTES = ("fp32", "bf16", "fp16", "fp8")
RANK_ORDERS = (("tp", "cp", "dp", "pp"), ("tp", "cp", "pp", "dp"))

INTERLEAVED_GROUPS = Rule(
    code="interleaved_groups",
    violated=lambda of: (of.pp > 1) & is_interleaved(of) & (of.num_microbatches % of.pp != 0),
    message=lambda plan: (
        f"interleaved_1f1b works in groups of pp={plan.pp} microbatches, "
        f"but a replica has {min(replica.num_microbatches for replica in plan.replicas)}."
    ),
    hint="Make the number of microbatches a multiple of pp, or set schedule=1f1b.",
)
EXPERTS_NEED_SEQUENCE_PARALLEL = Rule(
    code="experts_without_sequence_parallel",
    violated=lambda of: (of.ep > 1) & (of.tp > 1) & ~of.sequence_parallel,
    message=lambda plan: f"ep={plan.ep} with tp={plan.tp} needs sequence_parallel.",
    hint="Set sequence_parallel=true.",
)
OFFLOAD_NEEDS_DISTRIBUTED_OPTIMIZER = Rule(
    code="offload_without_distributed_optimizer",
    violated=lambda of: (of.offload == OFFLOADS.index("optimizer")) & (of.dp > 1) & (of.shard == SHARDS.index("none")),
    message=lambda plan: "--optimizer-cpu-offload is part of the distributed optimizer, but shard=none.",
    hint="Set shard=optimizer.",
)
EXPERTS_IN_EVERY_OPTIMIZER = Rule(
    code="experts_in_some_optimizers",
    violated=lambda of: (
        (of.ep > 1)
        & (of.shard == SHARDS.index("optimizer"))
        & (of.tp * of.cp * of.dp // of.ep % np.maximum(of.dp // of.dp_shard, 1) != 0)
    ),
    message=lambda plan: (
        f"dp/dp_shard = {plan.dp // plan.dp_shard} copies of the optimizer states do not divide the "
        f"tp*cp*dp/ep = {plan.tp * plan.cp * plan.dp // plan.ep} replicas of an expert."
    ),
    hint="Raise dp_shard, or lower ep.",
)

RULES = (
    SEQUENCE_PARALLEL_NEEDS_TP,
    EXPERTS_NEED_SEQUENCE_PARALLEL,
    schedules_only(TITLE, "1f1b", "interleaved_1f1b"),
    VIRTUAL_STAGES_NEED_INTERLEAVING,
    INTERLEAVED_GROUPS,
    EVERY_CHUNK_HAS_A_LAYER,
    shards_only(
        "Megatron as CrossZone plans it",
        "none",
        "optimizer",
        hint="Set shard=optimizer, or take torchtitan, fsdp or deepspeed.",
    ),
    offloads_only(TITLE, "optimizer", hint="Set offload=optimizer, or take deepspeed for parameters."),
    OFFLOAD_NEEDS_DISTRIBUTED_OPTIMIZER,
    EXPERTS_IN_EVERY_OPTIMIZER,
    equal_replicas("Megatron has one number of microbatches for all ranks"),
    own_mathematics_only(TITLE),
    flat_sums(TITLE),
    codecs_only(TITLE, "gradients", "bf16"),
    codecs_only(TITLE, "activations"),
    STAGES_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
    RECOMPUTED_ALIKE,
)
