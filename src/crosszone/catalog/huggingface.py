"""A Hugging Face `config.json` as a core `Model`.

`data/huggingface.toml` is the table: for each `model_type` the keys that its class in `transformers` reads, the value
of a key that the file leaves out, and what the class's code fixes. A key that the class does not read has no effect
here either.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from crosszone.core.model import Model
from crosszone.errors import Finding, SpecError, nearest_hint

Fields = dict[str, Any]
"""Some of the arguments of `Model`."""

LLAMA_SCALING = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Of the Llama 3.1 to 3.3 releases, beside their own `factor`."""
NESTED_KEYS: Final = ("text_config", "language_config", "llm_config")
"""Where a multimodal config keeps its language model. Only that part is read: the vision tower is left out."""

TEXT_TYPES: Final[Mapping[str, str]] = {
    "gemma3": "gemma3_text",
    "llama4": "llama4_text",
    "mistral3": "mistral",
    "kimi_k25": "deepseek_v3",
}
"""`model_type` of the nested language model where the nested part does not say it, by that of the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One `model_type`."""

    family: str
    defaults: Mapping[str, Any]
    """Every key that is read, with the class's default."""
    spellings: Mapping[str, str]
    """Other names that the class accepts for a key, and the key."""
    names: Mapping[str, str]
    """Keys that the class reads under another name only, and that name."""
    fixed: Mapping[str, Any]
    """Fields of `Model` that no key changes."""
    readers: tuple[str, ...]
    """Keys of `READERS`: what only this family has. Later ones win over earlier ones, and all over `fixed`."""


class Keys:
    """The keys that one class reads, with its defaults; collects what is wrong with them."""

    def __init__(self, values: Mapping[str, Any], *, where: str, written: Mapping[str, str]) -> None:
        self._values = values
        self._where = where
        self._written = written  # the file's name of a key, where it is another
        self.findings: list[Finding] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def value(self, key: str) -> Any:
        """The value as the file has it, or the class's default; None where the class does not read this key."""
        return self._values.get(key)

    def flag(self, key: str) -> bool:
        """True or false; null is false, as the classes take it."""
        value = self.value(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.report(key, f"{value!r} is not true or false.")
        return False

    def size(self, key: str) -> int:
        """A whole number; 0 for null and for a key that the class does not read."""
        value = self.value(key)
        if value is None:
            return 0
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self.report(key, f"{value!r} is not a whole number.")
        return 0

    def count(self, key: str) -> int:
        """A whole number of at least 1."""
        value = self.size(key)
        if value == 0 and (self.value(key) is None or self.value(key) == 0):
            self.report(key, "0 or null, but the model needs at least 1.")
        return max(value, 1)

    def per_layer(self, key: str) -> Sequence[Any]:
        """A list with one entry for each layer; empty where there is none."""
        value = self.value(key)
        if value is None or value == []:
            return ()
        num_layers = self.size("num_hidden_layers")
        if isinstance(value, list) and len(value) == num_layers:
            return value
        found = f"{len(value)} entries" if isinstance(value, list) else repr(value)
        self.report(key, f"{found}, but num_hidden_layers is {num_layers}.", hint="Write one entry for each layer.")
        return ()

    def indices(self, key: str) -> tuple[int, ...] | None:
        """A list of layer indices; None where there is none."""
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(index, int) for index in value):
            return tuple(value)
        self.report(key, f"{value!r} is not a list of layer indices.")
        return None

    def report(self, key: str, message: str, *, hint: str = "") -> None:
        """Note one problem with `key`, once however often it is read."""
        where = f"{self._where}: {self._written.get(key, key)}"
        finding = Finding(code="bad_model_config", message=message, where=where, hint=hint)
        if finding not in self.findings:
            self.findings.append(finding)


