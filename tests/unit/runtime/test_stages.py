"""A model in stages is the model: the same weights, once each, and the same logits."""

from dataclasses import replace

import pytest

from crosszone.core.model import Model
from crosszone.errors import InfeasiblePlan

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from crosszone.runtime.model import build_model, initialise  # noqa: E402 - needs torch
from crosszone.runtime.stages import Cut, Head, Stage, Table, tied_logits  # noqa: E402 - needs torch

LLAMA = Model(
    name="llama",
    num_layers=4,
    hidden_size=32,
    ffn_size=64,
    num_heads=2,
    num_kv_heads=2,
    head_size=16,
    vocab_size=32,
)
LEARNED = {"position": "learned", "norm": "layernorm", "gated_ffn": False, "norm_bias": True, "tied_embeddings": True}
OPT = replace(
    LLAMA, name="opt", max_positions=64, num_position_rows=66, qkv_bias=True, attention_output_bias=True,
    ffn_bias=True, **LEARNED,
)  # fmt: skip
SHAPES = {
    "llama": LLAMA,
    "tied llama": replace(LLAMA, tied_embeddings=True),
    "opt": OPT,
    "narrow opt": replace(OPT, embedding_size=16, final_norm=False),
    "gpt2": replace(OPT, name="gpt2", num_position_rows=64),
}
CPU = torch.device("cpu")


def build(shape: Model, attention: str = "flash") -> torch.nn.Module:
    return build_model(shape, None, attention=attention, recompute="none")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("stage_layers", [(2, 2), (1, 2, 1), (3, 1)])
def test_stages_compute_what_the_model_does(shape: Model, stage_layers: tuple[int, ...]) -> None:
    whole = build(shape)
    initialise(whole, seed=7, device=CPU)
    tokens = torch.arange(10).reshape(2, 5) % shape.vocab_size
    first = Cut(build(shape), stage_layers, seed=7, device=CPU)
    table = Table(first)
    hidden = table(tokens)
    num_parameters = sum(parameter.numel() for parameter in table.parameters())
    for index in range(len(stage_layers)):
        stage = Stage(Cut(build(shape), stage_layers, seed=7, device=CPU), index)
        num_parameters += sum(parameter.numel() for parameter in stage.parameters())
        hidden = stage(hidden)
    if first.is_tied:
        logits = tied_logits(table, hidden)
    else:
        head = Head(first)
        num_parameters += sum(parameter.numel() for parameter in head.parameters())
        logits = head(hidden)
    torch.testing.assert_close(logits, whole(input_ids=tokens).logits)
    assert num_parameters == sum(parameter.numel() for parameter in whole.parameters())
    assert first.is_tied == shape.tied_embeddings


def test_stages_see_no_later_token_without_fused_attention_either() -> None:
    stages = [Stage(Cut(build(LLAMA, "unfused"), (2, 2), seed=1, device=CPU), index) for index in (0, 1)]
    hidden = torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(1))
    changed = hidden.clone()
    changed[0, 5] += 1.0
    for stage in stages:
        hidden, changed = stage(hidden), stage(changed)
    torch.testing.assert_close(hidden[0, :5], changed[0, :5])
    assert not torch.allclose(hidden[0, 5], changed[0, 5])


def test_layers_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(InfeasiblePlan, match="2 stages hold 5 layers, but the model has 4"):
        Cut(build(LLAMA), (2, 3), seed=0, device=CPU)
