"""Rows of TCP throughput by round trip and number of streams: iperf logs between machines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from crosszone.core.cluster import ZoneLink
from crosszone.cost.network import DEFAULT_WINDOW_BYTES, link_bytes_per_second
from crosszone.errors import SpecError
from crosszone.verify.geo.outcome import Outcome, needed, needed_count
from crosszone.verify.row import Row

COLUMNS = ("tcp_streams", "gbps_mean", "ping_ms_mean", "src_host", "dst_host")
"""A table that has all of them is one of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """One provider's own network."""

    name: str
    node_bytes_per_second: float | None
    """What one machine of the tests may send; None: not published."""
    source: str


BACKBONES = {
    "gc": Backbone(
        name="GCP",
        node_bytes_per_second=7e9 / 8.0,
        source="7 Gbit/s to external addresses: Jain et al. 2023 (Skyplane, NSDI), sec. 2",
    ),
    "aws": Backbone(
        name="AWS",
        node_bytes_per_second=5e9 / 8.0,
        source="5 Gbit/s of one flow outside a cluster placement group: EC2 user guide, instance network bandwidth",
    ),
    "azure": Backbone(
        name="Azure",
        node_bytes_per_second=8e9 / 8.0,
        source="NC4as T4 v3, expected network bandwidth 8000 Mbit/s: Azure documentation, NCasT4_v3 series",
    ),
    "lambda": Backbone(name="Lambda", node_bytes_per_second=None, source="not published"),
}
"""By the word in the host names. Machines of nobody in it stand on their own sites, behind the public internet."""
WIDE_AREA_SECONDS = 5e-3
"""Round trip from which two machines of one provider are in different regions."""
FITTED = "/1-4/"
"""Logs of the routes between America, Europe and Asia that `DEFAULT_WINDOW_BYTES` was fitted to."""


def claims(row: Row) -> bool:
    """Whether the row is one of these."""
    return "tcp_streams" in row.cells


def predict(row: Row, rows: Sequence[Row]) -> Outcome:
    """min(n W / RTT, what a machine may send) on a provider's own network, with one window W for all.

    SpecError for the public internet: what binds there is loss, which nobody measured.
    """
    backbone = _backbone(row)
    rtt, streams = needed(row, "ping_ms_mean") / 1e3, needed_count(row, "tcp_streams")
    is_far = rtt >= WIDE_AREA_SECONDS
    if backbone.node_bytes_per_second is None:
        raise SpecError.of(f"what one machine of {backbone.name} may send is not published.")
    row.assume("window", f"{DEFAULT_WINDOW_BYTES / 1e6:g} MB", "fitted to the routes of experiment 1-4 on GCP")
    row.assume("machine's cap", f"{backbone.node_bytes_per_second * 8.0 / 1e9:g} Gbit/s", backbone.source)
    link = ZoneLink(
        from_zone=row.text("src_host"),
        to_zone=row.text("dst_host"),
        latency_seconds=rtt / 2.0,
        node_bytes_per_second=backbone.node_bytes_per_second,
        window_bytes=DEFAULT_WINDOW_BYTES,
        num_streams=streams,
    )
    rate = float(link_bytes_per_second(link, num_nodes=1, num_flows=1))
    where = "between regions" if is_far else "within a region"
    return Outcome(
        row=row,
        measured=needed(row, "gbps_mean"),
        predicted=rate * 8.0 / 1e9,
        quantity="TCP throughput",
        unit="Gbit/s",
        table=f"iperf, {backbone.name} {where}",
        method=f"{backbone.name} {where}",
        group=f"{row.text('src_host')} {row.text('dst_host')}",
        column="gbps_mean",
        is_counted=not (is_far and FITTED in f"/{row.text('logfile')}"),
    )


def _backbone(row: Row) -> Backbone:
    """The network that both machines are on. SpecError where the public internet lies between them."""
    source = row.text("src_host") or re.sub(r".*iperf-profile-|\.csv$", "", row.text("logfile"))
    ends = [_provider(source), _provider(row.text("dst_host"))]
    if None in ends:
        outside = source if ends[0] is None else row.text("dst_host")
        raise SpecError.of(f"{outside} is behind the public internet, whose loss is unknown.")
    if ends[0] != ends[1]:
        raise SpecError.of("two providers: the public internet lies between them, whose loss is unknown.")
    return BACKBONES[str(ends[0])]


def _provider(host: str) -> str | None:
    return next((word for word in re.split(r"[^a-z0-9]+", host.lower()) if word in BACKBONES), None)
