"""The pipeline part of a step as spans: what each stage does to each microbatch, and what it sends."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from crosszone.core.schedules import traits
from crosszone.core.schedules.action import Action
from crosszone.core.schedules.placement import position_of
from crosszone.timeline.action_flop import action_flop
from crosszone.timeline.parts import Parts, action_parts
from crosszone.timeline.replay import Group, Replay
from crosszone.timeline.simulate import Event, Message
from crosszone.trace.lanes import in_lanes
from crosszone.trace.span import Flow, Span, Track

MOST_EVENTS_IN_FULL = 20_000
"""Actions of a step up to which each is shown with what it consists of, and messages inside zones with what they join;
a file with more of either opens slowly."""
TITLES = {"forward": "forward", "backward": "backward", "weight_gradient": "weight gradient"}


@dataclass(slots=True)
class Drawing:
    """Grows while one step is drawn; indices of spans are those of the trace."""

    spans: list[Span] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)


def draw_pipeline(drawing: Drawing, replay: Replay, group: Group) -> None:
    """Add what the replica of `group` does from its first forward to its last backward."""
    in_full = sum(len(each.played.events) for each in replay.groups) <= MOST_EVENTS_IN_FULL
    places = _draw_work(drawing, replay, group, in_parts=in_full)
    _draw_messages(drawing, replay, group, places, joins_all=in_full)


def _draw_work(drawing: Drawing, replay: Replay, group: Group, *, in_parts: bool) -> dict[tuple[int, Action], int]:
    """Add every action; where its span is."""
    late, spans = replay.start_seconds, drawing.spans
    parts = [action_parts(replay.inputs, replay.tables, replay.evaluation, row) for row in group.rows]
    flop = action_flop(replay, group)
    places: dict[tuple[int, Action], int] = {}
    if late > 0.0:
        spans += [_late(track, late) for track in group.tracks]
    for event in group.played.events:
        action, track = event.action, group.tracks[event.rank]
        places[event.rank, action] = len(spans)
        span = _work(replay, event, track, flop.of(event.rank, action))
        spans.append(span)
        if in_parts:
            spans += _inside(span, parts[event.rank][action.kind])
    return places


def _late(track: Track, seconds: float) -> Span:
    return Span(name="late messages", category="late", track=track, start_seconds=0.0, end_seconds=seconds)


def _work(replay: Replay, event: Event, track: Track, model_flop: float) -> Span:
    action = event.action
    return Span(
        name=f"{TITLES[action.kind]} {action.microbatch}",
        category=action.kind,
        track=track,
        start_seconds=replay.time(event.start_seconds),
        end_seconds=replay.time(event.end_seconds),
        args=(*_args(action), ("model_flop", model_flop)),
    )


def _args(action: Action) -> tuple[tuple[str, int], ...]:
    known = (("microbatch", action.microbatch), ("virtual_stage", action.virtual_stage))
    return (*known, ("part", action.part)) if action.part else known


def _inside(span: Span, parts: Parts) -> Iterator[Span]:
    """Spans inside an action, one after the other; none where it consists of one."""
    if len(parts) < 2:
        return
    start, elapsed = span.start_seconds, 0.0
    for number, (category, fraction) in enumerate(parts, start=1):
        elapsed += fraction
        end = span.end_seconds if number == len(parts) else span.start_seconds + elapsed * span.duration_seconds
        end = min(max(end, start), span.end_seconds)
        name = category.replace("_", " ")
        yield Span(name=name, category=category, track=span.track, start_seconds=start, end_seconds=end, is_part=True)
        start = end


def _draw_messages(
    drawing: Drawing, replay: Replay, group: Group, places: dict[tuple[int, Action], int], *, joins_all: bool
) -> None:
    """Add every message: over a zone link the time that it takes the link, inside a zone until it has arrived."""
    placement = traits(replay.plan.schedule).placement
    messages = sorted(group.played.messages, key=lambda message: (message.start_seconds, message.end_seconds))
    spans = [_message(replay, group, message) for message in messages]
    first = len(drawing.spans)
    drawing.spans += in_lanes(spans)
    for number, message in enumerate(messages, start=first):
        if not joins_all and drawing.spans[number].track.to_zone is None:
            continue
        name = f"microbatch {message.action.microbatch}"
        source = places[message.from_rank, message.action]
        drawing.flows.append(Flow(name=name, source=source, target=number))
        target = places[message.to_rank, _use(message, len(group.rows), placement)]
        drawing.flows.append(Flow(name=name, source=number, target=target))


def _message(replay: Replay, group: Group, message: Message) -> Span:
    row, to_row = group.rows[message.from_rank], group.rows[message.to_rank]
    zone, to_zone = replay.zone_name(row), replay.zone_name(to_row)
    action, shape = message.action, traits(replay.plan.schedule)
    passed = group.rows[_boundary(message, shape.placement)]
    size = float(replay.evaluation.boundary.message_bytes[passed]) / shape.num_parts
    work = group.tracks[message.from_rank]
    crosses = zone != to_zone
    return Span(
        name=f"send {TITLES[action.kind]} {action.microbatch}",
        category="zone_pipeline_send" if crosses else "pipeline_send",
        track=Track(zone=zone, stream="pp", to_zone=to_zone, lane=group.replica)
        if crosses
        else work._replace(stream="send"),
        start_seconds=replay.time(message.start_seconds),
        end_seconds=replay.time(message.end_seconds if crosses else message.arrival_seconds),
        moved_bytes=size * group.num_replicas if crosses else size,
        args=(*_args(action), ("to_stage", message.to_rank)),
    )


def _boundary(message: Message, placement: str) -> int:
    """Rank before the boundary that a message passes; a loop's last boundary leads from the last rank to the first."""
    if placement == "loop":
        return message.from_rank if message.action.is_forward else message.to_rank
    return min(message.from_rank, message.to_rank)


def _use(message: Message, num_stages: int, placement: str) -> Action:
    """What a message is needed for: the same, at the position before or after the sender's."""
    action = message.action
    position = position_of(message.from_rank, action.virtual_stage, num_stages, placement)
    return action._replace(virtual_stage=(position + (1 if action.is_forward else -1)) // num_stages)
