"""The shape of a transformer: every number that parameters, FLOP and memory follow from."""

import functools
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKind:
    """What makes two layers of one model cost differently."""

    is_moe: bool
    window_size: int | None
    """Keys that one query attends to at most; None: all of the sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One decoder or encoder stack. Sizes are element counts; a flag is what the published code does."""

    name: str
    family: str = ""
    num_layers: int
    hidden_size: int
    ffn_size: int
    """Width of a dense layer's FFN (of one branch where it is gated)."""
    num_heads: int
    num_kv_heads: int
    head_size: int
    """Size of a query and key head (MLA: rope and non-rope parts together)."""
    vocab_size: int
    max_positions: int | None = None

    gated_ffn: bool = True
    tied_embeddings: bool = False
    is_causal: bool = True

    # Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434); all zero for ordinary heads.
    value_head_size: int | None = None
    """Size of a value head where it differs from `head_size`."""
    q_lora_rank: int = 0
    """Rank of the query's down-projection; 0: queries are projected directly."""
    kv_lora_rank: int = 0
    """Rank of the shared key-value latent; 0: no MLA."""
    rope_head_size: int = 0
    """Part of `head_size` that is shared by all heads of a key and rotated."""

    window_size: int | None = None
    """Sliding window of the local layers; None: every layer sees the whole sequence."""
    global_every: int = 0
    """Each `global_every`-th layer sees the whole sequence; 0: none does where `window_size` is set."""
    global_layers: tuple[int, ...] | None = None
    """Indices of the layers that see the whole sequence, where no period gives them; then `global_every` is unused."""

    qkv_bias: bool = False
    attention_output_bias: bool = False
    ffn_bias: bool = False
    head_bias: bool = False
    router_bias: bool = False
    attention_sinks: bool = False
    """One learned logit per head (GPT-OSS)."""
    norm: str = "rmsnorm"
    """rmsnorm | layernorm"""
    norm_weight: bool = True
    norm_bias: bool = False
    num_layer_norms: int = 2
    """Norms of width `hidden_size` in one layer."""
    qk_norm: str = "none"
    """none | head (one vector of `head_size` for queries, one for keys) | full (over all heads)"""
    final_norm: bool = True
    embedding_norm: bool = False
    position: str = "rope"
    """rope | learned | alibi | none"""
    rope_base: float | None = None
    """Of rotary positions; None: not known. No cost depends on it, but what is trained does."""
    rope_scaling_factor: float | None = None
    """By which Llama 3.1's rule stretches them (from 8,192 positions on; its other factors are 1 and 4). 1: not at all;
    None: not known, or by another rule."""
    rotary_fraction: float = 1.0
    """Part of each query and key head, its first elements, that is rotated; what trains it must know."""
    num_position_rows: int = 0
    """Rows of a learned position table (OPT keeps two more than its positions)."""
    embedding_size: int | None = None
    """Width of the token table where it is projected to `hidden_size` (OPT-350m)."""

    num_experts: int = 0
    experts_per_token: int = 0
    expert_ffn_size: int = 0
    num_shared_experts: int = 0
    shared_expert_ffn_size: int = 0
    """FFN width of all shared experts of a layer together."""
    num_dense_layers: int = 0
    """Leading layers without experts."""
    moe_every: int = 1
    """Each `moe_every`-th layer after the dense ones has experts."""
    moe_layers: tuple[int, ...] | None = None
    """Indices of the layers with experts, where no period gives them; then the two fields above are unused."""

    num_other_parameters: int = 0
    """Parameters that no rule covers (BERT's pooler and token types), as the framework counts them."""
    num_published_parameters: int | None = None
    source: str = ""
    assumed: tuple[str, ...] = ()
    """Names of fields that nobody stated."""

    def layer_kind(self, layer: int) -> LayerKind:
        """Kind of the layer with index `layer` (0 first)."""
        is_moe = self.num_experts > 0 and self._has_experts(layer)
        is_global = self.window_size is None or self._sees_everything(layer)
        return LayerKind(is_moe=is_moe, window_size=None if is_global else self.window_size)

    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """Kind of each layer, first to last (`num_layers` of them)."""
        return _layer_kinds(self)

    def _has_experts(self, layer: int) -> bool:
        if self.moe_layers is not None:
            return layer in self.moe_layers
        sparse_index = layer - self.num_dense_layers
        return sparse_index >= 0 and (sparse_index + 1) % self.moe_every == 0

    def _sees_everything(self, layer: int) -> bool:
        if self.global_layers is not None:
            return layer in self.global_layers
        return self.global_every > 0 and (layer + 1) % self.global_every == 0


@functools.lru_cache(maxsize=16)
def _layer_kinds(model: Model) -> tuple[LayerKind, ...]:
    """Kept, as a search asks for it with every table of plans."""
    return tuple(model.layer_kind(layer) for layer in range(model.num_layers))
