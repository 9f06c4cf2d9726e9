"""Results as the values that are printed with `--json` and sent over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crosszone.core.answer import Answer, RankedPlan
    from crosszone.core.calibration import Calibration, CalibrationReport
    from crosszone.core.framework_choice import FrameworkChoice
    from crosszone.core.measured_gpu import GpuReport, MeasuredGpu
    from crosszone.core.plan import Plan
    from crosszone.core.replan import Replan
    from crosszone.core.sweep import Sweep
    from crosszone.core.validation import QuantityScores, Validation
    from crosszone.core.whatif import WhatIf
    from crosszone.core.why import Why
    from crosszone.timeline.spans import StepTimeline


def calibrations_json(calibrations: Sequence[Calibration], measured: Sequence[MeasuredGpu] = ()) -> dict[str, Any]:
    """What a calibration file holds: with the raw figures of the GPUs that were timed."""
    from crosszone.verify.calibration_file import calibrations_json as as_json

    return as_json(calibrations, measured)


def calibration_report_json(report: CalibrationReport) -> dict[str, Any]:
    """Calibrate JSON: what the file holds, the runs behind it, and the rows that were not used."""
    from crosszone.core.codec import to_json

    more: dict[str, Any] = to_json({"runs": report.runs, "unused": report.unused})
    return {**calibrations_json(report.calibrations), **more}


def gpu_report_json(report: GpuReport) -> dict[str, Any]:
    """Calibrate JSON of a timed GPU: what the file holds, each share beside the catalog's, and what was not fitted."""
    from crosszone.core.codec import to_json

    more: dict[str, Any] = to_json({"shares": report.shares, "notes": report.notes})
    return {**calibrations_json([report.calibration], [report.measured]), **more}


def prediction_json(ranked: RankedPlan) -> dict[str, Any]:
    """Prediction JSON: its fields at the top, the completed plan as `plan`, what rules say of it as `checks`."""
    from crosszone.core.codec import to_json

    return {**_unchecked_json(ranked), "checks": to_json(ranked.checks)}


def answer_json(answer: Answer) -> dict[str, Any]:
    """Plan JSON."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(answer)
    value["plans"] = [_ranked_json(ranked) for ranked in answer.plans]
    value["baseline"] = None if answer.baseline is None else _ranked_json(answer.baseline)
    value |= {"speedup_ratio": answer.speedup_ratio, "scaling_ratio": answer.scaling_ratio}
    value["rejected"] = [
        {"plan": plan_json(rejected.plan), "reasons": list(rejected.reasons)} for rejected in answer.rejected
    ]
    value["assumed"] = list(answer.assumed)
    told = (answer.runner_up, answer.restriction, *(answer.pareto or ()), *(answer.sensitivity or ()))
    parts = (value["runner_up"], value["restriction"], *(value["pareto"] or ()), *(value["sensitivity"] or ()))
    for part, noun in zip(parts, told, strict=True):
        if part is not None and noun is not None and noun.plan is not None:
            part["plan"] = plan_json(noun.plan)
    return value


def why_json(found: Why) -> dict[str, Any]:
    """Why JSON: the asked plan, the chosen one and neighbours with their predictions, and every number's difference."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(found)
    for name, ranked in (("chosen", found.chosen), ("plan", found.plan)):
        value[name] = None if ranked is None else _ranked_json(ranked)
    value["neighbours"] = [_ranked_json(ranked) for ranked in found.neighbours]
    return value


def framework_choice_json(found: FrameworkChoice) -> dict[str, Any]:
    """Framework JSON: the chosen plan, and each framework's own with what it takes more."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(found)
    value["chosen"] = None if found.chosen is None else _ranked_json(found.chosen)
    for part, option in zip(value["options"], found.options, strict=True):
        for name, ranked in (("as_chosen", option.as_chosen), ("best", option.best)):
            part[name] = None if ranked is None else _ranked_json(ranked)
    return value


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan with what follows from it: `world_size`, `zone_axis`."""
    from crosszone.core.codec import to_json

    return {**to_json(plan), "world_size": plan.world_size, "zone_axis": plan.zone_axis}


