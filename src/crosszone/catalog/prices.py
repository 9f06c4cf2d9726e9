"""List prices: what leaving a region costs by the byte, and what a GPU costs by the hour.

Only prices that a public source prints are here. No price of Alibaba, Tencent and Huawei is known, and none of AWS and
Azure GPUs but the T4: the answer is None, never zero. A user's own contract goes in the job file and comes first.
"""

from __future__ import annotations

import statistics

from crosszone.catalog.facts import Fact, provider_places, provider_rows, source

INTERNET = "internet"


def egress(from_region: str, to_region: str) -> Fact | None:
    """Dollars per byte that leaves `from_region` (`provider:code`) for `to_region`, or None where no price is known.

    The sender pays. A price of the pair itself comes first; then, to another provider, the sender's list price to the
    internet. One region twice means two of its zones: its provider's price between zones. A real price of nothing
    (Azure between zones) is a Fact of 0.
    """
    from_provider, to_provider = from_region.partition(":")[0], to_region.partition(":")[0]
    if from_region == to_region:
        return _egress_row(from_provider, to_provider, "Between zones of one region: ")
    pair = _egress_row(from_region, to_region, "")
    if pair is None and from_provider != to_provider:
        return _egress_row(from_region, INTERNET, "To the internet: ")
    return pair


def gpu_price(provider_or_region: str, gpu: str, preemptible: bool = False) -> Fact | None:
    """Dollars per hour for one GPU (catalog name) with its share of the machine, or None where no price is known.

    For a region, `gcp:us-central1`, the price there; for a provider, `gcp`, its own price or else the median over its
    regions, whose range the note gives. On demand, or `preemptible` (spot): a snapshot of a price that moves.
    """
    kind = "preemptible" if preemptible else "on_demand"
    own = _gpu_price_row(provider_or_region, gpu, kind)
    if own is not None or ":" in provider_or_region:
        return own
    by_region = [
        fact
        for place in provider_places("gpu_prices")
        if place.startswith(f"{provider_or_region}:") and (fact := _gpu_price_row(place, gpu, kind)) is not None
    ]
    return _median(by_region) if by_region else None


def _egress_row(start: str, end: str, prefix: str) -> Fact | None:
    for row in provider_rows("egress_prices", start):
        if row["to"] == end:
            return _price(row, "dollars_per_byte", prefix)
    return None


def _gpu_price_row(place: str, gpu: str, kind: str) -> Fact | None:
    for row in provider_rows("gpu_prices", place):
        if (row["gpu"], row["kind"]) == (gpu, kind):
            return _price(row, "dollars_per_hour", "")
    return None


def _price(row: dict[str, str], unit: str, prefix: str) -> Fact:
    origin = source(row["source"])
    remarks = [prefix + origin.how, row.get("note", "")]
    note = " ".join(text[0].upper() + text[1:] + "." for text in remarks if text)
    return Fact(value=float(row[unit]), unit=unit, source=origin.citation, date=origin.date, note=note)


def _median(facts: list[Fact]) -> Fact:
    values = [fact.value for fact in facts]
    return Fact(
        value=statistics.median(values),
        unit=facts[0].unit,
        source="; ".join(dict.fromkeys(fact.source for fact in facts)),
        date=min(fact.date for fact in facts),
        note=f"Median of {len(values)} regions, from {min(values):g} to {max(values):g} dollars per hour.",
    )
