"""How the zones of one plan agree, and what a person should know of it."""

import numpy as np

from crosszone import units
from crosszone.core.plan import Plan, Sync
from crosszone.core.prediction import Agreement
from crosszone.core.problem import Problem
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.codecs.content import Content
from crosszone.cost.sync import sync_method
from crosszone.timeline.agreement_memory import agreement_bytes
from crosszone.timeline.evaluate import Evaluation
from crosszone.timeline.sync_choice import changes, num_delay_steps, num_fragments, stream_codec
from crosszone.timeline.zone_agreement import exchanged_content


def agreement_report(problem: Problem, plan: Plan, evaluation: Evaluation, step_seconds: float) -> Agreement | None:
    """The way in which the zones of `plan` agree; None where no replicas or packed activations cross zones."""
    sync, axis, num_zones = plan.sync, plan.zone_axis, len(plan.zones)
    packs_activations = "pp" in axis and sync.packs_activations
    if "dp" not in axis and not packs_activations:
        return None
    found = changes(sync, zone_axis=axis, num_zones=num_zones)
    way, zone, cost = sync_method(sync.method), evaluation.zone_agreement, evaluation.sync
    held = agreement_bytes(evaluation.view)
    on_gpu = np.where(evaluation.view.plans.offloads_optimizer, 0.0, held.state) + held.error
    return Agreement(
        method=sync.method,
        every=sync.every,
        num_delay_steps=num_delay_steps(sync),
        num_fragments=num_fragments(sync, problem.model.num_layers),
        codecs=sync.codecs,
        exchange_bytes=float(zone.link_bytes[0]),
        exchange_seconds=float((zone.seconds + zone.codec_seconds + zone.outer_seconds)[0]),
        mean_bytes_per_second=float(cost.link_bytes[0]) / step_seconds,
        peak_bytes_per_second=float(cost.peak_bytes_per_second[0]),
        held_bytes=float(on_gpu.max()),
        changes_mathematics=bool(found),
        effect="; ".join(effect for _, effect in found) or way.effect(num_zones, sync.every),
        source=way.SOURCE,
    )


def agreement_warnings(problem: Problem, plan: Plan) -> tuple[str, ...]:
    """Changes of the mathematics that `constraints.allow` does not name, and settings that have nothing to act on."""
    sync, axis = plan.sync, plan.zone_axis
    found = [
        f"plan.sync: it changes the mathematics of training, and constraints.allow does not name {word}. {effect}."
        for word, effect in changes(sync, zone_axis=axis, num_zones=len(plan.zones))
        if word not in problem.constraints.allow
    ]
    if "dp" not in axis and problem.plan.sync is not None and sync.method != "hierarchical":
        found.append(f"plan.sync: {sync.method} has no effect, as no replicas lie in different zones.")
    if "dp" in axis and problem.plan.sync is not None and sync.algorithm != "ring" and len(plan.zones) == 2:
        found.append(f"plan.sync.algorithm: {sync.algorithm} has no effect: between two zones it is what a ring is.")
    found += _idle_codecs(problem, plan)
    if plan.prefetch is not None and plan.shard == "none":
        found.append("plan.prefetch has no effect: nothing is sharded, so that no weights are gathered.")
    return tuple(found)


def agreement_assumed(plan: Plan) -> tuple[str, ...]:
    """What a person said of the agreement in place of what is computed."""
    if plan.overlap_fraction is None:
        return ()
    share = f"{plan.overlap_fraction:g} of the agreement is hidden, as stated"
    return (f"plan.overlap_fraction: {share}; none is computed.",)


def _idle_codecs(problem: Problem, plan: Plan) -> list[str]:
    """Codecs of streams that do not cross, and those that send no less than without."""
    found, plain = [], stream_codec(Sync(), "gradients")
    for stream, name in plan.sync.codecs:
        key, packing = f"plan.sync.codecs.{stream}", stream_codec(plan.sync, stream)
        axis, what = ("pp", "stages of one replica") if stream == "activations" else ("dp", "replicas")
        if not packing.changes_mathematics:
            continue
        if axis not in plan.zone_axis:
            found.append(f"{key} has no effect, as no {what} lie in different zones.")
            continue
        content = _content(problem, plan, stream)
        before, after = (float(one.encoded(content).wire_bytes) for one in (plain, packing))
        if after >= before:
            sizes = f"{units.format_bytes(after)} instead of {units.format_bytes(before)}"
            found.append(f"{key}: {name} sends as much as none, {sizes}. Leave it out, or take a narrower one.")
    return found


def _content(problem: Problem, plan: Plan, stream: str) -> Content:
    """One message of the stream before it is packed."""
    if stream != "activations":
        return exchanged_content(problem, plan.sync, plan.tp)
    tokens = plan.microbatch_size * problem.workload.sequence_length
    element_bytes = DTYPE_BYTES[problem.workload.dtypes.activations]
    return Content(num_elements=float(tokens * problem.model.hidden_size), element_bytes=element_bytes)