def model_from_config(path: str | Path) -> Model:
    """The model that the `config.json` at `path` (or in the folder `path`) describes.

    Keys that the file leaves out take the default of the class in `transformers`. Of a multimodal config the language
    model is read. SpecError with every problem where the file cannot be read, where its `model_type` is not one of
    `supported_model_types()`, or where a key has no usable value.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "config.json"
    config = _language_model(_read(file))
    architecture = _architecture(config, where=str(file))
    return _model(architecture, config, file)


def supported_model_types() -> tuple[str, ...]:
    """Each `model_type` that `model_from_config` reads, in alphabetical order."""
    return tuple(sorted(_architectures()))


def _read(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError.unreadable("model config", str(file), error) from None
    except ValueError as error:
        raise SpecError.of(f"not JSON: {error}.", where=str(file)) from None
    if not isinstance(config, dict):
        raise SpecError.of("a model config is a JSON object.", where=str(file))
    return config


def _language_model(config: dict[str, Any]) -> dict[str, Any]:
    """The part that describes the language model, with its `model_type`; `config` itself if nothing is nested."""
    nested: dict[str, Any] | None = next(
        (config[key] for key in NESTED_KEYS if isinstance(config.get(key), dict)), None
    )
    if nested is None:
        return config
    outer_type = str(config.get("model_type"))
    inherited = {"model_type": TEXT_TYPES.get(outer_type, outer_type)}
    inherited |= {name: config[name] for name in ("_name_or_path", "tie_word_embeddings") if name in config}
    return inherited | nested


def _architecture(config: Mapping[str, Any], *, where: str) -> Architecture:
    model_type = config.get("model_type")
    if isinstance(model_type, str) and model_type in _architectures():
        return _architectures()[model_type]
    supported = ", ".join(supported_model_types())
    if model_type is None:
        problem = "model_type is missing."
    else:
        problem = f'model_type "{model_type}" is not one that CrossZone reads.'
    near = nearest_hint(str(model_type), supported_model_types(), max_listed=0) if model_type is not None else ""
    hint = f"{near} Supported: {supported}. For another model write its shape inline in the job file.".strip()
    raise SpecError.of(problem, where=where, hint=hint, code="unknown_model_type")


@cache
def _architectures() -> Mapping[str, Architecture]:
    text = resources.files("crosszone.catalog").joinpath("data", "huggingface.toml").read_text(encoding="utf-8")
    return {model_type: _row(table) for model_type, table in tomllib.loads(text).items()}


def _row(table: Mapping[str, Any]) -> Architecture:
    return Architecture(
        family=table["family"],
        defaults=dict.fromkeys(table["optional"]) | table["keys"],
        spellings=table.get("spellings", {}),
        names=table.get("names", {}),
        fixed=table.get("fixed", {}),
        readers=tuple(table["readers"]),
    )


def _model(architecture: Architecture, config: Mapping[str, Any], file: Path) -> Model:
    written = {key: name for name, key in architecture.spellings.items() if name in config} | dict(architecture.names)
    values = {key: config.get(written.get(key, key), default) for key, default in architecture.defaults.items()}
    keys = Keys(values, where=str(file), written=written)
    fields: Fields = {"family": architecture.family} | _shape(keys) | _biases(keys) | dict(architecture.fixed)
    for reader in architecture.readers:
        fields |= READERS[reader](keys)
    if fields.get("position", "rope") == "rope":
        fields |= _rotation(config)
    if "rotary_fraction" in architecture.fixed:  # other classes rotate whole heads, whatever the file says
        fields |= _rotated_part(config)
    if keys.findings:
        raise SpecError(*keys.findings)
    return Model(name=_name(config, file), source=f"{file.name}, model_type {config['model_type']}", **fields)


def _name(config: Mapping[str, Any], file: Path) -> str:
    published = str(config.get("_name_or_path") or "").rstrip("/").rsplit("/", 1)[-1]
    return published or (file.resolve().parent.name if file.name == "config.json" else file.stem)


def _shape(keys: Keys) -> Fields:
    """What every class has."""
    hidden_size, num_heads = keys.count("hidden_size"), keys.count("num_attention_heads")
    head_size = keys.size("head_dim")
    # MLA states its head sizes apart, see `_latent`.
    if not keys.findings and not head_size and hidden_size % num_heads and "kv_lora_rank" not in keys:
        keys.report(
            "num_attention_heads",
            f"the width {hidden_size} is not a multiple of the {num_heads} heads.",
            hint="Write head_dim, or correct one of the two.",
        )
    max_positions = keys.size("max_position_embeddings")
    return {
        "num_layers": keys.count("num_hidden_layers"),
        "hidden_size": hidden_size,
        "ffn_size": keys.size("intermediate_size") or 4 * hidden_size,
        "num_heads": num_heads,
        "num_kv_heads": keys.size("num_key_value_heads") or num_heads,
        "head_size": head_size or hidden_size // num_heads,
        "vocab_size": keys.count("vocab_size"),
        "max_positions": max_positions or None,
        "tied_embeddings": keys.flag("tie_word_embeddings"),
    }


def _rotation(config: Mapping[str, Any]) -> Fields:
    """Rotary positions, as transformers 5 writes them (`rope_parameters`), or versions before; nothing where the file
    leaves them out, or has them by kind of layer.
    """
    found = _rope_keys(config)
    base = found.get("rope_theta", config.get("rope_theta", config.get("rotary_emb_base")))
    if not isinstance(base, int | float) or isinstance(base, bool) or base <= 0:
        return {}
    kind = found.get("rope_type", found.get("type", "default"))
    rule = tuple(found.get(key) for key in LLAMA_SCALING)
    factor = found.get("factor") if kind == "llama3" and rule == tuple(LLAMA_SCALING.values()) else None
    return {"rope_base": float(base), "rope_scaling_factor": 1.0 if kind == "default" else factor}


def _rotated_part(config: Mapping[str, Any]) -> Fields:
    """What is rotated of a head: among the rotary positions, or by GPT-NeoX's name or the others'."""
    beside = config.get("rotary_pct", config.get("partial_rotary_factor"))
    part = _rope_keys(config).get("partial_rotary_factor", beside)
    is_part = isinstance(part, int | float) and not isinstance(part, bool) and 0 < part <= 1
    return {"rotary_fraction": float(part)} if is_part else {}


def _rope_keys(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return found


def _biases(keys: Keys) -> Fields:
    attention = keys.flag("attention_bias")
    return {"qkv_bias": attention, "attention_output_bias": attention, "ffn_bias": keys.flag("mlp_bias")}


def _windows(keys: Keys) -> Fields:
    """Sliding (or chunked) attention and the layers that have it."""
    window_size = keys.size("sliding_window") or keys.size("attention_chunk_size")
    if not window_size or ("use_sliding_window" in keys and not keys.flag("use_sliding_window")):
        return {}
    return _window_fields(window_size, _global_layers(keys))


def _global_layers(keys: Keys) -> tuple[bool, ...]:
    """For each layer whether it sees the whole sequence."""
    layers = range(keys.size("num_hidden_layers"))
    if layer_types := keys.per_layer("layer_types"):
        return tuple(layer_type == "full_attention" for layer_type in layer_types)
    if is_local := keys.per_layer("no_rope_layers"):  # Llama 4: 1 where the layer rotates and sees its chunk only
        return tuple(not local for local in is_local)
    if period := keys.size("sliding_window_pattern") or keys.size("no_rope_layer_interval"):
        return tuple((layer + 1) % period == 0 for layer in layers)
    return tuple(layer < keys.size("max_window_layers") for layer in layers)


def _window_fields(window_size: int, is_global: Sequence[bool]) -> Fields:
    if all(is_global):
        return {}
    if not any(is_global):
        return {"window_size": window_size}
    period = is_global.index(True) + 1
    if all(flag == ((layer + 1) % period == 0) for layer, flag in enumerate(is_global)):
        return {"window_size": window_size, "global_every": period}
    return {"window_size": window_size, "global_layers": _indices_of(is_global)}


def _experts(keys: Keys) -> Fields:
    """Routed experts and the layers that have them."""
    num_experts = keys.size("num_local_experts")
    if not num_experts:
        return {}
    fields: Fields = {
        "num_experts": num_experts,
        "experts_per_token": keys.size("num_experts_per_tok"),
        "expert_ffn_size": keys.size("moe_intermediate_size") or keys.count("intermediate_size"),
    }
    return fields | _moe_layer_fields(_moe_layers(keys))


def _moe_layers(keys: Keys) -> tuple[bool, ...]:
    """For each layer whether it has experts."""
    layers = range(keys.size("num_hidden_layers"))
    if (listed := keys.indices("moe_layers")) is not None:
        return tuple(layer in listed for layer in layers)
    period = keys.size("decoder_sparse_step") or keys.size("interleave_moe_layer_step") or 1
    dense = keys.indices("mlp_only_layers") or ()
    num_dense = keys.size("first_k_dense_replace")
    return tuple(layer >= num_dense and layer not in dense and (layer + 1) % period == 0 for layer in layers)


def _moe_layer_fields(has_experts: Sequence[bool]) -> Fields:
    indices = _indices_of(has_experts)
    period = indices[1] - indices[0] if len(indices) > 1 else 1
    num_dense = indices[0] - (period - 1) if indices else -1
    by_rule = (layer >= num_dense and (layer - num_dense + 1) % period == 0 for layer in range(len(has_experts)))
    if num_dense >= 0 and tuple(by_rule) == tuple(has_experts):
        return {"num_dense_layers": num_dense, "moe_every": period}
    return {"moe_layers": indices}


def _indices_of(flags: Sequence[bool]) -> tuple[int, ...]:
    return tuple(index for index, flag in enumerate(flags) if flag)


def _latent(keys: Keys) -> Fields:
    """Multi-head latent attention (DeepSeek-V2 and later) and the shared experts that come with it."""
    num_shared = keys.size("n_shared_experts")
    return {
        "num_kv_heads": keys.count("num_attention_heads"),
        "head_size": keys.size("qk_nope_head_dim") + keys.size("qk_rope_head_dim"),
        "value_head_size": keys.count("v_head_dim"),
        "q_lora_rank": keys.size("q_lora_rank"),
        "kv_lora_rank": keys.count("kv_lora_rank"),
        "rope_head_size": keys.size("qk_rope_head_dim"),
        "num_shared_experts": num_shared,
        "shared_expert_ffn_size": num_shared * keys.size("moe_intermediate_size"),
    }


def _deepseek_v2(keys: Keys) -> Fields:
    """The class has no default for the experts of a token; the published models choose 6 (arXiv 2405.04434)."""
    if keys.value("num_experts_per_tok") is None:
        return {"experts_per_token": 6, "assumed": ("experts_per_token",)}
    return {}


def _llama4(keys: Keys) -> Fields:
    """`intermediate_size` is an expert's; the one shared expert has the same, a dense layer `intermediate_size_mlp`."""
    return {
        "ffn_size": keys.count("intermediate_size_mlp"),
        "num_shared_experts": 1,
        "shared_expert_ffn_size": keys.count("intermediate_size"),
    }


