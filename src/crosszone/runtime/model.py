"""Models built from a shape, or from a Hugging Face config.json, with weights that only name and seed decide."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from crosszone.core.model import Model
from crosszone.cost.parameters import num_parameters
from crosszone.errors import InfeasiblePlan, PreflightFailed, SpecError
from crosszone.runtime.recompute import recompute_whole

RECOMPUTED = {"flash": "crosszone_recomputed_fused", "unfused": "crosszone_recomputed_unfused"}
"""Names of attention that keeps its inputs alone; `transformers` takes any name with "flash" for a package."""
DROPOUTS = (
    "attention_dropout attn_pdrop dropout activation_dropout resid_pdrop embd_pdrop hidden_dropout layerdrop"
).split()
"""Keys of `transformers` that are set to 0: a restart must not change the course of a run."""
LLAMA_SCALING = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Of the rule that `Model.rope_scaling_factor` names."""
STANDARD_DEVIATION = 0.02
"""Of initial matrices (Radford et al. 2019; the default of `transformers`)."""


def build_model(
    shape: Model | None,
    config_path: Path | None,
    *,
    attention: str,
    recompute: str,
    recomputed_layers: Collection[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """The causal language model, without memory (on torch's meta device); `initialise` fills it.

    `attention` is flash or unfused, `recompute` none, selective (the attention core alone) or full (every layer, or
    those with these indices).

    Errors: InfeasiblePlan for a shape that no class here builds, SpecError for a file that is none.
    """
    transformers = _transformers()
    config = _config_of(shape) if shape is not None else _config_from(config_path)
    for key in DROPOUTS:
        if hasattr(config, key):
            setattr(config, key, 0.0)
    config.use_cache = False
    implementation = _attention_implementation(attention, recompute)
    with torch.device("meta"):
        model: nn.Module = transformers.AutoModelForCausalLM.from_config(
            config, attn_implementation=implementation, dtype=dtype
        )
    if shape is not None:
        _check_count(shape, model)
    if recompute == "full":
        for index, layer in enumerate(decoder_layers(model)):
            if recomputed_layers is None or index in recomputed_layers:
                recompute_whole(layer)
    return model.train()


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The repeated layers, first to last: the longest list of modules that the model has."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max((list(each) for each in lists), key=len, default=[])


def initialise(model: nn.Module, *, seed: int, device: torch.device, names: Sequence[str] | None = None) -> None:
    """Give every weight memory on `device` and its first value.

    A value depends on the parameter's name, its shape, `seed` and the kind of device, and on nothing else: neither on
    the number of ranks nor on how they share it. Sharded parameters keep their own part of each. `names` are those of
    the parameters, in order, where `model` is a part of another.
    """
    model.to_empty(device=device)
    tie_weights = getattr(model, "tie_weights", None)
    if tie_weights is not None:
        tie_weights()
    _fill_buffers(model, model.modules())
    with torch.no_grad():
        own_names = [name for name, _ in model.named_parameters()]
        for name, parameter in zip(names or own_names, model.parameters(), strict=True):
            fill(parameter, initial_value(name, parameter.shape, seed=seed, device=device))


def initialise_by_part(model: nn.Module, *, seed: int, device: torch.device, split: Callable[[nn.Module], Any]) -> None:
    """`initialise`, one layer after another and then what is left; `split` takes each part's weights before the next.

    So no process ever holds more than one part whole.
    """
    names = {id(module): name for name, module in model.named_modules()}
    filled = set[int]()
    for part in (*decoder_layers(model), model):
        made = [module for module in part.modules() if _is_without_memory(module)]
        for module in made:
            module.to_empty(device=device, recurse=False)
        if part is model:
            model.tie_weights()  # type: ignore[operator]
        _fill_buffers(model, made)
        with torch.no_grad():
            for name, parameter in part.named_parameters(prefix=names[id(part)]):
                if id(parameter) not in filled:
                    fill(parameter, initial_value(name, parameter.shape, seed=seed, device=device))
                    filled.add(id(parameter))
        split(part)


def move_buffers(model: nn.Module, device: torch.device) -> None:
    """Put what is no parameter on `device`, where layers work, beside weights that rest elsewhere."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))


def initial_value(name: str, shape: torch.Size, *, seed: int, device: torch.device) -> torch.Tensor:
    """First value of the parameter called `name`: normal for matrices, 0 for biases, 1 for the gains of norms."""
    if len(shape) < 2:
        value = 0.0 if name.endswith("bias") else 1.0
        return torch.full(shape, value, device=device)
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "little"))
    return torch.empty(shape, device=device).normal_(0.0, STANDARD_DEVIATION, generator=generator)


def fill(parameter: torch.Tensor, whole: torch.Tensor) -> None:
    """Set `parameter`, or this rank's part of it, from the whole value."""
    if isinstance(parameter, DTensor):
        part = distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)
        parameter.to_local().copy_(part.to_local())
    else:
        parameter.copy_(whole)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise PreflightFailed.of(
            f"training needs transformers, which cannot be imported here: {error}.",
            where="transformers",
            hint="Install crosszone[train].",
            code="no_transformers",
        ) from None
    return transformers


def _config_from(path: Path | None) -> Any:
    assert path is not None, "train_problems holds that one of model and model_config is given"
    try:
        # A local path: nothing is asked of a hub, and code that a repository brings is never run.
        return _transformers().AutoConfig.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        message = str(error).strip().partition("\n")[0].rstrip(".")
        raise SpecError.of(f"{path} is no config.json of transformers: {message}.", where="model_config") from None


def _config_of(shape: Model) -> Any:
    transformers = _transformers()
    is_dense = not (shape.num_experts or shape.kv_lora_rank or shape.embedding_norm) and shape.is_causal
    has_whole_heads = shape.num_heads * shape.head_size == shape.hidden_size
    is_dense = is_dense and shape.num_layer_norms == 2 and shape.window_size is None and shape.rotary_fraction == 1.0
    kind = (shape.position, shape.norm, shape.gated_ffn)
    if is_dense and kind == ("learned", "layernorm", False) and shape.tied_embeddings and has_whole_heads:
        build = _gpt2 if shape.num_position_rows == shape.max_positions else _opt
        return build(transformers, shape)
    if is_dense and kind == ("rope", "rmsnorm", True):
        return _llama(transformers, shape)
    raise InfeasiblePlan.of(
        f'the trainer builds OPT, GPT-2 and Llama shapes, and "{shape.name}" is none of them.',
        where="model",
        hint="Give its config.json as model_config, or take megatron or torchtitan.",
    )


def _gpt2(transformers: Any, shape: Model) -> Any:
    return transformers.GPT2Config(
        n_layer=shape.num_layers,
        n_embd=shape.hidden_size,
        n_head=shape.num_heads,
        n_inner=shape.ffn_size,
        n_positions=shape.max_positions,
        vocab_size=shape.vocab_size,
        bos_token_id=None,
        eos_token_id=None,
    )


def _opt(transformers: Any, shape: Model) -> Any:
    return transformers.OPTConfig(
        num_hidden_layers=shape.num_layers,
        hidden_size=shape.hidden_size,
        ffn_dim=shape.ffn_size,
        num_attention_heads=shape.num_heads,
        max_position_embeddings=shape.max_positions,
        vocab_size=shape.vocab_size,
        word_embed_proj_dim=shape.embedding_size or shape.hidden_size,
        do_layer_norm_before=shape.final_norm,
        pad_token_id=None,  # else its row would have no gradient
        bos_token_id=None,
        eos_token_id=None,
    )


def _llama(transformers: Any, shape: Model) -> Any:
    keys = {
        "num_hidden_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.ffn_size,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": shape.vocab_size,
        "tie_word_embeddings": shape.tied_embeddings,
        "max_position_embeddings": shape.max_positions or 131072,
        **({} if shape.rope_base is None else {"rope_parameters": _rope_parameters(shape)}),
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    if shape.qk_norm == "head":
        return transformers.Qwen3Config(**keys, attention_bias=shape.qkv_bias)
    if shape.qkv_bias and not shape.attention_output_bias:
        return transformers.Qwen2Config(**keys)
    return transformers.LlamaConfig(**keys, attention_bias=shape.qkv_bias, mlp_bias=shape.ffn_bias)


def _rope_parameters(shape: Model) -> dict[str, Any]:
    """As `transformers` 5 has them."""
    base, factor = shape.rope_base, shape.rope_scaling_factor
    if factor in (None, 1.0):
        return {"rope_type": "default", "rope_theta": base}
    return {"rope_type": "llama3", "rope_theta": base, "factor": factor, **LLAMA_SCALING}


def _check_count(shape: Model, model: nn.Module) -> None:
    built, expected = sum(parameter.numel() for parameter in model.parameters()), num_parameters(shape)
    if built != expected:
        raise InfeasiblePlan.of(
            f'"{shape.name}" has {expected} parameters, but {type(model).__name__} has {built}.',
            where="model",
            hint="Give its config.json as model_config.",
        )


def _attention_implementation(attention: str, recompute: str) -> str:
    implementation = "sdpa" if attention == "flash" else "eager"
    if recompute != "selective":
        return implementation
    # PyTorch's unfused kernel does what eager code does, and has one interface for all models.
    name = RECOMPUTED[attention]
    transformers = _transformers()
    transformers.AttentionInterface.register(name, _recomputed(attention))
    transformers.AttentionMaskInterface.register(name, transformers.masking_utils.sdpa_mask)
    return name


def _recomputed(attention: str) -> Callable[..., tuple[torch.Tensor, None]]:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.checkpoint import checkpoint
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def core(*inputs: Any, **keywords: Any) -> Any:
        if attention == "flash":
            return sdpa_attention_forward(*inputs, **keywords)
        with sdpa_kernel(SDPBackend.MATH):
            return sdpa_attention_forward(*inputs, **keywords)

    def forward(*inputs: Any, **keywords: Any) -> Any:
        return checkpoint(core, *inputs, use_reentrant=False, **keywords)

    return forward


def _is_without_memory(module: nn.Module) -> bool:
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return any(tensor.is_meta for tensor in own)


def _fill_buffers(model: nn.Module, modules: Iterable[nn.Module]) -> None:
    """Compute what is no parameter of `modules`, as rotary frequencies, by the model's own code.

    A rotary module keeps them in fp32 whatever the parameters are.
    """
    initialise_module: Callable[[nn.Module], None] = getattr(model, "_init_weights")  # noqa: B009 - not in nn.Module
    for module in [module for module in modules if any(True for _ in module.buffers(recurse=False))]:
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_floating_point():
                setattr(module, name, torch.full_like(buffer, math.nan, dtype=torch.float32))
        initialise_module(module)
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_floating_point() and not torch.isfinite(buffer).all():
                raise InfeasiblePlan.of(
                    f"{type(module).__name__}.{name} has a value that the trainer cannot compute.",
                    where="model",
                    hint="Take another model, or your own script as the entry.",
                )
