"""Published ways to count FLOP, recognised by their text and worked out by hand."""

import pytest

from crosszone.core.model import Model
from crosszone.cost.flop import model_flop
from crosszone.cost.parameters import num_parameters
from crosszone.verify.conventions import convention, step_flop

# GPT-3 of SC21's Table 1: one trillion parameters.
TRILLION = Model(
    name="gpt-1t", num_layers=128, hidden_size=25600, ffn_size=102400, num_heads=160, num_kv_heads=160, head_size=160,
    vocab_size=51200, gated_ffn=False, tied_embeddings=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("96*B*s*l*h^2*(1+s/(6h)+V/(16*l*h)) incl. full activation recompute (hardware FLOPs)", "megatron_sc21"),
        ("Megatron SC21 96Bslh^2(1+s/6h+V/16lh)/(t*n)", "megatron_sc21"),
        ("size_B*4*2*seq*GBS/(t*n*1e3)", "eight_parameters"),
        ("old: model_size*4*2*seq*gbs/(t*n)", "eight_parameters"),
        ("Appendix A of 2205.05198 (72BLsh^2(1+s/6h+..), FULL non-causal attention)", "full_attention"),
        ("num_floating_point_operations (12*B*s*L*h^2*(...)), full (non-causal) attention s", "full_attention"),
        ("MFU=(6*N+12*L*h*s)*tokens/iter/(n*312e12)", "palm"),
        ("6N+12Lhs; bf16 peak 989 for None, fp8 peak 1979 for Float8", "palm"),
        ("(3*2*N*S + 3*L*4*h*S^2)*seq_per_s/n_gpus (N=all params)", "palm"),
        ("6*s*N + 12*L*h*s^2 (attention NOT halved for causal)", "palm"),
        ("nanoGPT/PaLM MFU; HFU via PyTorch FLOP counter", "palm"),
        ("Megatron num_floating_point_operations (6*N_nonemb + causal attention counted at s/2)", "causal_attention"),
    ],
)
def test_known_texts(text, name) -> None:
    found = convention(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "text", ["", "as measured", "model FLOPs (full vs causal attention not stated)", "6N", "our profiler"]
)
def test_unknown_texts_are_not_guessed(text) -> None:
    assert convention(text) is None


def test_sc21_formula_gives_the_papers_training_time_of_a_trillion_parameters() -> None:
    # Table 1: 163 TFLOP/s on 3072 GPUs at batch 3072; sec. 5.1: 450 billion tokens take 84 days.
    known = convention("Megatron SC21 96Bslh^2")
    assert known is not None
    flop = step_flop(known, TRILLION, 2048, 3072, kind="hardware", recompute="full")
    assert flop == pytest.approx(96 * 3072 * 2048 * 128 * 25600**2 * (1 + 2048 / 153600 + 51200 / (16 * 128 * 25600)))
    step_seconds = flop / (163e12 * 3072)
    train_seconds = step_seconds * 450e9 / (3072 * 2048)
    assert train_seconds == pytest.approx(84 * 86400, rel=0.02)


def test_palm_counts_parameters_with_embeddings_and_the_whole_square() -> None:
    known = convention("6N+12Lhs")
    assert known is not None
    by_hand = (6 * num_parameters(TRILLION) + 12 * 128 * 25600 * 2048) * 2048 * 4
    assert step_flop(known, TRILLION, 2048, 4, kind="model", recompute="full") == pytest.approx(by_hand)


def test_full_attention_exceeds_causal_by_the_other_half_of_the_square() -> None:
    full, causal = convention("72BLsh^2"), convention("causal")
    assert full is not None
    assert causal is not None
    more = step_flop(full, TRILLION, 2048, 1, kind="", recompute="none") - model_flop(TRILLION, 2048)
    assert step_flop(causal, TRILLION, 2048, 1, kind="", recompute="none") == model_flop(TRILLION, 2048)
    # Forward 2 * pairs * heads * (d + d) over the s(s-1)/2 pairs above the diagonal, times 3 with the backward.
    assert more == pytest.approx(3 * 128 * 4 * (2048 * 2047 / 2) * 25600, rel=1e-9)


def test_hardware_figures_of_a_model_formula_count_full_recomputation_on_top() -> None:
    known = convention("72BLsh^2")
    assert known is not None
    plain = step_flop(known, TRILLION, 2048, 1, kind="model", recompute="full")
    assert step_flop(known, TRILLION, 2048, 1, kind="hardware", recompute="full") == pytest.approx(plain * 4 / 3)
    assert step_flop(known, TRILLION, 2048, 1, kind="hardware", recompute="none") == plain


def test_formulas_that_hold_recomputation_do_not_count_it_twice() -> None:
    known = convention("96Bslh^2")
    assert known is not None
    hardware = step_flop(known, TRILLION, 2048, 1, kind="hardware", recompute="full")
    assert hardware == step_flop(known, TRILLION, 2048, 1, kind="model", recompute="none")