def _position_rows(keys: Keys) -> Fields:
    return {"num_position_rows": keys.count("max_position_embeddings")}


def _opt(keys: Keys) -> Fields:
    """OPT-350m has a narrower table, norms after each block and no final norm; positions start at row 2."""
    width, hidden_size = keys.size("word_embed_proj_dim"), keys.size("hidden_size")
    has_bias, has_affine_norm = keys.flag("enable_bias"), keys.flag("layer_norm_elementwise_affine")
    return {
        "num_position_rows": keys.count("max_position_embeddings") + 2,
        "embedding_size": width if width not in (0, hidden_size) else None,
        "final_norm": keys.flag("do_layer_norm_before") and not keys.flag("_remove_final_layer_norm"),
        "qkv_bias": has_bias,
        "attention_output_bias": has_bias,
        "ffn_bias": has_bias,
        "norm_weight": has_affine_norm,
        "norm_bias": has_affine_norm,
    }


def _bert(keys: Keys) -> Fields:
    """What surrounds the encoder, by the class in `architectures`; without one, the class that is pretrained.

    With h hidden_size: token types 2h; pooler h*h + h; the head's transform h*h + h and a norm 2h, and its bias of one
    element for each token; next-sentence head 2h + 2.
    """
    h = keys.count("hidden_size")
    named = keys.value("architectures")
    wanted = named[0] if isinstance(named, list) and named else "BertForPreTraining"
    pooler, transform, next_sentence = h * h + h, h * h + 3 * h, 2 * h + 2
    around = {"BertModel": pooler, "BertForMaskedLM": transform}.get(wanted, pooler + transform + next_sentence)
    return {
        "num_other_parameters": keys.size("type_vocab_size") * h + around,
        "head_bias": wanted != "BertModel",
        "num_position_rows": keys.count("max_position_embeddings"),
    }


