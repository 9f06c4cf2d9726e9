"""How memory and links fill over a step, and how busy everything was."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from crosszone.core.schedules.action import FORWARD, Action
from crosszone.core.simulation import LinkUse, Simulation, StageUse
from crosszone.timeline.closing_spans import AGREEMENT, Closing
from crosszone.timeline.replay import Group, Replay
from crosszone.timeline.stage_memory import in_flight
from crosszone.trace.detail import activity
from crosszone.trace.span import Counter, Span, Trace, Track


def memory_counters(replay: Replay, group: Group) -> list[Counter]:
    """Memory of one rank of each stage: what it always needs, and the activations of the microbatches it holds.

    A forward adds those of its microbatch; the last action that needs them, backward or weight gradient, frees them.
    Buffers are counted all along, as the prediction counts them, so that the peak is the prediction's.
    """
    units = in_flight(replay.evaluation.view)
    counters = []
    for row, track in zip(group.rows, group.tracks, strict=True):
        activation, total = float(replay.bytes.activation[row]), float(replay.bytes.total[row])
        held = _held(replay, group, track.stage or 0)
        each = activation / float(units[row])
        samples = tuple((seconds, total - activation + each * count) for seconds, count in held)
        counters.append(Counter(name="memory_bytes", track=track.group, samples=samples))
    return counters


def link_counters(spans: Iterable[Span]) -> list[Counter]:
    """Bytes per second over each directed zone link: each message's bytes over the time that it takes."""
    changes: dict[Track, dict[float, float]] = {}
    for span in spans:
        if span.track.to_zone is not None and span.duration_seconds > 0.0:
            rate = span.moved_bytes / span.duration_seconds
            change = changes.setdefault(span.track.group, {})
            change[span.start_seconds] = change.get(span.start_seconds, 0.0) + rate
            change[span.end_seconds] = change.get(span.end_seconds, 0.0) - rate
    return [
        Counter(name="bytes_per_second", track=track, samples=_running(change)) for track, change in changes.items()
    ]


def simulation(replay: Replay, times: Closing, spans: Sequence[Span], counters: Sequence[Counter]) -> Simulation:
    """The step in a few numbers."""
    prediction = replay.prediction
    peaks = {counter.track: counter.peak for counter in counters}
    return Simulation(
        fingerprint=prediction.fingerprint,
        framework=prediction.framework,
        schedule=replay.plan.schedule,
        step_seconds=prediction.step_seconds,
        pipeline_seconds=replay.pipeline_end_seconds,
        num_spans=len(spans),
        stages=tuple(_stage_use(replay, times, group, stage, peaks) for group in replay.groups for stage in
                     range(len(group.rows))),
        links=_link_uses(replay, spans, peaks),
        notes=tuple(_notes(replay)),
    )  # fmt: skip


def stage_activity(trace: Trace, simulation: Simulation, *, num_cells: int) -> dict[tuple[int, int], tuple[str, ...]]:
    """What each (replica, stage) does in each of equal parts of the step: the category of its work, "" for waiting.

    After the pipeline, all that is agreed on is "agreement".
    """
    own: dict[tuple[int, int], list[Span]] = {(use.replica, use.stage): [] for use in simulation.stages}
    for span in trace.spans:
        place = span.track.replica or 0, span.track.stage or 0
        if span.track.stream == "compute" and not span.is_part:
            own[place].append(span)
        elif span.track.stream == AGREEMENT and span.end_seconds > simulation.pipeline_seconds:
            start = max(span.start_seconds, simulation.pipeline_seconds)
            own[place].append(replace(span, start_seconds=start, category=AGREEMENT))
    bounds = {"start_seconds": 0.0, "end_seconds": simulation.step_seconds}
    return {place: activity(spans, num_cells=num_cells, **bounds) for place, spans in own.items()}


