"""Rows of the share of time that is compute, in runs whose sites agree once in many steps: DiLoCo and its kin."""

import re
from collections.abc import Sequence

from crosszone.cost.sync import diloco
from crosszone.cost.sync.exchange import Exchange
from crosszone.errors import SpecError
from crosszone.verify.geo.outcome import Outcome, reported
from crosszone.verify.row import Row

DURATION = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) ?(ms|s|sec|seconds?|min|minutes?|h|hours?)\b")
SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def claims(row: Row) -> bool:
    """Whether the row is one of these."""
    metric = row.text("metric").lower()
    return metric.startswith(("compute utili", "mfu")) and row.text("work") != ""


def predict(row: Row, rows: Sequence[Row]) -> Outcome:
    """H T / (H T + s), of the inner phase H T and the communication s that the row states.

    MFU: the run's MFU without communication (`baseline_value`) times that.
    """
    text = "; ".join(row.text(column) for column in ("notes", "arch", "overlap", "sites") if row.text(column))
    found = sorted(stated_seconds(text))
    if not found:
        raise SpecError.of("the row does not state how long one agreement and the steps between take.")
    if len(found) == 1:
        raise SpecError.of(f"the row states {found[0]:g} s, and not how long the steps between two agreements take.")
    sent, computed = found[-2:]
    row.assume(
        "inner steps", f"{computed:g} s", f"the longer of the times stated; the other, {sent:g} s, is the agreement"
    )
    every = row.count("sync_H") or 1
    exchange = Exchange(
        transfer_seconds=sent,
        latency_seconds=0.0,
        codec_seconds=0.0,
        outer_seconds=0.0,
        link_bytes=0.0,
        window_seconds=0.0,
        last_seconds=0.0,
        compute_seconds=computed / every,
        every=every,
    )
    step = computed / every
    share = step / (step + float(diloco.cost(exchange).exposed_seconds))
    return reported(row, share * _whole(row), group=row.text("work"))


def stated_seconds(text: str) -> list[float]:
    """All durations that `text` states, each once."""
    units = ((float(number), "ms" if unit == "ms" else unit[0]) for number, unit in DURATION.findall(text))
    return list(dict.fromkeys(number * SECONDS[unit] for number, unit in units))


def _whole(row: Row) -> float:
    """What the metric is where nothing is waited for."""
    scale = 100.0 if row.text("unit") == "%" else 1.0
    if not row.text("metric").lower().startswith("mfu"):
        return scale
    baseline = row.number("baseline_value")
    if baseline is None:
        raise SpecError.of("baseline_value, the MFU without communication, is blank.")
    return baseline
