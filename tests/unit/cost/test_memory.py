"""Memory: the tables of ZeRO and of selective recomputation, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from crosszone.core.model import LayerKind, Model
from crosszone.core.workload import Workload
from crosszone.cost.memory import (
    TIGHT_FRACTION,
    ActivationBytes,
    KeptElements,
    activation_bytes,
    logit_buffer_bytes,
    state_bytes,
    verdict,
)

DENSE = LayerKind(is_moe=False, window_size=None)
SPARSE = LayerKind(is_moe=True, window_size=None)


def kept(
    model: Model, of: Workload, kind: LayerKind = DENSE, *, b: int = 1, tp: int = 1, cp: int = 1, sp: bool = False
):
    """(none, selective, full, working) bytes of one layer."""
    found = activation_bytes(model, kind, of, microbatch_size=b, tp=tp, cp=cp, sequence_parallel=np.array(sp))
    return tuple(float(size) for size in (*found.kept, found.working))


def test_mixed_precision_adam_is_16_bytes_a_parameter(workload) -> None:
    # Rajbhandari et al. 2020, sec. 3.1: 2 + 2 + K with K = 12, gradients in 16 bits.
    dtypes = replace(workload().dtypes, gradients="bf16")
    sizes = state_bytes(workload(dtypes=dtypes), weights_are_master=False)
    assert (sizes.weight, sizes.gradient, sizes.optimizer) == (2, 2, 12)


def test_fp32_gradients_make_it_18(workload) -> None:
    # Megatron-LM keeps main_grad in fp32: 2 + 4 + 12.
    sizes = state_bytes(workload(), weights_are_master=False)
    assert (sizes.weight, sizes.gradient, sizes.optimizer, sizes.gathered_weight) == (2, 4, 12, 2)


def test_where_the_weights_are_the_master_there_is_no_second_copy(workload) -> None:
    # FSDP mixed precision: fp32 weights, cast as they are gathered: 4 + 4 + 8.
    sizes = state_bytes(workload(), weights_are_master=True)
    assert (sizes.weight, sizes.gradient, sizes.optimizer, sizes.gathered_weight) == (4, 4, 8, 2)


def test_fp32_training_is_16_bytes_without_copies(workload) -> None:
    for is_master in (False, True):
        sizes = state_bytes(workload("fp32"), weights_are_master=is_master)
        assert (sizes.weight, sizes.gradient, sizes.optimizer, sizes.gathered_weight) == (4, 4, 8, 4)


@pytest.mark.parametrize(("optimizer", "bytes_each"), [("sgd", 4), ("momentum", 8), ("lion", 8), ("adam", 12)])
def test_optimizers_keep_their_moments(workload, optimizer: str, bytes_each: float) -> None:
    assert state_bytes(workload(optimizer=optimizer), weights_are_master=False).optimizer == bytes_each


def test_moments_in_bf16_halve(workload) -> None:
    dtypes = replace(workload().dtypes, moments="bf16")
    assert state_bytes(workload(dtypes=dtypes), weights_are_master=False).optimizer == 4 + 2 + 2


def test_a_gpt_layer_keeps_what_korthikanti_2022_says(gpt3: Model, workload) -> None:
    # Eq. 1: sbh(34 + 5as/h), less 2sbh of dropout masks outside attention, and 8 bytes of statistics a head and token.
    s, b, h, a = 2048, 4, gpt3.hidden_size, gpt3.num_heads
    unfused = workload(sequence_length=s, attention="unfused")
    none, selective, full, working = kept(gpt3, unfused, b=b)
    statistics = 8 * a * s * b
    assert none == s * b * h * (32 + 5 * a * s / h) + statistics
    assert selective == s * b * h * 32 + statistics
    assert full == 2 * s * b * h
    assert working == none


@pytest.mark.parametrize("t", [2, 8])
def test_tensor_parallelism_leaves_ten_and_sequence_parallelism_nothing(gpt3: Model, workload, t: int) -> None:
    # Eq. 2: sbh(10 + 24/t + 5as/ht), of which 2 are the masks: 8 stay whole. Eq. 4: all of it divided by t.
    s, h, a = 2048, gpt3.hidden_size, gpt3.num_heads
    unfused = workload(sequence_length=s, attention="unfused")
    statistics = 8 * a * s / t
    assert kept(gpt3, unfused, tp=t)[0] == pytest.approx(s * h * (8 + 24 / t + 5 * a * s / (h * t)) + statistics)
    assert kept(gpt3, unfused, tp=t, sp=True)[0] == pytest.approx(s * h / t * (32 + 5 * a * s / h) + statistics)
    assert kept(gpt3, unfused, tp=t, sp=True)[2] == pytest.approx(2 * s * h / t)


def test_flash_attention_keeps_no_scores(gpt3: Model, workload) -> None:
    none, selective, _, _ = kept(gpt3, workload())
    assert none == selective


def test_a_gate_keeps_a_third_hidden_tensor(llama: Model, workload) -> None:
    more = kept(llama, workload())[0] - kept(replace(llama, gated_ffn=False), workload())[0]
    assert more == 2 * 4096 * llama.ffn_size


def test_grouped_queries_keep_less(llama: Model, workload) -> None:
    less = kept(llama, workload())[0] - kept(replace(llama, num_kv_heads=8), workload())[0]
    assert less == 2 * 4096 * 2 * 24 * 128


def test_recomputing_more_keeps_less(llama: Model, mixtral: Model, mla: Model, workload) -> None:
    for model, kind in ((llama, DENSE), (mixtral, SPARSE), (mla, DENSE)):
        for attention in ("flash", "unfused"):
            none, selective, full, working = kept(model, workload(attention=attention), kind)
            assert full < selective <= none <= working


def test_context_parallelism_divides_the_tokens(llama: Model, workload) -> None:
    whole, half = kept(llama, workload()), kept(llama, workload(), cp=2)
    assert half == pytest.approx([size / 2 for size in whole])


def test_experts_keep_what_was_sent_to_them(mixtral: Model, workload) -> None:
    # Two experts for a token: 2h dispatched and combined each, 3f each.
    tokens, h = 4096, mixtral.hidden_size
    dense = replace(mixtral, num_experts=0, ffn_size=0)
    more = kept(mixtral, workload(), SPARSE)[0] - kept(dense, workload())[0]
    assert more == tokens * 2 * (2 * 2 * h + 3 * 2 * 14336)


def test_fp32_activations_are_twice_as_large(llama: Model, workload) -> None:
    statistics = 8 * llama.num_heads * 4096
    narrow, wide = (kept(llama, workload(precision))[0] - statistics for precision in ("bf16", "fp32"))
    assert wide == 2 * narrow


def layer(model: Model, of: Workload, *, tp: int = 1, sp: bool = False, **elements: float) -> ActivationBytes:
    return activation_bytes(
        model,
        DENSE,
        of,
        microbatch_size=1,
        tp=tp,
        cp=1,
        sequence_parallel=np.array(sp),
        kept=KeptElements(**elements),
    )


@pytest.mark.parametrize("tp", [1, 4])
def test_eager_kernels_keep_more(llama: Model, workload, tp: int) -> None:
    # Of 4096 tokens, 2 bytes each: two norms, which tp leaves whole; the width of queries and FFN, which it divides.
    def more(**elements: float) -> float:
        return float(layer(llama, workload(), tp=tp, **elements).kept[0] - layer(llama, workload(), tp=tp).kept[0])

    assert more(norm=4) == pytest.approx(2 * 4096 * 2 * 4 * llama.hidden_size)
    assert more(attention=2) == pytest.approx(2 * 4096 * 2 * llama.num_heads * llama.head_size / tp)
    assert more(ffn=1) == pytest.approx(2 * 4096 * llama.ffn_size / tp)


def test_without_a_gate_there_is_no_fourth_tensor(gpt3: Model, workload) -> None:
    assert layer(gpt3, workload(), ffn=1).kept[0] == layer(gpt3, workload()).kept[0]


def test_scores_without_dropout_are_kept_once(gpt3: Model, workload) -> None:
    unfused = workload(attention="unfused")
    flash = float(layer(gpt3, workload()).kept[0])
    once, dropout = (float(layer(gpt3, unfused, score=score).kept[0]) - flash for score in (1.0, 2.5))
    assert once == 2 * gpt3.num_heads * 4096**2
    assert dropout == 2.5 * once


def test_a_backward_holds_the_gradients_of_one_ffn(llama: Model, workload) -> None:
    # Input and output whole on every rank, three hidden tensors divided.
    for tp, sp in ((1, False), (4, False), (4, True)):
        found = layer(llama, workload(), tp=tp, sp=sp)
        assert float(found.passing) == 2 * 4096 * (2 * llama.hidden_size + 3 * llama.ffn_size / tp)


def test_a_backward_holds_the_gradients_of_scores_where_they_are_more(gpt3: Model, workload) -> None:
    found = layer(gpt3, workload(attention="unfused"))
    assert float(found.passing) == 2 * 2 * gpt3.num_heads * 4096**2


def test_sequences_are_gathered_only_where_they_were_split(llama: Model, workload) -> None:
    assert float(layer(llama, workload(), tp=4, sp=True).gathered) == 2 * 4096 * llama.hidden_size
    assert float(layer(llama, workload(), tp=4).gathered) == 0
    assert float(layer(llama, workload(), sp=True).gathered) == 0


def test_gathered_logits_are_whole_on_every_rank(llama: Model, workload) -> None:
    def logits(tp: int) -> float:
        return float(
            logit_buffer_bytes(
                llama, workload(), microbatch_size=1, tp=tp, cp=1, logit_bytes=16.0, gathered_logit_bytes=6.0
            )
        )

    assert logits(4) == logits(2) == 4096 * 32000 * (16 + 6)
    assert logits(1) == 4096 * 32000 * 16


def test_logits_are_tokens_times_vocabulary(llama: Model, workload) -> None:
    found = logit_buffer_bytes(llama, workload(), microbatch_size=2, tp=4, cp=2, logit_bytes=6.0)
    assert float(found) == 2 * 4096 / 2 * 32000 / 4 * 6


def test_columns_broadcast(llama: Model, workload) -> None:
    found = activation_bytes(
        llama,
        DENSE,
        workload(),
        microbatch_size=np.array([1, 2, 1]),
        tp=np.array([1, 1, 8]),
        cp=1,
        sequence_parallel=np.array([False, False, True]),
    )
    assert found.kept[0].shape == (3,)
    assert found.kept[0][1] == 2 * found.kept[0][0]
    assert found.kept[0][2] == pytest.approx(found.kept[0][0] / 8)


def test_the_verdict_turns_at_the_capacity() -> None:
    assert verdict(80.0, 80.0) == "tight"
    assert verdict(80.0 + 1e-9, 80.0) == "does not fit"
    assert verdict(TIGHT_FRACTION * 80.0, 80.0) == "fits"
    assert verdict(TIGHT_FRACTION * 80.0 + 1e-6, 80.0) == "tight"
    assert verdict(0.0, 80.0) == "fits"
