"""What a change does to the mathematics of training, apart from its time: nothing, or which effect, by whose word."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.timeline.sync_choice import changes

UNCHANGED = "unchanged"


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
    return (*_of_workload(base, problem), *_of_agreement(base_plan, plan))


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
        found.append(Effect(message=message, consent=None, source=source))  # `plan` takes the batch that is written
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


def _of_agreement(base: Plan, plan: Plan) -> list[Effect]:
    """How zones agree otherwise than before: by what is known of each way and codec, and what is no longer so."""
    before, after = (changes(one.sync, zone_axis=one.zone_axis, num_zones=len(one.zones)) for one in (base, plan))
    found = [_effect(text, word) for word, text in after if (word, text) not in before]
    gone = [_effect(text, None) for word, text in before if word not in {other for other, _ in after}]
    return found + [dataclasses.replace(one, message=f"no longer: {one.message}") for one in gone]


def _effect(text: str, consent: str | None) -> Effect:
    """The effect and its source, which stands in brackets at the end of the text."""
    message, _, source = text.rpartition(" [")
    return Effect(message=f"{message}.", consent=consent, source=source.removesuffix("]"))
