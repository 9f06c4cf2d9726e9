"""Models that the trainer builds: the right size, the same weights everywhere, recomputation that changes nothing."""

import json
from dataclasses import replace

import pytest

from crosszone.catalog.models import model
from crosszone.cost.parameters import num_parameters
from crosszone.errors import InfeasiblePlan, SpecError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from crosszone.runtime.model import (  # noqa: E402 - needs torch
    build_model,
    decoder_layers,
    initial_value,
    initialise,
    initialise_by_part,
)

SMALL = {
    "num_layers": 2,
    "hidden_size": 32,
    "ffn_size": 64,
    "num_heads": 4,
    "head_size": 8,
    "num_kv_heads": 4,
    "vocab_size": 64,
}
SHAPES = {
    "opt": replace(model("opt-125m"), **SMALL),
    "opt with a narrow table": replace(model("opt-350m"), **SMALL | {"embedding_size": 16}),
    "gpt2": replace(model("gpt2-small"), **SMALL),
    "llama": replace(model("llama-3.1-8b"), **SMALL | {"num_kv_heads": 2}),
    "qwen2": replace(model("qwen2.5-7b"), **SMALL | {"num_kv_heads": 2}),
    "qwen3": replace(model("qwen3-8b"), **SMALL | {"num_kv_heads": 2}),
}
CPU = torch.device("cpu")


def built(shape, *, attention: str = "flash", recompute: str = "none", recomputed_layers=None, seed: int = 0):
    found = build_model(shape, None, attention=attention, recompute=recompute, recomputed_layers=recomputed_layers)
    initialise(found, seed=seed, device=CPU)
    return found


def gradients(found) -> dict[str, torch.Tensor]:
    tokens = torch.arange(32).reshape(2, 16)
    found(input_ids=tokens).logits.logsumexp(-1).sum().backward()
    return {name: parameter.grad for name, parameter in found.named_parameters()}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_becomes_a_model_of_its_size(name) -> None:
    found = build_model(SHAPES[name], None, attention="flash", recompute="none")
    assert sum(parameter.numel() for parameter in found.parameters()) == num_parameters(SHAPES[name])
    assert all(parameter.is_meta for parameter in found.parameters())
    assert len(decoder_layers(found)) == 2


@pytest.mark.parametrize(
    ("name", "attention", "recompute"),
    [
        ("opt", "flash", "selective"),
        ("gpt2", "unfused", "selective"),
        ("llama", "flash", "selective"),
        ("llama", "unfused", "full"),
    ],
)
def test_recomputation_changes_no_gradient(name, attention, recompute) -> None:
    expected = gradients(built(SHAPES[name], attention=attention))
    found = gradients(built(SHAPES[name], attention=attention, recompute=recompute))
    assert found.keys() == expected.keys()
    for key, value in found.items():
        torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6)


def test_full_recomputation_runs_a_layer_twice() -> None:
    found, calls = built(SHAPES["opt"], recompute="full"), []
    decoder_layers(found)[0].fc1.register_forward_hook(lambda *_: calls.append(1))
    gradients(found)
    assert len(calls) == 2


def test_layers_that_are_not_named_run_once() -> None:
    found, calls = built(SHAPES["opt"], recompute="full", recomputed_layers=(1,)), []
    for index, layer in enumerate(decoder_layers(found)):
        layer.fc1.register_forward_hook(lambda *_, index=index: calls.append(index))
    gradients(found)
    assert sorted(calls) == [0, 1, 1]


