"""A model's shape as arguments of Megatron-LM, and which shapes it cannot build.

Read in Megatron-LM core_v0.19.0: training/arguments.py, training/argument_utils.py, core/models/gpt/gpt_layer_specs.py,
core/transformer/{transformer_config,mlp,moe/router,multi_latent_attention}.py. `--window-size L,R` counts neighbours
beside a query's own key (Transformer Engine, `DotProductAttention`), and a window is left out of each N-th layer by
`--window-attn-skip-freq N` (core/transformer/utils.py, `is_layer_window_attention`).
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from crosszone.core.model import Model
from crosszone.core.workload import Workload
from crosszone.deploy.rotation import rotary_base, scaling_factor
from crosszone.errors import Finding

STANDARD_DEVIATION = 0.02
"""Of initial matrices, as our trainer has it (Radford et al. 2019)."""
BALANCE_COEFFICIENT = 0.01
"""Of the loss that balances experts: Fedus et al. 2022 (arXiv 2101.03961), sec. 2.2."""
VOCAB_MULTIPLE = 8
"""Rows of each rank's part of the vocabulary: multiples of 8 reach the tensor cores' speed in 16 bits (NVIDIA, Deep
Learning Performance Guide, matrix multiplication). Megatron's own 128 would widen the model more."""


def model_options(model: Model, workload: Workload) -> dict[str, Any]:
    """Arguments by flag; True stands alone, None and False are left out."""
    return {
        "--num-layers": model.num_layers,
        "--hidden-size": model.hidden_size,
        "--ffn-hidden-size": model.ffn_size,
        "--num-attention-heads": model.num_heads,
        **(_latent_attention(model) if model.kv_lora_rank else _attention(model)),
        **_window(model),
        "--softmax-type": "learnable" if model.attention_sinks else None,
        "--swiglu": model.gated_ffn,
        "--normalization": "RMSNorm" if model.norm == "rmsnorm" else "LayerNorm",
        **_biases(model),
        **_positions(model, workload.sequence_length),
        "--untie-embeddings-and-output-weights": not model.tied_embeddings,
        "--vocab-size": model.vocab_size,
        "--make-vocab-size-divisible-by": VOCAB_MULTIPLE,
        "--init-method-std": STANDARD_DEVIATION,
        "--hidden-dropout": 0.0,
        "--attention-dropout": 0.0,
        **(_experts(model) if model.num_experts else {}),
    }


def model_problems(model: Model, workload: Workload) -> Iterator[Finding]:
    """Why Megatron-LM cannot build the model; nothing where it can."""
    reasons = tuple(_unlike_megatron(model, workload.sequence_length))
    if reasons:
        yield Finding(
            code="not_expressible",
            where="model",
            message=f'megatron cannot build "{model.name}", which has {", ".join(reasons)}.',
            hint="Take another model or framework, or a program of your own as entry.",
        )


