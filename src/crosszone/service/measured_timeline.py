"""A step as a run measured it, in the form in which a predicted one is drawn, so that the two can stand together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosszone.errors import NotThere

if TYPE_CHECKING:
    from crosszone.core.measurement import Measurement
    from crosszone.store.database import Connection
    from crosszone.store.opened import Store
    from crosszone.trace.span import Span

MEASURED = "measured"
DATA_WAIT, MEASURED_STEP = "data_wait", "measured_step"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTimeline:
    """The step of a run that was measured: medians over its steps, rank by rank."""

    schema_version: int = 1
    run_id: str
    name: str
    fingerprint: str
    """Of the prediction that it was started with."""
    device: str
    num_steps: int
    """That count."""
    step_seconds: float
    """On the slowest rank of each step."""
    low_seconds: float
    """5th percentile of the same."""
    high_seconds: float
    """95th percentile."""
    detail: dict[str, Any]
    """A track for each rank: `data_wait`, then the rest of the step, which ranks do not tell apart."""


def run_timeline(store: Store, key: str) -> MeasuredTimeline:
    """Of the saved run with this id. NotThere of the run, or where it was predicted only."""
    from crosszone.core.codec import from_json
    from crosszone.core.measurement import Measurement
    from crosszone.store import records
    from crosszone.trace.detail import detail_json, window
    from crosszone.trace.span import Trace

    with store.state.reading() as connection:
        run = records.one_run(connection, key)
        zones = _zones(connection, run.attempt_id)
    if run.measurement is None:
        raise NotThere.of("nothing was measured of it.", where=key)
    found = from_json(Measurement, run.measurement)
    spans = tuple(_spans(found, zones))
    trace = Trace(origin=MEASURED, spans=spans)
    return MeasuredTimeline(
        run_id=run.id,
        name=run.name,
        fingerprint=found.fingerprint,
        device=found.device,
        num_steps=found.num_steps,
        step_seconds=found.step_seconds,
        low_seconds=found.low_seconds,
        high_seconds=found.high_seconds,
        detail=detail_json(window(trace, start_seconds=0.0, end_seconds=trace.end_seconds, max_slices=len(spans))),
    )


def _spans(measured: Measurement, zones: Mapping[int, str]) -> Iterator[Span]:
    from crosszone.trace.span import Span, Track

    for each in measured.ranks:
        track = Track(zone=zones.get(each.rank, ""), stream=MEASURED, rank=each.rank)
        bounds = ((DATA_WAIT, 0.0, each.data_seconds), (MEASURED_STEP, each.data_seconds, each.step_seconds))
        for category, start_seconds, end_seconds in bounds:
            yield Span(
                name=category.replace("_", " "),
                category=category,
                track=track,
                start_seconds=start_seconds,
                end_seconds=end_seconds,
            )


def _zones(connection: Connection, attempt_id: str | None) -> dict[int, str]:
    """The zone of each rank of an attempt."""
    from crosszone.core.task import RANK
    from crosszone.store import tasks

    parts = {} if attempt_id is None else {each.id: each for each in tasks.parts_of(connection, attempt_id)}
    found = {}
    for each in parts.values():
        node = parts.get(each.parent_id or "")
        zone = None if node is None else parts.get(node.parent_id or "")
        if each.level == RANK and zone is not None:
            found[int(each.name)] = zone.name
    return found
