"""What the flows of a job achieve on links between zones, alone and beside each other."""

import operator

import numpy as np

from crosszone.core.cluster import ZoneLink
from crosszone.core.tables import Bools, Floats, Numeric

SEGMENT_BYTES = 1448.0
"""TCP payload of a 1500-byte Ethernet frame with time stamps. Source: RFC 7323, appendix A."""
MATHIS_CONSTANT = 1.22
"""sqrt(3/2), where every segment counts as acknowledged, as in Linux; 0.87 = sqrt(3/4) for a stack that counts
delayed acknowledgements. Source: Mathis, Semke, Mahdavi, Ott 1997, eq. 3 and table 1."""
CUBIC_CONSTANT = 1.054
"""(C (3 + b) / (4 (1 - b)))^(1/4) with C = 0.4 and b = 0.7, in seconds^(-3/4). Source: RFC 9438, sec. 5.2, eq. 6."""
DEFAULT_CONGESTION_CONTROL = "cubic"
"""Where the job file names none: Linux's since 2.6.19. Source: RFC 9438, sec. 1."""
INITIAL_WINDOW_BYTES = 10.0 * SEGMENT_BYTES
"""What a new connection, or one that was idle, may send before the first acknowledgement. Source: RFC 6928, sec. 2;
after idling RFC 5681, sec. 4.1, which Linux follows (`tcp_slow_start_after_idle` is on by default)."""
DEFAULT_WINDOW_BYTES = 2.623e6
"""What one TCP flow of a Linux host with default buffers keeps on the way. Median of the 12 wide-area routes between
America, Europe and Asia on GCP's backbone (experiment 1-4), 2.4 to 2.8 MB; the 25 other routes, Australia among them,
are within 3.4 % (median), 11 % at worst. Source: iperf logs of Erben, Mayer, Jacobsen 2023
(github.com/cirquit/hivemind-multi-cloud), April 2023. It stands for no `window` that a job file leaves out; who knows
that hosts are untuned writes it."""


rate_facts = operator.attrgetter(
    "bytes_per_second", "node_bytes_per_second", "flow_bytes_per_second", "window_bytes", "num_streams",
    "latency_seconds", "loss_fraction", "congestion_control",
)  # fmt: skip
"""All of a link that its rates depend on: links of which it is equal are equally fast."""


def flow_bytes_per_second(link: ZoneLink) -> float:
    """What one flow can carry: the least of its cap, window / RTT, and the loss limit; infinite where none is known.

    A flow has at most `window_bytes` on the way, so that rate <= window / RTT (RFC 7323, sec. 1.1).
    """
    rtt_seconds = 2.0 * link.latency_seconds
    caps = [link.flow_bytes_per_second or np.inf]
    if rtt_seconds > 0.0:
        if link.window_bytes:
            caps.append(link.window_bytes / rtt_seconds)
        if link.loss_fraction:
            control = link.congestion_control or DEFAULT_CONGESTION_CONTROL
            caps.append(float(loss_bytes_per_second(link.loss_fraction, rtt_seconds, control)))
    return min(caps)


def loss_bytes_per_second(loss_fraction: Numeric, rtt_seconds: Numeric, congestion_control: str) -> Floats:
    """What loss leaves to one flow, by the average window over the RTT.

        reno:  MSS / RTT * 1.22 / sqrt(p)
        cubic: MSS / RTT * max(1.22 / sqrt(p), 1.054 * (RTT / p)^(3/4)): never below Reno in its friendly region
        bbr:   not bound by loss; it follows the measured rate

    Assumes: losses are rare and periodic; the window is not what binds. Source: Mathis et al. 1997; RFC 9438, sec.
    4.3 and 5.2; Cardwell et al. 2016 (BBR).
    """
    p, rtt = np.asarray(loss_fraction, dtype=float), np.asarray(rtt_seconds, dtype=float)
    if congestion_control == "bbr":
        return np.full(np.broadcast(p, rtt).shape, np.inf)
    segments = MATHIS_CONSTANT / np.sqrt(p)
    if congestion_control == "cubic":
        segments = np.maximum(segments, CUBIC_CONSTANT * (rtt / p) ** 0.75)
    return np.asarray(SEGMENT_BYTES * segments / rtt)


def link_bytes_per_second(link: ZoneLink, *, num_nodes: Numeric, num_flows: Numeric) -> Floats:
    """What all flows of the job achieve together, one direction.

    The least of the path's bandwidth, `num_nodes` * cap per node, and `num_flows` * cap per flow. `num_nodes` counts
    the nodes that send on the smaller side. NaN where no cap is known.
    """
    streams = link.num_streams or 1
    caps = [
        np.asarray(link.bytes_per_second or np.inf, dtype=float),
        np.asarray(num_nodes, dtype=float) * (link.node_bytes_per_second or np.inf),
        np.asarray(num_flows, dtype=float) * streams * flow_bytes_per_second(link),
    ]
    least = np.minimum.reduce(np.broadcast_arrays(*caps))
    return np.where(np.isfinite(least), least, np.nan)


