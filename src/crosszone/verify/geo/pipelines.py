"""Rows of pipelines over sites with delays that are multiples of the forward of a stage: CrossPipe, tables 5 and 6."""

import re
from collections.abc import Sequence
from dataclasses import replace

from crosszone.errors import SpecError
from crosszone.timeline.simulate import Boundary, Pipeline, makespan_seconds
from crosszone.verify.geo.outcome import Outcome, needed, needed_count, reported
from crosszone.verify.row import Row

SCHEDULES = {
    "1F1B": "1f1b",
    "GPipe": "gpipe",
    "IV1F1B": "interleaved_1f1b",
    "ZBH1": "zb_h1",
    "ZBV": "zbv",
    "DualPipe": "dualpipe",
    "CrossUD": "cross_ud",
    "CrossUDSub": "cross_ud",
    "CrossWave": "cross_wave",
}
"""What the paper calls them, and we. Its CrossUDSub divides compute alone: a message leaves when a whole microbatch is
done (algorithm 1, line 16), as in CrossUD, while our `cross_ud_sub` sends halves."""
VIRTUAL_STAGES = {"interleaved_1f1b": 2, "zbv": 2, "dualpipe": 2, "cross_wave": 2}
"""Of each rank; the others have one."""
GENERATED = ("cross_ud", "cross_wave")
LATENCY, TRANSFER = re.compile(r"T_lat ?/ ?T_F ?= ?([\d.]+)"), re.compile(r"T_bw ?/ ?T_F ?= ?([\d.]+)")
FORWARD = re.compile(r"T_F ?= ?([\d.]+) ?s\b")
MEMORY = re.compile(r"memory ([\d.]+) ?x")
BACKWARD_RATIO = 2.0
"""Of the forward, where no row without delay tells. Source: Kaplan et al. 2020 (arXiv 2001.08361), sec. 2.1."""
ANCHOR = "anchor: the rows with delay of the same case and schedule are predicted from it."


def claims(row: Row) -> bool:
    """Whether the row is one of these."""
    return row.text("metric") == "runtime per microbatch"


def predict(row: Row, rows: Sequence[Row]) -> Outcome:
    """The measured time without delay, times the simulated time with delay over the simulated one without.

    Delays are set between the sites, whose stages are as many each; a message takes its direction of a boundary T_bw
    and arrives T_lat later. The forward is the printed T_F; the backward follows from the row of 1F1B without delay,
    whose time is (m + p - 1)(t_f + t_b), or is assumed.
    """
    name = SCHEDULES.get(row.text("method"))
    if name is None:
        raise SpecError.of(f'method "{row.text("method")}" is no schedule that is simulated.')
    if _is_free(row):
        raise SpecError.of(ANCHOR)
    anchors = [other for other in rows if _case(other) == _case(row) and _is_free(other)]
    if not anchors:
        raise SpecError.of("the table has no row of this case and schedule without delay to be relative to.")
    late = _pipeline(row, name, rows, delay=_delay(row))
    free = replace(late, boundaries=tuple(Boundary(delay_seconds=0.0) for _ in late.boundaries))
    ratio = makespan_seconds(late) / makespan_seconds(free)
    kind = "generated" if name in GENERATED else "static"
    return reported(
        row,
        needed(anchors[0], "value") * ratio,
        table=f"{row.text('work')} {row.text('source_loc')}".strip(),
        method=f"{kind} schedules",
        group=" ".join((name, *_case(row)[:1], row.text("notes").partition(":")[0])),
    )


def _case(row: Row) -> tuple[str, ...]:
    """What rows have in common that differ in their delay alone."""
    columns = ("source_loc", "method", "model", "notes", "n_sites", "tp", "pp", "dp", "micro_batches", "work")
    return tuple(row.text(column) for column in columns)


def _delay(row: Row) -> tuple[float, float]:
    """(latency, transfer) of one message, in forwards of a stage."""
    found = LATENCY.search(row.text("inter_latency_ms")), TRANSFER.search(row.text("inter_bw_gbps"))
    if found[0] is None or found[1] is None:
        raise SpecError.of("inter_latency_ms and inter_bw_gbps do not state T_lat/T_F and T_bw/T_F.")
    return float(found[0][1]), float(found[1][1])


