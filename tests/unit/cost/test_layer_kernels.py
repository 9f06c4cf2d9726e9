"""Kernels that only some layers have: unfused attention, casts to narrow formats, gaps between kernels."""

from dataclasses import replace

import numpy as np
import pytest

from crosszone.core.model import LayerKind, Model
from crosszone.cost.layer import KERNEL_GAP_FRACTION, MAX_GAP_SECONDS, layer_cost

DENSE = LayerKind(is_moe=False, window_size=None)
GATHER = 1e-12
"""Seconds a byte at the 1 TB/s of the round GPU."""


def one(values: np.ndarray) -> float:
    return float(np.ravel(values)[0])


def test_unfused_attention_bound_by_memory_is_its_passes(llama: Model, workload, keys) -> None:
    # 6 and 8.5 passes of 2 bytes over 32 heads of 4096 x 4096 scores, where products cost nothing.
    cost = layer_cost(llama, DENSE, workload(attention="unfused"), keys(unfused_attention_flop_per_second=1e30))
    pass_seconds = 32 * 4096**2 * 2 * GATHER
    assert one(cost.forward.attention) == pytest.approx(6.0 * pass_seconds)
    assert one(cost.backward.attention) == pytest.approx(8.5 * pass_seconds)


def test_unfused_attention_bound_by_flop_pays_its_products_instead_of_their_passes(
    llama: Model, workload, keys
) -> None:
    # 256 FLOP a score and product at 10 TFLOP/s are slower than 2 bytes at 1 TB/s.
    cost = layer_cost(llama, DENSE, workload(attention="unfused"), keys(unfused_attention_flop_per_second=10e12))
    scores = 32 * 4096**2
    product, pass_seconds = scores * 256 / 10e12, scores * 2 * GATHER
    assert one(cost.forward.attention) == pytest.approx(2 * product + 4.0 * pass_seconds)
    assert one(cost.backward.attention) == pytest.approx(4 * product + 4.5 * pass_seconds)


def test_heads_of_96_cost_as_much_as_heads_of_128(llama: Model, workload, keys) -> None:
    rate = {"unfused_attention_flop_per_second": 10e12}
    narrow, full, wide = (
        one(
            layer_cost(
                replace(llama, head_size=size), DENSE, workload(attention="unfused"), keys(**rate)
            ).forward.attention
        )
        for size in (96, 128, 160)
    )
    assert narrow == full < wide


def test_narrow_products_pay_for_casting_their_operands(llama: Model, workload, keys) -> None:
    # 4 bytes for each of 2h + v + f elements a token forward, 2h + qkv + 2f backward.
    tokens, h, f = 4096, 4096, 11008
    wide, narrow = (layer_cost(llama, DENSE, workload(precision), keys()) for precision in ("bf16", "fp8"))
    forward = one(narrow.forward.elementwise - wide.forward.elementwise)
    backward = one(narrow.backward.elementwise - wide.backward.elementwise)
    assert forward == pytest.approx(4 * tokens * (2 * h + h + f) * GATHER)
    assert backward == pytest.approx(4 * tokens * (2 * h + 3 * h + 2 * f) * GATHER)


def test_tensor_parallel_ranks_cast_their_part(llama: Model, workload, keys) -> None:
    def casts(**changes: object) -> float:
        wide, narrow = (layer_cost(llama, DENSE, workload(name), keys(**changes)) for name in ("bf16", "fp8"))
        return one(narrow.forward.elementwise - wide.forward.elementwise)

    assert casts(tp=8, sequence_parallel=True) == pytest.approx(casts() / 8)
    assert casts(tp=8) > casts() / 8


def test_gaps_between_kernels_are_lost_even_where_the_gpu_is_slower(llama: Model, workload, keys) -> None:
    quick, issued = (
        layer_cost(llama, DENSE, workload(), keys(microbatch_size=16, launch_seconds=seconds))
        for seconds in (0.0, 3e-4)
    )
    added = one(issued.forward.total - quick.forward.total)
    assert added == pytest.approx(KERNEL_GAP_FRACTION * 3e-4, rel=0.01)


def test_a_slow_cpu_makes_no_more_gaps(llama: Model, workload, keys) -> None:
    quick, slow = (
        layer_cost(llama, DENSE, workload(), keys(microbatch_size=64, launch_seconds=seconds))
        for seconds in (0.0, 2e-3)
    )
    assert one(slow.forward.total - quick.forward.total) == pytest.approx(MAX_GAP_SECONDS, rel=0.05)
