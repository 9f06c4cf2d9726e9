"""What a Megatron bundle cannot do beyond what its framework cannot express: GPUs, formats, attention, paths.

Sources: Megatron-LM core_v0.19.0, docker/Dockerfile.ci.dev (CUDA 13.3) and docs/get-started/install.md (Turing or
later); NVIDIA, CUDA Toolkit 13.0 release notes (Volta removed); core/transformer/transformer_config.py (biases of
experts); training/arguments.py and core/optimizer/optimizer_config.py (formats);
core/tensor_parallel/layers.py (`divide`) and mappings.py (what tp splits comes out even);
Transformer Engine 2.17, `DotProductAttention`: fused kernels work in 16 bits from Ampere on, and context parallelism
needs one of them.
"""

from collections.abc import Iterator

from crosszone.core.bundle import DeployRequest
from crosszone.core.cluster import Gpu
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.workload import Dtypes
from crosszone.deploy.megatron_model import model_problems
from crosszone.errors import Finding

REMOVED_GENERATIONS = ("Volta",)
UNFUSED_GENERATIONS = ("Volta", "Turing")
NARROW, SINGLE = ("bf16", "fp16"), ("fp32",)
MOMENTS = ("fp32", "fp16", "bf16", "fp8")


def megatron_problems(problem: Problem, plan: Plan, request: DeployRequest) -> Iterator[Finding]:
    """Every reason why Megatron-LM cannot train `problem` by `plan`."""
    gpus = used_gpus(problem, plan)
    yield from model_problems(problem.model, problem.workload)
    yield from _gpus(gpus, request)
    yield from _attention(problem, plan, gpus)
    yield from _formats(problem.workload.dtypes, plan)
    yield from _parts_of_tp(problem, plan)
    if problem.model.ffn_bias and problem.model.num_experts and plan.tp > 1 and plan.ep == 1:
        message = f"megatron has no biases in experts that tp={plan.tp} splits."
        yield _finding("plan.ep", message, "Set ep above 1, which leaves experts whole, or tp=1.")
    if plan.prefetch is not None:
        yield _finding("plan.prefetch", "megatron has no argument for prefetch.", "Leave it out.")
    path = request.data_path
    if path is not None and path.endswith((".bin", ".idx")):
        message = f'"{path}" is one of the two files of a dataset; megatron is told what they have in common.'
        yield _finding("--data", message, "Leave out .bin or .idx.")


def used_gpus(problem: Problem, plan: Plan) -> tuple[Gpu, ...]:
    """Kinds of GPU that work, each once."""
    pools = {pool for replica in plan.replicas for pool in zip(replica.zones, replica.node_groups, strict=True)}
    groups = (problem.cluster.zone(zone).node_groups[index] for zone, index in sorted(pools))
    return tuple(dict.fromkeys(group.gpu for group in groups))


def _gpus(gpus: tuple[Gpu, ...], request: DeployRequest) -> Iterator[Finding]:
    if request.device != "cuda":
        yield _finding("--device", "megatron trains on GPUs only.", "Take cuda, or ddp or fsdp to try a job out.")
        return
    for gpu in gpus:
        if gpu.vendor.lower() != "nvidia":
            message = f"megatron's layers come from Transformer Engine, which {gpu.name} of {gpu.vendor} has not."
            yield _finding("cluster", message, "Take NVIDIA GPUs, or ddp or fsdp.")
        elif gpu.generation in REMOVED_GENERATIONS:
            message = f"megatron 0.19 needs CUDA 13, which has no {gpu.generation} ({gpu.name})."
            yield _finding("cluster", message, "Leave these GPUs out, or take ddp or fsdp.")


def _attention(problem: Problem, plan: Plan, gpus: tuple[Gpu, ...]) -> Iterator[Finding]:
    attention, compute = problem.workload.attention, problem.workload.dtypes.compute
    where, hint = "workload.attention", "Set attention=unfused."
    if attention == "flash":
        if compute in SINGLE:
            message = f"megatron has no fused attention in {compute}."
            yield _finding(where, message, "Set precision=bf16, or attention=unfused.")
        old = [gpu.name for gpu in gpus if gpu.generation in UNFUSED_GENERATIONS]
        if old:
            yield _finding(where, f"megatron has no fused attention for {' and '.join(old)}.", hint)
    if plan.cp > 1:
        if attention != "flash":
            yield _finding(where, f"megatron needs fused attention for cp={plan.cp}.", "Set attention=flash, or cp=1.")
        if problem.model.window_size is not None or problem.model.attention_sinks:
            message = f"megatron's ring of cp={plan.cp} has neither sliding windows nor attention sinks."
            yield _finding("plan.cp", message, "Set cp=1.")
        parts = 2 * plan.cp
        if problem.workload.sequence_length % parts:
            message = (
                f"megatron splits sequences into 2*cp = {parts} parts, which do not divide "
                f"{problem.workload.sequence_length} tokens."
            )
            yield _finding("workload.sequence_length", message, f"Take a multiple of {parts}.")


def _parts_of_tp(problem: Problem, plan: Plan) -> Iterator[Finding]:
    """What tp splits: widths, and the tokens that each context-parallel rank has."""
    model = problem.model
    has_dense_layers = any(not kind.is_moe for kind in model.layer_kinds())
    widths = {
        "the FFN": model.ffn_size if has_dense_layers else 0,
        "an expert": model.expert_ffn_size if plan.ep == 1 else 0,
        "the shared experts": model.shared_expert_ffn_size,
    }
    for what, width in widths.items():
        if width % plan.tp:
            message = f"megatron splits the width {width} of {what} over tp={plan.tp}, which does not divide it."
            yield _finding("plan.tp", message, f"Set tp to a divisor of {width}.")
    length, parts = problem.workload.sequence_length, plan.cp * plan.tp
    if plan.sequence_parallel and length % parts:
        message = f"megatron splits sequences into cp*tp = {parts} parts, which do not divide {length} tokens."
        yield _finding("workload.sequence_length", message, f"Take a multiple of {parts}, or sequence_parallel=false.")


def _formats(dtypes: Dtypes, plan: Plan) -> Iterator[Finding]:
    compute = dtypes.compute
    if compute not in (*NARROW, *SINGLE, "fp8"):
        yield _finding("workload.precision", f"megatron bundles do not compute in {compute}.", "Take bf16 or fp8.")
        return
    stored = "bf16" if compute == "fp8" else compute
    allowed: dict[str, tuple[str | None, ...]] = {
        "weights": (stored,),
        "activations": (stored,),
        "master_weights": (None, "fp32") if compute in SINGLE else ("fp32",),
        "moments": MOMENTS if plan.shard == "optimizer" and plan.dp > 1 else ("fp32",),
        "gradients": ("fp32", stored),
        "gradient_reduction": _reductions(dtypes, stored),
    }
    for name, formats in allowed.items():
        value = getattr(dtypes, name)
        if value not in formats:
            legal = " or ".join(dict.fromkeys(str(each) for each in formats if each is not None))
            message = f"megatron computes in {compute} with {name} in {legal}, not {value}."
            yield _finding(f"workload.{name}", message, f"Set it to {legal}.")


def _reductions(dtypes: Dtypes, stored: str) -> tuple[str, ...]:
    """Sums travel as they are kept; in bf16 they may be kept in fp32 beside the buffer that travels."""
    if dtypes.gradients == stored:
        return (stored,)
    return ("fp32", "bf16") if stored == "bf16" else ("fp32",)


def _finding(where: str, message: str, hint: str) -> Finding:
    return Finding(code="not_expressible", where=where, message=message, hint=hint)
