"""What the flows of a job achieve on a link between zones."""

import numpy as np

from crosszone.core.cluster import ZoneLink
from crosszone.core.tables import Floats, Numeric

MATHIS_CONSTANT = 1.22
"""sqrt(3/2), for one acknowledgement per segment. Source: Mathis, Semke, Mahdavi, Ott 1997, eq. 3."""
SEGMENT_BYTES = 1448.0
"""TCP payload of a 1500-byte Ethernet frame with time stamps. Source: RFC 7323, appendix A."""


def flow_bytes_per_second(link: ZoneLink) -> float:
    """What one flow can carry: the least of its cap, window / RTT, and the loss limit; infinite where none is known.

    A flow has at most `window_bytes` on the way, so that rate <= window / RTT (RFC 7323, sec. 1.1). Loss p bounds a
    Reno or CUBIC flow at MSS / RTT * 1.22 / sqrt(p) (Mathis et al. 1997); BBR is not bound by loss (Cardwell et al.
    2016).
    """
    rtt_seconds = 2.0 * link.latency_seconds
    caps = [link.flow_bytes_per_second or np.inf]
    if rtt_seconds > 0.0:
        if link.window_bytes:
            caps.append(link.window_bytes / rtt_seconds)
        if link.loss_fraction and link.congestion_control != "bbr":
            caps.append(SEGMENT_BYTES / rtt_seconds * MATHIS_CONSTANT / float(np.sqrt(link.loss_fraction)))
    return min(caps)


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
