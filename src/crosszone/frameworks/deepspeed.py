"""DeepSpeed: ZeRO stages 0 to 3, and its pipeline engine with ZeRO 0 or 1.

Read in DeepSpeed 0.19.8:
- runtime/pipe/engine.py: "ZeRO-2 and ZeRO-3 are incompatible with pipeline parallelism"; one schedule, 1F1B.
- runtime/pipe/module.py: items are split by `uniform`, `parameters` or `type:`, never by a list of counts; but an item
  may hold any number of layers, and with `type:` each stage gets one item of that type.
- runtime/engine.py: stage 1 with offload and bf16 leaves the optimizer that the pipeline engine is written for.
- runtime/config.py: `mics_shard_size` has been removed, so that every stage shards over all of dp (ZeRO++'s
  `zero_hpz_partition_size` keeps a second copy of the weights; it does not shrink the shard group).
- runtime/zero/config.py: `offload_param` is valid with stage 3 only, `offload_optimizer` with stages 1 to 3.
- runtime/config.py: `communication_data_type` reduces gradients in fp16 or bf16.
Our trainer says itself which layers of a stage are recomputed; `activation_checkpoint_interval` would be of all.
AutoTP, Ulysses and AutoEP exist beside these; CrossZone does not plan them, so tp, cp and ep are 1 here.
"""

from crosszone.core.plan import RECOMPUTES, SHARDS
from crosszone.core.train import COMPUTE_DTYPES
from crosszone.frameworks.rules import (
    OFFLOADS,
    SELECTIVE_IN_EVERY_LAYER,
    SEQUENCE_PARALLEL_NEEDS_TP,
    STAGES_ALIKE,
    VIRTUAL_STAGES_NEED_INTERLEAVING,
    Rule,
    codecs_only,
    equal_replicas,
    flat_sums,
    lacks,
    own_mathematics_only,
    schedules_only,
    whole_shard_groups,
)

TITLE = "DeepSpeed"
PLANNED = "DeepSpeed as CrossZone plans it"
COMPUTES = COMPUTE_DTYPES
RANK_ORDERS = (("tp", "cp", "dp", "pp"),)

ZERO_WITH_PIPELINE = Rule(
    code="zero_with_pipeline",
    violated=lambda of: (of.pp > 1) & (of.shard > SHARDS.index("optimizer")),
    message=lambda plan: f"the pipeline engine takes ZeRO 0 or 1, but pp={plan.pp} with shard={plan.shard}.",
    hint="Set shard=optimizer or pp=1.",
)
SELECTIVE_WITH_PIPELINE = Rule(
    code="selective_with_pipeline",
    violated=lambda of: (of.pp > 1) & (of.recompute == RECOMPUTES.index("selective")),
    message=lambda plan: "PipelineModule recomputes whole layers (activation_checkpoint_interval) or none.",
    hint="Set recompute=full or none.",
)
OFFLOAD_NEEDS_SHARDING = Rule(
    code="offload_without_zero",
    violated=lambda of: (
        (of.dp > 1)
        & (
            ((of.offload == OFFLOADS.index("optimizer")) & (of.shard == SHARDS.index("none")))
            | ((of.offload == OFFLOADS.index("parameters")) & (of.shard != SHARDS.index("parameters")))
        )
    ),
    message=lambda plan: f"offload={plan.offload} needs ZeRO, but shard={plan.shard}.",
    hint="offload=optimizer takes shard=optimizer or more, offload=parameters takes shard=parameters.",
)
OFFLOAD_WITH_PIPELINE = Rule(
    code="offload_with_pipeline",
    violated=lambda of: (of.pp > 1) & (of.offload != OFFLOADS.index("none")),
    message=lambda plan: f"the pipeline engine keeps its states on the GPU, but pp={plan.pp}, offload={plan.offload}.",
    hint="Set offload=none or pp=1.",
)

RULES = (
    lacks("tp", PLANNED, hint="Set tp=1, or take megatron or torchtitan."),
    lacks("cp", PLANNED, hint="Set cp=1, or take megatron or torchtitan."),
    lacks("ep", PLANNED, hint="Set ep=1, or take megatron or torchtitan."),
    SEQUENCE_PARALLEL_NEEDS_TP,
    schedules_only(TITLE, "1f1b"),
    VIRTUAL_STAGES_NEED_INTERLEAVING,
    ZERO_WITH_PIPELINE,
    whole_shard_groups(TITLE),
    SELECTIVE_WITH_PIPELINE,
    OFFLOAD_NEEDS_SHARDING,
    OFFLOAD_WITH_PIPELINE,
    equal_replicas("gradient_accumulation_steps is one number for all ranks"),
    own_mathematics_only(TITLE),
    flat_sums(TITLE),
    codecs_only(TITLE, "gradients", "bf16", "fp16"),
    codecs_only(TITLE, "activations"),
    STAGES_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
)