def padded_vocab_size(model: Model, tp: int) -> int:
    """Rows of the token table with those that Megatron adds (core/tokenizers, `vocab_size_with_padding`)."""
    multiple = VOCAB_MULTIPLE * tp
    return -(-model.vocab_size // multiple) * multiple


def _attention(model: Model) -> dict[str, Any]:
    is_grouped = model.num_kv_heads != model.num_heads
    return {
        "--kv-channels": model.head_size,
        "--group-query-attention": is_grouped,
        "--num-query-groups": model.num_kv_heads if is_grouped else None,
        "--qk-layernorm": model.qk_norm == "head",
    }


def _latent_attention(model: Model) -> dict[str, Any]:
    """Norms of the latents, which `Model` counts with them, are what --qk-layernorm means here."""
    return {
        "--multi-latent-attention": True,
        "--q-lora-rank": model.q_lora_rank,
        "--kv-lora-rank": model.kv_lora_rank,
        "--qk-head-dim": model.head_size - model.rope_head_size,
        "--qk-pos-emb-head-dim": model.rope_head_size,
        "--v-head-dim": model.head_size if model.value_head_size is None else model.value_head_size,
        "--qk-layernorm": True,
        "--rope-type": "rope",
        # The fused rotation knows the other type only.
        "--no-rope-fusion": model.position == "rope",
    }


def _window(model: Model) -> dict[str, Any]:
    if model.window_size is None:
        return {}
    is_local = [kind.window_size is not None for kind in model.layer_kinds()]
    return {
        "--window-size": f"{model.window_size - 1},0",
        "--window-attn-skip-freq": None if all(is_local) else _pattern(is_local),
    }


def _biases(model: Model) -> dict[str, Any]:
    has_all = model.ffn_bias
    return {"--disable-bias-linear": not has_all, "--add-qkv-bias": model.qkv_bias and not has_all}


def _positions(model: Model, sequence_length: int) -> dict[str, Any]:
    """A learned table has the model's own rows; otherwise the number only bounds the sequence."""
    kinds = {"rope": "rope", "learned": "learned_absolute", "none": "none"}
    is_learned = model.position == "learned"
    return {
        "--position-embedding-type": kinds[model.position],
        "--max-position-embeddings": (
            model.num_position_rows if is_learned else max(model.max_positions or 0, sequence_length)
        ),
        **(_rotation(model) if model.position == "rope" else {}),
    }


def _rotation(model: Model) -> dict[str, Any]:
    """Megatron stretches by Llama 3.1's rule, with the same constants (rotary_pos_embedding.py, `_apply_scaling`)."""
    factor = scaling_factor(model)
    return {
        "--rotary-base": round(rotary_base(model)),
        "--rotary-percent": model.rotary_fraction if model.rotary_fraction != 1.0 else None,
        "--use-rope-scaling": factor != 1.0,
        "--rope-scaling-factor": factor if factor != 1.0 else None,
    }


def _experts(model: Model) -> dict[str, Any]:
    is_moe = [kind.is_moe for kind in model.layer_kinds()]
    return {
        "--num-experts": model.num_experts,
        "--moe-layer-freq": None if all(is_moe) else _pattern(is_moe),
        "--moe-ffn-hidden-size": model.expert_ffn_size,
        "--moe-shared-expert-intermediate-size": model.shared_expert_ffn_size or None,
        "--moe-router-topk": model.experts_per_token,
        # Megatron refuses the softmax of a single chosen expert, which has no gradient.
        "--moe-router-pre-softmax": model.experts_per_token == 1,
        "--moe-router-load-balancing-type": "aux_loss",
        "--moe-aux-loss-coeff": BALANCE_COEFFICIENT,
        "--moe-token-dispatcher-type": "alltoall",
        "--moe-grouped-gemm": True,
    }


def _pattern(layers: Sequence[bool]) -> str:
    """A list of ones and zeros, one per layer, as Megatron reads it: ([0]*1+[1]*26)."""
    runs = (f"[{int(value)}]*{len(list(run))}" for value, run in groupby(layers))
    return f"({'+'.join(runs)})"


def _unlike_megatron(model: Model, sequence_length: int) -> Iterator[str]:
    """What of the model no argument says."""
    is_layer_norm = model.norm == "layernorm"
    biases = (model.qkv_bias, model.attention_output_bias, model.ffn_bias, model.router_bias)
    legal = {(False,) * 4, (True, False, False, False), (True, True, True, model.num_experts > 0)}
    value_size = model.head_size if model.value_head_size is None else model.value_head_size
    found = {
        "attention both ways": not model.is_causal,
        f"positions of the kind {model.position}": model.position not in ("rope", "learned", "none"),
        f"{model.num_position_rows} rows of positions for {sequence_length} tokens": (
            model.position == "learned" and model.num_position_rows < sequence_length
        ),
        f"{model.num_layer_norms} norms in a layer": model.num_layer_norms != 2,
        f"norms of the kind {model.norm} with weight {model.norm_weight} and bias {model.norm_bias}": (
            not model.norm_weight or model.norm_bias != is_layer_norm
        ),
        "no final norm": not model.final_norm,
        "a norm after the embedding": model.embedding_norm,
        "a narrower embedding": model.embedding_size not in (None, model.hidden_size),
        "norms over all heads of queries and keys": model.qk_norm == "full",
        "biases of some matrices": biases not in legal or (model.kv_lora_rank > 0 and any(biases)),
        "a bias of the LM head": model.head_bias,
        "values narrower than keys": not model.kv_lora_rank and value_size != model.head_size,
        # Without a latent --qk-layernorm norms a query's input a second time (core/transformer/mla_qk_norm_config.py).
        "latents of keys and values, but not of queries": model.kv_lora_rank > 0 and model.q_lora_rank == 0,
        "norms of heads beside those of latents": model.kv_lora_rank > 0 and model.qk_norm != "none",
        "parameters of other kinds": model.num_other_parameters > 0,
    }
    return (reason for reason, differs in found.items() if differs)
