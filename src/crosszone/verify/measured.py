"""What a row measured: seconds per step from whichever figure it prints, peak memory, and whether the run fitted."""

import re
from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.errors import SpecError
from crosszone.verify.conventions import PALM, Convention, convention, step_flop
from crosszone.verify.row import MEASURED, Row

STEP, MEMORY, FITS = "step_seconds", "peak_memory_bytes", "fits"
UNITS = {STEP: "s", MEMORY: "bytes", FITS: "boolean"}
RATES = (
    ("iter_time_s", "seconds", False),
    ("step_seconds", "seconds", False),
    ("tokens_per_sec_per_gpu", "tokens", True),
    ("tokens_per_second_per_gpu", "tokens", True),
    ("tokens_per_sec_total", "tokens", False),
    ("tokens_per_second", "tokens", False),
    ("samples_per_sec", "sequences", False),
    ("samples_per_second", "sequences", False),
    ("samples_per_sec_per_gpu", "sequences", True),
)
"""(column, what it counts, of one GPU): the first that is filled gives the step."""
SHARES = (("mfu_pct", 0.01), ("mfu", 1.0))
FLOP_RATES = (("tflops_per_gpu", 1e12), ("flop_per_second_per_gpu", 1.0))
MEMORIES = (("peak_memory_GiB", float(2**30)), ("peak_memory_bytes", 1.0))
"""(column, base units in one of its numbers)"""
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
    work = {"seconds": 1.0, "tokens": tokens, "sequences": float(batch)}
    for column, what, is_per_gpu in RATES:
        if row.text(column) in ("", "0", "0.0"):  # a rate that was rounded down to nothing says nothing
            continue
        value = row.number(column)
        assert value is not None
        share = work[what] / (num_gpus if is_per_gpu else 1)
        return Measured(quantity=STEP, value=value if what == "seconds" else share / value, column=column)
    return _from_mfu(row, problem, plan) or _from_flop(row, problem, plan)


def _from_mfu(row: Row, problem: Problem, plan: Plan) -> Measured | None:
    """MFU: model FLOP over time and peak. Without a stated formula it is PaLM's, who gave it the name."""
    found, text = _scaled(row, SHARES), _formula(row)
    if found is None:
        return None
    known = convention(text)
    if known is None:
        known = PALM
        row.assume("convention", "of MFU: 6N + 12lhs", "not stated; that of the paper which named it (PaLM)")
    flop = _flop(known, problem, plan, kind="model")
    peak = _peak_flop_per_second(text, problem)
    return Measured(quantity=STEP, value=flop / (found[1] * peak * plan.world_size), column=found[0])


def _from_flop(row: Row, problem: Problem, plan: Plan) -> Measured | None:
    found, known = _scaled(row, FLOP_RATES), convention(_formula(row))
    if found is None or known is None:
        return None
    flop = _flop(known, problem, plan, kind=row.text("tflops_kind") or row.text("flop_kind"))
    return Measured(quantity=STEP, value=flop / (found[1] * plan.world_size), column=found[0])


def _formula(row: Row) -> str:
    return row.text("tflops_formula") or row.text("flop_formula")


def _scaled(row: Row, columns: tuple[tuple[str, float], ...]) -> tuple[str, float] | None:
    """The first of `columns` that is filled, with its value in base units."""
    for column, unit in columns:
        value = row.number(column)
        if value is not None:
            return column, value * unit
    return None


def _flop(known: Convention, problem: Problem, plan: Plan, *, kind: str) -> float:
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
    found = _scaled(row, MEMORIES)
    return None if found is None else Measured(quantity=MEMORY, value=found[1], column=found[0])


def _fits(row: Row) -> Measured | None:
    status = row.text("status").lower()
    if not status:
        return None
    label = row.text("label_check").lower()
    if label and not label.startswith(USABLE_LABELS):
        if any(row.text(column) for column in MEASURED if column != "status"):
            return None
        raise SpecError.of(
            f'label_check is "{label.partition(":")[0]}": the status may have another cause than memory.'
        )
    if status not in RAN + FAILED:
        raise SpecError.of(f'status is "{status[:40]}"; write ran or oom.')
    return Measured(quantity=FITS, value=status in RAN, column="status")


def _nothing(row: Row) -> str:
    if _scaled(row, FLOP_RATES) is not None:
        said = f'"{_formula(row)[:60]}"' if _formula(row) else "nothing"
        return f"FLOP/s are printed, and how they count is not known: the formula says {said}."
    return "nothing is measured: no step time, rate, memory or status."
