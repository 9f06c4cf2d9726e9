"""torchtitan: FSDP2, tensor, pipeline, context and expert parallelism in native PyTorch.

Read in torchtitan 0.2.2 with torch 2.13.0:
- distributed/parallel_dims.py: the mesh is pp, dp_replicate, dp_shard, cp, tp, outermost first; FSDP always covers cp.
- models/llama3/infra/parallelize.py: tensor parallelism always splits the sequence too; DDP works alone only ("DDP has
  not supported > 1D parallelism"); with a pipeline weights are kept after the forward pass unless
  fsdp_reshard_after_forward is "always"; enable_cpu_offload moves weights, gradients and states together.
- components/ft/manager.py: local SGD and DiLoCo are torchft's, with a coordinator of its own and each zone a job of its
  own, which no bundle starts. `mixed_precision_reduce` is float32.
- distributed/activation_checkpoint.py: all layers are recomputed, or every n-th; our module says which, of each stage.
- distributed/pipeline_parallel.py: every rank has the same local batch; `module_fqns_per_model_part` names the layers
  of each stage.
- torch/distributed/pipelining/schedules.py: GPipe, 1F1B (at least as many microbatches as stages) and Interleaved1F1B
  (microbatches a multiple of their rounds), ZBVZeroBubble (two stages a rank, laid out as a V; weight gradients in a
  backward pass of their own, for which torch/utils/checkpoint.py recomputes whole layers, but not single operations).
"""

import numpy as np

from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS
from crosszone.core.tables import Bools, PlanTable
from crosszone.frameworks.rules import (
    EVERY_CHUNK_HAS_A_LAYER,
    SELECTIVE_IN_EVERY_LAYER,
    SEQUENCE_PARALLEL_NEEDS_TP,
    STAGES_ALIKE,
    VIRTUAL_STAGES_NEED_INTERLEAVING,
    Expressed,
    Rule,
    equal_replicas,
    flat_sums,
    is_interleaved,
    no_codecs,
    offloads_only,
    own_mathematics_only,
    schedules_only,
    shards_only,
)

TITLE = "torchtitan"
COMPUTES = ("fp32", "bf16", "fp8")
RANK_ORDERS = (("tp", "cp", "dp", "pp"),)


def compiles_loss_alone(of: Expressed | PlanTable) -> Bools:
    """Layers that tp splits and that are recomputed: their compiled forward pass would keep a DeviceMesh as a tensor.

    Source: torch 2.13.0, _functorch/_aot_autograd/runtime_wrappers.py, `save_from_forward`; seen on CPUs.
    """
    found: Bools = (of.tp > 1) & (of.recompute != RECOMPUTES.index("none")) & ~compiles_nothing(of)
    return found


def compiles_nothing(of: Expressed | PlanTable) -> Bools:
    """Zero bubbles go back through each layer twice, which torch refuses of compiled ones.

    Source: torch 2.13.0, distributed/pipelining/schedules.py, `_check_torch_compile_compatibility`.
    """
    found: Bools = (of.pp > 1) & (of.schedule == SCHEDULES.index("zbv"))
    return found


MODES = (("uncompiled-layers", compiles_loss_alone), ("uncompiled", compiles_nothing))


def _has_ragged_rounds(of: Expressed) -> Bools:
    rounds = np.maximum(of.num_microbatches // of.pp, 1)
    is_ragged: Bools = (of.pp > 1) & is_interleaved(of) & (of.num_microbatches % rounds != 0)
    return is_ragged


TENSOR_PARALLEL_SPLITS_SEQUENCE = Rule(
    code="tp_without_sequence_parallel",
    violated=lambda of: (of.tp > 1) & ~of.sequence_parallel,
    message=lambda plan: f"tp={plan.tp} always splits the sequence too, but sequence_parallel=false.",
    hint="Set sequence_parallel=true.",
)
REPLICAS_ALONE = Rule(
    code="replicas_alone",
    violated=lambda of: (of.dp > 1) & (of.shard == SHARDS.index("none")) & (of.tp * of.pp * of.cp * of.ep > 1),
    message=lambda plan: f"shard=none works with dp alone, but tp={plan.tp}, pp={plan.pp}, cp={plan.cp}, ep={plan.ep}.",
    hint="Set shard=gradients or parameters.",
)
FEW_MICROBATCHES = Rule(
    code="few_microbatches",
    violated=lambda of: (of.pp > 1) & (of.schedule == SCHEDULES.index("1f1b")) & (of.num_microbatches < of.pp),
    message=lambda plan: (
        f"1F1B needs at least pp={plan.pp} microbatches, "
        f"but a replica has {min(replica.num_microbatches for replica in plan.replicas)}."
    ),
    hint="Lower pp or microbatch_size, or set schedule=gpipe.",
)
INTERLEAVED_ROUNDS = Rule(
    code="interleaved_rounds",
    violated=_has_ragged_rounds,
    message=lambda plan: (
        f"Interleaved1F1B splits {min(replica.num_microbatches for replica in plan.replicas)} microbatches into "
        f"rounds of about pp={plan.pp}, which do not come out equal."
    ),
    hint="Make the number of microbatches a multiple of pp.",
)

SPLIT_BACKWARD_RECOMPUTES_WHOLE = Rule(
    code="split_backward_recompute",
    violated=lambda of: (
        (of.pp > 1) & (of.schedule == SCHEDULES.index("zbv")) & (of.recompute == RECOMPUTES.index("selective"))
    ),
    message=lambda plan: (
        f"{plan.schedule} goes back through a layer twice, which single operations (recompute={plan.recompute}) cannot."
    ),
    hint="Set recompute=full or none, or schedule=1f1b.",
)

RULES = (
    SEQUENCE_PARALLEL_NEEDS_TP,
    TENSOR_PARALLEL_SPLITS_SEQUENCE,
    schedules_only(TITLE, "gpipe", "1f1b", "interleaved_1f1b", "zbv"),
    VIRTUAL_STAGES_NEED_INTERLEAVING,
    FEW_MICROBATCHES,
    INTERLEAVED_ROUNDS,
    EVERY_CHUNK_HAS_A_LAYER,
    shards_only(TITLE, "none", "gradients", "parameters", hint="Set shard=gradients or parameters."),
    REPLICAS_ALONE,
    offloads_only(
        TITLE,
        "parameters",
        hint="enable_cpu_offload moves weights, gradients and states together: set offload=parameters.",
    ),
    equal_replicas("every rank has the same local_batch_size"),
    own_mathematics_only(TITLE),
    flat_sums(TITLE),
    SPLIT_BACKWARD_RECOMPUTES_WHOLE,
    *no_codecs(TITLE),
    STAGES_ALIKE,
    SELECTIVE_IN_EVERY_LAYER,
)