def test_weights_follow_from_name_and_seed_alone() -> None:
    one, same, other = built(SHAPES["llama"]), built(SHAPES["llama"]), built(SHAPES["llama"], seed=1)
    weights = [each.state_dict()["model.layers.1.mlp.up_proj.weight"] for each in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    deeper = built(replace(SHAPES["llama"], num_layers=3))
    assert torch.equal(deeper.state_dict()["model.layers.1.mlp.up_proj.weight"], weights[0])
    assert weights[0].std().item() == pytest.approx(0.02, rel=0.1)
    assert initial_value("a.bias", torch.Size([3]), seed=0, device=CPU).tolist() == [0.0, 0.0, 0.0]
    assert initial_value("norm.weight", torch.Size([3]), seed=0, device=CPU).tolist() == [1.0, 1.0, 1.0]


def test_nothing_is_left_without_a_value() -> None:
    for shape in SHAPES.values():
        found = built(shape)
        tensors = [*found.parameters(), *found.buffers()]
        assert not any(each.is_meta for each in tensors)
        assert all(torch.isfinite(each).all() for each in tensors if each.is_floating_point())


@pytest.mark.parametrize("name", SHAPES)
def test_by_part_weights_and_buffers_are_the_same_and_one_part_is_whole_at_a_time(name: str) -> None:
    found, whole = build_model(SHAPES[name], None, attention="flash", recompute="none"), built(SHAPES[name])
    kept, held = dict[int, torch.Tensor](), list[int]()

    def split(part: torch.nn.Module) -> None:
        held.append(sum(parameter.numel() for parameter in found.parameters() if not parameter.is_meta))
        for parameter in part.parameters():
            kept.setdefault(id(parameter), parameter.data)
            parameter.data = torch.empty(0)

    initialise_by_part(found, seed=0, device=CPU, split=split)
    layer_size = sum(parameter.numel() for parameter in decoder_layers(whole)[0].parameters())
    assert held == [layer_size, layer_size, num_parameters(SHAPES[name]) - 2 * layer_size]
    for (one, parameter), (other, expected) in zip(found.named_parameters(), whole.named_parameters(), strict=True):
        assert one == other
        assert torch.equal(kept[id(parameter)], expected), one
    for (one, buffer), (other, expected) in zip(found.named_buffers(), whole.named_buffers(), strict=True):
        assert one == other
        assert torch.equal(buffer, expected), one


def test_shapes_that_no_class_builds_are_refused_by_name() -> None:
    for name in ("mixtral-8x7b", "bloom-560m", "gemma-2-2b"):
        with pytest.raises(InfeasiblePlan, match=f'"{name}" is none of them'):
            build_model(model(name), None, attention="flash", recompute="none")


def test_heads_that_are_rotated_in_part_are_no_llamas() -> None:
    with pytest.raises(InfeasiblePlan, match="none of them"):
        built(replace(SHAPES["llama"], rotary_fraction=0.5))


def test_positions_are_rotated_by_the_models_own_rule() -> None:
    """Llama 3.1 turns 8 times slower where a whole turn takes 8,192 tokens or more, and as before where it is short."""
    plain = replace(SHAPES["llama"], rope_scaling_factor=1.0)
    exponents = torch.arange(0, 8, 2) / 8
    slow, fast = (dict(built(shape).named_buffers())["model.rotary_emb.inv_freq"] for shape in (SHAPES["llama"], plain))
    assert fast == pytest.approx(1.0 / 500_000.0**exponents)
    assert slow[0] == fast[0]
    assert slow[-1] == pytest.approx(fast[-1] / 8)
    unknown = replace(SHAPES["llama"], rope_base=None, rope_scaling_factor=None)
    assert dict(built(unknown).named_buffers())["model.rotary_emb.inv_freq"] == pytest.approx(1.0 / 10_000.0**exponents)


def test_a_config_json_is_built_without_a_hub(tmp_path) -> None:
    keys = {"model_type": "gpt_neox", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(keys | {"intermediate_size": 64, "vocab_size": 50}))
    found = build_model(None, tmp_path / "config.json", attention="flash", recompute="none")
    initialise(found, seed=0, device=CPU)
    assert gradients(found)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SpecError, match=r"is no config\.json of transformers"):
        build_model(None, tmp_path / "config.json", attention="flash", recompute="none")