def best_num_streams(*, cap_bytes_per_second: Numeric, stream_bytes_per_second: Numeric, num_flows: Numeric) -> Floats:
    """Fewest parallel streams for each of `num_flows` flows with which they fill the link: ceil(cap / (flows * rate)).

    1 where one stream is not bound at all.
    """
    one = np.asarray(num_flows, dtype=float) * stream_bytes_per_second
    return np.maximum(np.ceil(np.asarray(cap_bytes_per_second, dtype=float) / one - 1e-9), 1.0)


def slow_start_seconds(
    message_bytes: Numeric, *, bytes_per_second: Numeric, rtt_seconds: Numeric, num_flows: Numeric
) -> Floats:
    """What a message takes longer because its flows start from the initial window and double it every round trip.

    Round r sends w 2^r bytes, with w the initial window, and then waits RTT - w 2^r / f for acknowledgements, f being
    the rate of one flow. A message of x bytes per flow takes K = ceil(log2(x / w + 1)) rounds and waits after all but
    the last, until a window fills the round trip:
        T = P * RTT - (2^P - 1) * w / f,  P = min(K - 1, ceil(log2(f * RTT / w)))
    With more bytes per second, transfer and slow start together are never longer.
    `num_flows` flows, streams counted, carry equal parts. A flow is warm, and waits for none of this, while messages
    follow each other within its retransmission time-out (a round trip and 0.2 s, Linux), as microbatches do.
    Assumes: no loss before the rate is reached. Source: Cardwell, Savage, Anderson 2000, sec. III; RFC 5681, sec. 3.1.
    """
    flows, rtt = np.asarray(num_flows, dtype=float), np.asarray(rtt_seconds, dtype=float)
    rate, size = np.asarray(bytes_per_second, dtype=float) / flows, np.asarray(message_bytes, dtype=float) / flows
    rounds = np.ceil(np.log2(size / INITIAL_WINDOW_BYTES + 1.0)) - 1.0
    to_fill = np.ceil(np.log2(np.maximum(rate * rtt / INITIAL_WINDOW_BYTES, 1.0)))
    waits = np.maximum(np.minimum(rounds, to_fill), 0.0)
    return np.asarray(np.maximum(waits * rtt - (2.0**waits - 1.0) * INITIAL_WINDOW_BYTES / rate, 0.0))


def slowest_of_seconds(jitter_seconds: Numeric, num_draws: Numeric) -> Floats:
    """How much later than their mean the slowest of n messages arrives: jitter * (1/2 + 1/3 + ... + 1/n).

    Delays beyond the shortest are taken as independent and exponential, with `jitter_seconds` as standard deviation;
    the largest of n such has the mean jitter * (1 + 1/2 + ... + 1/n), of which the mean delay holds the first.
    Source: Renyi's representation (David and Nagaraja, Order Statistics, 2003, sec. 2.5); exponential tails of queueing
    delay: Bolot 1993, sec. 4.
    """
    n = np.maximum(np.asarray(num_draws), 1).astype(np.int64)
    harmonic = np.cumsum(1.0 / np.arange(1, int(n.max(initial=1)) + 1))
    return np.asarray(jitter_seconds * (harmonic[n - 1] - 1.0))


def max_min_rates(caps: Floats, uses: Bools, capacities: Floats, weights: Numeric = 1.0) -> Floats:
    """Fair rates of flows that share resources: none can grow unless one that has less per weight shrinks.

    `caps` [..., flow] is what each would take alone, `uses` [flow, resource], `capacities` [..., resource], `weights`
    broadcasts to `caps` (a group of n TCP flows weighs n). Progressive filling: all rates rise together, in proportion
    to their weights; those that reach their cap, or whose resource is full, stop. NaN caps stay NaN and take nothing.
    Source: Bertsekas, Gallager 1992, Data Networks, sec. 6.5.2.
    """
    caps = np.asarray(caps, dtype=float)
    free = ~np.isnan(caps)
    weight = np.broadcast_to(np.asarray(weights, dtype=float), caps.shape)
    uses_float = uses.astype(float)
    flow, resource = np.nonzero(np.column_stack([uses, np.ones(len(uses), dtype=np.bool_)]))  # all use one without end
    first = np.searchsorted(flow, np.arange(len(uses)))
    rates = np.zeros(caps.shape)
    while free.any():
        load = (free * weight) @ uses_float
        left = np.maximum(capacities - np.where(np.isfinite(rates), rates, 0.0) @ uses_float, 0.0)
        level = np.where(load > 0.0, left / np.where(load > 0.0, load, 1.0), np.inf)
        endless = np.full((*level.shape[:-1], 1), np.inf)
        shared = np.minimum.reduceat(np.concatenate([level, endless], axis=-1)[..., resource], first, axis=-1)
        own = np.where(free, np.minimum(caps / weight, shared), np.inf)
        least = own.min(axis=-1, keepdims=True)
        stops = free & (own <= least * (1.0 + 1e-12))
        rates = np.where(stops, np.minimum(least * weight, caps), rates)
        free = free & ~stops
    return np.where(np.isnan(caps), caps, rates)
