"""One plan's step as a timeline: spans, flows and counters of one replica of each group."""

from dataclasses import dataclass

from crosszone.core.framework import Framework
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.simulation import Simulation
from crosszone.timeline.closing_spans import closing, draw_closing
from crosszone.timeline.pipeline_spans import Drawing, draw_pipeline
from crosszone.timeline.replay import Group, Replay, replay
from crosszone.timeline.use import link_counters, memory_counters, simulation
from crosszone.trace.span import Trace, Track


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimeline:
    """A plan's step: what is predicted of it, in full, in a few numbers, and as it goes."""

    plan: Plan
    prediction: Prediction
    simulation: Simulation
    trace: Trace


def step_timeline(problem: Problem, plan: Plan, framework: Framework) -> StepTimeline:
    """The timeline of one step; its last span ends with the prediction's step, its bytes are the prediction's."""
    played = replay(problem, plan, framework)
    drawing = Drawing()
    for group in played.groups:
        draw_pipeline(drawing, played, group)
    times = closing(played)
    draw_closing(drawing, played, times)
    counters = [counter for group in played.groups for counter in memory_counters(played, group)]
    counters += link_counters(drawing.spans)
    prediction = played.prediction
    return StepTimeline(
        plan=plan,
        prediction=prediction,
        simulation=simulation(played, times, drawing.spans, counters),
        trace=Trace(
            origin="predicted",
            spans=tuple(drawing.spans),
            flows=tuple(drawing.flows),
            counters=tuple(counters),
            labels=tuple(label for group in played.groups for label in _labels(played, group)),
            facts=(
                ("fingerprint", prediction.fingerprint),
                ("framework", plan.framework),
                ("schedule", plan.schedule),
                ("step_seconds", prediction.step_seconds),
            ),
        ),
    )


def _labels(played: Replay, group: Group) -> list[tuple[Track, str]]:
    """ "stage 0, north: 8 x a100-sxm4-80gb, 1 of 4 replicas"."""
    plan, labels = played.plan, []
    for row, track in zip(group.rows, group.tracks, strict=True):
        gpu = played.inputs.pools[int(played.tables.stages.pool[row])].node_group.gpu.name
        name = f"replica group {group.replica}, " if len(played.groups) > 1 else ""
        name += f"stage {track.stage}, {track.zone}: 1 of {plan.tp * plan.cp} {gpu}"
        name += f", 1 of {group.num_replicas} replicas" if group.num_replicas > 1 else ""
        labels.append((track.group, name))
    return labels