def _falcon(keys: Keys) -> Fields:
    """One norm for both branches of the parallel layer of Falcon-7B, two in the newer layer of 40B and 180B."""
    is_new, is_parallel, has_bias = (keys.flag(key) for key in ("new_decoder_architecture", "parallel_attn", "bias"))
    num_norms = keys.size("num_ln_in_parallel_attn") or (2 if is_new else 1)
    num_heads = keys.count("num_attention_heads")
    if is_new:
        num_kv_heads = keys.size("num_key_value_heads") or num_heads
    else:
        num_kv_heads = 1 if keys.flag("multi_query") else num_heads
    return {
        "num_kv_heads": num_kv_heads,
        "num_layer_norms": 2 if num_norms == 2 or not is_parallel else 1,
        "position": "alibi" if keys.flag("alibi") else "rope",
        "qkv_bias": has_bias,
        "attention_output_bias": has_bias,
        "ffn_bias": has_bias,
    }


def _gpt_neo(keys: Keys) -> Fields:
    """`attention_types` is a list of [pattern, repeats]: [[["global", "local"], 12]]."""
    num_layers, types = keys.size("num_hidden_layers"), keys.value("attention_types")
    try:
        is_global = [kind == "global" for pattern, repeats in types for _ in range(repeats) for kind in pattern]
    except (TypeError, ValueError):
        keys.report("attention_types", f"{types!r} is not a list of [pattern, repeats].")
        return {}
    if len(is_global) != num_layers:
        keys.report("attention_types", f"describes {len(is_global)} layers, but num_layers is {num_layers}.")
        return {}
    return _window_fields(keys.count("window_size"), is_global)


def _internlm(keys: Keys) -> Fields:
    """`bias` is that of attention only."""
    has_bias = keys.flag("bias")
    return {"qkv_bias": has_bias, "attention_output_bias": has_bias}


READERS: Final[Mapping[str, Callable[[Keys], Fields]]] = {
    "biases": _biases,
    "windows": _windows,
    "experts": _experts,
    "latent": _latent,
    "deepseek_v2": _deepseek_v2,
    "llama4": _llama4,
    "position_rows": _position_rows,
    "opt": _opt,
    "bert": _bert,
    "falcon": _falcon,
    "gpt_neo": _gpt_neo,
    "internlm": _internlm,
}
"""What `readers` in `data/huggingface.toml` may name."""
