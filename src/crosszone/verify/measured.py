"""What a row measured: seconds per step from whichever figure it prints, peak memory, and whether the run fitted."""

import re
from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.errors import SpecError
from crosszone.verify.conventions import PALM, Convention, convention, step_flop
from crosszone.verify.row import Row

STEP, MEMORY, FITS = "step_seconds", "peak_memory_bytes", "fits"
UNITS = {STEP: "s", MEMORY: "bytes", FITS: "boolean"}
BINARY_GIGA = 2**30
"""Bytes in one GiB."""
RAN, FAILED = ("ran", "ok", "fits"), ("oom", "oom_or_crash", "out of memory")
USABLE_LABELS = ("explicit", "supported")
"""What `label_check` starts with where `status` is sure to say something about memory."""
STATED_PEAK = re.compile(r"(?:vs|against|peak)\s*~?(\d{2,5}(?:\.\d+)?)\b", re.IGNORECASE)
"""A peak in TFLOP/s beside a printed MFU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One quantity of one row."""

    quantity: str
    """step_seconds | peak_memory_bytes | fits"""
    value: float | bool
    column: str
    """The column that it was read from."""


def measurements(row: Row, problem: Problem, plan: Plan) -> tuple[Measured, ...]:
    """Every quantity that the row measured. Errors: SpecError with the reason where there is none, or one is wrong."""
    found = [_step(row, problem, plan), _memory(row), _fits(row)]
    present = tuple(measured for measured in found if measured is not None)
    if not present:
        raise SpecError.of(_nothing(row))
    return present


def _step(row: Row, problem: Problem, plan: Plan) -> Measured | None:
    """Seconds per step: the time itself, else from tokens/s, samples/s, MFU, TFLOP/s, in this order."""
    batch, num_gpus = problem.workload.global_batch_size, plan.world_size
    tokens = float(problem.workload.global_batch_tokens)
    rates = (
        ("iter_time_s", None),
        ("tokens_per_sec_per_gpu", tokens / num_gpus),
        ("tokens_per_sec_total", tokens),
        ("samples_per_sec", float(batch)),
        ("samples_per_sec_per_gpu", batch / num_gpus),
    )
    for column, work in rates:
        if row.text(column) in ("", "0", "0.0"):  # a rate that was rounded down to nothing says nothing
            continue
        value = row.number(column)
        assert value is not None
        return Measured(quantity=STEP, value=value if work is None else work / value, column=column)
    return _from_mfu(row, problem, plan) or _from_flop(row, problem, plan)


def _from_mfu(row: Row, problem: Problem, plan: Plan) -> Measured | None:
    """MFU: model FLOP over time and peak. Without a stated formula it is PaLM's, who gave it the name."""
    value = row.number("mfu_pct")
    if value is None:
        return None
    text = row.text("tflops_formula")
    known = convention(text)
    if known is None:
        known = PALM
        row.assume("convention", "of MFU: 6N + 12lhs", "not stated; that of the paper which named it (PaLM)")
    flop = _flop(row, known, problem, plan, kind="model")
    peak = _peak_flop_per_second(text, problem)
    return Measured(quantity=STEP, value=flop / (value / 100.0 * peak * plan.world_size), column="mfu_pct")


def _from_flop(row: Row, problem: Problem, plan: Plan) -> Measured | None:
    value, known = row.number("tflops_per_gpu"), convention(row.text("tflops_formula"))
    if value is None or known is None:
        return None
    flop = _flop(row, known, problem, plan, kind=row.text("tflops_kind"))
    return Measured(quantity=STEP, value=flop / (value * 1e12 * plan.world_size), column="tflops_per_gpu")


def _flop(row: Row, known: Convention, problem: Problem, plan: Plan, *, kind: str) -> float:
    workload = problem.workload
    return step_flop(
        known,
        problem.model,
        workload.sequence_length,
        workload.global_batch_size,
        kind=kind,
        recompute=plan.recompute,
    )


def _peak_flop_per_second(text: str, problem: Problem) -> float:
    """The peak stated beside the figure where there is exactly one, else that of the GPU and compute precision."""
    stated = STATED_PEAK.findall(text)
    if len(stated) == 1:
        return float(stated[0]) * 1e12
    peak = problem.cluster.zones[0].node_groups[0].gpu.peak(problem.workload.dtypes.compute)
    assert peak is not None, "a row whose GPU lacks its precision was turned down before"
    return peak


def _memory(row: Row) -> Measured | None:
    value = row.number("peak_memory_GiB")
    if value is None:
        return None
    return Measured(quantity=MEMORY, value=value * BINARY_GIGA, column="peak_memory_GiB")


def _fits(row: Row) -> Measured | None:
    status = row.text("status").lower()
    if not status:
        return None
    label = row.text("label_check").lower()
    if label and not label.startswith(USABLE_LABELS):
        if any(row.text(column) for column in ("iter_time_s", "tokens_per_sec_per_gpu", "peak_memory_GiB")):
            return None
        raise SpecError.of(
            f'label_check is "{label.partition(":")[0]}": the status may have another cause than memory.'
        )
    if status not in RAN + FAILED:
        raise SpecError.of(f'status is "{status[:40]}"; write ran or oom.')
    return Measured(quantity=FITS, value=status in RAN, column="status")


def _nothing(row: Row) -> str:
    if row.text("tflops_per_gpu"):
        formula = row.text("tflops_formula")
        said = f'"{formula[:60]}"' if formula else "nothing"
        return f"TFLOP/s are printed, and how they count is not known: tflops_formula says {said}."
    return "nothing is measured: no step time, rate, memory or status."