def _held(replay: Replay, group: Group, rank: int) -> list[tuple[float, float]]:
    """(time, microbatches whose activations a rank holds), from the start of the step."""
    events = [event for event in group.played.events if event.rank == rank]
    last: dict[Action, float] = {}
    virtual = set()
    for event in events:
        action = event.action
        virtual.add(action.virtual_stage)
        if action.kind != FORWARD:
            unit = action._replace(kind=FORWARD)
            last[unit] = max(last.get(unit, 0.0), event.end_seconds)
    num_parts = 1 + max((event.action.part for event in events), default=0)
    share = 1.0 / (replay.plan.num_virtual_stages * num_parts)
    changes: dict[float, float] = {0.0: 0.0}
    for event in events:
        if event.action.kind == FORWARD:
            start, end = (replay.time(time) for time in (event.start_seconds, last[event.action]))
            changes[start] = changes.get(start, 0.0) + share
            changes[end] = changes.get(end, 0.0) - share
    return list(_running(changes))


def _running(changes: dict[float, float]) -> tuple[tuple[float, float], ...]:
    """Sums of changes in order of time; what rounding leaves of nothing is nothing."""
    samples, value = [], 0.0
    scale = max((abs(change) for change in changes.values()), default=0.0)
    for time in sorted(changes):
        value += changes[time]
        samples.append((time, value if abs(value) > 1e-9 * scale else 0.0))
    return tuple(samples)


def _stage_use(replay: Replay, times: Closing, group: Group, stage: int, peaks: dict[Track, float]) -> StageUse:
    row, step = group.rows[stage], replay.prediction.step_seconds
    pool = replay.inputs.pools[int(replay.tables.stages.pool[row])]
    busy = sum(event.end_seconds - event.start_seconds for event in group.played.events if event.rank == stage)
    optimizer = float(times.optimizer[row])
    return StageUse(
        replica=group.replica,
        num_replicas=group.num_replicas,
        stage=stage,
        zone=pool.zone.name,
        gpu=pool.node_group.gpu.name,
        busy_seconds=busy,
        idle_seconds=max(replay.pipeline_end_seconds - busy, 0.0),  # rounding
        agreement_seconds=max(step - replay.pipeline_end_seconds - optimizer, 0.0),
        optimizer_seconds=optimizer,
        busy_fraction=busy / step,
        peak_bytes=peaks[group.tracks[stage].group],
        capacity_bytes=float(replay.inputs.hardware.memory_bytes[pool.index]),
    )


def _link_uses(replay: Replay, spans: Sequence[Span], peaks: dict[Track, float]) -> tuple[LinkUse, ...]:
    on_link: dict[Track, list[Span]] = {}
    for span in spans:
        if span.track.to_zone is not None:
            on_link.setdefault(span.track.group, []).append(span)
    step = replay.prediction.step_seconds
    uses = []
    for link in replay.prediction.links:
        track = Track(zone=link.from_zone, stream="", to_zone=link.to_zone)
        own = on_link.get(track, [])
        busy = _covered_seconds(own)
        uses.append(
            LinkUse(
                from_zone=link.from_zone,
                to_zone=link.to_zone,
                step_bytes=sum(span.moved_bytes for span in own),
                busy_seconds=busy,
                busy_fraction=min(busy / step, 1.0),
                peak_bytes_per_second=peaks.get(track, 0.0),
            )
        )
    return tuple(uses)


def _covered_seconds(spans: Sequence[Span]) -> float:
    """Time in which at least one of the spans lasts."""
    total, until = 0.0, 0.0
    for start, end in sorted((span.start_seconds, span.end_seconds) for span in spans):
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total


def _notes(replay: Replay) -> Iterable[str]:
    if any(group.num_replicas > 1 for group in replay.groups):
        yield "one replica of each group of like replicas is shown; bytes on links are those of all of them"
    if replay.plan.tp * replay.plan.cp > 1:
        yield "one rank of each stage is shown; its tensor- and context-parallel peers do the same"
    yield "parts of an action stand one after the other, though layers take turns"
    if replay.plan.sync.every > 1 and len(replay.plan.zones) > 1:
        yield f"zones agree every {replay.plan.sync.every} steps: one step's share of that is drawn"
    if replay.start_seconds > 0.0:
        yield "late messages are drawn in one piece before the first forward"
