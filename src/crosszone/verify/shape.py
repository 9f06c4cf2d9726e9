"""The model of a row: its own columns first, then the catalog's model of that name, then written defaults."""

import dataclasses
import functools
import re
from typing import Any

from crosszone.catalog.models import model as catalog_model
from crosszone.core.model import Model
from crosszone.errors import SpecError, UnknownName
from crosszone.verify.row import Row

VOCAB_SIZE = 50_304
"""GPT-2's 50,257 tokens padded to a multiple of 128: the usual vocabulary of benchmarks that name none."""
HEAD_SIZE = 128
SIZES = (
    ("num_layers", "layers"),
    ("hidden_size", "hidden"),
    ("ffn_size", "ffn_hidden"),
    ("num_heads", "heads"),
    ("num_kv_heads", "kv_heads"),
    ("vocab_size", "vocab"),
)
"""(field of Model, column)"""
FLAGS = (("gated_ffn", "gated_mlp"), ("tied_embeddings", "tied_embeddings"))
NOT_ATTENTION = re.compile(r"mamba|hybrid|linear|sparse|ssm|rwkv", re.IGNORECASE)
LATENT = re.compile(r"mla\s*\((.*)\)", re.IGNORECASE)
WINDOW = re.compile(r"window\D{0,3}(\d+)", re.IGNORECASE)
PLAIN_BIASES = {
    "norm": "layernorm",
    "norm_bias": True,
    "qkv_bias": True,
    "attention_output_bias": True,
    "ffn_bias": True,
}
"""What a model with a plain FFN has beside it where the catalog does not know better: GPT's norms and biases."""


def model_of(row: Row) -> Model:
    """The model of `row`. Errors: SpecError with the reason where it cannot be expressed."""
    attention = row.text("attn_type")
    if NOT_ATTENTION.search(attention):
        raise SpecError.of(f'attn_type is "{attention[:60]}": only attention over all or a window of keys is modelled.')
    known = _known(row)
    sizes: dict[str, Any] = {name: row.count(column) for name, column in SIZES}
    sizes |= {name: row.flag(column) for name, column in FLAGS}
    sizes |= _experts(row) | _attention(attention, row)
    stated = {name: value for name, value in sizes.items() if value is not None}
    if known is not None:
        if known.kv_lora_rank and "kv_lora_rank" not in stated:
            stated.pop("head_size", None)  # tables print the part of a latent head that is not rotated
        filled = [column for name, column in SIZES + FLAGS if name not in stated]
        if filled:
            row.assume(", ".join(filled), f"of {known.name}", "the catalog's")
        return dataclasses.replace(known, **stated)
    return _checked(Model(**_with_defaults(row, stated)))


def _known(row: Row) -> Model | None:
    """The catalog's model of the row's name, unless the row states another number of layers or width."""
    name = row.text("model")
    known = _catalog(name) if name else None
    layers, hidden = row.count("layers"), row.count("hidden")
    if known is None:
        if layers is None or hidden is None:
            raise SpecError.of(f'layers or hidden is blank, and the catalog has no model "{name[:60]}".')
        return None
    if (layers or known.num_layers, hidden or known.hidden_size) == (known.num_layers, known.hidden_size):
        return known
    if layers is None or hidden is None:
        shape = f"{known.num_layers} layers of {known.hidden_size}"
        raise SpecError.of(f"layers or hidden is blank, and the other is not that of {known.name}: {shape}.")
    return None


@functools.lru_cache(maxsize=1024)
def _catalog(name: str) -> Model | None:
    try:
        return catalog_model(re.sub(r"\(.*?\)", "", name).strip())
    except UnknownName:
        return None


def _experts(row: Row) -> dict[str, Any]:
    num_experts = row.count("moe_experts", least=0)
    if not num_experts:
        return {}
    shared = row.count("moe_shared_ffn", least=0)
    return {
        "num_experts": num_experts,
        "experts_per_token": row.count("moe_topk"),
        "expert_ffn_size": row.count("moe_ffn_hidden"),
        "shared_expert_ffn_size": shared,
        "num_shared_experts": None if shared is None else int(shared > 0),
        "num_dense_layers": row.count("moe_dense_layers", least=0),
    }


def _attention(text: str, row: Row) -> dict[str, Any]:
    """Head sizes, latent ranks and window that `attn_type` and `head_dim` state."""
    latent, window = LATENT.search(text), WINDOW.search(text)
    fields: dict[str, Any] = {"head_size": row.count("head_dim")}
    if latent:
        parts = {name: int(value) for name, value in re.findall(r"([a-z_]+?)_?(\d+)", latent[1].lower())}
        rope = parts.get("qk_rope", 0)
        fields = {
            "head_size": parts.get("qk_nope", 0) + rope or None,
            "rope_head_size": rope or None,
            "value_head_size": parts.get("v"),
            "q_lora_rank": parts.get("q_lora"),
            "kv_lora_rank": parts.get("kv_lora"),
        }
    if window:
        fields |= {"window_size": int(window[1]), "global_every": 2 if "alternat" in text.lower() else 0}
    return fields


def _with_defaults(row: Row, stated: dict[str, Any]) -> dict[str, Any]:
    """All fields of a model that the catalog does not know."""
    fields = dict(stated)

    def default(name: str, column: str, value: Any) -> None:
        if name not in fields:
            fields[name] = value
            row.assume(column, value)

    hidden = fields["hidden_size"]
    default("num_heads", "heads", max(hidden // fields.get("head_size", HEAD_SIZE), 1))
    default("num_kv_heads", "kv_heads", fields["num_heads"])
    if "head_size" not in fields:
        fields["head_size"] = max(hidden // fields["num_heads"], 1)
    default("gated_ffn", "gated_mlp", fields["num_kv_heads"] < fields["num_heads"])
    default("ffn_size", "ffn_hidden", fields.get("expert_ffn_size") or 4 * hidden)
    default("vocab_size", "vocab", VOCAB_SIZE)
    default("tied_embeddings", "tied_embeddings", not fields["gated_ffn"])
    if fields.get("num_experts"):
        default("experts_per_token", "moe_topk", min(2, fields["num_experts"]))
        default("expert_ffn_size", "moe_ffn_hidden", fields["ffn_size"])
    name = row.text("model") or "unnamed"
    return {"name": name, "family": "", **({} if fields["gated_ffn"] else PLAIN_BIASES), **fields}


def _checked(model: Model) -> Model:
    if model.num_experts and model.experts_per_token > model.num_experts:
        raise SpecError.of(f"{model.experts_per_token} of {model.num_experts} experts per token.")
    if model.num_layers > 10_000:
        raise SpecError.of(f"{model.num_layers} layers; at most 10000 are planned for.")
    return model
