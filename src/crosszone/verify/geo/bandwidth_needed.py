"""Rows of bandwidth that a share of compute asks for: data parallel, DiLoCo, Streaming DiLoCo between two sites."""

import functools
import math
import re
from collections.abc import Sequence

from crosszone.errors import SpecError
from crosszone.timeline.layers import layered_wait_seconds
from crosszone.verify.geo.outcome import Outcome, needed, needed_count, reported
from crosszone.verify.row import Row

METRIC = re.compile(r"bandwidth needed for CU ?= ?([\d.]+) ?%")
STEP_TIME = re.compile(r"step compute time ([\d.]+) ?s\b")
LAYERS = re.compile(r"(\d+) layers")
FRAGMENTS = re.compile(r"-> ?(\d+) fragments")
DELAY_STEPS = re.compile(r"tau ?= ?(\d+)")
DEFAULT_DELAY_STEPS = 1
"""Source: Douillard et al. 2025 (arXiv 2501.18512), sec. 3.3.2: "In our main experiments, we used 1 step"."""
NUM_LAYERS = {
    "Chinchilla 1B": 24,
    "Chinchilla 10B": 48,
    "Chinchilla 100B": 108,
    "Llama3 405B": 126,
    "DeepSeek-V3 671B": 61,
}
"""Sources: Douillard et al. 2025 (arXiv 2501.18512), table 4; Llama 3 (2407.21783), table 3; DeepSeek-V3 (2412.19437),
sec. 4.2."""
PARAMETER_BITS, FP4_BITS = 16.0, 4.0
"""What a parameter takes on the link. An all-reduce of two sites sends each site's half, twice: all of it once.
Source: Douillard et al. 2025, sec. 2.4; Charles et al. 2025 (arXiv 2503.09799), appendix A.2."""
GRID: tuple[float, ...] = tuple(10.0 ** (8.0 + 4.0 * index / 49.0) for index in range(50))
"""Bandwidths in bit/s that the published simulation was run at: every entry of both tables is one of 50 points from
0.1 to 1000 Gbit/s, 1.207 apart."""
UNITS = {"Gbit/s": 1e9, "Mbit/s": 1e6}


def claims(row: Row) -> bool:
    """Whether the row is one of these."""
    return METRIC.search(row.text("metric")) is not None


def predict(row: Row, rows: Sequence[Row]) -> Outcome:
    """The last bandwidth of the tables' grid that falls short of the share of compute asked for.

    Compute share = H T / (H T + w), with w what compute waits for in H steps, layer by layer (`timeline.layers`). The
    tables were read so: of 165 cells 112 are met exactly and 52 by the next point, no way of agreeing apart; the first
    point that reaches the share would be one too high almost everywhere.
    """
    share = float(METRIC.search(row.text("metric"))[1]) / 100.0  # type: ignore[index]  # claimed
    needed(row, "value")  # "1000.0+" is no number
    is_streaming = "streaming" in row.text("method").lower()
    every = 1 if row.text("sync_H") == "" else needed_count(row, "sync_H")
    fragments = _matched(FRAGMENTS, row, "notes", "num_fragments") if is_streaming else 1
    delay = _delay_steps(row) if "overlap" in row.text("method").lower() else 0
    bits = FP4_BITS if "FP4" in row.text("method") + row.text("compression") else PARAMETER_BITS
    if row.text("unit") not in UNITS:
        raise SpecError.of(f'unit "{row.text("unit")}" is none of {", ".join(UNITS)}.')
    step = STEP_TIME.search(row.text("arch"))
    if step is None:
        raise SpecError.of("arch does not state the step compute time.")
    row.assume("grid", "50 points from 0.1 to 1000 Gbit/s", "the tables hold its last point below the share")
    found = last_short(
        share,
        model_bits=needed(row, "params_b") * 1e9 * bits,
        step_seconds=float(step[1]),
        num_layers=_num_layers(row, rows),
        every=every,
        num_fragments=fragments,
        num_delay_steps=delay,
    )
    return reported(row, found / UNITS[row.text("unit")], group=f"{row.text('model')} {row.text('method')} {every}")


@functools.lru_cache(maxsize=1024)
def last_short(
    share: float,
    *,
    model_bits: float,
    step_seconds: float,
    num_layers: int,
    every: int,
    num_fragments: int = 1,
    num_delay_steps: int = 0,
) -> float:
    """The largest bandwidth of `GRID` at which less than `share` of the time is compute."""
    low, high = 0, len(GRID)  # first point that reaches the share lies in [low, high]
    while low < high:
        middle = (low + high) // 2
        waited = layered_wait_seconds(
            step_seconds=step_seconds,
            num_layers=num_layers,
            every=every,
            transfer_seconds=model_bits / GRID[middle],
            num_fragments=num_fragments,
            num_delay_steps=num_delay_steps,
        )
        if every * step_seconds >= share * (every * step_seconds + waited):
            high = middle
        else:
            low = middle + 1
    return GRID[max(low - 1, 0)]


def notches(predicted: float, measured: float) -> int:
    """How many points of the grid lie between two of its values."""
    return round(math.log10(predicted / measured) * 49.0 / 4.0)


def _matched(pattern: re.Pattern[str], row: Row, column: str, name: str) -> int:
    found = pattern.search(row.text(column))
    if found is None:
        raise SpecError.of(f"{column} does not state {name}.")
    return int(found[1])


def _delay_steps(row: Row) -> int:
    found = DELAY_STEPS.search(row.text("overlap")) or DELAY_STEPS.search(row.text("notes"))
    if found is None:
        row.assume("delay", f"{DEFAULT_DELAY_STEPS} step")
        return DEFAULT_DELAY_STEPS
    return int(found[1])


def _num_layers(row: Row, rows: Sequence[Row]) -> int:
    """As the row says; else as another row of the same model does; else the paper's or the catalog's."""
    name = row.text("model")
    for each in (row, *(other for other in rows if other.text("model") == name)):
        found = LAYERS.search(each.text("arch"))
        if found is not None:
            return int(found[1])
    count = NUM_LAYERS.get(name)
    if count is None:
        raise SpecError.of(f"arch does not state how many layers {name} has.")
    row.assume("layers", count, "not stated; as published for this model")
    return count
