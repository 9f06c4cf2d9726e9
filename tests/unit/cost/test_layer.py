"""Time of a layer: what each piece follows from, and the laws that hold whatever constants are fitted."""

from dataclasses import replace

import numpy as np
import pytest

from crosszone.core.model import LayerKind, Model
from crosszone.cost.collectives import Path, all_gather_seconds, all_reduce_seconds, all_to_all_seconds
from crosszone.cost.flop import attention_flop
from crosszone.cost.layer import FLASH_BACKWARD_FLOP_RATIO, LayerCost, Pass, edge_cost, layer_cost

DENSE = LayerKind(is_moe=False, window_size=None)
SPARSE = LayerKind(is_moe=True, window_size=None)
NETWORK = Path(
    fabric_bytes_per_second=100e9,
    network_bytes_per_second=10e9,
    fabric_latency_seconds=1e-5,
    network_latency_seconds=1e-4,
)


def one(values: np.ndarray) -> float:
    return float(np.ravel(values)[0])


def both(cost: LayerCost) -> tuple[Pass, Pass]:
    return cost.forward, cost.backward


def test_the_total_is_the_sum_of_the_pieces(llama: Model, workload, keys) -> None:
    cost = layer_cost(llama, DENSE, workload(), keys(tp=4, cp=2, launch_seconds=1e-3))
    for part in both(cost):
        pieces = (part.gemm, part.attention, part.elementwise, part.launch, part.tp, part.cp, part.ep)
        assert one(part.total) == pytest.approx(sum(one(piece) for piece in pieces))
        assert one(part.compute + part.communication) == pytest.approx(one(part.total))
        assert all(one(piece) >= 0.0 for piece in pieces)


@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_backward_is_no_faster_than_forward(llama: Model, mixtral: Model, workload, keys, tp: int) -> None:
    for model, kind in ((llama, DENSE), (mixtral, SPARSE)):
        for attention in ("flash", "unfused"):
            forward, backward = both(layer_cost(model, kind, workload(attention=attention), keys(tp=tp)))
            for name in ("gemm", "attention", "elementwise", "total"):
                assert one(getattr(backward, name)) >= one(getattr(forward, name))


def test_more_tensor_parallelism_leaves_less_to_compute(llama: Model, workload, keys) -> None:
    cost = layer_cost(llama, DENSE, workload(), keys(tp=np.array([1.0, 2.0, 4.0, 8.0])))
    for part in both(cost):
        assert np.all(np.diff(part.gemm) < 0.0)
        assert np.all(np.diff(part.attention) < 0.0)
        assert np.all(np.diff(part.elementwise) < 0.0)


def test_sequence_parallelism_divides_what_is_not_in_products(llama: Model, workload, keys) -> None:
    whole, divided = (
        layer_cost(llama, DENSE, workload(), keys(tp=4, sequence_parallel=flag)) for flag in (False, True)
    )
    assert one(divided.forward.elementwise) < one(whole.forward.elementwise)
    # The two halves of an all-reduce take as long as the whole.
    assert one(divided.forward.tp) == one(whole.forward.tp)


def test_flash_attention_by_its_flop(llama: Model, workload, keys) -> None:
    cost = layer_cost(llama, DENSE, workload(), keys(microbatch_size=2, tp=4))
    flop = 2 / 4 * attention_flop(llama, DENSE, 4096)
    assert one(cost.forward.attention) == pytest.approx(flop / 100e12)
    assert one(cost.backward.attention) == pytest.approx(FLASH_BACKWARD_FLOP_RATIO * flop / 100e12)
    assert one(cost.attention_again) == one(cost.forward.attention)


def test_unfused_attention_is_slower_and_the_more_so_for_long_sequences(llama: Model, workload, keys) -> None:
    ratios = []
    for length in (1024, 4096, 16384):
        fused, unfused = (
            layer_cost(llama, DENSE, workload(sequence_length=length, attention=kind), keys())
            for kind in ("flash", "unfused")
        )
        ratios.append(one(unfused.forward.attention) / one(fused.forward.attention))
        assert one(unfused.backward.attention) > one(fused.backward.attention)
    assert all(ratio > 1.5 for ratio in ratios)
    gaps = [ratio * length for ratio, length in zip(ratios, (1024, 4096, 16384), strict=True)]
    assert gaps == sorted(gaps)


def test_a_window_shortens_attention_alone(llama: Model, workload, keys) -> None:
    local = LayerKind(is_moe=False, window_size=512)
    whole, short = (layer_cost(llama, kind, workload(), keys()) for kind in (DENSE, local))
    assert one(short.forward.attention) < one(whole.forward.attention) / 3
    assert one(short.forward.gemm) == one(whole.forward.gemm)


def test_a_tiny_layer_takes_what_its_launch_takes(llama: Model, workload, keys) -> None:
    tiny = replace(llama, hidden_size=64, ffn_size=128, num_heads=1, num_kv_heads=1, head_size=64)
    once, twice = (
        layer_cost(tiny, DENSE, workload(sequence_length=64), keys(launch_seconds=seconds)) for seconds in (2e-4, 4e-4)
    )
    assert 2e-4 <= one(once.forward.total) < 3e-4
    assert one(once.forward.launch) > 0.9 * one(once.forward.total)
    for slow, fast in zip(both(twice), both(once), strict=True):
        assert one(slow.total) == pytest.approx(2 * one(fast.total), rel=0.01)


def test_a_large_layer_hides_its_launch(llama: Model, workload, keys) -> None:
    quick, slow = (
        layer_cost(llama, DENSE, workload(), keys(microbatch_size=8, launch_seconds=seconds)) for seconds in (0.0, 1e-3)
    )
    assert one(quick.forward.launch) == pytest.approx(0.0, abs=1e-12)
    assert one(slow.forward.total) < one(quick.forward.total) + 0.5e-3


