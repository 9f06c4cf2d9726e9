"""Paths between the nodes of a run, looked at while it trains: measured beside planned, and when that is an alarm."""

from collections.abc import Sequence
from dataclasses import dataclass

from crosszone.core.preflight import NodePath

FINE, WARNING, CRITICAL = "fine", "warning", "critical"
LEVELS = (FINE, WARNING, CRITICAL)
RTT_RATIOS = {WARNING: 1.5, CRITICAL: 3.0}
"""Measured over planned. Chosen: routes over other cables are about half as long again."""
RATE_RATIOS = {WARNING: 4.0, CRITICAL: 10.0}
"""Planned over measured. Chosen: one connection beside the traffic of the run gets a part of the path."""
CLEAR_FRACTION = 0.8
"""Of a threshold: an alarm ends below it, so that what swings about a threshold is one alarm."""
NUM_LOOKS = 2
"""In a row beyond a threshold raise an alarm: one look may meet a moment of other traffic."""
LEAST_RTT_SECONDS = 0.0005
"""More by so little is the noise of programs that wake up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathLook:
    """One direction between two nodes, at one moment. None: not measured, or not planned."""

    from_address: str
    to_address: str
    from_zone: str
    to_zone: str
    is_open: bool
    """Whether one connects to the other."""
    rtt_seconds: float | None = None
    jitter_seconds: float | None = None
    bytes_per_second: float | None = None
    """Of one connection, beside the traffic of the run."""
    planned_rtt_seconds: float | None = None
    planned_bytes_per_second: float | None = None


def look_along(path: NodePath, start: tuple[str, str], end: tuple[str, str]) -> PathLook:
    """What was seen of a path between two nodes, each as (address, zone); what was planned of it is not known here."""
    return PathLook(
        from_address=start[0],
        to_address=end[0],
        from_zone=start[1],
        to_zone=end[1],
        is_open=path.is_open,
        rtt_seconds=path.rtt_seconds,
        jitter_seconds=path.jitter_seconds,
        bytes_per_second=None if path.rate is None else path.rate.bytes_per_second,
    )


def level(look: PathLook) -> str:
    """How bad one look is by itself."""
    return _level(look, factor=1.0)


def alarm(before: str, looks: Sequence[PathLook]) -> str:
    """The level of an alarm after the newest of `looks`, where it was `before`.

    It rises where the newest `NUM_LOOKS` are all as bad, and falls where the newest is better than a part of the
    threshold.
    """
    newest = list(looks)[-NUM_LOOKS:]
    risen = min((LEVELS.index(level(each)) for each in newest), default=0) if len(newest) == NUM_LOOKS else 0
    held = LEVELS.index(_level(newest[-1], factor=CLEAR_FRACTION)) if newest else 0
    return LEVELS[max(risen, min(LEVELS.index(before), held))]


def _level(look: PathLook, *, factor: float) -> str:
    if not look.is_open:
        return CRITICAL
    reached = [
        name
        for ratio, thresholds in ((_rtt_ratio(look), RTT_RATIOS), (_rate_ratio(look), RATE_RATIOS))
        for name, threshold in thresholds.items()
        if ratio is not None and ratio >= factor * threshold
    ]
    return max(reached, key=LEVELS.index, default=FINE)


def _rtt_ratio(look: PathLook) -> float | None:
    if look.rtt_seconds is None or not look.planned_rtt_seconds:
        return None
    return (look.rtt_seconds - LEAST_RTT_SECONDS) / look.planned_rtt_seconds


def _rate_ratio(look: PathLook) -> float | None:
    if not look.bytes_per_second or look.planned_bytes_per_second is None:
        return None
    return look.planned_bytes_per_second / look.bytes_per_second
