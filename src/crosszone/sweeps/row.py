"""The answer for one case as one flat row."""

from crosszone.core.answer import Answer
from crosszone.core.sweep import Row
from crosszone.errors import CrossZoneError, SpecError
from crosszone.planner.names import check_framework_names
from crosszone.planner.search import search
from crosszone.sweeps.cases import Case, case_file
from crosszone.verify.calibration_file import apply

PLANNED, INFEASIBLE, REFUSED, FAILED = "planned", "infeasible", "refused", "failed"
PLAN = (
    "framework", "world_size", "tp", "pp", "cp", "ep", "dp", "dp_shard", "num_virtual_stages", "microbatch_size",
    "schedule", "shard", "recompute", "offload", "zone_axis",
)  # fmt: skip
PREDICTION = (
    "step_seconds", "tokens_per_second", "tokens_per_second_per_gpu", "mfu", "exposed_communication_fraction",
    "bubble_fraction", "cross_zone_penalty_ratio", "goodput_fraction", "train_seconds", "gpu_dollars",
    "egress_dollars", "energy_joules",
)  # fmt: skip
COLUMNS = (
    "status", *PLAN, "zones", "sync_method", *PREDICTION, "memory_peak_bytes", "memory_verdict", "cross_zone_bytes",
    "one_zone_step_seconds", "speedup_ratio", "num_candidates", "message",
)  # fmt: skip
"""After `job` and the varied keys. `cross_zone_bytes` is what all zone links carry in a step."""


def answered(case: Case) -> Row:
    """The row of `case`: whatever happens to it, it is told in the row, and the other cases go on."""
    row: Row = {"job": case.job, **dict(case.varied)}
    try:
        problem = case_file(case).problem()
        check_framework_names(problem)
        found = _found(search(apply(problem, case.calibrations) if case.calibrations else problem, top=1))
    except SpecError as error:
        found = {"status": REFUSED, "message": _one_line(error)}
    except CrossZoneError as error:
        found = {"status": INFEASIBLE, "message": _one_line(error)}
    except Exception as error:  # noqa: BLE001 - one case must not take the others with it; the row says what it was
        found = {"status": FAILED, "message": f"{type(error).__name__}: {error}"}
    return row | {column: found.get(column) for column in COLUMNS}


def _found(answer: Answer) -> Row:
    searched: Row = {"num_candidates": answer.search.num_candidates, "message": answer.verdict}
    if not answer.plans:
        return {"status": INFEASIBLE, **searched}
    plan, prediction = answer.plans[0].plan, answer.plans[0].prediction
    alone = answer.baseline
    return {
        "status": PLANNED,
        **{name: getattr(plan, name) for name in PLAN},
        "zones": " ".join(plan.zones),
        "sync_method": plan.sync.method if len(plan.zones) > 1 else None,
        **{name: getattr(prediction, name) for name in PREDICTION},
        "memory_peak_bytes": prediction.memory.peak_bytes,
        "memory_verdict": prediction.memory.verdict,
        "cross_zone_bytes": sum(link.step_bytes for link in prediction.links),
        "one_zone_step_seconds": None if alone is None else alone.prediction.step_seconds,
        "speedup_ratio": answer.speedup_ratio,
        **searched,
    }


def _one_line(error: CrossZoneError) -> str:
    return " ".join(str(finding) for finding in error.findings)
