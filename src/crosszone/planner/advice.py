"""What to change, ranked by what the cost model says that it gains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from crosszone.core.prediction import Prediction
from crosszone.core.whatif import Advice
from crosszone.errors import CrossZoneError
from crosszone.frameworks import framework_facts
from crosszone.planner.mathematics import UNCHANGED, effects
from crosszone.planner.proposals import Proposal, proposals
from crosszone.planner.search import allowed_frameworks
from crosszone.planner.whatif import Base, Changed, change
from crosszone.timeline.inputs import inputs
from crosszone.timeline.predict import plan_step_seconds, predict_plan

LEAST_FRACTION = 0.005
"""Share of the step below which a gain is not told: plans that differ by less count as one (`search.SAME_RATIO`)."""


def advice(base: Base) -> tuple[Advice, ...]:
    """Single changes of the base's job that save time and fit, most seconds first; the best of each kind.

    Seconds are those of a step with as many tokens as the base's has, so that larger batches compare.
    """
    found: dict[str, tuple[float, Advice]] = {}
    expressed = set[str]()
    for proposal in proposals(base.job.source.value, base.problem, base.ranked.plan, base.ranked.prediction):
        if proposal.is_last_resort and proposal.kind in expressed:
            continue
        changed = _expressed(base, proposal)
        if changed is None:
            continue
        expressed.add(proposal.kind)
        settings, new = changed
        seconds = _seconds_saved(base, new, _step_seconds(new))
        least = max(found[proposal.kind][0] if proposal.kind in found else 0.0, LEAST_FRACTION * _step(base))
        if seconds <= least:
            continue
        one = _advice(base, dataclasses.replace(proposal, settings=settings), new)
        if one is not None:
            found[proposal.kind] = (one.seconds_saved, one)
    return _ranked(one for _, one in found.values())


def _expressed(base: Base, proposal: Proposal) -> tuple[tuple[str, ...], Changed] | None:
    """The changed job, with the framework that can express it where the base's cannot; None where none can."""
    names = [base.ranked.plan.framework, *allowed_frameworks(base.problem)]
    for index, name in enumerate(dict.fromkeys(names)):
        settings = proposal.settings if index == 0 else (*proposal.settings, f"framework.name={name}")
        try:
            return settings, change(base, settings)
        except CrossZoneError:
            continue
    return None


def _advice(base: Base, proposal: Proposal, new: Changed) -> Advice | None:
    """The advice in full; None where the changed plan does not fit."""
    prediction = predict_plan(new.problem, new.plan, framework_facts(new.plan.framework))
    if not prediction.memory.fits:
        return None
    before, seconds = base.ranked.prediction, _seconds_saved(base, new, prediction.step_seconds)
    changed = effects(base.problem, base.ranked.plan, new.problem, new.plan)
    dollars = _dollars(before), _dollars(prediction)
    return Advice(
        title=proposal.title,
        settings=proposal.settings,
        step_seconds=prediction.step_seconds,
        seconds_saved=seconds,
        saved_fraction=seconds / before.step_seconds,
        dollars_saved=None if dollars[0] is None or dollars[1] is None else dollars[0] - dollars[1],
        peak_bytes=prediction.memory.peak_bytes,
        mathematics=" ".join(effect.message for effect in changed) or UNCHANGED,
        consent=next((effect.consent for effect in changed if effect.consent is not None), None),
        source="; ".join(effect.source for effect in changed) or proposal.source,
    )


def _ranked(found: Iterable[Advice]) -> tuple[Advice, ...]:
    return tuple(sorted(found, key=lambda one: -one.seconds_saved))


def _step(base: Base) -> float:
    return base.ranked.prediction.step_seconds


def _step_seconds(new: Changed) -> float:
    return plan_step_seconds(inputs(new.problem, (framework_facts(new.plan.framework),)), new.plan)


def _seconds_saved(base: Base, new: Changed, step_seconds: float) -> float:
    tokens = base.problem.workload.global_batch_tokens / new.problem.workload.global_batch_tokens
    return _step(base) - step_seconds * tokens


def _dollars(prediction: Prediction) -> float | None:
    """Of the whole training, as far as all of it is known."""
    if prediction.costs is not None:
        return prediction.costs.total_dollars
    if prediction.gpu_dollars is None or prediction.egress_dollars is None:
        return None
    return prediction.gpu_dollars + prediction.egress_dollars
