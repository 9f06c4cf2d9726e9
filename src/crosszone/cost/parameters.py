"""How many parameters a model has, and how tensor and expert parallelism divide them. Exact integers.

Letters of the derivations: h hidden_size, f ffn_size, a num_heads, k num_kv_heads, d head_size, v size of a value
head, V vocab_size, E num_experts. A linear map from m to n elements has m*n parameters, and n more with a bias.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

from crosszone.core.model import LayerKind, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerParameters:
    """Parameters of one layer, by what divides them."""

    sharded: int
    """Divided by `tp`: what column- and row-parallel matrices hold, and the biases of the former."""
    replicated: int
    """Held in full by every tensor-parallel rank."""
    expert: int
    """All routed experts of the layer: divided by `ep`, and by `tp` where experts are tensor-parallel too."""

    @property
    def total(self) -> int:
        """Parameters of the layer."""
        return self.sharded + self.replicated + self.expert


def layer_parameters(model: Model, kind: LayerKind) -> LayerParameters:
    """Parameters of one layer of this kind: attention, FFN or experts, norms.

    Attention and FFN come in pairs of a column-parallel matrix (split by output, its bias too) and a row-parallel one
    (split by input, its bias whole on every rank), so a pair needs one all-reduce (Shoeybi et al. 2019, sec. 3).
    Replicated are the biases of row-parallel matrices, every norm, the MoE router and the down-projections of MLA
    (Megatron-LM: `TopKRouter`, and `linear_q_down_proj`, `linear_kv_down_proj` with parallel mode "duplicated").
    Assumes `tp` <= `num_kv_heads`; beyond it each rank holds a copy of a whole key-value head.
    """
    attention = attention_parameters(model)
    ffn = _moe_ffn(model) if kind.is_moe else _ffn(model, model.ffn_size)
    return LayerParameters(
        sharded=attention.sharded + ffn.sharded,
        replicated=attention.replicated + ffn.replicated + model.num_layer_norms * norm_parameters(model),
        expert=ffn.expert,
    )


def attention_parameters(model: Model) -> LayerParameters:
    """Parameters of the attention of one layer, without its norms."""
    return _latent_attention(model) if model.kv_lora_rank else _attention(model)


def norm_parameters(model: Model) -> int:
    """Parameters of one norm of width h: weight and bias, each where the model has it (only LayerNorm has both)."""
    return model.hidden_size * (int(model.norm_weight) + int(model.norm_bias))


def token_table_parameters(model: Model) -> int:
    """V rows of h, or of `embedding_size` where the table is narrower. Vocabulary-parallel: `tp` divides the rows."""
    return model.vocab_size * _table_width(model)


def embedding_parameters(model: Model) -> int:
    """Token table, learned position table, embedding norm, and the projections into and out of a narrower table.

    OPT-350m alone has the projections: two maps without bias, `embedding_size` to h and back (transformers,
    `OPTDecoder.project_in` and `project_out`). The position table, BERT's too, has rows of h.
    """
    positions = model.num_position_rows * model.hidden_size
    norm = norm_parameters(model) if model.embedding_norm else 0
    projections = 2 * model.embedding_size * model.hidden_size if model.embedding_size is not None else 0
    return token_table_parameters(model) + positions + norm + projections


def head_parameters(model: Model) -> int:
    """The matrix of the LM head, and its bias where there is one. Tied to the token table it has no matrix of its own.

    `final_norm_parameters` are not in it. Vocabulary-parallel, as the token table.
    """
    matrix = 0 if model.tied_embeddings else token_table_parameters(model)
    return matrix + (model.vocab_size if model.head_bias else 0)


def final_norm_parameters(model: Model) -> int:
    """The norm after the last layer; 0 where there is none (BERT, OPT-350m normalise inside each layer)."""
    return norm_parameters(model) if model.final_norm else 0


@functools.lru_cache(maxsize=64)
def num_parameters(model: Model) -> int:
    """All parameters, a table that embedding and head share counted once."""
    layers = sum(
        layer_parameters(model, kind).total * num_layers for kind, num_layers in Counter(model.layer_kinds()).items()
    )
    ends = embedding_parameters(model) + final_norm_parameters(model) + head_parameters(model)
    return layers + ends + model.num_other_parameters


def num_active_parameters(model: Model) -> int:
    """Parameters that one token meets: all but the routed experts that were not chosen for it.

    Embedding and head included; published figures leave one or both out at times.
    """
    if not model.num_experts:
        return num_parameters(model)
    num_idle_experts = model.num_experts - model.experts_per_token
    return num_parameters(model) - num_expert_parameters(model) // model.num_experts * num_idle_experts


def num_expert_parameters(model: Model) -> int:
    """Parameters of the routed experts of all layers (shared experts are not among them); 0 for a dense model."""
    num_moe_layers = sum(kind.is_moe for kind in model.layer_kinds())
    return num_moe_layers * model.num_experts * _expert(model)


def _attention(model: Model) -> LayerParameters:
    """Queries h*a*d, keys and values 2*h*k*d (values may differ in size), output a*v*h; GQA: Ainslie et al. 2023.

    A sink is one number per head (GPT-OSS), kept with its head. A norm of queries and keys has one weight per element
    of a head, shared by the heads, or one per element of all heads.
    """
    h = model.hidden_size
    value_size = model.head_size if model.value_head_size is None else model.value_head_size
    num_outputs = model.num_heads * model.head_size + model.num_kv_heads * (model.head_size + value_size)
    sharded = h * num_outputs + model.num_heads * value_size * h
    sharded += num_outputs if model.qkv_bias else 0
    sharded += model.num_heads if model.attention_sinks else 0
    qk_norm = {"none": 0, "head": 2, "full": model.num_heads + model.num_kv_heads}[model.qk_norm] * model.head_size
    return LayerParameters(sharded=sharded, replicated=qk_norm + (h if model.attention_output_bias else 0), expert=0)


def _latent_attention(model: Model) -> LayerParameters:
    """Multi-head latent attention: DeepSeek-V2, arXiv 2405.04434, sec. 2.1 and appendix C.

    With q and c the ranks of the query's and the key-value latent, and r of the d elements rotated and shared:
        queries   down h*q, norm q, up q*a*d     (q = 0: direct, h*a*d)
        keys, values   down h*(c + r), norm c, up c*a*(d - r + v)
        output    a*v*h
    The biases are those of the down-projections and of the output (transformers, `DeepseekV3Attention`).
    """
    h, a, q, c, r = model.hidden_size, model.num_heads, model.q_lora_rank, model.kv_lora_rank, model.rope_head_size
    value_size = model.head_size if model.value_head_size is None else model.value_head_size
    sharded = (q or h) * a * model.head_size + c * a * (model.head_size - r + value_size) + a * value_size * h
    down = h * (q + c + r) + (q + c + r if model.qkv_bias else 0)
    norms = q + c
    return LayerParameters(
        sharded=sharded, replicated=down + norms + (h if model.attention_output_bias else 0), expert=0
    )


def _ffn(model: Model, width: int) -> LayerParameters:
    """h*f up and f*h down; a gate is a second matrix up (Shazeer 2020). The bias of the way down is replicated."""
    num_up = 2 if model.gated_ffn else 1
    sharded = (num_up + 1) * model.hidden_size * width + (num_up * width if model.ffn_bias else 0)
    return LayerParameters(sharded=sharded, replicated=model.hidden_size if model.ffn_bias else 0, expert=0)


def _moe_ffn(model: Model) -> LayerParameters:
    """Router h*E (and E biases), E routed experts, and the shared experts as one dense FFN of their joint width."""
    router = model.hidden_size * model.num_experts + (model.num_experts if model.router_bias else 0)
    width = model.shared_expert_ffn_size
    shared = _ffn(model, width) if width else LayerParameters(sharded=0, replicated=0, expert=0)
    return LayerParameters(
        sharded=shared.sharded, replicated=shared.replicated + router, expert=model.num_experts * _expert(model)
    )


def _expert(model: Model) -> int:
    """One routed expert: an FFN of width `expert_ffn_size`."""
    return _ffn(model, model.expert_ffn_size).total


def _table_width(model: Model) -> int:
    return model.hidden_size if model.embedding_size is None else model.embedding_size
