"""The matrices of a model, which codecs of low rank take one by one."""

import functools
from collections import Counter

from crosszone.core.model import LayerKind, Model
from crosszone.cost.parameters import token_table_parameters


@functools.lru_cache(maxsize=16)
def model_matrices(model: Model) -> tuple[tuple[float, float, float], ...]:
    """(rows, columns, how many); the columns are what tensor parallelism divides. Biases and norms are not in it.

    Attention's h x (a + 2k)d and av x h, the FFN's h x f (two where it is gated) and f x h, of every expert too, token
    table and head. With latent attention the projections to and from the latents.
    """
    found: Counter[tuple[float, float]] = Counter()
    for kind, count in Counter(model.layer_kinds()).items():
        for shape, number in _layer(model, kind).items():
            found[shape] += count * number
    width = token_table_parameters(model) / model.vocab_size
    found[width, float(model.vocab_size)] += 1 if model.tied_embeddings else 2
    return tuple((rows, columns, float(count)) for (rows, columns), count in found.items())


def _layer(model: Model, kind: LayerKind) -> Counter[tuple[float, float]]:
    h, d = float(model.hidden_size), model.head_size
    value = model.head_size if model.value_head_size is None else model.value_head_size
    found: Counter[tuple[float, float]] = Counter()
    found[h, float(model.num_heads * value)] += 1  # the way out, transposed: its rows are what is divided
    if model.kv_lora_rank:
        q, c, r = model.q_lora_rank, model.kv_lora_rank, model.rope_head_size
        found[float(q) or h, float(model.num_heads * d)] += 1
        found[float(c), float(model.num_heads * (d - r + value))] += 1
        found[h, float(q + c + r)] += 1
    else:
        found[h, float(model.num_heads * d)] += 1
        found[h, float(model.num_kv_heads * d)] += 1
        found[h, float(model.num_kv_heads * value)] += 1
    num_products = 3 if model.gated_ffn else 2
    if not kind.is_moe:
        found[h, float(model.ffn_size)] += num_products
        return found
    found[h, float(model.expert_ffn_size)] += num_products * model.num_experts
    if model.shared_expert_ffn_size:
        found[h, float(model.shared_expert_ffn_size)] += num_products
    found[h, float(model.num_experts)] += 1
    return found
