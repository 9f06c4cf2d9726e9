"""Ways to agree across zones that the search tries, and the consent that they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crosszone.core.layout import Layout
from crosszone.core.plan import Sync
from crosszone.core.problem import Problem
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.sync import sync_methods
from crosszone.errors import Finding, SpecError
from crosszone.frameworks import flat_sync
from crosszone.frameworks.rules import SUMS
from crosszone.timeline.sync_choice import COMPRESSION, changes

LOCAL_SGD = "local_sgd"
GRADIENT_CODECS = ("bf16", "int8_block")
PSEUDOGRADIENT_CODECS = ("int8_block", "int4")
EVERY_AXIS = "dp+pp"


def ways(problem: Problem, layout: Layout, *, algorithm: str = "ring") -> tuple[Sync, ...]:
    """The plan's own way where it is fixed; else a sum in every step, and what `constraints.allow` names.

    The gentlest first, all by `algorithm`, which changes no sum; each sum once per zone and flat, as some frameworks
    run the one and some the other. Larger batches are not tried: a person chooses them by `global_batch_size`. Nor are
    gradients that come late (`delayed`): nothing runs them yet but a program of a person's own.
    """
    wanted = problem.plan.sync
    if not problem.plan.leaves_sum_open:
        return (wanted or Sync(),)
    if len(layout.ring) < 2:
        return (wanted or Sync(),)
    tried = (Sync(), *_changing(problem)) if wanted is None else (wanted,)
    return tuple(_summed(tuple(replace(sync, algorithm=algorithm) for sync in tried)))


def refuse_without_consent(problem: Problem) -> None:
    """SpecError where the job file fixes a way to agree that changes the mathematics and does not allow it."""
    sync, num_zones = problem.plan.sync, len(problem.cluster.zones)
    if sync is None or num_zones < 2:
        return
    found = changes(sync, zone_axis=EVERY_AXIS, num_zones=num_zones)
    missing = {word: effect for word, effect in found if word not in problem.constraints.allow}
    if missing:
        raise SpecError(*(_refusal(word, effect, problem) for word, effect in missing.items()))


def gentleness(sync: Sync) -> tuple[int, int, float]:
    """Less is gentler: fewer changes, fewer steps between, wider formats."""
    widths = {"none": 4.0, "bf16": 2.0, "fp16": 2.0, "int8_block": 1.0, "int4": 0.5}
    packed = [(stream, name) for stream, name in sync.codecs if name != "none"]
    return len(packed), sync.every, -min((widths.get(name, 0.0) for _, name in packed), default=4.0)


def _summed(tried: tuple[Sync, ...]) -> Iterator[Sync]:
    for sync in tried:
        yield sync
        if sync.method in SUMS:
            yield flat_sync(sync)


def _changing(problem: Problem) -> Iterator[Sync]:
    allow = problem.constraints.allow
    gradients: list[str | None] = [None]
    pseudogradients: list[str | None] = [None]
    if COMPRESSION in allow:
        sent = DTYPE_BYTES[problem.workload.dtypes.gradient_reduction]
        gradients += [name for name in GRADIENT_CODECS if name != "bf16" or sent > DTYPE_BYTES["bf16"]]
        pseudogradients += list(PSEUDOGRADIENT_CODECS)
    for codec in gradients[1:]:
        yield Sync(codecs=_codecs("gradients", codec))
    if LOCAL_SGD in allow:
        for method, way in sync_methods().items():
            for every in way.TRIED_EVERY if way.IS_LOCAL else ():
                for codec in pseudogradients:
                    yield Sync(method=method, every=every, codecs=_codecs("pseudogradients", codec))


def _codecs(stream: str, name: str | None) -> tuple[tuple[str, str], ...]:
    return () if name is None else ((stream, name),)


def _refusal(word: str, effect: str, problem: Problem) -> Finding:
    allow = ", ".join((*problem.constraints.allow, word))
    return Finding(
        code="not_allowed",
        message=f"it changes the mathematics of training, and constraints.allow does not name {word}: {effect}.",
        where="plan.sync",
        hint=f'Write "constraints: {{allow: [{allow}]}}", or leave it out of plan.sync.',
    )