def _is_free(row: Row) -> bool:
    """Whether the row states that there is no delay."""
    found = LATENCY.search(row.text("inter_latency_ms")), TRANSFER.search(row.text("inter_bw_gbps"))
    return all(each is not None and float(each[1]) == 0.0 for each in found)


def _pipeline(row: Row, name: str, rows: Sequence[Row], *, delay: tuple[float, float]) -> Pipeline:
    stages, sites = needed_count(row, "pp"), needed_count(row, "n_sites")
    if stages % sites:
        raise SpecError.of(f"pp = {stages} stages are not shared evenly by n_sites = {sites}.")
    forward = _forward_seconds(row)
    backward, recomputed = _backward_seconds(row, rows, forward), forward if _recomputes(row) else 0.0
    weight, virtual = (backward - recomputed) / 2.0, VIRTUAL_STAGES.get(name, 1)
    is_generated = name in GENERATED
    hold = max(forward, backward - weight, weight) / virtual if is_generated else 0.0
    num_hops = stages if name == "interleaved_1f1b" else stages - 1  # the last: from the last rank to the first
    hops = [_boundary(stage, stages // sites, forward, delay, hold) for stage in range(1, num_hops + 1)]
    return Pipeline(
        schedule=name,
        num_microbatches=needed_count(row, "micro_batches"),
        num_virtual_stages=virtual,
        forward_seconds=(forward,) * stages,
        backward_seconds=(backward,) * stages,
        weight_seconds=(weight,) * stages,
        boundaries=tuple(hops),
        most_in_flight=_most_in_flight(row, stages),
        receives_early=is_generated,
    )


def _boundary(stage: int, stages_per_site: int, forward: float, delay: tuple[float, float], hold: float) -> Boundary:
    """After rank `stage` - 1. Between sites the link stays taken for `hold` seconds after a message has left it.

    A message starts when both ends have posted for it (rendezvous; sec. 6.3), and who posts receives ahead does so
    between two pieces of work: the next message waits for one. That it waits for the longest was inferred from table
    5; table 6 tests it.
    """
    if stage % stages_per_site:
        return Boundary(delay_seconds=0.0)
    latency, transfer = delay
    return Boundary(
        delay_seconds=latency * forward - hold,  # from when the link is free
        transfer_seconds=transfer * forward + hold,
        forward_link=f"{stage}>",
        backward_link=f"<{stage}",
    )


def _forward_seconds(row: Row) -> float:
    found = FORWARD.search(row.text("notes"))
    if found is None:
        raise SpecError.of("notes do not state T_F, the forward of a stage.")
    return float(found[1])


def _recomputes(row: Row) -> bool:
    return "recompute" in row.text("notes") and "no recompute" not in row.text("notes")


def _most_in_flight(row: Row, stages: int) -> float | None:
    """Microbatches that fit the memory of 1F1B's p times the printed factor; any number where layers are recomputed.

    Recomputed layer by layer a microbatch holds only the inputs of its layers, about 1/17 of its activations (34 s b h
    bytes a layer, Korthikanti et al. 2022, sec. 4, of which 2 s b h are the input).
    """
    budget = MEMORY.search(row.text("notes"))
    if _recomputes(row):
        return float(needed_count(row, "micro_batches"))
    return None if budget is None else float(budget[1]) * stages


def _backward_seconds(row: Row, rows: Sequence[Row], forward: float) -> float:
    """t_b of a stage, recomputation included, from 1F1B without delay; else `BACKWARD_RATIO` forwards."""
    for other in rows:
        same = all(other.text(column) == row.text(column) for column in ("work", "source_loc", "model", "pp"))
        if same and other.text("method") == "1F1B" and _recomputes(other) == _recomputes(row) and _is_free(other):
            count, stages = needed_count(other, "micro_batches"), needed_count(other, "pp")
            return needed(other, "value") * count / (count + stages - 1) - forward
    ratio = BACKWARD_RATIO + _recomputes(row)
    row.assume("backward", f"{ratio:g} forwards")
    return ratio * forward
