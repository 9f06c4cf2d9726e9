"""What is known of the network between two regions: measured round trips and throughput, and what distance tells.

A measured figure is a `Fact` with its source; a pair that nobody measured gives None, or no rows. Distance gives a
lower bound on a round trip (light in fibre) and, where nothing better is known, a typical value, to be marked assumed.
No round trip is known for Alibaba, Tencent and Huawei regions.
"""

from __future__ import annotations

from dataclasses import dataclass

from crosszone.catalog.facts import Fact, Source, provider_rows, source

LIGHT_METERS_PER_SECOND = 299_792_458.0  # exact, by the definition of the metre (SI brochure, 9th edition)

# Effective group index of refraction at 1550 nm: Corning SMF-28 Ultra product information, PI1424.
FIBRE_GROUP_INDEX = 1.4682

# The fit that `typical_rtt_seconds` explains.
TYPICAL_FIXED_SECONDS = 0.0038
TYPICAL_DETOUR_RATIO = 1.76

# Between two zones of one region, to be marked assumed: what Microsoft says of Azure's availability zones ("less than
# approximately 2 ms", learn.microsoft.com/azure/reliability/availability-zones-overview, until February 2025; an
# independent measurement in UK South, simonpainter.com/azure-latency-1, has a mean of 1.6 ms).
SAME_REGION_RTT_SECONDS = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput(Fact):
    """One measured throughput of one pair of machines, in `bytes_per_second`, payload, one direction.

    It belongs to its machine types, tier and year as much as to its regions: the same GCP zones gave 0.9, 2.3 and
    3.9 GB/s in three measurements of one year. Take the one that is like the job's machines, or none.
    """

    measurement: str
    """Key of the set of measurements, as `skyplane-iperf-2022-11`; figures of two sets are not comparable."""
    from_instance: str
    """Machine type that sent; empty where not recorded."""
    to_instance: str
    """Machine type that received; empty where not recorded."""
    gcp_tier: str
    """`premium` or `standard`: GCP's network service tier; empty where no end is in GCP or it was not recorded."""
    num_streams: int | None
    """Parallel TCP streams; None where not recorded."""


def light_in_fibre_rtt_seconds(distance_meters: float) -> float:
    """Least round trip over `distance_meters` of glass fibre: 2 · distance · group index / c (9.8 ms per 1000 km).

    No TCP or RDMA path is faster, unless its fibre is hollow or its signal is radio. Great-circle distance makes it a
    bound for two places; the cable is longer. Source: `FIBRE_GROUP_INDEX`.
    """
    return 2 * distance_meters * FIBRE_GROUP_INDEX / LIGHT_METERS_PER_SECOND


def typical_rtt_seconds(distance_meters: float) -> float:
    """Typical round trip between two regions this far apart, for a pair that nobody measured. Mark it assumed.

        rtt = 0.0038 s + 1.76 · light_in_fibre_rtt_seconds(distance)

    Fitted to the 2,325 region pairs of AWS, Azure and GCP in `network_rtt.csv` (April 2022; the median of both
    directions; great-circle distance between cities), by least mean |log(predicted/measured)|. Median error 16 %,
    90 % of pairs within 40 %; from 500 to 2000 km, 219 pairs, 14 %. Fitted to pairs inside one provider only, it has
    the same median error on pairs of two providers. Below 100 km (regions of one city) it says 4 to 6 ms where 3 ms
    is usual. It holds for no zones of one region, and no pair in mainland China was in the fit.
    """
    return TYPICAL_FIXED_SECONDS + TYPICAL_DETOUR_RATIO * light_in_fibre_rtt_seconds(distance_meters)


def measured_rtt(from_region: str, to_region: str) -> Fact | None:
    """Measured round trip in seconds between two regions (`provider:code`), or None where nobody measured it.

    The same region twice means two machines in it. Where only the other direction was measured, that figure is given
    and its note says so: a round trip is nearly the same from both ends (median difference 0.25 %, at most 23 %).
    """
    for start, end, prefix in ((from_region, to_region, ""), (to_region, from_region, "Measured from the other end: ")):
        for row in provider_rows("network_rtt", start):
            if row["to"] == end:
                origin = source(row["source"])
                return Fact(
                    value=float(row["rtt_seconds"]),
                    unit="seconds",
                    source=origin.citation,
                    date=origin.date,
                    note=_sentence(prefix + origin.how),
                )
    return None


def measured_throughput(from_region: str, to_region: str) -> tuple[Throughput, ...]:
    """Every measured throughput from one region to another, the latest first; empty where nobody measured it.

    The direction counts: a provider limits what leaves a machine. DT-FM's NCCL figures name a pair once, so they are
    found from either end.
    """
    found = [
        _throughput(row, from_region, to_region)
        for row in provider_rows("network_throughput", from_region)
        if row["to"] == to_region
    ]
    if from_region != to_region:
        found += [
            _throughput(row, from_region, to_region)
            for row in provider_rows("network_throughput", to_region)
            if row["to"] == from_region and row["source"] == "dt-fm-nccl-2022"
        ]
    return tuple(sorted(found, key=lambda fact: fact.date, reverse=True))


def _throughput(row: dict[str, str], from_region: str, to_region: str) -> Throughput:
    origin = source(row["source"])
    return Throughput(
        value=float(row["bytes_per_second"]),
        unit="bytes_per_second",
        source=origin.citation,
        date=origin.date,
        note=_throughput_note(origin),
        measurement=origin.key,
        from_instance=origin.instance(from_region.partition(":")[0]),
        to_instance=origin.instance(to_region.partition(":")[0]),
        gcp_tier=row["gcp_tier"],
        num_streams=origin.num_streams,
    )


def _throughput_note(origin: Source) -> str:
    streams = f"; {origin.num_streams} TCP stream{'s' if origin.num_streams > 1 else ''}" if origin.num_streams else ""
    return _sentence(origin.how + streams)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
