"""Streaming DiLoCo: parts of the model in turn, each exchanged beside the next inner steps."""

import numpy as np

from crosszone.cost.sync.diloco import loss_ratio
from crosszone.cost.sync.exchange import (
    OUTER_STATE_BYTES,
    PSEUDOGRADIENT_BYTES,
    Exchange,
    Held,
    State,
    SyncCost,
    spread,
    steps_text,
)

NAME = "streaming_diloco"
STREAM = "pseudogradients"
IS_LOCAL = True
IS_FLAT = False
HAS_OUTER_STEP = True
OUTER_LEARNING_RATE, OUTER_MOMENTUM = 0.7, 0.9
"""Source: Douillard et al. 2023 (DiLoCo, arXiv 2311.08105), sec. 3.1."""
ALLOWS = "local_sgd"
DEFAULT_DELAY_STEPS = 1
TRIED_EVERY = (30, 100)
"""What was trained with little loss. Source: Douillard et al. 2025, fig. 3 and table 1."""
LAYERS_PER_FRAGMENT = 3
"""Where nobody says how many fragments. Source: Douillard et al. 2025, table 4."""
FORMULA = "(max(F * max(transfer / F + latency - delay * T, 0), transfer - every * T) + codec + outer step) / every"
SOURCE = "Douillard et al. 2025 (Streaming DiLoCo, arXiv 2501.18512), algorithm 2 and appendix A.2"
EFFECT_SOURCE = "Douillard et al. 2025, 1B model; Charles et al. 2025 (arXiv 2503.09799), H = 30"


def cost(exchange: Exchange) -> SyncCost:
    """Each of F fragments must arrive within the delay: bandwidth >= fragment / (delay * T); else compute waits.

    On average a link carries bytes / (H T); all fragments together must fit in H steps. A fragment's transfer sets the
    peak, the whole model's the mean.
    """
    compute = np.asarray(exchange.compute_seconds, dtype=float)
    parts, transfer = exchange.num_fragments, np.asarray(exchange.transfer_seconds, dtype=float)
    hidden = min(exchange.num_delay_steps, exchange.every) * compute
    late = parts * np.maximum(transfer / parts + exchange.latency_seconds - hidden, 0.0)
    late = np.maximum(late, np.maximum(transfer - exchange.every * compute, 0.0))
    extra = np.asarray(exchange.codec_seconds, dtype=float) + exchange.outer_seconds
    whole = spread(exchange, late + extra, beside_seconds=np.minimum(parts * hidden, exchange.every * compute))
    rounds = (parts - 1.0) * np.asarray(exchange.latency_seconds) / exchange.every
    return SyncCost(
        exposed_seconds=whole.exposed_seconds,
        total_seconds=np.maximum(whole.total_seconds + rounds, whole.exposed_seconds),
        link_bytes=whole.link_bytes,
        peak_bytes_per_second=whole.peak_bytes_per_second,
    )


def held(state: State) -> Held:
    """Outer momentum and agreed weights on the host; those of one fragment, and its pseudogradient, on the GPU."""
    fragment = (OUTER_STATE_BYTES + PSEUDOGRADIENT_BYTES) / state.num_fragments
    return Held(state=fragment, host=OUTER_STATE_BYTES)


def effect(num_zones: int, every: int) -> str:
    """The fitted loss of DiLoCo, and what was measured."""
    return (
        f"{num_zones} zones step by themselves and agree on each part every {steps_text(every)}: the fitted loss of "
        f"DiLoCo is {100.0 * (loss_ratio(num_zones) - 1.0):.1f} % above that of one group of the same batch; a 1B "
        "model with parts of 3 layers every 100 steps in 4 bits ended at 2.50, data parallel at 2.49"
    )
