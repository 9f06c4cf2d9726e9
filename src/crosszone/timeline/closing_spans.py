"""The step after its last backward as spans: agreeing on gradients, updating and gathering weights.

The terms of the prediction follow each other: reducing gradients, what zones exchange, the tied table, the optimizer,
gathering weights. What is hidden lies where it is hidden: before the end of the last backward, or, of the gather,
behind the first forwards. A stage's own reduction may end later than others begin to exchange.
"""

from dataclasses import dataclass

from crosszone.core.prediction import Link, LinkGroup
from crosszone.core.tables import Floats
from crosszone.timeline.evaluate import exposed_agreement, exposed_gather
from crosszone.timeline.pipeline_spans import Drawing
from crosszone.timeline.replay import IN_PIPELINE, Group, Replay
from crosszone.timeline.stages import optimizer_seconds
from crosszone.trace.lanes import in_lanes
from crosszone.trace.span import Span, Track

REDUCE, GATHER = "gradient_agreement", "weight_gather"
OPTIMIZER = "optimizer"
AGREEMENT = "agreement"
"""The stream of a stage on which it agrees with others."""
PIPELINE_GROUP = "pp"
TERM_OF = {"dp": "zone_agreement", "embedding": "embedding_agreement"}
"""Term that the exchange of a group over zone links belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """When everything after the pipeline happens."""

    phases: dict[str, tuple[float, float]]
    """(start, end) of each term, in order of time."""
    reduce_exposed: Floats
    """Per stage row, as are the next two."""
    gather_exposed: Floats
    optimizer: Floats


def closing(replay: Replay) -> Closing:
    """Lay the terms that come after the pipeline end to end; the last ends with the step."""
    evaluation = replay.evaluation
    view, seconds, pool = evaluation.view, evaluation.seconds, evaluation.pool_agreement
    gather = exposed_gather(view, seconds, pool)
    reduce = exposed_agreement(view, seconds, pool) - gather
    after = {term.name: term.exposed_seconds for term in replay.prediction.terms if term.name not in IN_PIPELINE}
    last = min(float(gather.max()), after.get(REDUCE, 0.0))
    after[REDUCE] = after.get(REDUCE, 0.0) - last
    order = [REDUCE, *(name for name in after if name not in (REDUCE, OPTIMIZER)), OPTIMIZER]
    phases, now = {}, replay.pipeline_end_seconds
    step = replay.prediction.step_seconds
    for name in order:
        phases[name] = now, min(now + after.get(name, 0.0), step)
        now = phases[name][1]
    if last > 0.0:
        phases[GATHER] = now, step
    else:
        phases[OPTIMIZER] = phases[OPTIMIZER][0], step
    return Closing(phases=phases, reduce_exposed=reduce, gather_exposed=gather, optimizer=optimizer_seconds(view))


def draw_closing(drawing: Drawing, replay: Replay, times: Closing) -> None:
    """Add what stages do after the pipeline, and what zones exchange besides its messages."""
    for group in replay.groups:
        for row, track in zip(group.rows, group.tracks, strict=True):
            drawing.spans += _optimizer(times, row, track)
            drawing.spans += in_lanes(sorted(_agreement(replay, times, group, row, track), key=_start))
    exchanges = [
        _exchange(replay, times, link, group)
        for link in replay.prediction.links
        for group in link.groups
        if group.group != PIPELINE_GROUP
    ]
    drawing.spans += in_lanes(sorted(exchanges, key=_start))


def _start(span: Span) -> float:
    return span.start_seconds


def _optimizer(times: Closing, row: int, track: Track) -> list[Span]:
    """The update of a stage's rank: after the exchange, and after its own reduction where that takes longer."""
    begin, end = times.phases[OPTIMIZER]
    start = max(begin, times.phases[REDUCE][0] + float(times.reduce_exposed[row]))
    stop = end if start == begin and times.optimizer[row] == times.optimizer.max() else start + times.optimizer[row]
    return [_span(OPTIMIZER, track, start, float(stop))] if stop > start else []


def _agreement(replay: Replay, times: Closing, group: Group, row: int, track: Track) -> list[Span]:
    """What one rank of a stage takes part in, exposed or hidden."""
    pool, own = replay.evaluation.pool_agreement, track._replace(stream=AGREEMENT)
    reduce, gather = float(pool.reduce_seconds[row]), float(pool.gather_seconds[row])
    end, step = times.phases[REDUCE][0] + float(times.reduce_exposed[row]), replay.prediction.step_seconds
    waits, hidden = float(times.gather_exposed[row]), gather - float(times.gather_exposed[row])
    start = replay.start_seconds
    spans = [
        _span("reduce gradients", own, max(end - reduce, 0.0), end, REDUCE),
        _span("gather weights, of the last step", own, start, start + hidden, GATHER),
        _span("gather weights", own, step - waits, step, GATHER),
    ]
    is_end = track.stage in (0, len(group.rows) - 1)
    for name, (begin, stop) in times.phases.items():
        if name not in (REDUCE, OPTIMIZER, GATHER) and (name != TERM_OF["embedding"] or is_end):
            spans.append(_span(name.replace("_", " "), own, begin, stop, name))
    return [span for span in spans if span.end_seconds > span.start_seconds]


def _exchange(replay: Replay, times: Closing, link: Link, group: LinkGroup) -> Span:
    """What a group sends over a link in a step, in one piece that ends with its term."""
    term = TERM_OF.get(group.group, TERM_OF["dp"])
    end = times.phases[term][1]
    return Span(
        name=f"{group.group} exchange",
        category=term,
        track=Track(zone=link.from_zone, stream=group.group, to_zone=link.to_zone),
        start_seconds=max(end - group.seconds, 0.0),
        end_seconds=end,
        moved_bytes=group.step_bytes,
    )


def _span(name: str, track: Track, start: float, end: float, category: str = "") -> Span:
    return Span(name=name, category=category or name, track=track, start_seconds=start, end_seconds=end)
