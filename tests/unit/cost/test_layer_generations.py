"""What older software adds to a layer: unfused norms, slow rings, stalls, waits for counts of tokens."""

import numpy as np
import pytest

from crosszone.core.model import LayerKind
from crosszone.cost.layer import (
    BACKWARD_LAUNCH_RATIO,
    NORM_BACKWARD_RATIO,
    RING_COLLECTIVES,
    layer_cost,
)

DENSE = LayerKind(is_moe=False, window_size=None)
SPARSE = LayerKind(is_moe=True, window_size=None)


def one(values: np.ndarray) -> float:
    return float(np.atleast_1d(values)[0])


def test_unfused_norms_move_bytes_per_hidden_element(llama, workload, keys) -> None:
    fused, unfused = (layer_cost(llama, DENSE, workload(), keys(norm_traffic_bytes=size)) for size in (0.0, 72.0))
    seconds = 72.0 * 4096 * 4096 / 1e12  # bytes x tokens x hidden size over 1 TB/s
    assert one(unfused.forward.elementwise - fused.forward.elementwise) == pytest.approx(seconds)
    more = one(unfused.backward.elementwise - fused.backward.elementwise)
    assert more == pytest.approx(NORM_BACKWARD_RATIO * seconds)


def test_only_sequence_parallelism_divides_norms(llama, workload, keys) -> None:
    def added(parallel: bool) -> float:
        pair = [
            layer_cost(llama, DENSE, workload(), keys(tp=4, sequence_parallel=parallel, norm_traffic_bytes=size))
            for size in (0.0, 72.0)
        ]
        return one(pair[1].forward.elementwise - pair[0].forward.elementwise)

    assert added(False) == pytest.approx(4 * added(True))


@pytest.mark.parametrize(("tp", "steps"), [(8, 0), (16, 15), (32, 31)])
def test_a_ring_that_leaves_the_node_pays_for_each_step(llama, workload, keys, tp: int, steps: int) -> None:
    free, slow = (layer_cost(llama, DENSE, workload(), keys(tp=tp, tp_step_seconds=step)) for step in (0.0, 1e-5))
    assert one(slow.forward.tp - free.forward.tp) == pytest.approx(RING_COLLECTIVES * steps * 1e-5)


def test_a_stall_is_a_floor_under_short_layers_that_long_ones_hide(llama, workload, keys) -> None:
    def total(stall: float, size: float) -> float:
        cost = layer_cost(llama, DENSE, workload(), keys(microbatch_size=size, stall_seconds=stall))
        return one(cost.forward.total)

    short = total(0.0, 1)
    assert total(10 * short, 1) == pytest.approx(10 * short, rel=0.01)
    assert total(short, 64) == pytest.approx(total(0.0, 64), rel=0.01)


def test_waiting_for_counts_of_tokens_adds_up(mixtral, workload, keys) -> None:
    free, waits = (layer_cost(mixtral, SPARSE, workload(), keys(expert_launch_seconds=wait)) for wait in (0.0, 1e-3))
    assert one(waits.forward.total - free.forward.total) == pytest.approx(1e-3)
    assert one(waits.backward.total - free.backward.total) == pytest.approx(BACKWARD_LAUNCH_RATIO * 1e-3)
    dense = layer_cost(mixtral, DENSE, workload(), keys(expert_launch_seconds=1e-3))
    assert one(dense.forward.total) == one(layer_cost(mixtral, DENSE, workload(), keys()).forward.total)


def test_hidden_expert_messages_are_not_paid(mixtral, workload, keys) -> None:
    whole, part = (layer_cost(mixtral, SPARSE, workload(), keys(ep=8, ep_overlap_fraction=x)) for x in (0.0, 0.7))
    assert one(part.forward.ep) == pytest.approx(0.3 * one(whole.forward.ep))


def test_a_token_that_crosses_once_crosses_less(mixtral, workload, keys) -> None:
    """Two experts on two nodes: 3/4 of the two copies are distinct (2 * (1 - 1/4) = 1.5 nodes a token)."""
    every, once = (
        layer_cost(mixtral, SPARSE, workload(), keys(ep=8, domain_size=4, sends_token_once=flag)) for flag in (0, 1)
    )
    assert one(once.forward.ep) == pytest.approx(0.75 * one(every.forward.ep))
