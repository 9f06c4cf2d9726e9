"""CrossZone plans, predicts and runs the training of one large language model over GPUs in several zones.

    import crosszone

    problem = crosszone.read("job.yaml")
    answer = crosszone.plan(problem)
    print(answer.verdict, answer.plans[0].prediction.step_seconds)

Every name is loaded when it is first used, so that `import crosszone` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosszone.core.answer import Answer, RankedPlan
    from crosszone.core.plan import Plan
    from crosszone.core.prediction import Prediction
    from crosszone.core.problem import Problem
    from crosszone.core.whatif import WhatIf
    from crosszone.core.why import Why
    from crosszone.errors import CrossZoneError, Finding, InfeasiblePlan, SpecError
    from crosszone.service import (
        answer_json,
        calibrate,
        calibrated,
        job_schema,
        plan,
        predict,
        prediction_json,
        read,
        read_calibrations,
        read_plan,
        read_text,
        replan,
        replan_json,
        sensitivity,
        simulate,
        starter_job,
        sweep,
        sweep_json,
        validate,
        whatif,
        whatif_base,
        whatif_json,
        why,
        why_json,
    )

    __version__: str

__all__ = [
    # the verbs
    "read",
    "read_text",
    "predict",
    "plan",
    "sensitivity",
    "why",
    "whatif",
    "whatif_base",
    "simulate",
    "sweep",
    "replan",
    "validate",
    "calibrate",
    "read_calibrations",
    "read_plan",
    "calibrated",
    "prediction_json",
    "answer_json",
    "sweep_json",
    "replan_json",
    "whatif_json",
    "why_json",
    "job_schema",
    "starter_job",
    # what they take and give
    "Problem",
    "Plan",
    "Prediction",
    "RankedPlan",
    "Answer",
    "WhatIf",
    "Why",
    # what they raise
    "CrossZoneError",
    "SpecError",
    "InfeasiblePlan",
    "Finding",
    "__version__",
]

_HOMES = {
    "Answer": "crosszone.core.answer",
    "RankedPlan": "crosszone.core.answer",
    "Plan": "crosszone.core.plan",
    "Prediction": "crosszone.core.prediction",
    "Problem": "crosszone.core.problem",
    "WhatIf": "crosszone.core.whatif",
    "Why": "crosszone.core.why",
    "CrossZoneError": "crosszone.errors",
    "SpecError": "crosszone.errors",
    "InfeasiblePlan": "crosszone.errors",
    "Finding": "crosszone.errors",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("crosszone")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "crosszone.service")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
