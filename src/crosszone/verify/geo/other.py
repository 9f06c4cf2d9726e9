"""Rows of published figures that follow from no model: ratios of two systems, ranges, other people's errors."""

from collections.abc import Sequence

from crosszone.errors import SpecError
from crosszone.verify.geo.outcome import Outcome, needed
from crosszone.verify.row import Row

COLUMNS = ("work", "metric", "value", "unit")
"""A table that has all of them is one of these kinds."""
FACTS = ("gpus", "gpu_type", "tp", "pp", "dp", "global_batch", "seq_len", "inter_bw_gbps", "inter_latency_ms")
"""What a run across zones follows from."""
REASONS = {
    "hours at": "the source contradicts itself: its terabytes over its link take longer than its hours.",
    "mean iteration-time error": "the error of another simulator, not of a run.",
    "reconfiguration time": "restarting of another system, step by step; no run to predict.",
    "egress share": "a share of a bill, of which the row states neither traffic nor prices.",
    "packet drop rate": "a property of a link, which predictions start from.",
    "inter-dc bandwidth needed": "the row states neither the model's step nor the share of compute asked for.",
    "sustained throughput": "a property of a link, which predictions start from.",
    "iteration time": "one cluster, not across zones, in another table's columns; the row states no sequence length.",
}
"""By the words that the metric starts with or has."""


def claims(row: Row) -> bool:
    """Every row that is of no other kind."""
    return True


def predict(row: Row, rows: Sequence[Row]) -> Outcome:
    """Never: SpecError with the reason."""
    metric = row.text("metric")
    if not row.text("value"):
        raise SpecError.of("value is blank.")
    for words, reason in REASONS.items():
        if words in metric.lower():
            raise SpecError.of(reason)
    needed(row, "value")  # a range or several values are no number
    missing = ", ".join(name for name in FACTS if not row.text(name))
    raise SpecError.of(
        f'"{metric}" is not predicted: it compares with something of which the row states nothing'
        + (f", and it does not state {missing}." if missing else ".")
    )