def test_tensor_parallel_communication_is_two_all_reduces_each_way(llama: Model, workload, keys) -> None:
    cost = layer_cost(llama, DENSE, workload(), keys(tp=8, path=NETWORK))
    expected = 2 * one(all_reduce_seconds(8, 8, 4096 * 4096 * 2.0, NETWORK))
    assert one(cost.forward.tp) == one(cost.backward.tp) == pytest.approx(expected)
    assert one(layer_cost(llama, DENSE, workload(), keys(path=NETWORK)).forward.tp) == 0.0


def test_tensor_parallelism_beyond_the_fabric_uses_the_network(llama: Model, workload, keys) -> None:
    inside, across = (
        layer_cost(llama, DENSE, workload(), keys(tp=8, domain_size=size, path=NETWORK)) for size in (8, 4)
    )
    assert one(across.forward.tp) > one(inside.forward.tp)


def test_what_overlaps_is_not_exposed(llama: Model, workload, keys) -> None:
    whole, half = (
        layer_cost(llama, DENSE, workload(), keys(tp=8, tp_overlap_fraction=share, path=NETWORK))
        for share in (0.0, 0.5)
    )
    assert one(half.forward.tp) == pytest.approx(one(whole.forward.tp) / 2)
    assert one(half.forward.tp + half.forward.tp_overlapped) == pytest.approx(one(whole.forward.tp))


def test_a_ring_of_keys_and_values_hides_behind_attention(llama: Model, workload, keys) -> None:
    # Short sequences have too little attention to hide it, long ones hide all of it (Liu et al. 2023, sec. 3).
    exposed = [
        one(layer_cost(llama, DENSE, workload(sequence_length=length), keys(cp=4, path=NETWORK)).forward.cp)
        for length in (1024, 262144)
    ]
    assert exposed[0] > 0.0
    assert exposed[1] == 0.0


def test_exposed_context_communication_is_the_ring_less_attention(llama: Model, workload, keys) -> None:
    length = 1024
    cost = layer_cost(llama, DENSE, workload(sequence_length=length), keys(cp=4, path=NETWORK))
    ring = one(all_gather_seconds(4, 4, length * 2 * 32 * 128 * 2.0, NETWORK))
    assert one(cost.forward.cp) == pytest.approx(ring - one(cost.forward.attention))
    assert one(cost.backward.cp) == pytest.approx(2 * ring - one(cost.backward.attention))


def test_tokens_travel_to_their_experts_and_back(mixtral: Model, workload, keys) -> None:
    cost = layer_cost(mixtral, SPARSE, workload(), keys(ep=8, path=NETWORK))
    expected = 2 * one(all_to_all_seconds(8, 8, 4096 * 4096 * 2.0 * 2, NETWORK))
    assert one(cost.forward.ep) == one(cost.backward.ep) == pytest.approx(expected)
    assert one(layer_cost(mixtral, SPARSE, workload(), keys(path=NETWORK)).forward.ep) == 0.0
    assert one(layer_cost(mixtral, DENSE, workload(), keys(ep=8, path=NETWORK)).forward.ep) == 0.0


def test_faster_hardware_is_never_slower(llama: Model, workload, keys) -> None:
    base = layer_cost(llama, DENSE, workload(), keys(tp=2, path=NETWORK))
    for name in (
        "gemm_flop_per_second",
        "attention_flop_per_second",
        "attention_backward_flop_per_second",
        "memory_bytes_per_second",
    ):
        rate = 1e12 if name == "memory_bytes_per_second" else 100e12
        better = layer_cost(llama, DENSE, workload(), keys(tp=2, path=NETWORK, **{name: 2 * rate}))
        for fast, slow in zip(both(better), both(base), strict=True):
            assert one(fast.total) <= one(slow.total)


def test_narrow_products_are_cast_first(llama: Model, workload, keys) -> None:
    # Same rates: what fp8 adds is the cast of the operands.
    wide, narrow = (layer_cost(llama, DENSE, workload(precision), keys()) for precision in ("bf16", "fp8"))
    for slow, fast in zip(both(narrow), both(wide), strict=True):
        assert one(slow.elementwise) > one(fast.elementwise)
        assert one(slow.attention) == one(fast.attention)


def test_a_row_is_what_it_is_alone(llama: Model, workload, keys) -> None:
    many = layer_cost(llama, DENSE, workload(), keys(tp=np.array([1.0, 4.0]), cp=np.array([2.0, 1.0])))
    alone = layer_cost(llama, DENSE, workload(), keys(tp=4))
    assert float(many.backward.total[1]) == pytest.approx(one(alone.backward.total))


def test_the_head_is_a_product_over_the_vocabulary(llama: Model, workload, keys) -> None:
    edge = edge_cost(llama, workload(), keys(tp=4))
    least = 2 * 4096 * 4096 * 32000 / 4 / 100e12
    assert least <= one(edge.head_forward) < 2 * least
    assert one(edge.head_backward) >= 2 * least
    # Ten bytes a logit at 1 TB/s.
    assert one(edge.loss) == pytest.approx(4096 * 32000 / 4 * 10 / 1e12)


def test_an_embedding_moves_rows(llama: Model, workload, keys) -> None:
    edge = edge_cost(llama, workload(), keys(microbatch_size=2))
    assert one(edge.embedding_forward) == pytest.approx(2 * (2 * 4096 * 4096 * 2) / 1e12)
    assert one(edge.embedding_backward) == pytest.approx(2 * one(edge.embedding_forward))