def replan_json(found: Replan) -> dict[str, Any]:
    """Replan JSON: the choices as plans that `--plan` takes, each with its move."""
    from crosszone.core.codec import to_json

    plans = []
    for choice in found.choices:
        value = to_json(choice) | {"plan": plan_json(choice.plan)}
        value["move"]["total_seconds"] = choice.move.total_seconds
        plans.append(value)
    return {
        "schema_version": 1,
        "running": plan_json(found.running),
        "remaining_tokens": found.remaining_tokens,
        "impossible": list(found.impossible),
        "verdict": found.verdict,
        "plans": plans,
    }


def sweep_json(sweep: Sweep) -> dict[str, Any]:
    """Sweep JSON: the rows as they are in the table, and how the cases ended."""
    statuses = [row["status"] for row in sweep.rows]
    return {
        "schema_version": 1,
        "rows": list(sweep.rows),
        "summary": {
            "num_cases": len(statuses),
            "num_resumed": sweep.num_resumed,
            **{f"num_{status}": statuses.count(status) for status in ("planned", "infeasible", "refused", "failed")},
        },
    }


def simulation_json(timeline: StepTimeline, *, max_slices: int | None = None) -> dict[str, Any]:
    """Simulate JSON: how busy stages and links are, and the plan; with `max_slices` also the timeline, as `detail`."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(timeline.simulation)
    value |= {"fits": timeline.prediction.memory.fits, "plan": plan_json(timeline.plan)}
    if max_slices is not None:
        bounds = (0.0, timeline.simulation.step_seconds)
        value["detail"] = detail_json(timeline, bounds=bounds, max_slices=max_slices)
    return value


def detail_json(timeline: StepTimeline, *, bounds: tuple[float, float], max_slices: int) -> dict[str, Any]:
    """What happens between two times, in at most `max_slices` slices: neighbours on a track are merged."""
    from crosszone.trace.detail import detail_json as as_json
    from crosszone.trace.detail import window

    start, end = bounds
    return as_json(window(timeline.trace, start_seconds=start, end_seconds=end, max_slices=max_slices))


def trace_text(timeline: StepTimeline) -> Iterator[str]:
    """The timeline as a file that ui.perfetto.dev and chrome://tracing open, in pieces."""
    from crosszone.trace.perfetto import perfetto_text

    return perfetto_text(timeline.trace)


def activity(timeline: StepTimeline, *, num_cells: int) -> dict[tuple[int, int], tuple[str, ...]]:
    """What each (replica, stage) does in each of equal parts of the step: a category of spans, "" for waiting."""
    from crosszone.timeline.use import stage_activity

    return stage_activity(timeline.trace, timeline.simulation, num_cells=num_cells)


def whatif_json(result: WhatIf) -> dict[str, Any]:
    """Whatif JSON: `base` and `changed` as Prediction JSON, every number's change, regimes and advice."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(result)
    return {**value, "base": _unchecked_json(result.base), "changed": _unchecked_json(result.changed)}


def validation_json(validation: Validation) -> dict[str, Any]:
    """Validate JSON: rows, skipped rows, and the summary with the scores of the first quantity at its top."""
    from crosszone.core.codec import to_json

    quantities = {name: _scores_json(scores) for name, scores in validation.quantities.items()}
    first = next(iter(quantities), None)
    headline = {"quantity": first, **quantities[first]} if first else {"quantity": None, "num_rows": 0, "by_source": {}}
    return {
        "schema_version": 1,
        "rows": to_json(validation.rows),
        "skipped": to_json(validation.skipped),
        "warnings": to_json(validation.warnings),
        "summary": {
            **headline,
            "num_table_rows": validation.num_table_rows,
            "num_skipped": len(validation.skipped),
            "quantities": quantities,
        },
    }


def _scores_json(scores: QuantityScores) -> dict[str, Any]:
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(scores)
    return {**value.pop("total"), **value}


def _unchecked_json(ranked: RankedPlan) -> dict[str, Any]:
    from crosszone.core.codec import to_json

    return {**to_json(ranked.prediction), "plan": plan_json(ranked.plan)}


def _ranked_json(ranked: RankedPlan) -> dict[str, Any]:
    from crosszone.core.codec import to_json

    return {
        "plan": plan_json(ranked.plan),
        "prediction": to_json(ranked.prediction),
        "reasons": list(ranked.reasons),
        "checks": to_json(ranked.checks),
    }
