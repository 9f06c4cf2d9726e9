"""Speed-up over GPUs as a drawing: SVG, which every browser shows and no library has to be installed for."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from crosszone.core.scaling import ScalingPoint

WIDTH, HEIGHT, MARGIN = 640, 420, 56
COLOURS = {"strong": "#1f77b4", "weak": "#d62728"}
TICKS = 5
FONT = 'font-family="sans-serif" font-size="12"'


def scaling_svg(points: Sequence[ScalingPoint], *, title: str) -> str:
    """The drawing: measured speed-ups with their intervals, predicted ones as rings, and the ideal as a dashed line."""
    most_gpus = max((point.num_gpus for point in points), default=1)
    highs = [point.speedup_high or point.speedup for point in points] + _predicted(points)
    most = max([float(most_gpus), *highs])
    scale = _Scale(most_gpus, most)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="24" font-size="14">{escape(title)}</text>',
        *_axes(scale, sorted({point.num_gpus for point in points}), most),
        _line(scale.at(0, 0), scale.at(most_gpus, most_gpus), "#888", dash="4 4"),
    ]
    for row, (mode, colour) in enumerate(COLOURS.items()):
        own = [point for point in points if point.mode == mode]
        if own:
            parts += _series(scale, own, colour)
            parts.append(_legend(row, mode, colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """From GPUs and speed-ups to places on the drawing."""

    def __init__(self, most_gpus: float, most: float) -> None:
        self._per_gpu = (WIDTH - 2 * MARGIN) / most_gpus
        self._per_speedup = (HEIGHT - 2 * MARGIN) / most

    def at(self, num_gpus: float, speedup: float) -> tuple[float, float]:
        return MARGIN + num_gpus * self._per_gpu, HEIGHT - MARGIN - speedup * self._per_speedup


def _predicted(points: Sequence[ScalingPoint]) -> list[float]:
    return [value for point in points if (value := predicted_speedup(point, points)) is not None]


def predicted_speedup(point: ScalingPoint, points: Sequence[ScalingPoint]) -> float | None:
    """Of predicted times alone; None where the first of the series was not predicted."""
    base = min((each for each in points if each.mode == point.mode), key=lambda each: each.num_gpus)
    if point.predicted_step_seconds is None or base.predicted_step_seconds is None:
        return None
    rate = point.global_batch_tokens / point.predicted_step_seconds
    return base.num_gpus * rate / (base.global_batch_tokens / base.predicted_step_seconds)


def _series(scale: _Scale, points: Sequence[ScalingPoint], colour: str) -> list[str]:
    places = [scale.at(point.num_gpus, point.speedup) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>']
    for point, (x, y) in zip(points, places, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        if point.speedup_low is not None and point.speedup_high is not None:
            ends = (scale.at(point.num_gpus, point.speedup_low), scale.at(point.num_gpus, point.speedup_high))
            parts.append(_line(*ends, colour))
        predicted = predicted_speedup(point, points)
        if predicted is not None:
            x, y = scale.at(point.num_gpus, predicted)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="{colour}"/>')
    return parts


def _axes(scale: _Scale, counts: Sequence[int], most: float) -> list[str]:
    origin = scale.at(0, 0)
    parts = [_line(origin, (WIDTH - MARGIN, origin[1]), "black"), _line(origin, (MARGIN, MARGIN), "black")]
    for count in counts:
        x, y = scale.at(count, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{count}</text>')
    for tick in range(1, TICKS + 1):
        x, y = scale.at(0, most * tick / TICKS)
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{most * tick / TICKS:.3g}</text>')
    parts.append(f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">ranks</text>')
    parts.append(f'<text x="14" y="{HEIGHT / 2:.0f}" transform="rotate(-90 14 {HEIGHT / 2:.0f})">speed-up</text>')
    return parts


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, *, dash: str = "") -> str:
    style = f' stroke-dasharray="{dash}"' if dash else ""
    (x1, y1), (x2, y2) = start, end
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{style}/>'


def _legend(row: int, mode: str, colour: str) -> str:
    y = MARGIN + 18 * row
    text = f"{mode}: dots measured, bars 95 %, rings predicted"
    return f'<text x="{MARGIN + 12}" y="{y}" fill="{colour}">{text}</text>'
