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
SENT = ("all-reduce", "allreduce", "all reduce", "reduc", "communic", "sync", "exchang", "averag", "t_ar", "ar ", "outer")
COMPUTED = ("inner", "comput", "local", "train", "between", "phase")
"""Words beside a duration that say what it is of."""
CLAUSE = re.compile(r"[;,()]|\. |\band\b|\+")


def claims(row: Row) -> bool:
    """Whether the row is one of these."""
    metric = row.text("metric").lower()
    return metric.startswith(("compute utili", "mfu")) and row.text("work") != ""


def predict(row: Row, rows: Sequence[Row]) -> Outcome:
    """H T / (H T + s), of the inner phase H T and the communication s that the row states.

    MFU: the run's MFU without communication (`baseline_value`) times that.
    """
    text = "; ".join(row.text(column) for column in ("notes", "arch", "overlap", "sites") if row.text(column))
    sent, computed = stated_seconds(text)
    every = row.count("sync_H") or 1
    if sent is None:
        raise SpecError.of("the row does not state how long one agreement takes.")
    if computed is None:
        raise SpecError.of(f"the row states {sent:g} s of communication, and not how long the inner steps take.")
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


def stated_seconds(text: str) -> tuple[float | None, float | None]:
    """(communication, compute) of one round, by the words beside each duration in `text`; None where not stated."""
    sent = computed = None
    for clause in CLAUSE.split(text):
        found = DURATION.search(clause)
        if found is None:
            continue
        seconds, words = float(found[1]) * SECONDS["ms" if found[2] == "ms" else found[2][0]], clause.lower() + " "
        if sent is None and any(word in words for word in SENT):
            sent = seconds
        elif computed is None and any(word in words for word in COMPUTED):
            computed = seconds
    return sent, computed


def _whole(row: Row) -> float:
    """What the metric is where nothing is waited for."""
    scale = 100.0 if row.text("unit") == "%" else 1.0
    if not row.text("metric").lower().startswith("mfu"):
        return scale
    baseline = row.number("baseline_value")
    if baseline is None:
        raise SpecError.of("baseline_value, the MFU without communication, is blank.")
    return baseline
