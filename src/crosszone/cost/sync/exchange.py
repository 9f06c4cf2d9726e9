"""What a way to agree is given, and what it costs. Numbers or arrays that broadcast, one value per plan.

Letters of the formulas: T `compute_seconds`, H `every`, s the seconds of one whole exchange.
"""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Floats, Numeric

OUTER_TRAFFIC_BYTES = 24.0
"""Per parameter of an outer step with Nesterov momentum, all fp32: pseudogradient read; momentum and the last agreed
weights read and written; weights written. Source: arithmetic on Douillard et al. 2023 (arXiv 2311.08105), algorithm 1,
line 14."""
OUTER_STATE_BYTES = 8.0
"""Per parameter: outer momentum and the weights last agreed on, fp32. Source: the same; torchft keeps the latter on the
host unless told otherwise (torchft/local_sgd.py)."""
AGREED_BYTES = 4.0
"""Per parameter: the weights last agreed on, fp32, whose change is sent."""
PSEUDOGRADIENT_BYTES = 4.0
"""Per parameter: a difference of fp32 weights."""
LATE_OWN_FRACTION = 0.5
"""Of a zone's own weights that stays where what zones agree on comes late, after more inner steps. Source: Douillard et
al. 2025 (Streaming DiLoCo, arXiv 2501.18512), algorithm 2, for mixing the two. The half is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One whole agreement of the zones, and the compute beside it."""

    transfer_seconds: Numeric
    """Of its bytes over the slowest link."""
    latency_seconds: Numeric
    """Of its rounds."""
    codec_seconds: Numeric
    """Packing and unpacking, which takes the GPU itself and hides behind nothing."""
    outer_seconds: Numeric
    """The outer optimizer's step; 0 where there is none."""
    link_bytes: Numeric
    """On each link that is used."""
    window_seconds: Numeric
    """Backward compute of the last microbatch that is left to hide a step's gradients."""
    last_seconds: Numeric
    """Of the last bucket, which nothing hides."""
    compute_seconds: Numeric
    """T: an inner step with all that happens inside the zones."""
    every: int
    """H: inner steps from one agreement to the next."""
    num_fragments: int = 1
    """Parts that are exchanged in turn."""
    num_delay_steps: int = 0
    """Inner steps that an exchange may take beside compute."""

    @property
    def seconds(self) -> Floats:
        """s: transfer and latency."""
        return np.asarray(self.transfer_seconds, dtype=float) + self.latency_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCost:
    """Per mean inner step."""

    exposed_seconds: Floats
    total_seconds: Floats
    """Exposed and hidden."""
    link_bytes: Floats
    """Mean over the inner steps from one agreement to the next."""
    peak_bytes_per_second: Floats
    """On a link while it exchanges: as fast as it goes, or as fast as the time beside compute asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Bytes of one parameter's own state on a rank."""

    weight_bytes: float
    """Of the weights that the optimizer updates."""
    gradient_bytes: float
    """As they are summed."""
    reduction_bytes: float
    """As they are sent."""
    num_fragments: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Bytes of one parameter that a rank keeps to agree."""

    state: float = 0.0
    """All the time: on the GPU, or on the host where the optimizer's states are offloaded."""
    host: float = 0.0
    """All the time, on the host."""
    passing: float = 0.0
    """While zones exchange, when activations are gone."""


def blocking(exchange: Exchange) -> SyncCost:
    """All of it waited for, but for what window or delay hides of each exchange, once in H steps."""
    hidden = np.minimum(exchange.num_delay_steps, exchange.every) * np.asarray(exchange.compute_seconds, dtype=float)
    waited = np.maximum(exchange.seconds - hidden, 0.0)
    extra = np.asarray(exchange.codec_seconds, dtype=float) + exchange.outer_seconds
    return spread(exchange, waited + extra, beside_seconds=hidden)


def spread(exchange: Exchange, exposed_seconds: Floats, *, beside_seconds: Numeric) -> SyncCost:
    """`exposed_seconds` of one exchange as the mean of H inner steps; it may take `beside_seconds` beside compute."""
    extra = np.asarray(exchange.codec_seconds, dtype=float) + exchange.outer_seconds
    moved = np.asarray(exchange.link_bytes, dtype=float)
    taken = np.maximum(exchange.transfer_seconds, beside_seconds)
    return SyncCost(
        exposed_seconds=exposed_seconds / exchange.every,
        total_seconds=np.maximum(exchange.seconds + extra, exposed_seconds) / exchange.every,
        link_bytes=moved / exchange.every,
        peak_bytes_per_second=np.where(taken > 0.0, moved / np.where(taken > 0.0, taken, 1.0), 0.0),
    )


def in_step(exchange: Exchange) -> SyncCost:
    """Gradients sent while the backward still runs: what its window does not hide, and the last bucket at least."""
    waited = np.maximum(exchange.seconds - exchange.window_seconds, exchange.last_seconds)
    waited = np.where(exchange.seconds > 0.0, waited, 0.0)
    return spread(exchange, waited + np.asarray(exchange.codec_seconds), beside_seconds=0.0)


def stated(exchange: Exchange, hidden_fraction: float) -> SyncCost:
    """A share of the exchange is hidden because somebody says so; but no link carries more than its bytes in a step.

    The bytes of one exchange pass in H inner steps and what they are waited for: exposed >= transfer - H T.
    """
    waited = (1.0 - hidden_fraction) * exchange.seconds
    between = exchange.every * np.asarray(exchange.compute_seconds, dtype=float)
    waited = np.maximum(waited, np.asarray(exchange.transfer_seconds) - between)
    extra = np.asarray(exchange.codec_seconds, dtype=float) + exchange.outer_seconds
    return spread(exchange, waited + extra, beside_seconds=hidden_fraction * exchange.seconds)


def batch_effect(every: int) -> str:
    """What agreeing on the gradients of H steps at once does."""
    if every == 1:
        return "none: every step is that of one cluster"
    return f"the optimizer steps once in {every} steps, on a batch {every} times as large"


def steps_text(every: int) -> str:
    """ "1 step", "30 steps"."""
    return "1 step" if every == 1 else f"{every} steps"
