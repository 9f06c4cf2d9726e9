"""The model of a job file as people write it: a shape field by field, or only a size."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

from crosszone.spec import quantities as q


class Section(BaseModel):
    """A mapping of the job file; a key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InlineModel(Section):
    """A transformer's shape, field by field."""

    name: q.Name | None = None
    """What to call it; `inline` where absent."""
    num_layers: q.NumLayers
    """Transformer layers."""
    hidden_size: q.Width
    """Width of the residual stream."""
    ffn_size: q.Width
    """Width of a dense layer's feed-forward part (of one branch where it is gated)."""
    num_heads: q.Width
    """Query heads of one layer."""
    vocab_size: q.Width
    """Rows of the token table."""
    num_kv_heads: q.Width | None = None
    """Key and value heads; as many as query heads where absent."""
    head_size: q.Width | None = None
    """Size of one head; hidden_size / num_heads where absent."""
    max_positions: q.Width | None = None
    """Longest sequence that the model was made for."""
    gated_ffn: q.Truth | None = None
    """Whether the feed-forward part has a gate (SwiGLU); true where absent."""
    tied_embeddings: q.Truth | None = None
    """Whether the head shares the token table; false where absent."""
    is_causal: q.Truth | None = None
    """Whether a token sees only those before it; true where absent."""
    value_head_size: q.Width | None = None
    """Size of a value head where it differs (MLA)."""
    q_lora_rank: q.OptionalWidth | None = None
    """Rank of the query's down-projection (MLA); 0 is none."""
    kv_lora_rank: q.OptionalWidth | None = None
    """Rank of the shared key-value latent (MLA); 0 is none."""
    rope_head_size: q.OptionalWidth | None = None
    """Rotated part of a head (MLA)."""
    window_size: q.Width | None = None
    """Sliding window of the local layers; absent: every layer sees the whole sequence."""
    global_every: q.OptionalWidth | None = None
    """Each so many layers, one sees the whole sequence; 0: none does."""
    qkv_bias: q.Truth | None = None
    """Bias in the query, key and value projections; false where absent."""
    attention_output_bias: q.Truth | None = None
    """Bias in attention's output projection; false where absent."""
    ffn_bias: q.Truth | None = None
    """Bias in the feed-forward part; false where absent."""
    head_bias: q.Truth | None = None
    """Bias in the head; false where absent."""
    router_bias: q.Truth | None = None
    """Bias in the experts' router; false where absent."""
    attention_sinks: q.Truth | None = None
    """One learned logit per head; false where absent."""
    norm: q.Norm | None = None
    """Kind of norm; rmsnorm where absent."""
    norm_bias: q.Truth | None = None
    """Bias in the norms; where absent, layernorm has it and rmsnorm has not."""
    num_layer_norms: q.OptionalWidth | None = None
    """Norms of width hidden_size in one layer; 2 where absent."""
    qk_norm: q.QkNorm | None = None
    """Norm of queries and keys; none where absent."""
    final_norm: q.Truth | None = None
    """Norm before the head; true where absent."""
    embedding_norm: q.Truth | None = None
    """Norm after the token table; false where absent."""
    position: q.Position | None = None
    """How positions enter; rope where absent."""
    num_position_rows: q.OptionalWidth | None = None
    """Rows of a learned position table; max_positions where absent."""
    embedding_size: q.Width | None = None
    """Width of the token table where it is projected to hidden_size."""
    num_experts: q.OptionalWidth | None = None
    """Experts of one layer; 0 is a dense model."""
    experts_per_token: q.OptionalWidth | None = None
    """Experts that one token visits."""
    expert_ffn_size: q.OptionalWidth | None = None
    """Width of one expert."""
    num_shared_experts: q.OptionalWidth | None = None
    """Experts that every token visits."""
    shared_expert_ffn_size: q.OptionalWidth | None = None
    """Width of all shared experts together; num_shared_experts x expert_ffn_size where absent."""
    num_dense_layers: q.OptionalWidth | None = None
    """Leading layers without experts."""
    moe_every: q.Width | None = None
    """Each so many layers after the dense ones, one has experts; 1 where absent."""


class SizedModel(Section):
    """A model of which only the size is known: the nearest catalog shape is taken, and marked assumed."""

    parameters: q.Parameters
    """Number of parameters, as `13B`."""


def model_form(value: Any) -> str:
    """Which of the ways to write a model `value` is: name, size or inline."""
    if isinstance(value, dict):
        return "size" if "parameters" in value else "inline"
    return "name" if not isinstance(value, SizedModel | InlineModel) else type(value).__name__


ModelChoice = Annotated[
    Annotated[q.Text, Tag("name")] | Annotated[SizedModel, Tag("size")] | Annotated[InlineModel, Tag("inline")],
    Discriminator(model_form),
]
