"""Rows of throughput where peers over several zones average their gradients once a batch: Erben et al. 2023."""

import re
from collections.abc import Sequence

import numpy as np

from crosszone.cost.zone_collectives import ExchangeLinks, direct_exchange
from crosszone.errors import SpecError
from crosszone.verify.geo.outcome import Outcome, needed, needed_count, reported
from crosszone.verify.row import Row

CODEC_BYTES = {"fp16": 2.0, "bf16": 2.0, "": 4.0, "none": 4.0, "fp32": 4.0}
"""Of one gradient on the wire."""
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
UNIT = re.compile(r"\d ?[kMGT]?(bit|B)/s")
RANGE = re.compile(r"\d ?- ?\d")
ANCHOR = "anchor: the rows over several zones with as many GPUs are predicted from it."


def claims(row: Row) -> bool:
    """Whether the row is one of these."""
    return row.text("metric") == "throughput" and "hivemind" in row.text("method").lower()


def predict(row: Row, rows: Sequence[Row]) -> Outcome:
    """Batch over: the one-zone run's seconds per batch, and what averaging takes longer over the zones' links.

    N peers average S bytes directly: each keeps the sum of 1/N of the gradients, so that every pair exchanges 2 S / N
    each way on its own stream, and the slowest pair counts (`cost.zone_collectives`). None of it is hidden: the runs
    that delay the update by a step wait for the averaging all the same.
    """
    num_sites = _num_sites(row)
    if num_sites == 1:
        raise SpecError.of(ANCHOR)
    batch, num_peers = needed(row, "global_batch"), needed_count(row, "gpus")
    there = _averaging_seconds(row, num_peers, _paths(row, num_sites, num_peers))
    here = _averaging_seconds(row, num_peers, [_near(row)])
    return reported(
        row,
        batch / (batch / _anchor(row, rows) + there - here),
        method="averaging over zones",
        group=f"{row.text('model')} {row.text('sites')}",
    )


def _num_sites(row: Row) -> int:
    """As counted, else as named: "US+EU" is two."""
    return row.count("n_sites") or len([name for name in row.text("sites").split("+") if name.strip()])


def _anchor(row: Row, rows: Sequence[Row]) -> float:
    """Samples per second of the one-zone run of the same model with as many GPUs of the kind."""
    columns = ("model", "gpus", "gpu_type", "global_batch", "method", "unit")
    for other in rows:
        same = all(other.text(column) == row.text(column) for column in columns)
        if same and other.text("n_sites") in ("1", "1.0"):
            return needed(other, "value")
    value = row.number("baseline_value")
    if value is None or "single zone" not in row.text("baseline"):
        raise SpecError.of(f"no one-zone row of {row.text('model')} with {row.text('gpus')} {row.text('gpu_type')}.")
    row.assume("one-zone throughput", value, "the row's baseline_value; its own row is not in the table")
    return value


def _paths(row: Row, num_sites: int, num_peers: int) -> list[tuple[float, float]]:
    """(bytes per second, latency) between each pair of zones, and inside a zone where one has several peers."""
    if num_peers < num_sites:
        raise SpecError.of(f"{num_peers} GPUs cannot be in {num_sites} zones.")
    rates, rtts = _parts(row, "inter_bw_gbps"), _parts(row, "inter_latency_ms")
    if not rates or min(rates) <= 0.0:
        raise SpecError.of("inter_bw_gbps is blank." if not rates else "inter_bw_gbps is 0: nothing would arrive.")
    num_pairs = num_sites * (num_sites - 1) // 2
    if len(rates) not in (1, num_pairs):
        raise SpecError.of(f"inter_bw_gbps gives {len(rates)} rates, and {num_sites} zones have {num_pairs} links.")
    if len(rtts) != len(rates):
        rtts = rtts[:1] * len(rates) or [0.0] * len(rates)
    if RANGE.search(row.text("inter_bw_gbps")):
        row.assume("rate", f"{min(rates):g} Gbit/s", "a range is stated; its lower end")
    found = [(rate * 1e9 / 8.0, rtt / 2e3) for rate, rtt in zip(rates, rtts, strict=True)]
    return [*found, _near(row)] if num_peers > num_sites else found


def _near(row: Row) -> tuple[float, float]:
    rates = [float(number) for number in NUMBER.findall(row.text("intra_bw_gbps"))]
    if not rates or min(rates) <= 0.0:
        raise SpecError.of("intra_bw_gbps is blank." if not rates else "intra_bw_gbps is 0: nothing would arrive.")
    return min(rates) * 1e9 / 8.0, 0.0


def _parts(row: Row, name: str) -> list[float]:
    """The numbers of "US-EU 0.210; US-ASIA 0.133", the lower one of a range."""
    if UNIT.search(row.text(name)):
        raise SpecError.of(f'{name} is "{row.text(name)}"; write its rates in Gbit/s.')
    found = [NUMBER.findall(part) for part in row.text(name).split(";")]
    return [min(map(float, numbers)) for numbers in found if numbers]


def _averaging_seconds(row: Row, num_peers: int, paths: list[tuple[float, float]]) -> float:
    codec = row.text("compression").lower()
    if codec not in CODEC_BYTES:
        raise SpecError.of(f'compression "{row.text("compression")}" has no known size.')
    rates, latencies = np.array(paths).T
    links = ExchangeLinks(
        bytes_per_second=rates,
        latency_seconds=latencies,
        jitter_seconds=np.zeros(len(paths)),
        num_flows=1.0,
    )
    moved = needed(row, "params_b") * 1e9 * CODEC_BYTES[codec]
    return float(direct_exchange(links, num_zones=num_peers, all_reduce_bytes=moved).seconds)
