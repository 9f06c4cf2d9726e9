"""What a change does to the mathematics of training, apart from its time: nothing, or which effect, by whose word."""

from __future__ import annotations

from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.cost.codecs import codec
from crosszone.cost.sync import sync_method

UNCHANGED = "unchanged"
COMPRESSION, BATCH_CHANGE, LOCAL_SGD, ASYNC = "compression", "batch_change", "local_sgd", "async"
"""Words of `constraints.allow`."""
LOSSLESS = "none"
"""The codec that changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One way in which training goes another way."""

    message: str
    consent: str | None
    """Word of `constraints.allow` that a plan chosen with it needs; None: the job itself is another."""
    source: str


def effects(base: Problem, base_plan: Plan, problem: Problem, plan: Plan) -> tuple[Effect, ...]:
    """Every way in which `plan` for `problem` trains otherwise than `base_plan` for `base`; none: to the same weights.

    Parallel degrees, order of work, sharding, recomputation, buckets, prefetch, streams and the algorithm of a
    collective only change the order of sums.
    """
    return (*_of_workload(base, problem), *_of_sync(base_plan, plan), *_of_codecs(base_plan, plan))


def _of_workload(base: Problem, problem: Problem) -> list[Effect]:
    found = []
    if base.model != problem.model:
        found.append(Effect(message="another model is trained.", consent=None, source="the job file"))
    before, after = base.workload, problem.workload
    if before.global_batch_size != after.global_batch_size:
        message = (
            f"a step has {after.global_batch_size} sequences, not {before.global_batch_size}: the learning rate and "
            "its schedule must follow, and beyond the critical batch size each token teaches less."
        )
        source = "Goyal et al. 2017 (arXiv 1706.02677), sec. 2.1; McCandlish et al. 2018 (arXiv 1812.06162), sec. 2"
        found.append(Effect(message=message, consent=BATCH_CHANGE, source=source))
    words = {
        "sequence_length": "sequences of {1} tokens, not {0}: what the model sees at once is another.",
        "optimizer": "{1} updates the weights, not {0}.",
        "trainable": "what learns is {1}, not {0}.",
    }
    for name, text in words.items():
        values = getattr(before, name), getattr(after, name)
        if values[0] != values[1]:
            found.append(Effect(message=text.format(*values), consent=None, source="the job file"))
    if before.dtypes != after.dtypes:
        message = "number formats differ: rounding, and in narrow formats overflow, are others."
        source = "Micikevicius et al. 2018 (arXiv 1710.03740), sec. 3"
        found.append(Effect(message=message, consent=None, source=source))
    return found


def _of_sync(base: Plan, plan: Plan) -> list[Effect]:
    """Zones that agree otherwise: only where several zones hold replicas, and the method is not exact."""
    keys = ("method", "every", "num_delay_steps", "num_fragments")
    if all(getattr(base.sync, key) == getattr(plan.sync, key) for key in keys) or "dp" not in plan.zone_axis:
        return []
    before, after = sync_method(base.sync.method), sync_method(plan.sync.method)
    if after.ALLOWS is None and before.ALLOWS is None:
        return []
    if after.ALLOWS is None:
        message = "zones agree in every step, as one cluster does; before, they did not."
        return [Effect(message=message, consent=None, source=before.EFFECT_SOURCE)]
    message = f"{plan.sync.method}: {after.effect(len(plan.zones), plan.sync.every)}."
    return [Effect(message=message, consent=after.ALLOWS, source=after.EFFECT_SOURCE)]


def _of_codecs(base: Plan, plan: Plan) -> list[Effect]:
    before, after = dict(base.sync.codecs), dict(plan.sync.codecs)
    found = []
    for stream in dict.fromkeys((*before, *after)):
        name = after.get(stream, LOSSLESS)
        used = codec(name)
        if name == before.get(stream, LOSSLESS) or used is None:
            continue
        if not used.changes_mathematics:
            found.append(Effect(message=f"{stream} cross zones unchanged.", consent=None, source=used.source))
            continue
        message = f"{stream} cross zones as {name}: {used.effect}."
        found.append(Effect(message=message, consent=COMPRESSION, source=used.source))
    return found
