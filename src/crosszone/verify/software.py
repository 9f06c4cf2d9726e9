"""What ran: the framework's facts, number formats, attention kernel, recomputation and sharding of a row."""

import dataclasses
import functools
import math
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from crosszone.catalog.frameworks import framework
from crosszone.core.cluster import Gpu
from crosszone.core.framework import Framework
from crosszone.core.plan import RECOMPUTES, SHARDS
from crosszone.core.workload import Dtypes, standard_dtypes
from crosszone.errors import SpecError
from crosszone.verify.row import Row

PRECISIONS = (
    ("fp4", r"fp4"),
    ("fp8", r"fp8|float8|e4m3"),
    ("bf16", r"bf16|bfloat"),
    ("fp16", r"fp16|float16|half"),
    ("tf32", r"tf32"),
    ("fp32", r"fp32|float32|single"),
)
"""(compute precision, what is found in the row's text); the first that is found counts."""
HALF_ONLY = ("volta", "turing", "pascal")
"""GPU generations before bf16: fp16 is what they train in."""
UNFUSED = re.compile(r"^(no|none|false|0|torch|math|eager|unfused|megatron_fused)\b|unfused", re.IGNORECASE)
RECOMPUTE_WORDS = {
    **dict.fromkeys(("no", "false", "disabled", "off"), "none"),
    **dict.fromkeys(("yes", "true", "all", "every_layer", "full ac", "block", "uniform"), "full"),
    **dict.fromkeys(("sac", "per-op sac", "op", "core_attn"), "selective"),
}
"""What else tables write in `recompute`."""
KERNELS = (
    ("flash1", r"flash_?attention_?v?1|\bfa-?1\b|triton"),
    ("flash2", r"flash_?attention_?v?2|\bfa-?2\b|sdpa"),
    ("best", r"flash_?attention_?v?3|\bfa-?3\b|cudnn|transformer engine"),
)
"""(kernel, what `flash_attention` says)"""
NARROWED_BY = (
    ("mode", "fsdp_mode"),
    ("gpu", "gpu"),
    ("kernel", "flash_attention"),
    ("precision", "precision"),
    ("notes", "notes"),
)
"""(key of an entry, column in which its pattern must be found)"""
SHARD_TEXTS = (
    ("gradients", r"shard_grad_op|zero-?2"),
    ("parameters", r"full[_ ]shard|fsdp|zero-?3|shard in node"),
    ("optimizer", r"distributed optimizer|zero-?1"),
)
"""(what is sharded, what `fsdp_mode` says)"""
NO_DROPOUT = re.compile(r"0(\.0*)?|no|none", re.IGNORECASE)
SCORES_WITHOUT_DROPOUT = 1.0
"""Elements per head and pair of tokens that unfused attention keeps without dropout: the softmax."""
ATTENTION_MODULE = "core_attn"
"""What Megatron-LM's `--recompute-modules` calls the part whose recomputation is `selective`."""
GROUP = re.compile(r"sharding group (\d+)", re.IGNORECASE)
IN_NODE = re.compile(r"hsdp|shard in node|hybrid shard", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """A framework as a row names it."""

    facts: Framework
    gradients: dict[str, str]
    """Number format of gradients by compute precision, where the framework differs from the precision's own."""
    balances_head: bool = False
    """Layers are dealt out to stages by parameters, the head's counted with them."""
    interleaves: bool = False
    """Runs have virtual stages where a table does not state them."""
    one_microbatch_a_stage: bool = False
    """Unless told otherwise, a pipeline splits the batch of a replica into as many microbatches as it has stages."""


def software_of(row: Row) -> Software:
    """The framework of `row`; one that no entry of `frameworks.toml` knows is stood for by the nearest in kind."""
    text = " ".join((row.text("framework"), row.text("fw_version"))).strip()
    for entry in _entries():
        if text and _applies(entry, row, text):
            if entry.get("stands_in"):
                row.assume("framework", entry["sheet"], f'its facts stand for "{row.text("framework")[:60]}"')
            return Software(
                facts=_as_stated(row, framework(entry["sheet"], entry.get("generation", ""))),
                gradients=entry.get("gradients", {}),
                balances_head=entry.get("balances_head", False),
                interleaves=entry.get("interleaves", False),
                one_microbatch_a_stage=entry.get("one_microbatch_a_stage", False),
            )
    is_sharded = shard_of(row) == "parameters"
    sheet = "fsdp" if is_sharded and (row.count("tp") or 1) * (row.count("pp") or 1) == 1 else "megatron"
    row.assume("framework", sheet, f'"{text[:60]}" is unknown' if text else "not stated")
    return Software(facts=_as_stated(row, framework(sheet)), gradients={})


def _applies(entry: dict[str, Any], row: Row, text: str) -> bool:
    year = row.number("year") or math.inf  # a run of no stated year is of today
    return (
        re.search(entry["pattern"], text, re.IGNORECASE) is not None
        and entry.get("from_year", 0.0) <= year <= entry.get("until_year", math.inf)
        and all(re.search(entry.get(key, ""), row.text(column), re.IGNORECASE) for key, column in NARROWED_BY)
    )


def _as_stated(row: Row, facts: Framework) -> Framework:
    """`facts` with the fused attention and the dropout that the row states; what it does not is the framework's.

    What differs from the framework's is in the name: rows that are predicted together share the facts of a name.
    """
    if NO_DROPOUT.fullmatch(row.text("attention_dropout")) and facts.score_elements > SCORES_WITHOUT_DROPOUT:
        facts = dataclasses.replace(facts, name=f"{facts.name} no-dropout", score_elements=SCORES_WITHOUT_DROPOUT)
    text = row.text("flash_attention") or row.text("attention_kernel")
    kernel = next((name for name, pattern in KERNELS if re.search(pattern, text, re.IGNORECASE)), None)
    if kernel is None or kernel == facts.attention_kernel:
        return facts
    return dataclasses.replace(facts, name=f"{facts.name} {kernel}", attention_kernel=kernel)


def dtypes_of(row: Row, gpu: Gpu, software: Software) -> Dtypes:
    """Number formats. Errors: SpecError where the GPU has no such rate, or the text names no known precision."""
    text = row.text("precision")
    if text:
        precision = next((name for name, pattern in PRECISIONS if re.search(pattern, text, re.IGNORECASE)), None)
        if precision is None:
            raise SpecError.of(f'precision is "{text[:40]}", which is none of {", ".join(p for p, _ in PRECISIONS)}.')
    else:
        precision = "fp16" if gpu.generation.split()[0].lower() in HALF_ONLY else "bf16"
        row.assume("precision", precision, f"that of the {gpu.generation} generation")
    if gpu.peak(precision) is None:
        raise SpecError.of(f"{gpu.name} has no {precision} rate.")
    dtypes = standard_dtypes(precision)
    gradients = software.gradients.get(precision)
    if gradients is not None:
        return dataclasses.replace(dtypes, gradients=gradients, gradient_reduction=gradients)
    if "pure" in row.text("fsdp_mode").lower():
        # Everything in 16 bits: weights, gradients and their reduction; no second copy is kept.
        return dataclasses.replace(dtypes, gradients=dtypes.weights, gradient_reduction=dtypes.weights)
    return dtypes


def attention_of(row: Row) -> str:
    """flash | unfused"""
    text = row.text("flash_attention") or row.text("attention_kernel")
    if not text and row.text("precision").lower() in ("fp32", "tf32"):
        row.assume("attention", "unfused", "flash kernels compute in 16 bits or less")
        return "unfused"
    if not text:
        row.assume("attention", "flash")
        return "flash"
    return "unfused" if UNFUSED.search(text) else "flash"


def recompute_of(row: Row) -> str:
    """none | selective | full

    Selective recomputation of listed modules that leave the attention core out restores little, and counts as none.
    """
    text = row.text("recompute").lower()
    if not text:
        row.assume("recompute", "none")
        return "none"
    found = next((name for name in RECOMPUTES if text.startswith(name)), RECOMPUTE_WORDS.get(text))
    if found is None:
        raise SpecError.of(f'recompute is "{text[:40]}", which is none of {", ".join(RECOMPUTES)}.')
    modules = row.text("recompute_detail").strip("[]").split()
    if found == "selective" and "layernorm" in modules and ATTENTION_MODULE not in modules:
        row.assume("recompute", "none", f'"{" ".join(modules)[:60]}" leaves attention out')
        return "none"
    return found


def shard_of(row: Row) -> str:
    """What data-parallel ranks divide: by `zero_stage`, else by `fsdp_mode`; none where neither says."""
    stage, text = row.text("zero_stage"), row.text("fsdp_mode")
    if stage:
        number = re.fullmatch(r"(?:zero)?[- ]?([0-3])(?:\.0)?", stage, re.IGNORECASE)
        if number is None:
            raise SpecError.of(f'zero_stage is "{stage[:40]}"; it goes from 0 to 3.')
        return SHARDS[int(number[1])]
    found = next((shard for shard, pattern in SHARD_TEXTS if re.search(pattern, text, re.IGNORECASE)), None)
    if found is None:
        row.assume("shard", "none")
    return found or "none"


def shard_degree(row: Row, *, dp: int, ranks_per_node: int) -> int:
    """Data-parallel ranks that share one copy, where something is sharded; a divisor of `dp`."""
    text = row.text("fsdp_mode")
    group = GROUP.search(text)
    if group is not None:
        return _divisor(dp, int(group[1]))
    return _divisor(dp, ranks_per_node) if IN_NODE.search(text) else dp


def _divisor(dp: int, wanted: int) -> int:
    """The largest divisor of `dp` that is `wanted` at most."""
    return next(degree for degree in range(max(min(dp, wanted), 1), 0, -1) if dp % degree == 0)


@functools.lru_cache(maxsize=1)
def _entries() -> tuple[dict[str, Any], ...]:
    text = resources.files("crosszone.verify").joinpath("frameworks.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["framework"])
