"""What a torchtitan bundle cannot do beyond what its framework cannot express: models, formats, lengths.

Read in torchtitan 0.2.2: models/llama3/model/model.py, distributed/parallel_dims.py (`seq_len_divisor`),
config/job_config.py.
"""

from collections.abc import Iterator

from crosszone.core.bundle import DeployRequest
from crosszone.core.model import Model
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.workload import Dtypes, standard_dtypes
from crosszone.deploy.pipeline_parts import part_layers
from crosszone.errors import Finding

NARROW_DTYPES = Dtypes(
    compute="bf16",
    weights="bf16",
    activations="bf16",
    gradients="bf16",
    gradient_reduction="fp32",
    master_weights=None,
    moments="bf16",
)
"""`training.dtype = "bfloat16"`: weights, gradients and optimizer states alike."""
DTYPES = (*(standard_dtypes(precision) for precision in ("fp32", "bf16", "fp8")), NARROW_DTYPES)


def titan_problems(problem: Problem, plan: Plan, request: DeployRequest) -> Iterator[Finding]:
    """Every reason why torchtitan cannot train `problem` by `plan`."""
    yield from _model(problem.model)
    yield from _formats(problem.workload.dtypes)
    if problem.workload.attention != "flash":
        yield _finding("workload.attention", "torchtitan always fuses attention.", "Take flash.")
    length, divisor = problem.workload.sequence_length, plan.tp * plan.cp * 2
    if length % divisor:
        message = f"torchtitan splits sequences into 2*tp*cp = {divisor} parts, which do not divide {length} tokens."
        yield _finding("workload.sequence_length", message, f"Take a multiple of {divisor}.")
    for name, value in (("bucket_bytes", plan.bucket_bytes), ("prefetch", plan.prefetch)):
        if value is not None:
            yield _finding(f"plan.{name}", f"torchtitan has no key for {name}.", "Leave it out.")
    if request.device != "cuda":
        yield _finding("--device", "torchtitan trains on GPUs only.", "Take cuda, or fsdp to try a job out.")
    if any(count == 0 for count in part_layers(plan)[1:-1]):
        message = f"{sum(stage.num_layers for stage in plan.stages)} layers leave a part of the pipeline without one."
        yield _finding("plan.num_virtual_stages", f"torchtitan: {message}", "Lower pp or num_virtual_stages.")


def _model(model: Model) -> Iterator[Finding]:
    reasons = tuple(_unlike_llama(model))
    if reasons:
        message = f'torchtitan bundles train models like Llama, but "{model.name}" has {", ".join(reasons)}.'
        yield _finding("model", message, "Take another model or framework, or a program of your own as entry.")


def _unlike_llama(model: Model) -> Iterator[str]:
    """How a model differs from torchtitan's llama3, whose sizes alone can be set."""
    found = {
        "experts": model.num_experts > 0,
        "latent attention": model.kv_lora_rank > 0,
        "a sliding window": model.window_size is not None,
        "attention sinks": model.attention_sinks,
        "attention both ways": not model.is_causal,
        "an FFN without a gate": not model.gated_ffn,
        "tied embeddings": model.tied_embeddings,
        "biases": model.qkv_bias or model.attention_output_bias or model.ffn_bias or model.head_bias,
        f"norms of the kind {model.norm}": model.norm != "rmsnorm" or model.norm_bias or not model.norm_weight,
        f"{model.num_layer_norms} norms in a layer": model.num_layer_norms != 2,
        "norms of queries and keys": model.qk_norm != "none",
        "no final norm": not model.final_norm,
        "a norm after the embedding": model.embedding_norm,
        "a narrower embedding": model.embedding_size not in (None, model.hidden_size),
        f"positions of the kind {model.position}": model.position != "rope",
        f"heads of which {100.0 * model.rotary_fraction:g} % is rotated": model.rotary_fraction != 1.0,
        f"{model.num_heads} heads of {model.head_size} beside a hidden size of {model.hidden_size}": (
            model.num_heads * model.head_size != model.hidden_size
        ),
        "parameters of other kinds": model.num_other_parameters > 0,
    }
    return (reason for reason, differs in found.items() if differs)


def _formats(dtypes: Dtypes) -> Iterator[Finding]:
    if dtypes not in DTYPES:
        message = f"torchtitan has no way to compute in {dtypes.compute} with these formats of weights and states."
        yield _finding("workload.precision", message, "Take fp32, bf16 or fp8, and leave single formats out.")


def _finding(where: str, message: str, hint: str) -> Finding:
    return Finding(code="not_expressible", where=where, message=message, hint=hint)
